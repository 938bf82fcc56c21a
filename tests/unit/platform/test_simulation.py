"""What is refused when a simulation is built, before the first round."""

import pytest

from fedzda.base import UserError
from fedzda.platform.config.load import from_dict
from fedzda.platform.simulation import Simulation

FIXED = """
import torch


class Fixed(torch.nn.Module):
    def forward(self, x):
        return x.flatten(1)[:, :10]
"""


def test_a_model_without_parameters_is_refused(tmp_path):
    """Every client's backward pass would fail."""
    (tmp_path / "fixed.py").write_text(FIXED)
    raw = {
        "name": "fixed",
        "rounds": 1,
        "data": {"name": "digits", "clients": 2},
        "model": {"target": "fixed:Fixed"},
        "strategy": {"name": "fed-avg"},
    }
    with pytest.raises(UserError, match="no parameters that could be trained"):
        Simulation.build(from_dict(raw), folder=tmp_path)
