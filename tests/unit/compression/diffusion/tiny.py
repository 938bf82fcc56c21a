"""Tiny models of diffusers with random weights."""

import pytest
import torch

diffusers = pytest.importorskip("diffusers")


def unet(layers=1, widths=(16, 32)):
    """With widths (32, 64) the small U-Net of the published figures, for 28 pixels."""
    torch.manual_seed(0)
    return (
        diffusers.UNet2DModel(
            sample_size=28,
            in_channels=1,
            out_channels=1,
            layers_per_block=layers,
            norm_num_groups=8,
            block_out_channels=widths,
            down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        )
        .eval()
        .requires_grad_(False)
    )


def dit():
    torch.manual_seed(0)
    model = diffusers.DiTTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=4,
        out_channels=8,
        num_layers=2,
        sample_size=8,
        norm_num_groups=4,
        num_embeds_ada_norm=1000,
    )
    # fresh DiT blocks have gates near zero: without this nothing would depend on attention
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return model.eval().requires_grad_(False)


def conditional(**changes):
    torch.manual_seed(0)
    options = {
        "sample_size": 8,
        "in_channels": 4,
        "out_channels": 4,
        "layers_per_block": 1,
        "block_out_channels": (16, 32),
        "norm_num_groups": 8,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "cross_attention_dim": 16,
        "attention_head_dim": 8,
    }
    model = diffusers.UNet2DConditionModel(**(options | changes))
    return model.eval().requires_grad_(False)


def conditional_xl():
    """Conditioned on text, its pooled form and sizes of images, as SDXL is."""
    return conditional(
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=8 + 6 * 8,
    )
