import math

import pytest
import torch
from torch import nn

from fedzda.base import ImageSpec, UserError
from fedzda.clients.tasks.config import SegmentationConfig
from fedzda.clients.tasks.segmentation import Segmentation
from fedzda.clients.tasks.segmentation_sheet import draw_sheet, palette
from fedzda.platform.data.annotations import VOID
from fedzda.vision.gsanet.config import AugmentationConfig, GSANetConfig, MobileNetEdgeConfig
from fedzda.vision.gsanet.model import GSANet

IMAGE = ImageSpec((2, 2, 2), 2, (0.0,) * 2, (1.0,) * 2)
PHOTO = ImageSpec((3, 24, 32), 4, (0.5,) * 3, (0.25,) * 3)
TRUTH = torch.tensor([[[0, 0], [1, 1]]], dtype=torch.uint8)
PREDICTION = torch.tensor([[[0, 1], [1, 1]]])


def make(image=IMAGE, **options):
    return Segmentation(SegmentationConfig(**options), image)


def logits(prediction, classes=2):
    return nn.functional.one_hot(prediction, classes).permute(0, 3, 1, 2).float() * 3


def batch(prediction=PREDICTION, truth=TRUTH):
    """Images that an identity model takes for logits."""
    return {"image": logits(prediction), "annotation": truth, "label": torch.zeros(len(truth))}


def statistics(task, given):
    return task.statistics(task.outputs(nn.Identity(), given), given)


def test_metrics_by_hand():
    task = make()
    found = task.metrics(statistics(task, batch()))
    right, wrong = math.log(1 + math.exp(-3)), math.log(1 + math.exp(3))
    assert found["miou"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found["pixel_accuracy"] == found["class_accuracy"] == 0.75
    assert found["loss"] == pytest.approx((3 * right + wrong) / 4)
    assert "support" not in found
    details = task.details(statistics(task, batch()))
    assert details["iou"] == pytest.approx([1 / 2, 2 / 3])
    assert details["recall"] == [0.5, 1.0]


def test_statistics_of_clients_add_up_to_the_federation():
    task = make()
    given = batch(torch.cat([PREDICTION, 1 - PREDICTION]), torch.cat([TRUTH, TRUTH]))
    outputs = task.outputs(nn.Identity(), given)
    whole = task.statistics(outputs, given)
    segments = task.segment_statistics(outputs, given, torch.tensor([0, 2]), 3)
    for name, value in segments.items():
        assert torch.equal(value.sum(0), whole[name])
        assert value[1].abs().max() == 0
    assert (
        task.metrics({k: v[0] for k, v in segments.items()})["miou"] > task.metrics(whole)["miou"]
    )


def test_all_void_contributes_nothing():
    task = make()
    void = torch.full_like(TRUTH, VOID)
    alone = statistics(task, batch(truth=void))
    assert math.isnan(task.metrics(alone)["miou"])
    both = batch(torch.cat([PREDICTION] * 2), torch.cat([TRUTH, void]))
    assert task.metrics(statistics(task, both)) == task.metrics(statistics(task, batch()))
    assert task.loss(nn.Identity(), batch(truth=void)).item() == 0.0


def test_class_weights_and_hard_pixels():
    right, wrong = math.log(1 + math.exp(-3)), math.log(1 + math.exp(3))
    weighted = make(class_weights=[3.0, 1.0]).loss(nn.Identity(), batch())
    assert weighted.item() == pytest.approx((3 * right + 3 * wrong + 2 * right) / 8)
    hard = make(ohem_threshold=0.5).loss(nn.Identity(), batch())
    assert hard.item() == pytest.approx(wrong)
    with pytest.raises(UserError, match=r"task\.class_weights has 3 values, .* 2 classes"):
        make(class_weights=[1.0, 1.0, 1.0])


def test_augmentation_is_for_training_and_keeps_the_other_columns():
    task = make(augmentation=AugmentationConfig(crop=[4, 4]))
    given = batch()
    changed = task.augment(given, torch.Generator().manual_seed(0))
    assert changed["image"].shape == (1, 2, 4, 4)
    assert changed["annotation"].shape == (1, 4, 4)
    assert changed["annotation"].dtype == torch.uint8
    assert changed["label"] is given["label"]
    assert make().augment(given, torch.Generator()) is given


def network(**options):
    torch.manual_seed(0)
    config = GSANetConfig(
        features=MobileNetEdgeConfig(width=0.25, stages=2),
        output_stride=8,
        norm="group",
        channels=16,
        decoder_channels=16,
        rates=[1, 2],
        **options,
    )
    return GSANet(config, PHOTO)


def photos(n=2):
    rng = torch.Generator().manual_seed(1)
    truth = torch.randint(0, 4, (n, 24, 32), generator=rng).to(torch.uint8)
    truth[:, 0] = VOID
    images = torch.randn(n, 3, 24, 32, generator=rng)
    return {"image": images, "annotation": truth, "label": torch.zeros(n)}


def test_support_is_logged_for_attention_only():
    task, given = make(PHOTO), photos()
    for attention, expected in (("softmax", 12.0), ("none", None)):
        model = network(attention=attention).eval()
        found = task.metrics(task.statistics(task.outputs(model, given), given))
        assert found.get("support") == expected
    model = network().eval()
    sparse = task.metrics(task.statistics(task.outputs(model, given), given))["support"]
    assert 1 <= sparse <= 12


def test_a_model_learns_the_task():
    task, given = make(PHOTO), photos(4)
    given["annotation"] = (given["image"].mean(1) > 0).to(torch.uint8)
    given["image"] = given["image"] * 0.3 + given["annotation"].unsqueeze(1).float()
    model = network().train()
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    before = task.loss(model, given).item()
    for _ in range(30):
        optimizer.zero_grad()
        loss = task.loss(model, given)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.6 * before


def test_validate_names_what_it_found():
    task = make(PHOTO)
    task.validate(network(), PHOTO)
    with pytest.raises(UserError, match=r"logits of shape \(N, 4, 24, 32\).*got shape \(2, 3, 24"):
        task.validate(nn.Identity(), PHOTO)
    with pytest.raises(UserError, match="fails on images of shape"):
        task.validate(nn.Linear(3, 3), PHOTO)


def test_the_sheet_shows_photograph_truth_and_prediction():
    task, given = make(PHOTO), photos()
    right = torch.where(given["annotation"] == VOID, 0, given["annotation"]).long()
    names = ["sky", "road", "tree", "car"]
    drawn = draw_sheet(given, {"full": right}, PHOTO, names)
    height, width = 2 * 7 * 24, 3 * 7 * 32
    assert drawn.shape[0] == 3
    assert drawn.shape[1] > height
    assert drawn.shape[2] == width
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    photo, truth, prediction = (
        drawn[:, 26 : 26 + 7 * 24, k * 224 : (k + 1) * 224] for k in range(3)
    )
    assert torch.equal(truth[:, 7:], prediction[:, 7:])  # right but for the void row
    assert torch.equal(truth[:, :7], photo[:, :7])
    net = network().eval()
    assert task.sheet({"full": net}, given, list("abcd")).shape[2] == width
    both = task.sheet({"full": net, "int8": net}, given, list("abcd"))
    assert both.shape == (3, drawn.shape[1], 4 * 7 * 32)
    assert drawn[:, :26].min() < 0.5  # names above the columns
    assert len(set(palette(19))) == 19
