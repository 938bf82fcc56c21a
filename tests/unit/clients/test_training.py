import pytest

from fedzda.base import ImageSpec, UserError
from fedzda.clients.cohort import can_vectorise
from fedzda.clients.models.lenet_bn import LeNetBN
from fedzda.clients.tasks.classification import Classification
from fedzda.clients.tasks.config import ClassificationConfig
from fedzda.platform.config import LocalConfig
from fedzda.platform.data.dealing import check_columns
from fedzda.platform.data.federation import prepare
from fedzda.platform.data.sources.config import DigitsConfig
from fedzda.platform.local_steps import lr_factor


def test_polynomial_decay_by_hand():
    config = LocalConfig(poly=0.9)
    assert [lr_factor(config, r, 4) for r in (1, 3, 4)] == pytest.approx([1, 0.5**0.9, 0.25**0.9])
    both = LocalConfig(poly=2.0, lr_decay=0.5)
    assert lr_factor(both, 3, 4) == pytest.approx(0.25 * 0.25)
    assert lr_factor(LocalConfig(), 3, 4) == 1.0


def test_a_decay_over_the_run_is_not_vectorised():
    image = ImageSpec((1, 8, 8), 10, (0.3,), (0.4,))
    task = Classification(ClassificationConfig(), image)
    model = LeNetBN(1, 10, (8, 8))
    assert "local.poly" in can_vectorise([], model, task, LocalConfig(poly=0.9))


def test_a_column_that_the_task_needs(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDZDA_CACHE", str(tmp_path))
    federation = prepare(DigitsConfig(clients=2, max_samples=100), 0, tmp_path)
    check_columns(("image", "label"), federation)
    with pytest.raises(UserError, match=r"needs the column 'annotation'.*data\.annotation"):
        check_columns(("image", "annotation"), federation)
