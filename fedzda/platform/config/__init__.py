"""The configuration of a simulation, as typed blocks.

There is a module per theme. Blocks that name a component (``model: {name: lenet-bn, …}``) are
*slots* (``slot.py``, ``specialise.py``). Reading files and formatting errors is the work of
``load.py``, ``checks.py`` and ``problems.py``, which stand apart from the blocks.
"""

from __future__ import annotations

from fedzda.platform.config.data import DataConfig, PartitionerConfig, ShiftConfig
from fedzda.platform.config.devices import DevicesConfig, UplinkConfig, VariantConfig
from fedzda.platform.config.engine import EngineConfig, FlowerConfig, InlineConfig, RayConfig
from fedzda.platform.config.local import AdamConfig, LocalConfig, SGDConfig
from fedzda.platform.config.rounds import CheckpointConfig, EvaluateConfig, GroupsConfig, StopConfig
from fedzda.platform.config.simulation import SimulationConfig
from fedzda.platform.config.slot import Slot, TargetConfig
from fedzda.platform.config.specialise import chosen_class, plain, slots, specialise, target_class
from fedzda.platform.config.strategy import PrivacyConfig, ScenarioConfig, StrategyConfig, Suits

__all__ = [
    "AdamConfig",
    "CheckpointConfig",
    "DataConfig",
    "DevicesConfig",
    "EngineConfig",
    "EvaluateConfig",
    "FlowerConfig",
    "GroupsConfig",
    "InlineConfig",
    "LocalConfig",
    "PartitionerConfig",
    "PrivacyConfig",
    "RayConfig",
    "SGDConfig",
    "ScenarioConfig",
    "ShiftConfig",
    "SimulationConfig",
    "Slot",
    "StopConfig",
    "StrategyConfig",
    "Suits",
    "TargetConfig",
    "UplinkConfig",
    "VariantConfig",
    "chosen_class",
    "plain",
    "slots",
    "specialise",
    "target_class",
]
