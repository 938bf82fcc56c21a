"""What devices, the forms of the model that they run, and their uplink share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from fedzda.base import StrictConfig

if TYPE_CHECKING:
    from fedzda.platform.config.simulation import SimulationConfig


class VariantConfig(StrictConfig):
    """What every form of the model that a device can run shares."""

    extends: ClassVar[str] = ""
    """``package.module:Name`` of what adds to the global model: ``(model, image, forms)`` to a
    model, with the configurations of all forms of a run that ask for it."""
    alone: ClassVar[bool] = False
    """Whether all devices that train must train a form of this name."""

    name: str

    @property
    def title(self) -> str:
        """What tables call it."""
        return self.name

    @property
    def architecture(self) -> str | None:
        """Title of the architecture that it is a form of; None: the run's own model."""
        return None

    @property
    def whole(self) -> bool:
        """Whether a device trains every entry of the global model."""
        return True

    @property
    def plain_training(self) -> bool:
        """Whether a device that trains does so on the global model as it is."""
        return True

    @property
    def trains(self) -> bool:
        """Whether its devices take part in training."""
        return True

    @property
    def settled(self) -> VariantConfig | None:
        """The form that devices run; None where it is still to be chosen."""
        return self

    def candidates(self) -> list[VariantConfig]:
        """Forms to choose from by memory and deadline, the best first; none: it is one itself."""
        return []

    def problems_in(self, whole: SimulationConfig) -> Iterable[str]:
        """Broken rules between this form and other blocks."""
        return ()


class DevicesConfig(StrictConfig):
    """What every population of devices shares."""

    clock: ClassVar[bool] = False
    """Whether a virtual clock runs: devices have a speed."""

    name: str

    def variants(self) -> list[VariantConfig]:
        """The forms of the model that devices run, by class, and after these all that may be
        chosen for them; none: all run the full one."""
        return []

    def problems_in(self, whole: SimulationConfig) -> Iterable[tuple[str, str]]:
        """Broken rules between this block and others: the dotted key, and a sentence."""
        return ()


class UplinkConfig(StrictConfig):
    """What every compression of what clients send shares."""

    name: str

    def encoded_bytes(self, num: int) -> int:
        """Bytes of an update of ``num`` trained weights as it is sent."""
        raise NotImplementedError
