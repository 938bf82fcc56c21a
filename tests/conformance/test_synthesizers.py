"""What every registered synthesizer must do; the rules are those of ``fedzda check``."""

import pytest

from fedzda.platform.catalog import CATALOG
from fedzda.platform.conformance import check

FEW = {
    "zs-cgan": {"steps": 4, "batch_size": 20, "channels": 8},
    "image-distillation": {"steps": 3},
    "adversarial": {
        **{"warmup_steps": 2, "steps": 2, "student_steps": 1, "codes_per_class": 4},
        **{"network": "transposed", "channels": 8, "z_size": 16, "batch_size": 16},
    },
}


@pytest.mark.parametrize("name", sorted(CATALOG["synthesizers"]))
def test_keeps_the_rules(name):
    report = check(CATALOG["synthesizers"][name].target, args=FEW[name])
    assert report.kind == "synthesizer"
    assert len(report.findings) == 10
    assert report.problems == []
