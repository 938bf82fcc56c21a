import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn import functional

from fedzda.base import ImageSpec, StrictConfig, UserError
from fedzda.vision.restoration.config import (
    DnCNNConfig,
    IMDNConfig,
    MCUNetConfig,
    MRDBConfig,
    MRDNConfig,
    MWRCANetConfig,
    NAFNetConfig,
    PatchDiscriminatorConfig,
    RRDBNetConfig,
    SRResidualConfig,
    UNetDiscriminatorConfig,
)
from fedzda.vision.restoration.haar import haar, inverse_haar
from fedzda.vision.restoration.layers import Pool, padded
from fedzda.vision.restoration.networks import DENOISERS, UPSCALERS, build
from fedzda.vision.restoration.networks.imdn import DistillationBlock
from fedzda.vision.restoration.networks.mrdb import MRDB
from fedzda.vision.restoration.networks.rrdb_net import RRDB

TINY = [
    DnCNNConfig(depth=3, channels=4),
    MRDNConfig(blocks=2, channels=4, growth=3, layers=2, context_channels=2),
    MRDNConfig(blocks=2, channels=4, growth=3, layers=2, context_channels=0),
    MCUNetConfig(levels=2, channels=4, growth=3, layers=1, context_channels=2, rates=[1]),
    MWRCANetConfig(channels=4, deep_channels=6, blocks=1, reduction=2),
    NAFNetConfig(channels=4, encoder=[1, 1], decoder=[1, 1]),
]
TINY_SR = [
    RRDBNetConfig(channels=4, blocks=1, growth=2),
    SRResidualConfig(channels=4, blocks=1),
    SRResidualConfig(channels=4, blocks=1, upsampling="staged"),
    IMDNConfig(channels=8, blocks=1),
]


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def make(config, channels=3, seed=0):
    torch.manual_seed(seed)
    return build(config, channels)


def never_learned(config, images):
    """Names of parameters without a gradient, whatever the seed; ReLUs of a tiny network can be
    dead with one of them."""
    found = None
    for seed in range(8):
        network = make(config, images.shape[1], seed)
        for parameter in network.parameters():  # weights that start at zero hide those behind them
            nn.init.normal_(parameter, std=0.3) if not parameter.any() else None
        result = network(images)
        assert result.shape[:2] == images.shape[:2]
        assert result.shape[2] == network.scale * images.shape[2]
        assert result.shape[3] == network.scale * images.shape[3]
        (result - torch.rand_like(result)).square().mean().backward()
        still = {n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()}
        found = still if found is None else found & still
    return found


@pytest.mark.parametrize(
    ("config", "channels", "count"),
    [
        (DnCNNConfig(), 3, 48_163),
        (DnCNNConfig(size="full"), 3, 669_379),
        (MRDNConfig(), 3, 36_523),
        (MRDNConfig(), 4, 36_812),
        (MRDNConfig(size="full"), 3, 6_803_843),
        (MCUNetConfig(), 3, 439_734),
        (MCUNetConfig(size="full"), 3, 27_360_262),
        (MWRCANetConfig(), 1, 174_335),
        (MWRCANetConfig(size="full"), 1, 27_215_965),
        (NAFNetConfig(), 3, 288_691),
        (NAFNetConfig(channels=8, encoder=[1, 1], decoder=[1, 1]), 3, 19_899),
        (NAFNetConfig(size="full"), 3, 29_159_715),
        (RRDBNetConfig(), 3, 100_307),
        (RRDBNetConfig(channels=24, blocks=4, growth=12), 3, 427_371),
        (RRDBNetConfig(size="full"), 3, 16_697_987),
        (SRResidualConfig(), 3, 99_624),
        (SRResidualConfig(size="full"), 3, 1_517_571),
        (IMDNConfig(), 3, 93_105),
        (IMDNConfig(size="full"), 3, 715_176),
        (PatchDiscriminatorConfig(), 3, 2_765_633),
        (UNetDiscriminatorConfig(), 3, 4_376_897),
    ],
)
def test_parameters(config, channels, count):
    with torch.device("meta"):
        assert parameters(build(config, channels)) == count


@pytest.mark.parametrize(
    ("widths", "count"),
    [((16, 8, 3, 8), 10_072), ((32, 16, 4, 16), 52_160), ((64, 32, 6, 32), 332_224)],
)
def test_mrdb_has_the_parameters_of_the_formula(widths, count):
    channels, growth, layers, context = widths
    config = MRDBConfig(growth=growth, layers=layers, context_channels=context)
    assert parameters(MRDB(channels, config)) == count


@pytest.mark.parametrize("config", TINY, ids=lambda c: f"{c.name}")
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_denoisers_keep_the_shape_and_every_weight_learns(config, channels):
    assert not never_learned(config, torch.rand(2, channels, 24, 16))


@pytest.mark.parametrize("config", TINY, ids=lambda c: f"{c.name}")
def test_the_noise_map_is_seen_and_not_added(config):
    given = type(config)(**{**config.model_dump(), "noise_map": True})
    network = make(given).eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3) if not parameter.any() else None
    image = torch.rand(1, 3, 16, 16)
    low, high = (network(torch.cat([image, torch.full_like(image, s)], 1)) for s in (0.0, 1.0))
    assert low.shape == image.shape
    assert not torch.equal(low, high)
    with pytest.raises(UserError, match=r"6 channels, those of the image .* \(got 3\)"):
        network(image)


@pytest.mark.parametrize("config", TINY_SR, ids=lambda c: f"{c.name}")
@pytest.mark.parametrize("scale", [2, 4])
def test_upscalers_enlarge_and_every_weight_learns(config, scale):
    given = type(config)(**{**config.model_dump(), "scale": scale})
    assert make(given).scale == scale
    assert not never_learned(given, torch.rand(2, 3, 7, 9))


def test_three_times_larger_too():
    for config in (SRResidualConfig(scale=3), SRResidualConfig(scale=3, upsampling="staged")):
        assert make(config)(torch.rand(1, 3, 4, 5)).shape == (1, 3, 12, 15)
    assert make(IMDNConfig(scale=3))(torch.rand(1, 3, 4, 5)).shape == (1, 3, 12, 15)


@pytest.mark.parametrize("config", [TINY[3], TINY[5]], ids=lambda c: c.name)
def test_u_nets_pad_sizes_that_do_not_fit(config):
    network = make(config).eval()
    assert network(torch.rand(1, 3, 13, 7)).shape == (1, 3, 13, 7)


@pytest.mark.parametrize("size", [(12, 16), (16, 20)])
def test_mwrcanet_refuses_sizes_that_do_not_fit(size):
    with pytest.raises(UserError, match="multiples of 8"):
        make(TINY[4])(torch.rand(1, 3, *size))


def test_nafnet_starts_as_the_identity_up_to_its_tail():
    network = make(NAFNetConfig(channels=4, encoder=[1], decoder=[1]))
    nn.init.zeros_(network.tail.weight)
    nn.init.zeros_(network.tail.bias)
    image = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(network(image), image)


def test_models_are_built_for_the_images_of_a_data_set():
    image = ImageSpec((1, 16, 16), 1, (0.0,), (1.0,))
    for cls in (*DENOISERS, *UPSCALERS):
        network = cls.build(cls.Config(), image)
        side = 16 * network.scale
        assert network.eval()(torch.rand(1, 1, 16, 16)).shape == (1, 1, side, side)


def test_sizes_fill_in_what_is_left_out_and_survive_a_round_trip():
    full = DnCNNConfig(size="full")
    assert (full.depth, full.channels) == (20, 64)
    assert DnCNNConfig(size="full", depth=3).depth == 3
    for config in (full, NAFNetConfig(size="full"), MCUNetConfig(), MWRCANetConfig(size="full")):
        assert type(config).model_validate(config.model_dump()) == config
    with pytest.raises(ValidationError, match="small"):
        DnCNNConfig(size="huge")
    with pytest.raises(ValidationError, match="as many scales"):
        NAFNetConfig(encoder=[1])


def test_build_names_what_it_knows():
    with pytest.raises(UserError, match="DnCNN"):
        build(StrictConfig(), 3)


def test_patch_discriminator_sees_patches_and_u_net_pixels():
    small = PatchDiscriminatorConfig(channels=4)
    assert make(small)(torch.rand(2, 3, 64, 64)).shape == (2, 1, 6, 6)
    assert make(UNetDiscriminatorConfig(channels=4))(torch.rand(2, 3, 17, 24)).shape == (
        2,
        1,
        17,
        24,
    )


# ---------------------------------------------------------------------------------------------
# Forward passes, computed once more from the weights


def test_dncnn_takes_the_noise_away():
    network = make(DnCNNConfig(depth=3, channels=4, norm="none"))
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    x = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(x - network(x), network.noise(x))
    assert network.noise(x).abs().mean() > 0.1


def test_a_fifth_of_rrdb_s_change_is_added_at_both_levels():
    torch.manual_seed(0)
    block = RRDB(4, growth=2)
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.3)
    x = torch.randn(1, 4, 6, 6)
    h = x
    for unit in block.units:
        maps = [h]
        for layer in unit.layers[:-1]:
            maps.append(functional.leaky_relu(layer(torch.cat(maps, dim=1)), 0.2))
        h = h + 0.2 * unit.layers[-1](torch.cat(maps, dim=1))
    torch.testing.assert_close(block(x), x + 0.2 * h)


def test_mwrcanet_adds_every_scale_of_the_way_down():
    network = make(TINY[4], channels=1)
    x = torch.rand(2, 1, 16, 24)
    half = network.down1(haar(x))
    quarter = network.down2(haar(half))
    eighth = network.middle(network.down3(haar(quarter)))
    up = quarter + inverse_haar(network.up1(eighth))
    up = half + inverse_haar(network.up2(up))
    torch.testing.assert_close(network(x), x + inverse_haar(network.up3(up)), atol=1e-5, rtol=1e-4)


def test_the_pyramid_of_mrdb_sees_as_far_as_its_rates():
    torch.manual_seed(0)
    block = MRDB(3, MRDBConfig(growth=2, layers=1, context_channels=2, rates=[1, 2, 4]))
    x = torch.rand(1, 3, 12, 12)
    pyramid, dense = block.pyramid, functional.relu(block.dense[0](x))
    maps = [functional.relu(pyramid.point(x))]
    for rate, layer in zip((1, 2, 4), pyramid.dilated, strict=True):
        far = functional.conv2d(x, layer.weight, layer.bias, padding=rate, dilation=rate)
        maps.append(functional.relu(far))
    whole = functional.relu(pyramid.whole(x.mean(dim=(2, 3), keepdim=True)))
    context = pyramid.join(torch.cat([*maps, whole.expand(1, 2, 12, 12)], dim=1))
    expected = x + block.fusion(torch.cat([x, dense, context], dim=1))
    torch.testing.assert_close(block(x), expected)


def test_mrdn_adds_its_change_to_the_image():
    network = make(MRDNConfig(blocks=2, channels=4, growth=3, layers=2, noise_map=True))
    image, level = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)
    x = torch.cat([image, level], dim=1)
    shallow = network.head(x)
    first = network.blocks[0](network.entry(shallow))
    joined = network.join(torch.cat([first, network.blocks[1](first)], dim=1))
    torch.testing.assert_close(network(x), image + network.tail(joined + shallow))


def test_imdn_weighs_channels_by_mean_plus_deviation():
    torch.manual_seed(0)
    block = DistillationBlock(8, reduction=2)
    x, rest, kept = torch.randn(2, 8, 6, 6), None, []
    for layer in block.layers[:-1]:
        h = functional.leaky_relu(layer(x if rest is None else rest), 0.05)
        kept.append(h[:, :2])
        rest = h[:, 2:]
    h = torch.cat([*kept, block.layers[-1](rest)], dim=1)
    contrast = (
        h.mean(dim=(2, 3), keepdim=True) + h.flatten(2).std(dim=2, correction=0)[..., None, None]
    )
    torch.testing.assert_close(block(x), x + block.mix(h * block.gate(contrast)))


# ---------------------------------------------------------------------------------------------
# Layers


def test_haar_of_a_constant_and_back():
    maps = haar(torch.full((1, 2, 4, 6), 0.7))
    assert maps.shape == (1, 8, 2, 3)
    torch.testing.assert_close(maps[:, :2], torch.full((1, 2, 2, 3), 1.4))
    assert not maps[:, 2:].any()
    image = torch.rand(2, 3, 8, 6).double()
    maps = haar(image)
    assert maps.square().sum().item() == pytest.approx(image.square().sum().item())
    torch.testing.assert_close(inverse_haar(maps), image, atol=1e-14, rtol=0)


def test_haar_has_the_signs_of_the_sheet():
    quad = torch.tensor([[1.0, 2.0], [4.0, 8.0]]).view(1, 1, 2, 2)
    assert haar(quad).flatten().tolist() == [7.5, 4.5, 2.5, 1.5]
    with pytest.raises(UserError, match="even"):
        haar(torch.rand(1, 1, 3, 4))


def test_local_pool_is_the_mean_of_a_window_moved_inside():
    x = torch.arange(20.0).view(1, 1, 4, 5)
    pool = Pool(3)
    assert pool.train()(x).shape == (1, 1, 1, 1)
    local = pool.eval()(x)
    assert local.shape == x.shape
    assert local[0, 0, 1, 1] == x[0, 0, :3, :3].mean()
    assert local[0, 0, 0, 0] == local[0, 0, 1, 1]
    assert local[0, 0, 3, 4] == x[0, 0, 1:, 2:].mean()
    assert Pool(9).eval()(x).item() == x.mean()


@pytest.mark.parametrize("config", [TINY[1], TINY[4], TINY[5]], ids=lambda c: c.name)
def test_pool_window_of_a_patch_leaves_the_patch_as_it_was(config):
    """TLC: an image of the window's size gives the same as without a window."""
    local = type(config)(**{**config.model_dump(), "pool_window": 16})
    plain, windowed = make(config).eval(), make(local).eval()
    small, large = torch.rand(1, 3, 16, 16), torch.rand(1, 3, 32, 32)
    for network in (plain, windowed):
        for parameter in network.parameters():
            torch.manual_seed(parameter.numel())
            nn.init.normal_(parameter, std=0.3)
    torch.testing.assert_close(plain(small), windowed(small))
    assert not torch.allclose(plain(large), windowed(large))


def test_padded_repeats_the_edge():
    x = torch.arange(6.0).view(1, 1, 2, 3)
    assert padded(x, 1) is x
    assert padded(x, 4)[0, 0].tolist() == [[0, 1, 2, 2], [3, 4, 5, 5], [3, 4, 5, 5], [3, 4, 5, 5]]


def test_a_network_with_a_noise_map_inside_another_one_can_be_traced():
    network = make(DnCNNConfig(depth=3, channels=4, noise_map=True)).eval()
    traced = torch.fx.symbolic_trace(nn.Sequential(network, nn.Hardtanh(0, 1)))
    x = torch.rand(1, 6, 8, 8)
    assert torch.equal(traced(x), network(x).clamp(0, 1))
    assert network(x_NCHW=x).shape == (1, 3, 8, 8)


def test_a_deep_dncnn_learns_at_once_from_the_identity_and_not_from_random_weights():
    """Twenty layers, forty steps on one scene: from the identity a quarter of the noise is gone."""
    rng = torch.Generator().manual_seed(0)
    clean = functional.interpolate(torch.rand(4, 1, 6, 6, generator=rng), size=24, mode="bilinear")
    noisy = clean + 0.1 * torch.randn(clean.shape, generator=rng)
    left = {}
    for start in ("identity", "he"):
        network = make(DnCNNConfig(depth=20, channels=8, start=start), channels=1)
        if start == "identity":
            assert torch.equal(network.eval()(noisy), noisy)
        optimizer = torch.optim.Adam(network.train().parameters(), lr=3e-3)
        for _ in range(40):
            loss = (network(noisy) - clean).abs().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        left[start] = float(loss.detach()) / float((noisy - clean).abs().mean())
    assert left["identity"] < 0.75
    assert left["he"] > 0.95
