"""How much each part may spend: steps, images, settings of the synthesizers."""

from __future__ import annotations

from typing import Any, NamedTuple

from fedzda.compression import QuantizeConfig
from fedzda.compression.config import ActivationConfig, DistillationConfig, WeightConfig

SOURCES = ("real", "zs-cgan", "adversarial", "image-distillation", "noise")
BITS = ((8, 8), (4, 8), (4, 4), (3, 3))
Block = dict[str, Any]

CPU: dict[str, Block] = {
    "zs-cgan": {"name": "zs-cgan", "steps": 1000, "batch_size": 64},
    "adversarial": {
        "name": "adversarial",
        "network": "transposed",
        "channels": 64,
        "z_size": 64,
        "batch_size": 64,
        "warmup_steps": 200,
        "steps": 200,
        "student_steps": 5,
        "student_lr": 0.05,
        "alpha": 0.1,
        "codes_per_class": 200,
        "on_collapse": "warn",
    },
    "image-distillation": {
        "name": "image-distillation",
        "steps": 100,
        "batch_size": 250,
        "batches": 4,
    },
}
_FULL: dict[str, Block] = {
    "zs-cgan": {"name": "zs-cgan", "network": "wide32", "steps": 10_000, "batch_size": 200},
    "adversarial": {"name": "adversarial", "on_collapse": "warn", "codes_per_class": 2000},
    "image-distillation": {
        "name": "image-distillation",
        "preset": "deepinversion-c10",
        "batches": 20,
    },
}


class Budget(NamedTuple):
    """What quantizing one teacher may cost; the same for every source of images."""

    images: int
    """Images stored, of which calibration and training draw."""
    synthesizers: dict[str, Block]
    training: DistillationConfig

    def quantization(self, bits: tuple[int, int]) -> QuantizeConfig:
        """Calibration and training with so many bits of weights and activations."""
        return QuantizeConfig(
            stage="qat",
            weights=WeightConfig(bits=bits[0]),
            activations=ActivationConfig(bits=bits[1]),
            distillation=self.training,
        )


def name_of(bits: tuple[int, int]) -> str:
    """``(4, 8)`` as ``W4A8``."""
    return f"W{bits[0]}A{bits[1]}"


def _training(steps: int, batch_size: int) -> DistillationConfig:
    # the teacher's logits alone: real, made and unlabelled images are then treated alike
    return DistillationConfig(steps=steps, batch_size=batch_size, lr=1e-4, ce_weight=0.0)


_QUICK = {
    "mnist-lenet-bn": Budget(2000, CPU, _training(600, 32)),
    "mnist-resnet-8": Budget(2000, CPU, _training(400, 32)),
    "cifar10-resnet-20": Budget(5000, CPU, _training(2000, 32)),
}


def budget_of(teacher: str, full: bool, steps: int | None) -> Budget:
    """The budget of a teacher.

    Args:
        teacher: As in ``teachers.py``, for example ``mnist-lenet-bn``.
        full: The budget of the method sheet, for a GPU.
        steps: Every number of steps, and images in proportion; for trying the commands out.
    """
    budget = _QUICK[teacher]
    if full:
        budget = Budget(50_000, _FULL, _training(20_000, 200))
    if steps is None:
        return budget
    blocks = {name: shortened(block, steps) for name, block in budget.synthesizers.items()}
    return Budget(40, blocks, budget.training.model_copy(update={"steps": steps}))


def shortened(block: Block, steps: int) -> Block:
    """A synthesizer's settings with so many steps, and small batches."""
    short = {"steps": steps, "batch_size": 20}
    if block["name"] == "adversarial":
        short |= {"warmup_steps": steps, "student_steps": 1, "codes_per_class": 4}
        short |= {"network": "transposed", "channels": 8}
    if block["name"] == "image-distillation":
        short["batches"] = 1
    if block["name"] == "zs-cgan":
        short |= {"network": "transposed", "channels": 8}
    return {**block, **short}
