import pytest
import torch
from torch import nn

from fedzda.base import ImageSpec, UserError
from fedzda.clients.models.lenet_bn import LeNetBN
from fedzda.clients.models.mlp import MLP
from fedzda.clients.models.mobilenet_v2 import MobileNetV2
from fedzda.clients.models.resnet import ResNet8
from fedzda.clients.models.wrn import WRN161
from fedzda.compression import fold_batch_norm
from fedzda.compression.graph import trace

NORMS = nn.BatchNorm2d | nn.BatchNorm1d


def count_norms(model):
    return sum(isinstance(module, NORMS) for module in model.modules())


def shaken(model):
    """Statistics and factors that folding must get right."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, NORMS):
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 2)
                module.weight.normal_(1, 0.3)
                module.bias.normal_(0, 0.3)
    return model.eval()


@pytest.mark.parametrize(
    ("model", "left"),
    [
        (LeNetBN(3, 10, (32, 32)), 0),
        (MLP(3, 10, (32, 32), norm="batch"), 0),
        (ResNet8(3, 10), 0),
        (MobileNetV2(3, 10), 0),
        # pre-activation: the first norm of each of 6 blocks, and the last, follow a sum
        (WRN161(3, 10), 7),
    ],
    ids=lambda value: type(value).__name__,
)
def test_folded_models_compute_the_same(model, left):
    image = ImageSpec((3, 32, 32), 10, (0.5,) * 3, (0.25,) * 3)
    model = shaken(model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    folded = fold_batch_norm(model, image)
    x = torch.randn(3, 3, 32, 32)
    expected = model(x)
    torch.testing.assert_close(
        folded(x), expected, atol=1e-5 * float(expected.detach().abs().max()), rtol=1e-5
    )
    assert count_norms(folded) == left
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_norm_whose_input_is_read_elsewhere_stays(image):
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)
            self.head = nn.Linear(4, 3)

        def forward(self, x):
            x = self.conv(x)
            return self.head((x + self.norm(x)).mean((2, 3)))

    model = shaken(Shared())
    folded = fold_batch_norm(model, image)
    x = torch.randn(2, 2, 8, 8)
    assert count_norms(folded) == 1
    torch.testing.assert_close(folded(x), model(x))


class Head(nn.Module):
    """A classifier around one function of a feature map."""

    def __init__(self, body):
        super().__init__()
        self.conv, self.body, self.head = nn.Conv2d(2, 4, 3), body, nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.body(self.conv(x)).mean((2, 3)))


def test_a_model_that_branches_on_values_is_refused(image):
    model = Head(lambda x: x if x.sum() > 0 else -x).eval()
    with pytest.raises(UserError, match=r"cannot be traced by torch\.fx .* without branches"):
        trace(model, image)


def test_a_model_that_overwrites_what_it_reads_again_is_refused(image):
    model = Head(lambda x: x + torch.relu_(x)).eval()
    with pytest.raises(UserError, match="does not compute what the model computes"):
        trace(model, image)


def test_training_mode_and_wrong_sizes_are_refused(image, model):
    with pytest.raises(UserError, match=r"in training mode.*Call model\.eval"):
        trace(model.train(), image)
    three = ImageSpec((3, 8, 8), 3, (0.5,) * 3, (0.5,) * 3)
    with pytest.raises(UserError, match=r"does not take images of shape \(3, 8, 8\)"):
        trace(model.eval(), three)
    many = ImageSpec((2, 8, 8), 10, (0.5,) * 2, (0.5,) * 2)
    with pytest.raises(UserError, match=r"must return logits \(images, 10\)"):
        trace(model, many)


class Shaped(nn.Module):
    """Answers in a shape that its shuffle and its number of channels make."""

    def __init__(self, channels, factor=1, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(2, channels * factor**2, 3, stride, padding=1)
        self.shuffle = nn.PixelShuffle(factor)

    def forward(self, x):
        return self.shuffle(self.conv(x))


@pytest.mark.parametrize("options", [{"channels": 2}, {"channels": 1}, {"factor": 3}], ids=str)
def test_images_with_fewer_channels_and_more_pixels_are_answers(options, image):
    model = Shaped(**{"channels": 2, **options}).eval()
    images = torch.rand(3, *image.shape)
    with torch.no_grad():
        torch.testing.assert_close(trace(model, image)(images), model(images))


@pytest.mark.parametrize(
    "options", [{"channels": 4}, {"stride": 2}, {"factor": 3, "stride": 2}], ids=str
)
def test_other_images_are_refused(options, image):
    with pytest.raises(UserError, match=r"of at most the 2 channels .* and of 8x8 pixels or a mul"):
        trace(Shaped(**{"channels": 2, **options}).eval(), image)


def test_a_weight_that_two_layers_share_is_folded_in_one():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 3, 3, padding=1),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Conv2d(3, 3, 3, padding=1),
        nn.Flatten(),
        nn.Linear(3 * 64, 10),
    )
    model[3].weight, model[3].bias = model[0].weight, model[0].bias
    image = ImageSpec((3, 8, 8), 10, (0.5,) * 3, (0.25,) * 3)
    x = torch.randn(3, 3, 8, 8)
    folded = fold_batch_norm(shaken(model), image)
    torch.testing.assert_close(folded(x), model(x), rtol=1e-4, atol=1e-5)


def test_weights_that_are_computed_leave_the_model_as_it_was(image):
    """A copy shares the class that torch makes for such a layer with the original."""
    torch.manual_seed(0)
    layer = nn.utils.parametrizations.weight_norm(nn.Conv2d(2, 4, 8))
    model = nn.Sequential(layer, nn.ReLU(), nn.Flatten(), nn.Linear(4, 3)).eval()
    model.requires_grad_(False)
    x = torch.randn(2, *image.shape)
    before = model(x)
    traced = trace(model, image)
    torch.testing.assert_close(traced(x), before)
    assert torch.equal(model(x), before)
    assert "0.weight" in dict(traced.named_parameters())  # and no buffer, which never learns


def test_weights_made_before_every_call_are_refused(image):
    with pytest.warns(FutureWarning):
        layer = nn.utils.weight_norm(nn.Conv2d(2, 3, 8))
    model = nn.Sequential(layer, nn.Flatten()).eval()
    with pytest.raises(UserError, match=r"layer '0' is computed anew .*remove_weight_norm"):
        trace(model, image)


def test_shuffled_pixels_are_a_module_however_they_are_written(image):
    class Shuffles(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 8, 3, padding=1)

        def forward(self, x):
            return nn.functional.pixel_shuffle(self.conv(x), 2)

    traced = trace(Shuffles().eval(), image)
    assert any(isinstance(module, nn.PixelShuffle) for module in traced.modules())
