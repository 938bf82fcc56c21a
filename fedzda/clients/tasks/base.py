"""The interface of a task: a loss to train on, and statistics that add up.

A metric is computed from sums over samples, so that batches, workers and clients can be combined
in any grouping: ``metrics(statistics of A + statistics of B)`` is the metric of A and B together.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn

from fedzda.base import Cost, ImageSpec, StrictConfig, Variant

if TYPE_CHECKING:
    from fedzda.clients.hooks.base import LocalRun
    from fedzda.clients.runtime import ClientRuntime

Batch = Mapping[str, torch.Tensor]
"""Columns of a data set, each with the samples along the first dimension."""


Outputs = Any
"""What a model makes of a batch: a tensor, or named tensors, samples along the first dimension."""


class Task(ABC):
    """What is learned. A concrete task is built as ``Task(config, image)``."""

    Config: ClassVar[type[StrictConfig]]
    """Its configuration block."""
    columns: tuple[str, ...]
    """Columns of the data set that a batch must hold; among them may be
    :data:`fedzda.platform.data.federation.CLIENT`."""
    primary: ClassVar[str]
    """The metric that reports and selections look at."""
    higher_is_better: ClassVar[bool]
    """Direction of ``primary``."""
    means_only: ClassVar[tuple[str, ...]] = ()
    """Metrics that do not say how well a client is served: counts, constants of its data such as
    the figure of what goes in, costs. Reports give their mean, and no fairness figures."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """The mean training loss of a batch, a scalar to differentiate."""

    @abstractmethod
    def outputs(self, model: nn.Module, batch: Batch) -> Outputs:
        """What ``model`` makes of a batch, samples along the first dimension."""

    @property
    def augments(self) -> bool:
        """Whether :meth:`augment` changes anything."""
        return type(self).augment is not Task.augment

    def augment(self, batch: Batch, rng: torch.Generator) -> Batch:
        """What a training step sees of a batch: the batch itself, or random changes of it.

        Args:
            batch: Rows of the client's data.
            rng: The client's random numbers for this round, on the CPU.
        """
        return batch

    def for_client(self, run: LocalRun) -> Task:
        """The task as one client trains on it in one round; by default the task itself.

        A client's own task may learn things that stay on the client: it finds what the client has
        kept in ``run.call.state`` and leaves what it is to keep in ``run.state``.

        Args:
            run: Call, model, samples and state of the client; hooks have started.
        """
        return self

    def finish(self, run: LocalRun) -> None:
        """After the last step of the task that :meth:`for_client` gave."""
        return

    def given(self, image: ImageSpec) -> ImageSpec:
        """What a model takes in a test: by default the normalised images of the data set.

        Forms of the model for devices are made, quantized and counted on images like these.

        Args:
            image: The images of the data set.
        """
        return image

    def shown(self, batch: Batch) -> torch.Tensor:
        """What a model takes of a batch in a test, ``(N, C, H, W)`` as :meth:`given` says.

        Forms of the model set ranges and statistics on it.
        """
        return batch["image"]

    def passes(self, image: ImageSpec) -> float:
        """What a training step takes for one sample: its forward pass over that of a test."""
        return 1.0

    def cost(self, variant: Variant, model: nn.Module) -> Cost:
        """What a form of ``model`` takes on a device that uses it for this task."""
        return variant.cost()

    def client_figures(
        self, runtime: ClientRuntime, client: int, model: nn.Module
    ) -> dict[str, float]:
        """Figures of one client that are no sums over samples, in the last evaluation on its test
        split (with ``stop:`` in every one, since any may be the last); by default there are none.

        Args:
            runtime: Holds the data.
            client: Number of the client.
            model: What the client tests: the global model, or its device's form of it.
        """
        return {}

    def sheet(
        self, models: Mapping[str, nn.Module], batch: Batch, class_names: list[str]
    ) -> torch.Tensor | None:
        """A picture ``(3, height, width)`` in [0, 1] of what models make of a few samples.

        The report shows it; None where there is nothing to see.

        Args:
            models: By the name of their form: the global model alone (``full``), or one model for
                every form that devices run.
            batch: The samples.
            class_names: Names of the classes.
        """
        return None

    def sample_losses(self, outputs: Outputs, batch: Batch) -> torch.Tensor:
        """The training loss of every sample ``(N,)``, whose mean over a batch is :meth:`loss`.

        Not every task has one. A task that has can train many clients at once.

        Args:
            outputs: Of :meth:`outputs`, ``(N, …)``.
            batch: The batch they belong to.
        """
        raise NotImplementedError(f"task {type(self).__name__} has no loss of a single sample")

    @abstractmethod
    def sample_statistics(self, outputs: Outputs, batch: Batch) -> dict[str, torch.Tensor]:
        """Float64 figures of every sample, ``(N, …)``; their sums give all metrics."""

    @abstractmethod
    def metrics(self, statistics: Batch) -> dict[str, float]:
        """Scalars from summed statistics; NaN where there was no sample."""

    @abstractmethod
    def details(self, statistics: Batch) -> dict[str, list[float]]:
        """Lists from summed statistics, such as one figure per class; NaN where none exists."""

    @abstractmethod
    def validate(self, model: nn.Module, image: ImageSpec) -> None:
        """Raise :class:`fedzda.base.UserError` unless ``model`` fits the task and the images."""

    def statistics(self, outputs: Outputs, batch: Batch) -> dict[str, torch.Tensor]:
        """Statistics summed over a batch."""
        return {k: v.sum(dim=0) for k, v in self.sample_statistics(outputs, batch).items()}

    def segment_statistics(
        self, outputs: Outputs, batch: Batch, segments: torch.Tensor, num_segments: int
    ) -> dict[str, torch.Tensor]:
        """Statistics summed per segment, so that one forward pass can serve many clients.

        Args:
            outputs: Of :meth:`outputs`, ``(N, …)``.
            batch: The batch they belong to.
            segments: Segment of each sample, int64 ``(N,)`` in ``0 .. num_segments - 1``.
            num_segments: Number of segments; those without samples stay zero.

        Returns:
            As :meth:`statistics`, with a leading dimension of ``num_segments``.
        """
        summed = {}
        for name, values in self.sample_statistics(outputs, batch).items():
            empty = values.new_zeros((num_segments, *values.shape[1:]))
            summed[name] = empty.index_add_(0, segments, values)
        return summed
