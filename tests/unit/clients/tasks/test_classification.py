import math

import pytest
import torch
from torch import nn

from fedzda.base import ImageSpec, UserError
from fedzda.clients.tasks.classification import Classification
from fedzda.clients.tasks.config import ClassificationConfig

IMAGE = ImageSpec((1, 1, 3), 3, (0.0,), (1.0,))
LN2 = math.log(2.0)
# Softmax of (ln 2, 0, 0) is (1/2, 1/4, 1/4).
LOGITS = torch.tensor([[LN2, 0.0, 0.0], [LN2, 0.0, 0.0], [0.0, 0.0, LN2], [0.0, LN2, 0.0]])
LABELS = torch.tensor([0, 1, 2, 1])


@pytest.fixture
def task():
    return Classification(ClassificationConfig(), IMAGE)


def batch(labels=LABELS):
    return {"image": LOGITS[: len(labels)].view(-1, 1, 1, 3), "label": labels}


def test_metrics_by_hand(task):
    # Three of four right; losses ln 2, ln 4, ln 2, ln 2.
    metrics = task.metrics(task.statistics(LOGITS, batch()))
    assert metrics["accuracy"] == 0.75
    assert metrics["loss"] == pytest.approx(1.25 * LN2, rel=1e-6)


def test_recall_by_hand_and_nan_for_an_absent_class(task):
    present = task.details(task.statistics(LOGITS, batch()))["recall"]
    assert present == [1.0, 0.5, 1.0]
    absent = task.details(task.statistics(LOGITS[:2], batch(LABELS[:2])))["recall"]
    assert absent[:2] == [1.0, 0.0]
    assert math.isnan(absent[2])


def test_no_sample_gives_nan(task):
    zeros = {k: torch.zeros_like(v) for k, v in task.statistics(LOGITS, batch()).items()}
    assert math.isnan(task.metrics(zeros)["accuracy"])


def test_statistics_of_parts_add_up(task):
    whole = task.statistics(LOGITS, batch())
    first = task.statistics(LOGITS[:3], {"label": LABELS[:3]})
    rest = task.statistics(LOGITS[3:], {"label": LABELS[3:]})
    for name, value in whole.items():
        torch.testing.assert_close(first[name] + rest[name], value)


def test_segments_equal_separate_calls(task):
    segments = torch.tensor([2, 0, 2, 0])
    found = task.segment_statistics(LOGITS, batch(), segments, 3)
    for segment in (0, 2):
        rows = segments == segment
        alone = task.statistics(LOGITS[rows], {"label": LABELS[rows]})
        for name, value in alone.items():
            torch.testing.assert_close(found[name][segment], value)
    assert all(value[1].abs().sum() == 0 for value in found.values())


def test_loss_is_cross_entropy_and_smoothing_changes_only_the_loss(task):
    smooth = Classification(ClassificationConfig(label_smoothing=0.3), IMAGE)
    model = nn.Flatten()
    assert task.loss(model, batch()).item() == pytest.approx(1.25 * LN2, rel=1e-6)
    # Smoothed target 0.7 * one-hot + 0.1: 0.7 * mean loss + 0.1 * (ln 2 + 2 ln 4).
    assert smooth.loss(model, batch()).item() == pytest.approx(0.875 * LN2 + 0.5 * LN2, rel=1e-6)
    outputs = smooth.outputs(model, batch())
    assert smooth.metrics(smooth.statistics(outputs, batch()))["loss"] == pytest.approx(
        1.25 * LN2, rel=1e-6
    )


def test_validate_accepts_a_fitting_model_and_keeps_its_mode(task):
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(3)).train()
    task.validate(model, IMAGE)
    assert model.training
    assert model[1].num_batches_tracked == 0


def test_validate_names_the_wrong_number_of_outputs(task):
    model = nn.Sequential(nn.Flatten(), nn.Linear(3, 7))
    with pytest.raises(UserError, match=r"\(N, 3\).*got shape \(2, 7\).*outputs to 3"):
        task.validate(model, IMAGE)


def test_validate_says_that_a_model_gives_images(task):
    with pytest.raises(UserError, match=r"the model gives images, .* set task\.name to what the"):
        task.validate(nn.Identity(), IMAGE)


def test_validate_names_the_image_shape_a_model_cannot_take(task):
    with pytest.raises(UserError, match=r"shape \(1, 1, 3\).*mat1 and mat2"):
        task.validate(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), IMAGE)


def test_crops_and_mirror_images():
    images = torch.arange(1.0, 13.0).view(1, 1, 3, 4).repeat(40, 1, 1, 1)
    given = {"image": images, "label": torch.zeros(40, dtype=torch.long)}
    rng = torch.Generator().manual_seed(0)
    task = Classification(ClassificationConfig(), IMAGE)
    assert torch.equal(task.augment(given, rng)["image"], images)
    task = Classification(ClassificationConfig(crop_padding=1), IMAGE)
    crops = task.augment(given, rng)["image"]
    padded = nn.functional.pad(images[0], (1, 1, 1, 1))
    places = [padded[:, i : i + 3, j : j + 4] for i in range(3) for j in range(3)]
    found = [next(i for i, p in enumerate(places) if torch.equal(p, crop)) for crop in crops]
    assert len(set(found)) == 9
    task = Classification(ClassificationConfig(flip=True), IMAGE)
    mirrored = task.augment(given, rng)["image"]
    turned = [torch.equal(image, images[0].flip(2)) for image in mirrored]
    assert 5 < sum(turned) < 35
    assert all(t or torch.equal(i, images[0]) for t, i in zip(turned, mirrored, strict=True))
