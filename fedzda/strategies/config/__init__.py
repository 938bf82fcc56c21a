"""Configuration of strategies, a module per family (imports neither torch nor Flower)."""

from __future__ import annotations

from fedzda.strategies.config.mean import MeanConfig

__all__ = ["MeanConfig"]
