import math

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix

from fedzda.vision.metrics.segmentation import (
    boundary_counts,
    boundary_f,
    class_accuracy,
    confusion,
    iou,
    mean_iou,
    pixel_accuracy,
    recall,
)

VOID = 255


def test_two_classes_by_hand():
    truth = torch.tensor([[[0, 0], [1, 1]]])
    prediction = torch.tensor([[[0, 1], [1, 1]]])
    table = confusion(prediction, truth, 2, VOID)
    assert table.tolist() == [[[1, 1], [0, 2]]]
    assert iou(table[0]).tolist() == pytest.approx([1 / 2, 2 / 3])
    assert mean_iou(table[0]).item() == pytest.approx(0.5833, abs=1e-4)
    assert pixel_accuracy(table[0]).item() == 0.75
    assert class_accuracy(table[0]).item() == 0.75


def test_absent_class_is_nan_and_skipped():
    truth = torch.tensor([[[0, 0], [1, 1]]])
    table = confusion(truth, truth, 3, VOID)[0]
    assert iou(table).tolist()[:2] == [1.0, 1.0]
    assert math.isnan(iou(table)[2])
    assert math.isnan(recall(table)[2])
    assert mean_iou(table).item() == class_accuracy(table).item() == 1.0
    # Predicted where it is not: present, with IoU 0, and no recall.
    wrong = confusion(torch.tensor([[[0, 2], [1, 1]]]), truth, 3, VOID)[0]
    assert iou(wrong).tolist() == [0.5, 1.0, 0.0]
    assert mean_iou(wrong).item() == 0.5
    assert class_accuracy(wrong).item() == 0.75


def test_against_scikit_learn():
    rng = np.random.default_rng(0)
    truth, prediction = rng.integers(0, 7, (2, 3, 20, 30))
    found = confusion(torch.from_numpy(prediction), torch.from_numpy(truth), 7, VOID)
    for image in range(3):
        expected = confusion_matrix(
            truth[image].ravel(), prediction[image].ravel(), labels=range(7)
        )
        assert (found[image].numpy() == expected).all()


def test_all_void_contributes_nothing():
    truth = torch.full((1, 4, 4), VOID, dtype=torch.uint8)
    table = confusion(torch.zeros(1, 4, 4, dtype=torch.int64), truth, 3, VOID)
    assert table.sum() == 0
    assert math.isnan(mean_iou(table[0]))
    assert math.isnan(pixel_accuracy(table[0]))
    assert boundary_counts(torch.eye(4)[None], truth, 3, VOID).sum() == 0


def test_the_sum_over_clients_is_not_the_mean_of_clients():
    truth = torch.tensor([[[0, 0, 0, 0]], [[0, 1, 1, 1]]])
    prediction = torch.tensor([[[0, 0, 0, 1]], [[0, 1, 1, 1]]])
    tables = confusion(prediction, truth, 2, VOID)
    of_clients = torch.stack([mean_iou(table) for table in tables]).mean()
    assert mean_iou(tables.sum(0)).item() == pytest.approx((4 / 5 + 3 / 4) / 2)
    assert of_clients.item() == pytest.approx((3 / 8 + 1) / 2)


def halves(column, width=12):
    """A map of class 0 left of a column and 1 from there on."""
    labels = torch.zeros(1, 6, width, dtype=torch.int64)
    labels[:, :, column:] = 1
    return labels


def test_boundary_f_by_hand():
    truth = halves(5)
    assert boundary_f(boundary_counts(truth, truth, 3, VOID)[0]).tolist()[:2] == [1.0, 1.0]
    within = boundary_counts(halves(7), truth, 3, VOID)[0]
    assert within[:2].tolist() == [[6, 6, 6, 6]] * 2
    beyond = boundary_f(boundary_counts(halves(8), truth, 3, VOID)[0])
    assert beyond.tolist()[:2] == [0.0, 0.0]
    assert math.isnan(beyond[2])


def test_a_border_of_void_is_no_boundary():
    truth = torch.full((1, 6, 6), VOID, dtype=torch.uint8)
    truth[:, :, :3] = 1
    assert boundary_counts(truth.long() % 2, truth, 2, VOID).sum() == 0


def test_one_pixel():
    truth = torch.ones(1, 1, 1, dtype=torch.uint8)
    assert mean_iou(confusion(truth, truth, 2, VOID)[0]).item() == 1.0
    assert boundary_counts(truth, truth, 2, VOID).sum() == 0
