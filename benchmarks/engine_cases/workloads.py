"""What is measured: the sizes of every workload, as plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """One federated training set-up.

    Attributes:
        kind: ``train`` (local SGD) or ``echo`` (clients send back what they got).
        clients: Registered clients.
        cohort: Clients per round, drawn uniformly.
        samples: Training samples of every client.
        image: ``(channels, height, width)``; random pixels around a pattern per class.
        model: Name in :mod:`engine_cases.models`.
        lr: Step size of plain SGD without momentum.
        batch_size: Samples per step; one epoch per round.
        contrast: Amplitude of the class pattern in grey levels; the noise has 64.
        echo_floats: Float32 values of the echoed model (``echo`` only).
    """

    name: str
    title: str
    clients: int
    cohort: int
    kind: str = "train"
    samples: int = 0
    image: tuple[int, int, int] = (1, 1, 1)
    model: str = ""
    lr: float = 0.05
    batch_size: int = 10
    contrast: int = 0
    test_samples: int = 0
    echo_floats: int = 0

    @property
    def samples_per_round(self) -> int:
        """Samples that all clients of a cohort see in one epoch."""
        return self.cohort * self.samples

    @property
    def steps_per_round(self) -> int:
        """Gradient steps of a cohort in one epoch."""
        return self.cohort * -(-self.samples // self.batch_size)


W1 = Workload(
    name="w1",
    title="W1: 1,000 clients, 100 per round, 60 samples of 28x28, batch 10, LeNet (46,730)",
    clients=1000,
    cohort=100,
    samples=60,
    image=(1, 28, 28),
    model="lenet",
    contrast=30,
    test_samples=5000,
)
CIFAR = Workload(
    name="cifar",
    title="CIFAR-10-shaped, pfl-research's set-up: 1,000 clients, 50 per round, 50 samples of "
    "32x32x3, batch 10, simple_cnn (1,626,442), lr 0.1",
    clients=1000,
    cohort=50,
    samples=50,
    image=(3, 32, 32),
    model="simple-cnn",
    lr=0.1,
    contrast=16,
    test_samples=2000,
)
ECHOES = [
    Workload(
        name=f"echo-{label}",
        title=f"Echo: 1,000 clients, 50 per round, a model of {size}, no training",
        kind="echo",
        clients=1000,
        cohort=50,
        echo_floats=floats,
    )
    for label, size, floats in (("40kb", "40 KB", 10_000), ("6.6mb", "6.6 MB", 1_650_000))
]
SCALES = [
    Workload(
        name=f"scale-{clients}",
        title=f"Scale: {clients:,} clients, 1,000 per round, 3 samples of 8x8, a small network",
        clients=clients,
        cohort=1000,
        samples=3,
        image=(1, 8, 8),
        model="small",
        contrast=30,
        test_samples=1000,
    )
    for clients in (1000, 1_000_000)
]
GROUPS: dict[str, list[Workload]] = {
    "w1": [W1],
    "echo": ECHOES,
    "scale": SCALES,
    "cifar": [CIFAR],
}
"""What ``--workloads`` names."""
