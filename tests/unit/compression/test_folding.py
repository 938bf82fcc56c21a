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
