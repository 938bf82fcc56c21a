"""Quantized denoisers in files: safetensors, with the configuration and the time steps as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import nn

from fedzda.base import UserError
from fedzda.compression.diffusion.config import TDQConfig
from fedzda.compression.diffusion.steps import TableStep
from fedzda.compression.diffusion.tdq import prepare_tdq, set_mode, state_of, tdq_layers
from fedzda.generators.files import read_tensors, write_tensors


def save_tdq(model: nn.Module, path: Path) -> None:
    """Write a quantized model, frozen or not, so that :func:`load_tdq` gives the same bits."""
    state = state_of(model)
    layers = list(tdq_layers(model).values())
    frozen = layers[0].weight_step.fixed is not None
    table = state.moment.table
    metadata = {
        "tdq": state.config.model_dump_json(),
        "frozen": json.dumps(frozen),
        "mode": layers[0].input_quantizer.mode,
        "timesteps": json.dumps(None if table is None else table.tolist()),
        "dtype": "" if table is None else str(table.dtype).removeprefix("torch."),
    }
    write_tensors(model.state_dict(), path, metadata)


def load_tdq(model: nn.Module, path: Path) -> None:
    """Make a float model of the same architecture the quantized one of a file, in place.

    Raises:
        UserError: No such file, damaged, not of this kind, or of another architecture.
    """
    tensors, metadata = read_tensors(path)
    if "tdq" not in metadata:
        raise UserError(
            f"'{path}' holds tensors but no quantized denoiser: its metadata lack 'tdq'. Name a "
            "file that save_tdq has written."
        )
    prepare_tdq(model, TDQConfig.model_validate_json(metadata["tdq"]))
    state, layers = state_of(model), tdq_layers(model)
    timesteps = json.loads(metadata["timesteps"])
    if timesteps is not None:
        state.moment.table = torch.tensor(timesteps, dtype=getattr(torch, metadata["dtype"]))
        for layer in layers.values():
            empty = torch.zeros(len(timesteps), device=layer.weight.device)
            layer.input_quantizer.source = TableStep(empty)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise UserError(f"'{path}' is of another model: {error}") from error
    set_mode(model, metadata["mode"])  # type: ignore[arg-type]
    if json.loads(metadata["frozen"]):
        with torch.no_grad():
            for layer in layers.values():
                layer.weight_step.fixed = layer.weight_step(layer.weight).clone()
