from typing import get_args

import pytest
import torch

from fedzda.base import ImageSpec, UserError
from fedzda.generators.config import NetworkName
from fedzda.generators.networks import build_network

NAMES = get_args(NetworkName)
NEED_LABELS = ("cond-mul", "cond-bn")
SIZES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64), (1, 9, 14)]


def spec(shape, classes=4):
    return ImageSpec(shape, classes, (0.4,) * shape[0], (0.25,) * shape[0])


def build(name, shape=(3, 32, 32), **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_network(name, spec(shape), 12, 6, 4, **options)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", SIZES)
def test_sizes(name, shape):
    network = build(name, shape).eval()
    with torch.no_grad():
        assert network(torch.zeros(2, 12), torch.tensor([0, 3])).shape == (2, *shape)
        if name not in NEED_LABELS:
            free = build(name, shape, conditional=False).eval()
            assert free(torch.zeros(2, 12)).shape == (2, *shape)


@pytest.mark.parametrize("name", NAMES)
def test_images_of_224_pixels(name):
    network = build(name, (3, 224, 224)).eval()
    side = network.start_shape[1]
    assert side == (56 if name == "cond-bn" else 14)
    with torch.no_grad():
        assert network(torch.zeros(1, 12), torch.tensor([1])).shape == (1, 3, 224, 224)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_emitted_is_what_is_said(name):
    network = build(name, clamp=False).train()
    made = network(torch.randn(64, 12), torch.arange(4).repeat(16))
    pixels, seen = network.pixels(made), network.seen(made)
    torch.testing.assert_close(network.image.normalize(pixels), seen)
    if network.emits == "pixels":
        assert 0 <= made.min() <= made.max() <= 1
        torch.testing.assert_close(pixels, made)
    else:
        channels = made.transpose(0, 1).flatten(1)
        torch.testing.assert_close(channels.mean(1), torch.zeros(3), atol=1e-4, rtol=0)
        torch.testing.assert_close(channels.std(1), torch.ones(3), atol=1e-2, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_classifiers_see_what_samples_will_be(name):
    network = build(name).train()
    made = network(torch.randn(64, 12), torch.arange(4).repeat(16))
    assert network.emits == "pixels" or network.pixels(made).min() < 0
    sampled = network.image.normalize(network.pixels(made).clamp(0, 1))
    torch.testing.assert_close(network.seen(made), sampled)


@pytest.mark.parametrize("name", NAMES)
def test_conditional_images_depend_on_the_label_and_on_the_noise(name):
    network = build(name).train()
    # an embedding that starts as the identity has learned nothing yet
    for module in network.modules():
        if isinstance(module, torch.nn.Embedding):
            module.weight.data += torch.randn(module.weight.shape)
    network.eval()
    z_ND = torch.randn(2, 12)
    with torch.no_grad():
        zero, one = (network(z_ND, torch.tensor([label] * 2)) for label in (0, 1))
    assert not torch.allclose(zero, one)
    assert not torch.allclose(zero[0], zero[1])


@pytest.mark.parametrize("name", NEED_LABELS)
def test_networks_that_need_labels_say_so(name):
    with pytest.raises(UserError, match=f"'{name}', which needs labels.*transposed"):
        build(name, conditional=False)


def test_widths_are_those_of_the_layouts():
    image = spec((3, 32, 32))
    found = {name: build_network(name, image, 8, 8).start_shape for name in NAMES}
    assert found == {
        "transposed": (64, 8, 8),
        "dafl32": (128, 8, 8),
        "wide32": (512, 4, 4),
        "large": (256, 8, 8),
        "cond-mul": (128, 8, 8),
        "cond-bn": (128, 8, 8),
    }


def test_saved_generators_of_older_versions_still_fit():
    state = build("transposed").state_dict()
    assert {name.partition(".")[0] for name in state} == {"embedding", "start", "body"}
    assert state["start.weight"].shape == (4 * 8 * 8, 18)
