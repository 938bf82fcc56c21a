"""What a model must do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from fedzda.platform.conformance.findings import Broken
from fedzda.platform.conformance.run_rules import RESUMES, RUNS_TWICE, SINGLE_SAMPLE, config_of
from fedzda.platform.data.dealing import dealt, image_of
from fedzda.platform.parts import build_model, build_task

if TYPE_CHECKING:
    from fedzda.platform.conformance.check import Bench, Rule

_SAMPLES = 8


def built(bench: Bench) -> tuple[nn.Module, Any, dict[str, torch.Tensor]]:
    """The model, the task, and a batch of the simulation's data as both see it."""
    config = config_of(bench)
    federation = dealt(config, bench.folder)
    image = image_of(federation)
    model, task = build_model(config, image), build_task(config, image)
    batch = {}
    for name in task.columns:
        values = torch.from_numpy(np.array(federation.train[name][:_SAMPLES]))
        batch[name] = image.normalize(values.float() / 255) if name == "image" else values
    return model, task, batch


def fits(bench: Bench) -> None:
    """It can be built, and takes the images of the simulation."""
    model, task, _ = built(bench)
    if not any(p.requires_grad for p in model.parameters()):
        raise Broken("it has no parameter that could be trained.")
    task.validate(model, image_of(dealt(config_of(bench), bench.folder)))


def same_weights(bench: Bench) -> None:
    """The initial weights are a function of the seed."""
    first, second = (built(bench)[0].state_dict() for _ in range(2))
    for name, value in first.items():
        if not torch.equal(value, second[name]):
            raise Broken(
                f"built twice with one seed, '{name}' differs: draw initial weights from torch's "
                "generator (nn.init and the layers do), which fedzda seeds."
            )


def keeps_arrays(bench: Bench) -> None:
    """What is sent to clients are arrays of numbers."""
    for name, value in built(bench)[0].state_dict().items():
        if not isinstance(value, torch.Tensor) or value.is_complex() or value.is_sparse:
            raise Broken(f"state_dict()['{name}'] is no dense tensor of numbers, found {value!r}.")
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise Broken(f"'{name}' is not finite before the first step.")


def learns(bench: Bench) -> None:
    """The loss reaches every parameter."""
    model, task, batch = built(bench)
    model.train()
    task.loss(model, batch).backward()
    idle = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    if idle:
        raise Broken(
            f"the loss does not reach {', '.join(idle)}: use them in forward, or set requires_grad "
            "to False."
        )


def alone(bench: Bench) -> None:
    """In eval mode the answer to an image does not depend on what else is in the batch."""
    model, task, batch = built(bench)
    model.eval()
    with torch.no_grad():
        together = _tensors(task.outputs(model, batch))
        single = _tensors(task.outputs(model, {name: v[:1] for name, v in batch.items()}))
    for one, many in zip(single, together, strict=True):
        if not torch.allclose(one, many[:1], atol=1e-4, rtol=1e-3):
            raise Broken(
                "in eval mode the answer to an image depends on the rest of the batch: statistics "
                "of the batch belong in train mode only (if self.training)."
            )


def _tensors(outputs: Any) -> list[torch.Tensor]:
    return list(outputs.values()) if isinstance(outputs, dict) else [outputs]


RULES: dict[str, list[Rule]] = {
    "model": [
        ("it fits the images and the task", fits),
        ("equal seeds give equal weights", same_weights),
        ("its state is arrays of numbers", keeps_arrays),
        ("the loss reaches every parameter", learns),
        ("in eval mode each image is judged by itself", alone),
        RUNS_TWICE,
        RESUMES,
        SINGLE_SAMPLE,
    ]
}
