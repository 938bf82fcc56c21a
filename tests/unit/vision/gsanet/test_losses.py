import math

import pytest
import torch
from torch.nn import functional

from fedzda.vision.gsanet.losses import median_frequency_weights, segmentation_loss

VOID = 255


@pytest.fixture
def batch():
    rng = torch.manual_seed(0)
    truth = torch.randint(0, 4, (2, 5, 6), generator=rng).to(torch.uint8)
    truth[0, 0] = VOID
    return torch.randn(2, 4, 5, 6, generator=rng), truth


def test_it_is_torch_cross_entropy(batch):
    logits, truth = batch
    expected = functional.cross_entropy(logits, truth.long(), ignore_index=VOID)
    assert segmentation_loss(logits, truth, VOID).item() == pytest.approx(expected.item())
    weights = torch.tensor([0.5, 1.0, 3.0, 0.0])
    expected = functional.cross_entropy(logits, truth.long(), weights, ignore_index=VOID)
    found = segmentation_loss(logits, truth, VOID, weights)
    assert found.item() == pytest.approx(expected.item())


def test_all_void_gives_zero_and_no_gradient(batch):
    logits = batch[0].requires_grad_()
    truth = torch.full((2, 5, 6), VOID, dtype=torch.uint8)
    for threshold in (None, 0.7):
        loss = segmentation_loss(logits, truth, VOID, torch.ones(4), threshold, 0.1)
        loss.backward()
        assert loss.item() == 0.0
    assert logits.grad.abs().max() == 0.0


def test_hard_pixels_only():
    # Probabilities of the true class: 0.5, 0.8, 0.9, 0.99.
    shares = torch.tensor([0.5, 0.8, 0.9, 0.99])
    logits = torch.stack([shares.log(), (1 - shares).log()])[None, :, None]
    truth = torch.zeros(1, 1, 4, dtype=torch.uint8)
    one = segmentation_loss(logits, truth, VOID, ohem_threshold=0.7)
    assert one.item() == pytest.approx(math.log(2))
    three = segmentation_loss(logits, truth, VOID, ohem_threshold=0.7, ohem_min_share=0.6)
    assert three.item() == pytest.approx(-math.log(0.5 * 0.8 * 0.9) / 3)
    none = segmentation_loss(logits, truth, VOID, ohem_threshold=0.4)
    assert none.item() == 0.0


def test_median_frequency_by_hand():
    # Frequencies: class 0 in both images 6/16, class 1 in the second only 4/8, class 2 6/16.
    pixels = torch.tensor([[4, 0, 4, 0], [2, 4, 2, 0]])
    weights = median_frequency_weights(pixels)
    assert weights.tolist() == pytest.approx([1.0, 0.75, 1.0, 0.0])
