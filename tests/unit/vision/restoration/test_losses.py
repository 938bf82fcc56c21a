import math

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from fedzda.base import UserError
from fedzda.vision.restoration.adversarial import discriminator_loss, generator_loss
from fedzda.vision.restoration.fusion import LuminanceFusion
from fedzda.vision.restoration.losses import FeatureLoss, charbonnier, gradient, l1, psnr_loss
from fedzda.vision.restoration.vgg import LAST_CONVOLUTION, VGG19, load_vgg19

OBJECTIVES = ["relativistic", "least-squares", "patch"]


def test_losses_by_hand():
    truth = torch.zeros(2, 1, 4, 4)
    images = torch.stack([torch.full((1, 4, 4), 0.1), torch.full((1, 4, 4), 0.01)])
    assert l1(images, truth).item() == pytest.approx(0.055)
    assert charbonnier(images, truth).item() == pytest.approx(0.055, rel=0.01)
    assert charbonnier(truth, truth).item() == pytest.approx(1e-3)
    assert psnr_loss(images, truth).item() == pytest.approx(-30, abs=0.01)
    assert gradient(images, truth).item() == 0
    ramp = torch.linspace(0, 0.3, 4).expand(1, 1, 4, 4)
    assert gradient(ramp, torch.zeros_like(ramp)).item() == pytest.approx(0.05)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 4, 3))


def test_feature_loss_compares_the_named_layers_of_a_frozen_network():
    made = network()
    loss = FeatureLoss(made, ["0", "2"])
    images = torch.rand(1, 3, 8, 8, requires_grad=True)
    truth = torch.rand(1, 3, 8, 8)
    first = (made[0](images) - made[0](truth)).abs().mean()
    second = (made(images) - made(truth)).abs().mean()
    torch.testing.assert_close(loss(images, truth), (first + second) / 2)
    loss(images, truth).backward()
    assert images.grad.any()
    assert all(p.grad is None for p in made.parameters())
    assert not loss.train().network.training
    assert loss(truth, truth).item() == 0


def test_feature_loss_names_what_it_knows():
    with pytest.raises(UserError, match=r"no 'conv5'\. Choose among 0, 1, 2"):
        FeatureLoss(network(), ["conv5"])
    with pytest.raises(UserError, match="one layer or more"):
        FeatureLoss(network(), [])


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_objectives_pull_logits_apart_and_together(objective):
    real, fake = (torch.full((4, 1, 2, 2), 0.5, requires_grad=True) for _ in range(2))
    discriminator_loss(objective, real, fake).backward()
    assert (real.grad < 0).all()
    assert (fake.grad > 0).all()
    fake.grad = None
    generator_loss(objective, real.detach(), fake).backward()
    assert (fake.grad < 0).all()


def test_objectives_at_chance():
    zero = torch.zeros(3, 1)
    assert discriminator_loss("relativistic", zero, zero).item() == pytest.approx(math.log(2))
    assert generator_loss("patch", zero, zero).item() == pytest.approx(math.log(2))
    assert discriminator_loss("least-squares", zero, zero).item() == 0.5
    shifted = discriminator_loss("relativistic", zero + 7, zero + 7).item()
    assert shifted == pytest.approx(math.log(2))  # only differences count
    assert discriminator_loss("patch", zero + 7, zero + 7).item() > 3


def test_the_relativistic_objectives_by_hand():
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-1.0, 3.0])
    more, less = real - 1.0, fake - 1.25  # against the mean of the other side
    told = (functional.softplus(-more) + functional.softplus(less)).mean() / 2
    fooled = (functional.softplus(more) + functional.softplus(-less)).mean() / 2
    torch.testing.assert_close(discriminator_loss("relativistic", real, fake), told)
    torch.testing.assert_close(generator_loss("relativistic", real, fake), fooled)
    # Only differences count, and real images too are judged: both are unlike the plain game.
    torch.testing.assert_close(generator_loss("relativistic", real + 7, fake + 7), fooled)
    assert (generator_loss("relativistic", real + 1, fake) - fooled).abs() > 0.1
    plain = functional.softplus(-fake).mean()
    torch.testing.assert_close(generator_loss("patch", real, fake), plain)
    torch.testing.assert_close(generator_loss("least-squares", real, fake), torch.tensor(4.0))


def test_vgg_sees_colours_normalised_as_it_was_trained():
    torch.manual_seed(0)
    made, image = VGG19(), torch.rand(1, 3, 32, 32)
    mean, std = (
        torch.tensor(v).view(3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    )
    seen = []
    made.features[0].register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    torch.testing.assert_close(made(image), made.features((image - mean) / std))
    torch.testing.assert_close(seen[0], (image - mean) / std)


def test_fusion_follows_the_light():
    class Says(nn.Module):
        def __init__(self, value):
            super().__init__()
            self.value = value

        def forward(self, x):
            return torch.full_like(x, self.value)

    fused = LuminanceFusion([Says(0.0), Says(1.0)], dark=[3.0, 1.0], light=[0.0, 2.0])
    levels = torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1, 1).expand(3, 3, 4, 4)
    expected = torch.tensor([[0.75, 0.25], [0.375, 0.625], [0.0, 1.0]])
    torch.testing.assert_close(fused.weights(levels), expected)
    torch.testing.assert_close(fused(levels)[:, 0, 0, 0], expected[:, 1])
    assert set(fused.state_dict()) == {"dark", "light"}
    for weights in ([1.0], [1.0, -1.0], [0.0, 0.0]):
        with pytest.raises(UserError, match="one weight per generator"):
            LuminanceFusion([Says(0.0), Says(1.0)], dark=weights, light=[1.0, 1.0])


def test_vgg_takes_the_user_s_weights(tmp_path):
    torch.manual_seed(0)
    made = VGG19()
    assert sum(p.numel() for p in made.parameters()) == 20_024_384
    weights = {**made.state_dict(), "classifier.0.bias": torch.zeros(3)}
    save_file(weights, tmp_path / "vgg.safetensors")
    torch.save(weights, tmp_path / "vgg.pth")
    image = torch.rand(1, 3, 32, 32)
    for name in ("vgg.safetensors", "vgg.pth"):
        torch.testing.assert_close(load_vgg19(tmp_path / name)(image), made(image))
    assert FeatureLoss(made, [LAST_CONVOLUTION])(image, image).item() == 0
    del weights["features.34.bias"]
    save_file(weights, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match=r"no fitting 'features\.34\.bias'"):
        load_vgg19(tmp_path / "other.safetensors")
    with pytest.raises(UserError, match="there is no file"):
        load_vgg19(tmp_path / "none.pth")
