"""The data as float tensors, as the sides other than fedzda keep them in memory."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import nn

from engine_cases.models import make_model


def client_tensors(folder: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (clients, samples, C, H, W), normalised, and labels (clients, samples)."""
    images = torch.from_numpy(np.load(Path(folder, "images.npy")))
    return normalised(images, folder), torch.from_numpy(np.load(Path(folder, "labels.npy")))


def normalised(images: torch.Tensor, folder: str) -> torch.Tensor:
    """uint8 pixels to what the models see, with the moments that fedzda found."""
    moments = json.loads(Path(folder, "moments.json").read_text())
    mean = torch.tensor(moments["mean"]).view(-1, 1, 1)
    std = torch.tensor(moments["std"]).view(-1, 1, 1)
    return images.float().div_(255.0).sub_(mean).div_(std)


def initial_model(name: str, folder: str) -> nn.Module:
    """The model with the weights that every side starts from."""
    model = make_model(name)
    load_npz(model, Path(folder, "initial.npz"))
    return model


def load_npz(model: nn.Module, path: Path) -> None:
    """Load weights saved as ``.npz``."""
    with np.load(path) as file:
        model.load_state_dict({key: torch.from_numpy(file[key]) for key in file.files})


def accuracy(name: str, folder: str, weights: Path) -> float:
    """Test accuracy of saved weights: one function for all sides."""
    model = make_model(name).eval()
    load_npz(model, weights)
    images = normalised(torch.from_numpy(np.load(Path(folder, "test_images.npy"))), folder)
    labels = torch.from_numpy(np.load(Path(folder, "test_labels.npy")))
    with torch.no_grad():
        found = torch.cat([model(part).argmax(1) for part in torch.split(images, 500)])
    return float((found == labels).double().mean())
