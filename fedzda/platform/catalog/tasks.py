"""Tasks, scenarios, and what makes images from a trained model."""

from __future__ import annotations

from fedzda.platform.catalog.entry import Entry, family

_TASKS = "fedzda.clients.tasks"

TASKS: dict[str, Entry] = {
    **family(
        _TASKS,
        (
            "classification",
            "classification",
            "Classification",
            "cross entropy; accuracy and per-class recall",
        ),
        (
            "segmentation",
            "segmentation",
            "Segmentation",
            "cross entropy per pixel; mIoU from summed confusion matrices",
        ),
    ),
    **family(
        _TASKS,
        (
            "denoising",
            "denoising",
            "Denoising",
            "images without their noise; PSNR and SSIM per image",
        ),
        (
            "super-resolution",
            "super_resolution",
            "SuperResolution",
            "larger images for cameras whose blur and noise nobody knows",
        ),
        config=f"{_TASKS}.restoration_config",
    ),
    **family(
        _TASKS,
        (
            "diffusion",
            "diffusion",
            "Diffusion",
            "noise prediction of a diffusion model; cheap sampling on devices",
        ),
    ),
}

SCENARIOS = {
    "class-incremental": Entry(
        "fedzda.clients.incremental.head:fit_head",
        "classes arrive in phases",
        "fedzda.platform.scenario.config:ClassIncrementalConfig",
    ),
}

SYNTHESIZERS = family(
    "fedzda.generators",
    ("zs-cgan", "zs_cgan", "ZSCGAN", "conditional generator from a frozen classifier"),
    (
        "image-distillation",
        "image_distillation",
        "ImageDistillation",
        "direct optimisation of pixels",
    ),
    (
        "adversarial",
        "adversarial",
        "Adversarial",
        "generators against students, before a frozen classifier",
    ),
)
