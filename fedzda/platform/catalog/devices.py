"""Simulated devices, the forms of the model that they run, and their uplink."""

from __future__ import annotations

from fedzda.platform.catalog.entry import Entry, family

_CONFIG = "fedzda.platform.devices.config"
_VARIANTS = "fedzda.clients.variants"

DEVICES = {
    name: Entry(f"{_CONFIG}:{config}", summary, f"{_CONFIG}:{config}")
    for name, config, summary in [
        ("uniform", "UniformDevices", "equal devices, always there; no virtual clock"),
        ("profiles", "ProfilesConfig", "shares of devices of different speed; virtual clock"),
    ]
}

VARIANTS = {
    **family(
        _VARIANTS,
        ("full", "full", "Full", "the global model as it is"),
        ("excluded", "full", "Excluded", "takes no part in training; tested on the full model"),
        ("width", "width", "Width", "fewer channels (HeteroFL, FedRolex, FjORD)"),
        ("depth", "depth", "Depth", "the first stages with a head of their own (DepthFL)"),
        ("quantized", "quantized", "Quantized", "trained or tested with few bits"),
        ("int8", "int8", "Int8", "trained as full, tested in ONNX Runtime with integers"),
        ("onnx", "onnx", "Onnx", "a finished model from an ONNX file, tested in ONNX Runtime"),
        ("auto", "full", "Auto", "the first form that fits memory and deadline"),
    ),
    **family(
        _VARIANTS,
        ("architecture", "architecture", "Architecture", "a model of another architecture"),
        config=f"{_VARIANTS}.architecture_config",
    ),
    **family(
        _VARIANTS,
        ("ddim", "sampling", "DDIMSampling", "a diffusion model, sampled in fewer steps"),
        ("frdiff", "sampling", "FRDiffSampling", "a diffusion model that reuses features (FRDiff)"),
        ("tdq", "sampling", "TDQSampling", "a diffusion model with few bits (TDQ)"),
        config=f"{_VARIANTS}.sampling_config",
    ),
}

UPLINKS = family(
    "fedzda.clients.uplink",
    ("top-k", "top_k", "TopK", "the largest changes only; the rest is kept for later"),
    ("qsgd", "qsgd", "QSGD", "stochastic rounding to a few levels (Alistarh et al. 2017)"),
    ("fp16", "fp16", "FP16", "half precision"),
)
