import pytest
import torch

from fedzda.base import ImageSpec, UserError
from fedzda.clients.models.config import DiffusionUNetConfig

pytest.importorskip("diffusers")

from fedzda.clients.models.diffusion_unet import DiffusionUNet

IMAGE = ImageSpec((1, 8, 8), 10, (0.5,), (0.5,))


def model(**given):
    torch.manual_seed(0)
    config = DiffusionUNetConfig(**{"widths": [8, 16], "layers": 1, **given})
    return DiffusionUNet.build(config, IMAGE)


def step(net, lr=0.1):
    noise = net(torch.randn(4, 1, 8, 8), torch.randint(1000, (4,)))
    noise.square().mean().backward()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter -= lr * parameter.grad
            parameter.grad = None


def test_the_published_size():
    net = DiffusionUNet(ImageSpec((1, 28, 28), 10, (0.5,), (0.5,)), DiffusionUNetConfig())
    assert sum(p.numel() for p in net.parameters()) == 1_001_729


def test_the_average_follows_the_weights_and_answers_in_eval_mode():
    net = model(ema_decay=0.5)
    name, weight = next(iter(net.net.named_parameters()))
    before = weight.detach().clone()
    step(net.train())
    moved = weight.detach().clone()
    assert torch.equal(net.average.state_dict()[name], before)
    step(net)
    # the second step has a decay of (1 + 1) / (10 + 1), below 0.5
    expected = before + (1 - 2 / 11) * (moved - before)
    torch.testing.assert_close(net.average.state_dict()[name], expected)
    assert int(net.updates) == 2
    net.eval()
    x, t = torch.randn(2, 1, 8, 8), torch.tensor([1, 900])
    with torch.no_grad():
        torch.testing.assert_close(net(x, t), net.deployed()(x, t).sample)
        assert not torch.equal(net(x, t), net.train()(x, t))


def test_the_average_is_not_trained_and_travels():
    net = model()
    trained = {name for name, _ in net.named_parameters()}
    buffers = {name for name, _ in net.named_buffers()}
    assert {name.removeprefix("net.") for name in trained} == {
        name.removeprefix("average.") for name in buffers if name.startswith("average.")
    }
    assert len(net.state_dict()) == 2 * len(trained) + 1


def test_without_average_the_weights_answer():
    net = model(ema_decay=0.0).eval()
    assert all(name.startswith("net.") for name in net.state_dict())
    x, t = torch.randn(2, 1, 8, 8), torch.tensor([1, 900])
    with torch.no_grad():
        assert torch.equal(net(x, t), net.deployed()(x, t).sample)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match="8x8 cannot be halved 4 times"):
        model(widths=[8, 8, 8, 8, 8])
    with pytest.raises(ValueError, match="norm_groups must divide every width"):
        DiffusionUNetConfig(widths=[12])
