import pytest
import torch
from torch import nn

from fedzda.base import ImageSpec, UserError
from fedzda.vision.gsanet.attention import AveragePool, GlobalAttention, attended_positions
from fedzda.vision.gsanet.config import (
    DeepLabV3PlusConfig,
    GSANetConfig,
    LRASPPConfig,
    MobileNetEdgeConfig,
    XceptionConfig,
)
from fedzda.vision.gsanet.layers import norm_2d, scaled
from fedzda.vision.gsanet.lr_aspp import LRASPP
from fedzda.vision.gsanet.mobilenet_edge import MobileNetEdge
from fedzda.vision.gsanet.model import DeepLabV3Plus, GSANet
from fedzda.vision.gsanet.selective import SelectiveFusion
from fedzda.vision.gsanet.xception import Xception

LITE = {
    "features": MobileNetEdgeConfig(width=0.5, stages=2),
    "output_stride": 8,
    "norm": "group",
    "channels": 32,
}
SMALL = {**LITE, "rates": [1, 2, 4], "decoder_channels": 32, "low_channels": 16}
ODD = ImageSpec((3, 45, 62), 5, (0.5,) * 3, (0.25,) * 3)
CAMVID = ImageSpec((3, 180, 240), 11, (0.5,) * 3, (0.25,) * 3)


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def build(image=ODD, **options):
    torch.manual_seed(0)
    return GSANet(GSANetConfig(**{**SMALL, **options}), image)


def test_mobilenet_edge_has_the_published_parameters():
    network = MobileNetEdge(3, MobileNetEdgeConfig(), 16, "batch")
    counts = [parameters(part) for part in (network.stem, network.low, *network.high)]
    cumulative = [sum(counts[: i + 1]) for i in range(len(counts))]
    assert cumulative == [1_472, 148_160, 512_704, 809_920, 1_204_288, 2_094_528, 2_562_112]


def test_xception_has_the_published_parameters():
    network = Xception(3, XceptionConfig(), 16, "batch")
    assert parameters(network) == 37_867_312


@pytest.mark.parametrize(
    ("network", "config", "channels", "low"),
    [
        (MobileNetEdge, MobileNetEdgeConfig(width=0.25), 48, 8),
        (Xception, XceptionConfig(width=0.125, middle_blocks=1), 256, 32),
    ],
)
@pytest.mark.parametrize(("stride", "size"), [(16, (12, 15)), (8, (23, 30))])
def test_feature_maps_at_both_output_strides(network, config, channels, low, stride, size):
    made = network(3, config, stride, "batch").eval()
    low_map, high_map = made(torch.zeros(1, 3, 180, 240))
    assert low_map.shape == (1, low, 45, 60) == (1, made.low_channels, 45, 60)
    assert high_map.shape == (1, channels, *size)
    assert made.channels == channels


def test_dilation_replaces_stride_with_the_same_weights():
    strided, dilated = (
        MobileNetEdge(3, MobileNetEdgeConfig(width=0.25), s, "group") for s in (16, 8)
    )
    shapes = [{k: v.shape for k, v in m.state_dict().items()} for m in (strided, dilated)]
    assert shapes[0] == shapes[1]
    kinds = [m for m in dilated.modules() if isinstance(m, nn.Conv2d) and m.dilation != (1, 1)]
    assert {m.dilation for m in kinds} == {(2, 2), (4, 4)}


def test_parameter_counts_of_the_whole_networks():
    assert parameters(GSANet(GSANetConfig(), CAMVID)) == 3_154_347
    assert parameters(DeepLabV3Plus.build(DeepLabV3PlusConfig(), CAMVID)) == 3_299_707
    assert parameters(LRASPP(LRASPPConfig(), CAMVID)) == 2_613_302
    assert parameters(build(CAMVID)) == 154_075


def test_width_rounds_to_multiples_of_eight():
    assert [scaled(32, w) for w in (0.25, 0.5, 0.75, 1.0, 1.3)] == [8, 16, 24, 32, 40]
    assert scaled(32, 0.6) == 24  # 16 would lose more than a tenth of 19.2


@pytest.mark.parametrize("attention", ["none", "softmax", "sparsemax", "entmax15"])
@pytest.mark.parametrize("fusion", ["concat", "selective"])
@pytest.mark.parametrize("decoder", ["plain", "selective"])
def test_every_variant_gives_logits_of_the_image_size(attention, fusion, decoder):
    model = build(attention=attention, fusion=fusion, decoder=decoder)
    logits = model(torch.randn(1, 3, 45, 62))
    assert logits.shape == (1, 5, 45, 62)
    logits.square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize(
    "options",
    [
        {"condense": "global", "diffuse": "scale"},
        {"heads": 4, "learn_temperature": True},
        {"keep_average_pool": True},
        {"norm": "batch", "pool_norm": "batch"},
        {"fusion": "concat", "fuse_kernel": 3},
        {"output_stride": 16, "features": MobileNetEdgeConfig(width=0.25), "rates": None},
        {"features": XceptionConfig(width=0.05, middle_blocks=1)},
    ],
    ids=str,
)
def test_every_option_trains_at_batch_size_one(options):
    model = build(**options).train()
    logits = model(torch.randn(1, 3, 45, 62))
    assert logits.shape == (1, 5, 45, 62)
    logits.square().mean().backward()
    assert torch.isfinite(logits).all()


def test_without_attention_it_is_deeplab():
    deeplab = DeepLabV3Plus.build(DeepLabV3PlusConfig(**SMALL), ODD)
    plain = build(attention="none", fusion="concat", decoder="plain")
    plain.load_state_dict(deeplab.state_dict())
    images = torch.randn(2, 3, 45, 62)
    assert torch.equal(plain.eval()(images), deeplab.eval()(images))
    assert any(isinstance(m, AveragePool) for m in deeplab.modules())


def test_equal_scores_make_the_attention_an_average():
    attention = GlobalAttention(6, 4, "sparsemax", "none")
    average = AveragePool(6, 4, "none")
    nn.init.zeros_(attention.score.weight)
    average.project.load_state_dict(attention.project.state_dict())
    x = torch.randn(2, 6, 5, 7)
    assert torch.allclose(attention(x), average(x), atol=1e-6)


def test_heads_pool_their_own_channels():
    attention = GlobalAttention(4, 4, "sparsemax", "none", heads=2)
    with torch.no_grad():
        attention.score.weight.zero_()
        attention.score.weight[0, 0] = 100.0  # head 0 looks where channel 0 is large
        attention.project[0].weight.copy_(torch.eye(4).view(4, 4, 1, 1))
        attention.project[0].bias.zero_()
    x = torch.zeros(1, 4, 2, 2)
    x[0, :2, 1, 1] = 1.0
    x[0, 2:, 0, 0] = 1.0
    assert attention(x)[0, :, 0, 0].tolist() == pytest.approx([1.0, 1.0, 0.25, 0.25])


def test_support_is_observed_and_no_hook_stays():
    model = build(heads=2).eval()
    images = torch.randn(3, 3, 45, 62)
    with attended_positions(model) as found:
        model(images)
    model(images)
    assert len(found) == 1
    assert found[0].shape == (3,)
    assert ((found[0] >= 1) & (found[0] <= 6 * 8)).all()
    with attended_positions(build(attention="none")) as found:
        pass
    assert found == []


@pytest.mark.parametrize(("std", "equal"), [(0.0, True), (0.1, False), (None, False)])
def test_scales_start_equal_unless_asked_otherwise(std, equal):
    network = build(diffuse_std=std)
    for fusion, scales, channels in [(network.aspp.fusion, 5, 32), (network.decoder.fusion, 2, 32)]:
        weights = fusion.weights([torch.randn(2, channels, 4, 5) for _ in range(scales)])
        assert torch.allclose(weights, torch.full_like(weights, 1 / scales)) == equal


@pytest.mark.parametrize("condense", ["spatial", "global"])
@pytest.mark.parametrize("diffuse", ["channel", "scale"])
def test_scale_weights_sum_to_one_at_every_pixel(condense, diffuse):
    fusion = SelectiveFusion(3, 8, 16, "none", condense, diffuse)
    scales = [torch.randn(2, 8, 5, 4) for _ in range(3)]
    weights = fusion.weights(scales)
    spatial = (5, 4) if condense == "spatial" else (1, 1)
    assert weights.shape == (2, 3, 8 if diffuse == "channel" else 1, *spatial)
    assert torch.allclose(weights.sum(dim=1), torch.ones(()), atol=1e-6)
    same = scales[0]
    assert torch.allclose(fusion([same] * 3), same, atol=1e-6)
    expected = sum(weights[:, s] * scales[s] for s in range(3))
    assert torch.allclose(fusion(scales), expected, atol=1e-6)


def test_lr_aspp_gives_logits_of_the_image_size():
    model = LRASPP(LRASPPConfig(**LITE), ODD)
    assert model(torch.randn(1, 3, 45, 62)).shape == (1, 5, 45, 62)


def test_group_norm_keeps_two_channels_in_every_group():
    assert [norm_2d("group", c).num_groups for c in (8, 16, 24, 32, 48)] == [4, 8, 8, 8, 8]


def test_errors_name_key_rule_value_and_way_out():
    with pytest.raises(UserError, match=r"output_stride is 8, .* 8 pixels .*got 1x1.*data\.size"):
        build(ImageSpec((3, 1, 1), 5, (0.5,) * 3, (0.25,) * 3))
    with pytest.raises(UserError, match=r"model\.heads is 5, .* 24 channels.*1, 2, 3, 4, 6, 8, 12"):
        build(heads=5)
