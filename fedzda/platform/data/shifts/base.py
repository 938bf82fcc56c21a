"""Which transformation an image gets: that of the client that holds it.

Letters in names: N images, C channels, H height, W width; a *unit* is a client or a cluster.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from fedzda.base import ImageSpec, UserError
from fedzda.platform import plugins
from fedzda.platform.config import DataConfig, ShiftConfig, TargetConfig
from fedzda.platform.data.apportion import Ints
from fedzda.platform.data.federation import Federation
from fedzda.platform.data.partitioners.clusters import cluster_of


class Shift(Protocol):
    """A family of transformations, one for each unit; a function of its arguments alone.

    Built as ``Shift(config, num_units, image, seed)``; a user's ``target`` as ``Shift(num_units=…,
    image=…, seed=…, **args)``.
    """

    def apply(
        self, pixels_NCHW: torch.Tensor, unit_N: torch.Tensor, row_N: torch.Tensor
    ) -> torch.Tensor:
        """Pixels in [0, 1] as units see them, of the same shape and range.

        Args:
            pixels_NCHW: float32 in [0, 1].
            unit_N: int64 in ``0 .. num_units - 1``.
            row_N: int64, identifies the image, for what is random about it.
        """
        ...

    def describe(self, unit: int) -> str:
        """What the transformation of a unit does, in a few words; equal ones say the same."""
        ...


class ClientViews:
    """The images of a federation as its clients see them.

    Nothing is stored: a batch is transformed when it is made. Images of the global test set, which
    nobody holds, are seen by the clients in turn, so that the set has the federation's mixture.

    Args:
        config: The ``data`` block, with a ``shift``.
        federation: The prepared data.
        seed: Seed of the run; ``config.seed`` wins where it is set.

    Raises:
        UserError: ``by: cluster`` without clusters, a rotation of annotated images, images with
            clean counterparts, or a ``target`` that cannot be built.
    """

    def __init__(self, config: DataConfig, federation: Federation, seed: int) -> None:
        assert config.shift is not None
        if config.shift.name == "rotation" and "annotation" in federation.train:
            raise UserError(
                "data.shift is 'rotation', which turns the images but not their annotations: use "
                "noise or colour, or leave data.shift out."
            )
        if "clean" in federation.train:
            raise UserError(
                f"data.shift is '{config.shift.name}', which changes the noisy images but not "
                "their clean counterparts: leave data.shift out."
            )
        self.federation = federation
        self.unit = units_of(config, federation.num_clients)
        assert federation.image is not None
        seed = config.seed if config.seed is not None else seed
        self.shift = _build(config.shift, int(self.unit[-1]) + 1, federation.image, seed)

    def apply(
        self, pixels_NCHW: torch.Tensor, rows: npt.NDArray[np.int64], *, held: bool = True
    ) -> torch.Tensor:
        """Pixels in [0, 1] as the client sees them that holds them.

        Args:
            pixels_NCHW: float32 in [0, 1], on any device.
            rows: ``(N,)`` rows of the training pool; with ``held=False`` of the global test set.
            held: Whether a client holds the images.
        """
        client = self.federation.owner[rows] if held else rows % self.federation.num_clients
        device = pixels_NCHW.device
        unit, row = (torch.from_numpy(np.array(a)).to(device) for a in (self.unit[client], rows))
        return self.shift.apply(pixels_NCHW, unit, row)


def units_of(config: DataConfig, num_clients: int) -> Ints:
    """``(num_clients,)`` unit of each client, ascending: the client itself, or its cluster."""
    assert config.shift is not None
    if config.shift.by == "client":
        return np.arange(num_clients, dtype=np.int64)
    clusters = getattr(config.partition, "clusters", None)
    if not isinstance(clusters, int):
        raise UserError(
            "data.shift.by is 'cluster', but data.partition makes no clusters: set "
            "data.partition.name to 'clusters', or data.shift.by to 'client'."
        )
    return cluster_of(num_clients, clusters)


def _build(config: ShiftConfig, num_units: int, image: ImageSpec, seed: int) -> Shift:
    if not isinstance(config, TargetConfig):
        made: Shift = plugins.load("shifts", config.name)(config, num_units, image, seed)
        return made
    target = plugins.import_target(config.target)
    try:
        own: Shift = target(num_units=num_units, image=image, seed=seed, **config.args)
    except TypeError as error:
        raise UserError(
            f"data.shift: target '{config.target}' cannot be called with {config.args}: {error}. "
            "It must also take num_units, image and seed."
        ) from error
    return own
