"""FRDiff inside pipelines of diffusers with tiny random models."""

import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, DiTPipeline, DPMSolverMultistepScheduler

from fedzda.base import UserError
from fedzda.compression.diffusion import FRDiffConfig, frdiff, frdiff_pipeline

from . import tiny

STEPS = 6


def autoencoder():
    torch.manual_seed(0)
    return AutoencoderKL(
        block_out_channels=(4, 8),
        norm_num_groups=4,
        latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        sample_size=16,
    ).eval()


def check(pipe, **call):
    """Interval 1 changes nothing, interval 2 does, and nothing stays behind."""
    pipe.set_progress_bar_config(disable=True)

    def images():
        rng = torch.Generator().manual_seed(0)
        return pipe(num_inference_steps=STEPS, generator=rng, output_type="np", **call).images

    plain = images()
    with frdiff_pipeline(pipe, FRDiffConfig(interval=1)):
        assert (images() == plain).all()
    with frdiff_pipeline(pipe, FRDiffConfig()) as path:
        first = images()
        assert path.counts == {"key": 3, "reuse": 2, "skip": 1}
        assert (images() == first).all()
    assert (first != plain).any()
    assert (images() == plain).all()


def test_dit():
    model = tiny.dit()
    check(DiTPipeline(model, autoencoder(), DDIMScheduler()), class_labels=[1, 2])


def test_dit_with_a_multistep_solver():
    check(DiTPipeline(tiny.dit(), autoencoder(), DPMSolverMultistepScheduler()), class_labels=[1])


def test_a_wrong_number_of_steps_is_refused_at_the_end_of_the_pipeline():
    pipe = DiTPipeline(tiny.dit(), autoencoder(), DDIMScheduler())
    pipe.set_progress_bar_config(disable=True)
    with (
        pytest.raises(UserError, match="num_inference_steps is 9, but the sampler ended after 6"),
        frdiff(pipe.transformer, FRDiffConfig(num_inference_steps=9)),
    ):
        pipe(class_labels=[1], num_inference_steps=STEPS)


@pytest.mark.parametrize("guidance", [1.0, 5.0])
def test_stable_diffusion(guidance):
    pytest.importorskip("transformers")
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline(
        vae=autoencoder(),
        text_encoder=None,
        tokenizer=None,
        unet=tiny.conditional(),
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    words, nothing = torch.randn(2, 1, 5, 16)
    check(
        pipe,
        prompt_embeds=words,
        negative_prompt_embeds=nothing,
        guidance_scale=guidance,
        height=16,
        width=16,
    )


def test_stable_diffusion_xl():
    pytest.importorskip("transformers")
    from diffusers import StableDiffusionXLPipeline

    pipe = StableDiffusionXLPipeline(
        vae=autoencoder(),
        text_encoder=None,
        text_encoder_2=None,
        tokenizer=None,
        tokenizer_2=None,
        unet=tiny.conditional_xl(),
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False),
        add_watermarker=False,
    )
    words, nothing = torch.randn(2, 1, 5, 16)
    pooled, no_pooled = torch.randn(2, 1, 8)
    check(
        pipe,
        prompt_embeds=words,
        negative_prompt_embeds=nothing,
        pooled_prompt_embeds=pooled,
        negative_pooled_prompt_embeds=no_pooled,
        height=16,
        width=16,
    )
