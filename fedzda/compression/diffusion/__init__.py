"""Cheaper sampling from diffusion models (plain PyTorch; hooks for models of diffusers).

FRDiff  features of earlier sampling steps are used again (So, Lee, Park 2024, arXiv 2312.03517)
TDQ     quantization whose step depends on the time step (So et al. 2023, arXiv 2306.02316)

>>> with frdiff(unet, FRDiffConfig(interval=2, num_inference_steps=50)):  # doctest: +SKIP
...     images = sample(unet, noise, 50)

Names are imported when they are first used, so that reading a configuration does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fedzda.compression.diffusion.auto_fr import fit_keyframes as fit_keyframes
    from fedzda.compression.diffusion.config import AutoFRConfig as AutoFRConfig
    from fedzda.compression.diffusion.config import FRDiffConfig as FRDiffConfig
    from fedzda.compression.diffusion.config import TDQConfig as TDQConfig
    from fedzda.compression.diffusion.config import TDQTrainingConfig as TDQTrainingConfig
    from fedzda.compression.diffusion.flops import count_flops as count_flops
    from fedzda.compression.diffusion.pipelines import frdiff_pipeline as frdiff_pipeline
    from fedzda.compression.diffusion.reuse import apply_frdiff as apply_frdiff
    from fedzda.compression.diffusion.reuse import frdiff as frdiff
    from fedzda.compression.diffusion.reuse import frdiff_stats as frdiff_stats
    from fedzda.compression.diffusion.reuse import remove_frdiff as remove_frdiff
    from fedzda.compression.diffusion.reuse import reset_frdiff as reset_frdiff
    from fedzda.compression.diffusion.sampling import sample as sample
    from fedzda.compression.diffusion.tdq import calibrate_tdq as calibrate_tdq
    from fedzda.compression.diffusion.tdq import disable_tdq as disable_tdq
    from fedzda.compression.diffusion.tdq import freeze_tdq as freeze_tdq
    from fedzda.compression.diffusion.tdq import prepare_tdq as prepare_tdq
    from fedzda.compression.diffusion.tdq_files import load_tdq as load_tdq
    from fedzda.compression.diffusion.tdq_files import save_tdq as save_tdq
    from fedzda.compression.diffusion.tdq_training import train_tdq as train_tdq
    from fedzda.compression.diffusion.tdq_training import train_tdq_ptq as train_tdq_ptq

_HOMES = {
    "fit_keyframes": "auto_fr",
    "AutoFRConfig": "config",
    "FRDiffConfig": "config",
    "TDQConfig": "config",
    "TDQTrainingConfig": "config",
    "count_flops": "flops",
    "apply_frdiff": "reuse",
    "frdiff": "reuse",
    "frdiff_stats": "reuse",
    "remove_frdiff": "reuse",
    "reset_frdiff": "reuse",
    "frdiff_pipeline": "pipelines",
    "sample": "sampling",
    "calibrate_tdq": "tdq",
    "disable_tdq": "tdq",
    "freeze_tdq": "tdq",
    "prepare_tdq": "tdq",
    "load_tdq": "tdq_files",
    "save_tdq": "tdq_files",
    "train_tdq": "tdq_training",
    "train_tdq_ptq": "tdq_training",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
