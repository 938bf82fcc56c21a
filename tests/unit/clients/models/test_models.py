import pytest
import torch
from torch import nn

from fedzda.base import ImageSpec, StrictConfig, UserError
from fedzda.clients.models.cnn import CNN
from fedzda.clients.models.layers import BatchNorm1d, norm_1d
from fedzda.clients.models.lenet_bn import LeNetBN
from fedzda.clients.models.mlp import MLP
from fedzda.clients.models.mobilenet_v2 import MobileNetV2
from fedzda.clients.models.resnet import ResNet8, ResNet18, ResNet20, ResNet32
from fedzda.clients.models.wrn import WRN161, WRN402

BUILT_IN = [MLP, CNN, LeNetBN, ResNet8, ResNet20, ResNet18, ResNet32, WRN161, WRN402, MobileNetV2]
DIGITS = ImageSpec((1, 8, 8), 10, (0.3,), (0.4,))
MNIST = ImageSpec((1, 28, 28), 10, (0.13,), (0.31,))
CIFAR = ImageSpec((3, 32, 32), 10, (0.5,) * 3, (0.25,) * 3)


def build(model: type, image: ImageSpec, **options: object) -> nn.Module:
    config: StrictConfig = model.Config(**options)
    return model.build(config, image)


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def batchnorm_channels(model: nn.Module) -> int:
    norms = (nn.BatchNorm1d, nn.BatchNorm2d)
    return sum(m.num_features for m in model.modules() if isinstance(m, norms))


@pytest.mark.parametrize(
    ("model", "image", "count"),
    [
        (MLP, MNIST, 199_210),  # McMahan et al. 2017, section 3
        (CNN, MNIST, 1_663_370),  # McMahan et al. 2017, section 3
        (LeNetBN, MNIST, 46_954),
        (ResNet8, CIFAR, 75_290),
        (ResNet20, CIFAR, 269_722),  # He et al. 2016, table 6: 0.27M
        (ResNet18, CIFAR, 11_173_962),
        (ResNet32, CIFAR, 466_906),
        (WRN161, CIFAR, 175_066),
        (WRN402, CIFAR, 2_243_546),  # Zagoruyko 2016: 2.2M
        (MobileNetV2, CIFAR, 2_236_682),
        (MobileNetV2, ImageSpec((3, 32, 32), 1000, (0.5,) * 3, (0.25,) * 3), 3_504_872),
    ],
)
def test_parameter_counts(model, image, count):
    assert parameters(build(model, image)) == count


def test_batchnorm_channels_of_the_published_networks():
    assert batchnorm_channels(build(ResNet20, CIFAR)) == 688
    assert batchnorm_channels(build(ResNet32, CIFAR)) == 1232
    assert batchnorm_channels(build(WRN402, CIFAR)) == 2704


@pytest.mark.parametrize("image", [DIGITS, MNIST, CIFAR], ids=["digits", "mnist", "cifar"])
@pytest.mark.parametrize("norm", ["batch", "group"])
@pytest.mark.parametrize("model", BUILT_IN)
def test_every_model_takes_every_image_size_and_norm(model, norm, image):
    net = build(model, image, norm=norm).eval()
    with torch.no_grad():
        assert net(torch.zeros(2, *image.shape)).shape == (2, 10)
    assert (batchnorm_channels(net) > 0) == (norm == "batch")


@pytest.mark.parametrize("model", BUILT_IN)
def test_one_sample_can_be_trained_on(model):
    net = build(model, DIGITS, norm="batch").train()
    net(torch.rand(1, *DIGITS.shape)).sum().backward()
    gradients = [p.grad for p in net.parameters()]
    assert all(g is not None and torch.isfinite(g).all() for g in gradients)


def test_single_value_uses_and_keeps_running_statistics():
    layer = BatchNorm1d(1, eps=0.0).train()
    layer.running_mean.fill_(1.0)
    layer.running_var.fill_(4.0)
    assert layer(torch.tensor([[5.0]])).item() == 2.0
    assert (layer.running_mean.item(), layer.running_var.item()) == (1.0, 4.0)


@pytest.mark.parametrize("model", BUILT_IN)
def test_initial_weights_follow_the_global_seed(model):
    torch.manual_seed(3)
    first = build(model, DIGITS).state_dict()
    torch.manual_seed(3)
    again = build(model, DIGITS).state_dict()
    other = build(model, DIGITS).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_shortcut_without_parameters_keeps_pixels_and_pads_channels():
    block = ResNet20(1, 2).blocks[3]
    x_NCHW = torch.arange(2 * 16 * 16.0).view(2, 16, 4, 4)
    out = block.shortcut(x_NCHW)
    assert out.shape == (2, 32, 2, 2)
    assert torch.equal(out[:, 8:24], x_NCHW[:, :, ::2, ::2])
    assert out[:, :8].abs().sum() + out[:, 24:].abs().sum() == 0


@pytest.mark.parametrize("model", [CNN, LeNetBN])
def test_too_small_images_are_refused_with_a_way_out(model):
    with pytest.raises(UserError, match=r"at least 4x4 pixels \(got 3x8\)\. Choose model mlp"):
        build(model, ImageSpec((1, 3, 8), 10, (0.5,), (0.5,)))


def test_lucirs_network_ends_without_relu():
    """Its features may be negative, those of the others may not."""
    torch.manual_seed(0)
    for model, negative in ((ResNet32, True), (ResNet20, False)):
        net = build(model, CIFAR).eval()
        maps = net.blocks(torch.relu(net.norm(net.stem(torch.randn(2, 3, 32, 32)))))
        assert bool((maps < 0).any()) == negative


@pytest.mark.parametrize("features", [2, 4, 8, 12, 16, 32, 64, 200])
def test_group_norm_of_a_vector_leaves_something_of_it(features):
    """One number in a group is always 0 afterwards: a narrow network would learn nothing."""
    torch.manual_seed(0)
    layer = norm_1d("group", features)
    assert layer.num_groups == {2: 1, 4: 1, 8: 2, 12: 2, 16: 4}.get(features, 8)
    out = layer(torch.randn(1, features))
    assert out.abs().min() > 1e-4


@pytest.mark.parametrize("width", [1, 2])
def test_a_narrow_lenet_with_group_norm_answers_to_its_images(width):
    torch.manual_seed(0)
    net = build(LeNetBN, DIGITS, norm="group", width=width).train()
    images = torch.randn(8, *DIGITS.shape)
    assert net.features(images).std(dim=0).max() > 0.1
    net(images[:1]).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


def test_group_norm_of_one_unit_is_refused():
    with pytest.raises(UserError, match=r"layer with one unit \(got 1\)\. Give the layer more"):
        build(MLP, DIGITS, hidden=[8, 1], norm="group")
