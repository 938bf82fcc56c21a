"""The U-Net: T = 1000, linear betas from 1e-4 to 0.02, noise prediction, AdamW, batches of 128, a
moving average of the weights (0.999). Resumable, with the same result."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import partial_training
import torch
from torch import nn

from diffusion_cases.data import STUDIES, Data
from fedzda.base import fingerprint, torch_rng
from fedzda.clients.classifiers import build_model
from fedzda.generators.files import read_tensors, write_tensors
from fedzda.platform.data.store import cache_root

BATCH = 128
_WARMUP = 200
_SAVED = 250
_T = 1000
_MODEL, _FIRST, _SECOND = "model.", "first.", "second."


def alphas() -> torch.Tensor:
    """Products of 1 - beta, ``(1000,)``."""
    betas = torch.linspace(1e-4, 0.02, _T, dtype=torch.float64)
    return torch.cumprod(1 - betas, dim=0).float()


def noisy(
    x_NCHW: torch.Tensor, t_N: torch.Tensor, noise_NCHW: torch.Tensor, abar: torch.Tensor
) -> torch.Tensor:
    """``sqrt(abar_t) x + sqrt(1 - abar_t) noise``."""
    kept = abar[t_N].view(-1, 1, 1, 1)
    return kept.sqrt() * x_NCHW + (1 - kept).sqrt() * noise_NCHW


def path_of(name: str, steps: int) -> Path:
    """Where a finished U-Net is kept."""
    return cache_root() / "diffusion" / f"{name}-{steps}.safetensors"


class Training:
    """One U-Net and where it stands."""

    def __init__(self, name: str, data: Data, steps: int, device: str) -> None:
        study = STUDIES[name]
        self.recipe = {"model": study.model, "lr": study.lr, "steps": steps, "batch": BATCH}
        self.data, self.device = data, torch.device(device)
        self.images = data.image.normalize(data.train).to(self.device)
        self.abar = alphas().to(self.device)
        torch.manual_seed(0)
        self.model = build_model(study.model, data.image).to(self.device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), study.lr)
        self.done, self.seconds = 0, 0.0
        self.losses: list[float] = []
        self.partial = path_of(name, steps).with_suffix(".part.safetensors")
        self._resume()

    def step(self) -> float:
        """One step of AdamW."""
        rng = torch_rng(0, "diffusion-training", self.done)
        rows = torch.randint(len(self.images), (BATCH,), generator=rng).to(self.device)
        t = torch.randint(_T, (BATCH,), generator=rng).to(self.device)
        noise = torch.randn(BATCH, *self.data.image.shape, generator=rng).to(self.device)
        share = self.done / self.recipe["steps"]
        warm = min(1.0, (self.done + 1) / _WARMUP)
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe["lr"] * warm * (1 + math.cos(math.pi * share)) / 2
        self.model.train()
        self.optimizer.zero_grad()
        found = self.model(noisy(self.images[rows], t, noise, self.abar), t)
        loss = nn.functional.mse_loss(found, noise)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.done += 1
        return float(loss.detach())

    def run(self) -> None:
        """All steps that are left, with a checkpoint now and then."""
        while self.done < self.recipe["steps"]:
            started, total = time.perf_counter(), 0.0
            for _ in range(min(_SAVED, self.recipe["steps"] - self.done)):
                total += self.step()
            self.losses.append(total / _SAVED)
            self.seconds += time.perf_counter() - started
            self._save()
            print(f"step {self.done} loss {self.losses[-1]:.4f} {self.seconds:.0f} s", flush=True)

    def _save(self) -> None:
        tensors = {_MODEL + k: v for k, v in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            state = self.optimizer.state[parameter]
            tensors[_FIRST + name] = state["exp_avg"]
            tensors[_SECOND + name] = state["exp_avg_sq"]
        progress = {"done": self.done, "seconds": self.seconds, "losses": self.losses}
        partial_training.save(self.partial, tensors, self.recipe, progress)

    def _resume(self) -> None:
        found = partial_training.load(self.partial, self.recipe)
        if found is None:
            return
        tensors, progress = found
        self.done, self.seconds, self.losses = (progress[k] for k in ("done", "seconds", "losses"))
        own = {k.removeprefix(_MODEL): v for k, v in tensors.items() if k.startswith(_MODEL)}
        self.model.load_state_dict(own)
        for name, parameter in self.model.named_parameters():
            self.optimizer.state[parameter] = {
                "step": torch.tensor(float(self.done)),
                "exp_avg": tensors[_FIRST + name].to(self.device),
                "exp_avg_sq": tensors[_SECOND + name].to(self.device),
            }
        print(f"going on after step {self.done}", flush=True)


def trained(name: str, data: Data, steps: int, device: str) -> dict[str, Any]:
    """Train unless done; the record of the training."""
    path = path_of(name, steps)
    if not path.exists():
        training = Training(name, data, steps, device)
        training.run()
        unet = training.model.deployed().cpu()
        record = {
            "recipe": training.recipe,
            "parameters": sum(p.numel() for p in unet.parameters()),
            "fingerprint": fingerprint(unet.state_dict()),
            "losses": [round(loss, 5) for loss in training.losses],
            "seconds": round(training.seconds),
        }
        write_tensors(unet.state_dict(), path, {"record": json.dumps(record)})
    record = json.loads(read_tensors(path)[1]["record"])
    return dict(record)


def load_unet(name: str, data: Data, steps: int, device: str) -> nn.Module:
    """The trained U-Net with averaged weights, in eval mode, not to be trained."""
    model = build_model(STUDIES[name].model, data.image)
    unet: nn.Module = model.net
    tensors, _ = read_tensors(path_of(name, steps))
    unet.load_state_dict(tensors)
    return unet.to(device).eval().requires_grad_(False)
