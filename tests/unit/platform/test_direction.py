"""Names of metrics tell which clients are the worst off."""

from __future__ import annotations

import pytest

from fedzda.platform.fairness import higher_is_better
from fedzda.platform.report.units import metric


@pytest.mark.parametrize(
    "name",
    ["loss", "noise_error", "warping_error", "warping_error_framewise", "kernel_mmd", "frechet",
     "class_gap", "rmse", "bin_error/3", "gflop_per_image", "test_nll", "fid", "kl_divergence"],
)  # fmt: skip
def test_less_is_better(name):
    assert not higher_is_better(name)
    assert not metric(name).higher_is_better


@pytest.mark.parametrize(
    "name",
    ["accuracy", "psnr", "gain_over_noisy", "miou", "boundary_f", "fidelity", "recall/3",
     "coverage"],
)  # fmt: skip
def test_more_is_better(name):
    assert higher_is_better(name)
    assert metric(name).higher_is_better
