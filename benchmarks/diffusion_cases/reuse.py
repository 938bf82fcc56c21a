"""Arms of the first study: cheaper sampling of one U-Net, 50 steps of DDIM as the reference."""

from __future__ import annotations

import contextlib
import math
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from diffusion_cases.data import Data
from diffusion_cases.measure import against_real, made, noise_of, paired
from fedzda.base import torch_rng
from fedzda.compression.diffusion import (
    AutoFRConfig,
    FRDiffConfig,
    count_flops,
    fit_keyframes,
    frdiff,
    sample,
)
from fedzda.compression.diffusion.sampling import ddim_scheduler

STEPS = 50
_TIMED = 50
_REPEATS = 3
_JUMP = {"mixing_bias": 1.0, "mixing_slope": 1000.0}
"""Score mixing in which the network's share is 0: the last output stands in as a whole."""


@dataclass(frozen=True)
class Arm:
    """One way of sampling.

    Attributes:
        kind: ``ddim``, ``frdiff`` or ``deepcache``.
        steps: Sampling steps.
        config: Of FRDiff.
        interval: Of DeepCache.
    """

    kind: str
    steps: int = STEPS
    config: FRDiffConfig | None = None
    interval: int = 1

    @contextlib.contextmanager
    def on(self, unet: nn.Module) -> Iterator[Any]:
        """A sampler with the method switched on."""
        if self.kind == "frdiff":
            assert self.config is not None
            with frdiff(unet, self.config):
                yield lambda noise: sample(unet, noise, self.steps)
        elif self.kind == "deepcache":
            with deepcache(unet, self.steps, self.interval) as sampler:
                yield sampler
        else:
            yield lambda noise: sample(unet, noise, self.steps)


@contextlib.contextmanager
def deepcache(unet: nn.Module, steps: int, interval: int) -> Iterator[Any]:
    """The DeepCache package (Apache-2.0) on the same U-Net and scheduler."""
    from DeepCache import DeepCacheSDHelper

    scheduler = ddim_scheduler(steps)
    helper = DeepCacheSDHelper(SimpleNamespace(unet=unet, scheduler=scheduler))
    helper.set_params(cache_interval=interval, cache_branch_id=0)

    def sampler(noise: torch.Tensor) -> torch.Tensor:
        helper.enable()
        try:
            return sample(unet, noise, steps, scheduler=ddim_scheduler(steps))
        finally:
            helper.disable()
            # the helper leaves bound methods on the modules
            for module in unet.modules():
                vars(module).pop("forward", None)

    yield sampler


def own_arms() -> dict[str, Arm]:
    """Everything but rivals of equal cost and Auto-FR."""
    arms = {"ddim-50": Arm("ddim"), "ddim-10": Arm("ddim", 10)}
    for interval in (2, 3, 5):
        for mixing in (True, False):
            config = FRDiffConfig(interval=interval, score_mixing=mixing, num_inference_steps=STEPS)
            word = "mixed" if mixing else "pure"
            arms[f"frdiff-{interval}-{word}"] = Arm("frdiff", config=config)
        arms[f"deepcache-{interval}"] = Arm("deepcache", interval=interval)
        jump = FRDiffConfig(interval=interval, num_inference_steps=STEPS, **_JUMP)
        arms[f"jump-{interval}"] = Arm("frdiff", config=jump)
    return arms


def auto_arm(unet: nn.Module, data: Data, penalty: float, iterations: int) -> tuple[Arm, Any]:
    """Keyframes learned on noise that is not used again."""
    config = AutoFRConfig(
        num_inference_steps=STEPS, steps=iterations, batch_size=4, penalty=penalty
    )
    found = fit_keyframes(unet, data.image.shape, config, torch_rng(1000, "auto-fr"))
    return Arm("frdiff", config=found.config()), found


def cost(unet: nn.Module, arm: Arm, data: Data) -> int:
    """Floating-point operations of one image."""
    noise = noise_of(data, 1, 0).to(next(unet.parameters()).device)
    with torch.no_grad(), arm.on(unet) as sampler:
        return count_flops(lambda: sampler(noise))


def rival(unet: nn.Module, arm: Arm, data: Data) -> int:
    """DDIM steps that cost at least as much as an arm (rounded up: in the rival's favour)."""
    return math.ceil(cost(unet, arm, data) / (cost(unet, Arm("ddim"), data) / STEPS) - 1e-6)


def cell(
    name: str, data: Data, unet: nn.Module, arm: Arm, seed: int, count: int, wanted: torch.Tensor
) -> dict[str, Any]:
    """One arm with one sampling seed."""
    device = str(next(unet.parameters()).device)
    images = wanted
    if arm != Arm("ddim"):
        with arm.on(unet) as sampler:
            images = made(sampler, noise_of(data, count, seed), device)
    return {
        "seed": seed,
        "flops": cost(unet, arm, data),
        "steps": arm.steps,
        **paired(images, wanted),
        **against_real(name, data, images),
    }


def reference(data: Data, unet: nn.Module, seed: int, count: int, work: Path) -> torch.Tensor:
    """Images of the full sampler, kept on disk."""
    from safetensors.torch import load_file, save_file

    path = work / f"reference-{count}-s{seed}.safetensors"
    if not path.exists():
        device = str(next(unet.parameters()).device)
        with Arm("ddim").on(unet) as sampler:
            images = made(sampler, noise_of(data, count, seed), device)
        work.mkdir(parents=True, exist_ok=True)
        save_file({"images": images}, path)
    return load_file(path)["images"]


def wall_ratio(unet: nn.Module, arm: Arm, data: Data) -> float:
    """Time of the full sampler over that of an arm, median of interleaved pairs, 50 images."""
    noise = noise_of(data, _TIMED, 0).to(next(unet.parameters()).device)
    ratios = []
    with torch.no_grad():
        for _ in range(_REPEATS):
            times = []
            for one in (Arm("ddim"), arm):
                with one.on(unet) as sampler:
                    started = time.perf_counter()
                    sampler(noise)
                    if noise.is_cuda:
                        torch.cuda.synchronize()
                    times.append(time.perf_counter() - started)
            ratios.append(times[0] / times[1])
    return statistics.median(ratios)


_PROBED = (2, 10, 20, 30, 40, 47)


@torch.no_grad()
def single_steps(unet: nn.Module, data: Data) -> dict[str, Any]:
    """Relative error of one reuse step on the float trajectory, by what is reused; ``jump`` repeats
    the whole output."""
    scheduler, points = ddim_scheduler(STEPS), []
    x = noise_of(data, _TIMED, 1000).to(next(unet.parameters()).device)
    for t in scheduler.timesteps:
        noise = unet(x, t).sample
        points.append((x, t, noise))
        x = scheduler.step(noise, t, x).prev_sample
    kinds = {"all": {}, "resnet": {"reuse_attention": False}, "attention": {"reuse_resnet": False}}
    errors: dict[str, list[float]] = {"jump": [], **{kind: [] for kind in kinds}}
    for i in _PROBED:
        (x_key, t_key, noise_key), (x_new, t_new, true) = points[i], points[i + 1]
        errors["jump"].append(float((noise_key - true).norm() / true.norm()))
        for kind, given in kinds.items():
            config = FRDiffConfig(num_inference_steps=2, score_mixing=False, **given)
            with frdiff(unet, config):
                unet(x_key, t_key)
                found = unet(x_new, t_new).sample
            errors[kind].append(float((found - true).norm() / true.norm()))
    return {"steps": list(_PROBED), "errors": errors}
