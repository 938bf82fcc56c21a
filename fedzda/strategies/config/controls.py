"""Configuration of control arms."""

from __future__ import annotations

from typing import Literal

from fedzda.strategies.config.mean import MeanConfig
from fedzda.strategies.config.zda import FILLS, AmountConfig, FillConfig


class PlaceboConfig(MeanConfig, FillConfig):
    """Placebo for Fed-ZDAC: noise images with the same labels."""

    no_scenario = FILLS
    classifies = "adds images of the classes that clients lack"
    name: Literal["placebo"] = "placebo"


class OracleConfig(MeanConfig, FillConfig):
    """Oracle for Fed-ZDAC: real images of the missing classes."""

    no_scenario = FILLS
    classifies = "adds images of the classes that clients lack"
    simulated = "gives clients real images that other clients hold"
    name: Literal["oracle"] = "oracle"


class OversamplingConfig(MeanConfig, AmountConfig):
    """Repeats samples of a client's rare classes."""

    variants = True
    classifies = "repeats samples of the classes that a client has few of"
    name: Literal["oversampling"] = "oversampling"
    amount: Literal["balance", "as-zdac"] = "balance"
    """As many repetitions as bring every class a client holds up to its largest, or as many as
    Fed-ZDAC would add samples (``fill`` and ``cap`` then count)."""


class EqualStepsConfig(MeanConfig, AmountConfig):
    """FedAvg with as many gradient steps as Fed-ZDAC takes."""

    no_scenario = "counts the steps of fed-zdac, which knows no phases. Choose fed-avg"
    name: Literal["equal-steps"] = "equal-steps"


class CentralisedConfig(MeanConfig):
    """Training on the pooled data."""

    no_scenario = (
        "trains on the data of all phases at once. For the upper bound choose fed-dfgr with base "
        "'joint'"
    )
    simulated = "trains on the data of all clients in one place"
    name: Literal["centralised"] = "centralised"
    pool: Literal["all", "cohort"] = "all"
    """Whose samples a round trains on: all clients', or those of the clients that FedAvg would have
    drawn."""


class LocalOnlyConfig(MeanConfig):
    """Every client trains alone."""

    one_model = False
    name: Literal["local-only"] = "local-only"
