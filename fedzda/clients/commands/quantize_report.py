"""What ``fedzda quantize`` measures and says."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from fedzda.compression.quantized import QuantizedModel
from fedzda.platform.cli.text import human_bytes, human_time, table

_BATCH = 250
_COMPARED = 512
Predict = Callable[[torch.Tensor], torch.Tensor]
"""From pixels ``(N, C, H, W)`` in [0, 1] to logits ``(N, classes)``."""


def measured(
    done: QuantizedModel,
    tested: tuple[torch.Tensor, torch.Tensor] | None,
    made: torch.Tensor,
    files: Mapping[str, Path],
) -> dict[str, Any]:
    """Accuracy, agreement, sizes, errors and the list of quantized tensors, as plain data.

    Args:
        done: The quantized model.
        tested: Test images uint8 and labels; None if there are none.
        made: Images in [0, 1] that errors are measured on where there are no test images.
        files: Exported ``int8`` and ``float32``; empty if nothing was exported.
    """
    seen = made if tested is None else tested[0][:_COMPARED].float() / 255
    report = done.report(seen)
    models: dict[str, Predict] = {"float": _float(done), "quantized": done}
    if files and importlib.util.find_spec("onnxruntime") is not None:
        models["onnxruntime"] = _runtime(done, files["int8"])
    pixels = seen if tested is None else tested[0]
    found = {name: predicted(model, pixels) for name, model in models.items()}
    accuracy = {}
    if tested is not None:
        accuracy = {name: _share(classes == tested[1]) for name, classes in found.items()}
    return {
        "test_images": 0 if tested is None else len(tested[0]),
        "accuracy": accuracy,
        "agreement": {
            name: _share(classes == found["float"])
            for name, classes in found.items()
            if name != "float"
        },
        "compared_images": len(seen),
        "logits_sqnr_db": _finite(report.logits_sqnr_db),
        "bytes": {**report.size._asdict(), **_sizes(files)},
        "layers": [
            {key: _finite(value) for key, value in row._asdict().items()} for row in report.layers
        ],
        "tensors": [{**row._asdict(), "shape": list(row.shape)} for row in done.describe()],
        "last_loss": done.losses[-1] if done.losses else None,
        "rounded": [row._asdict() for row in done.rounded],
    }


@torch.no_grad()
def predicted(model: Predict, pixels: torch.Tensor) -> torch.Tensor:
    """The class of each image, ``(N,)``; ``pixels`` are uint8, or float in [0, 1]."""
    parts = []
    for part in torch.split(pixels, _BATCH):
        part = part.float() / 255 if part.dtype == torch.uint8 else part
        parts.append(model(part).argmax(dim=1))
    return torch.cat(parts)


def text(record: Mapping[str, Any]) -> str:
    """The report for a terminal."""
    parts = [table(_tensor_rows(record), 2), "", *_accuracy_lines(record), _size_line(record)]
    parts += ["error of each layer, signal to noise in dB:", table(_layer_rows(record), 2)]
    return "\n".join(["quantized:", *parts, f"done in {human_time(record['seconds'])}"])


def markdown(record: Mapping[str, Any]) -> str:
    """The report as a page."""
    config = record["config"]
    bits = f"W{config['weights']['bits']}A{config['activations']['bits']}"
    lines = [
        f"# {bits}, {config['stage']}, data: {record['data']}",
        "",
        f"Classifier `{record['checkpoint']}` (fingerprint {record['classifier']}), "
        f"{record['count']} images, seed {record['seed']}, {human_time(record['seconds'])}.",
        "",
        *(f"- {line}" for line in [*_accuracy_lines(record), _size_line(record)]),
        *(f"- Warning: {sentence}" for sentence in record["warnings"]),
        "",
        f"## Error of each layer ({record['compared_images']} images)",
        "",
        *_markdown_table(_layer_rows(record)),
        "",
        "Signal to quantization noise in dB; that of the output includes the noise of all layers "
        "before.",
        "",
        "## What is quantized",
        "",
        *_markdown_table(_tensor_rows(record)),
    ]
    return "\n".join(lines) + "\n"


def _accuracy_lines(record: Mapping[str, Any]) -> list[str]:
    names = {"float": "float32", "quantized": "quantized", "onnxruntime": "in ONNX Runtime"}
    lines = []
    if record["accuracy"]:
        said = ", ".join(f"{names[k]} {100 * v:.2f} %" for k, v in record["accuracy"].items())
        lines.append(f"accuracy on {record['test_images']} test images: {said}")
    where = "test" if record["accuracy"] else "these"
    count = record["test_images"] or record["compared_images"]
    same = ", ".join(f"{names[k]} {100 * v:.2f} %" for k, v in record["agreement"].items())
    lines.append(f"same class as float32 on {count} {where} images: {same}")
    return lines


def _size_line(record: Mapping[str, Any]) -> str:
    size = record["bytes"]
    said = (
        f"parameters: {human_bytes(size['float32'])} as float32, {human_bytes(size['packed'])} "
        f"with weights packed ({size['float32'] / size['packed']:.1f} times smaller)"
    )
    if "file_int8" in size:
        ratio = size["file_float32"] / size["file_int8"]
        said += (
            f"; ONNX files: {human_bytes(size['file_float32'])} and "
            f"{human_bytes(size['file_int8'])} ({ratio:.1f} times smaller)"
        )
    return said


def _layer_rows(record: Mapping[str, Any]) -> list[list[str]]:
    rows = [["layer", "bits", "weights", "error of weights", "of output"]]
    for row in record["layers"]:
        noise = [_decibel(row[f"{part}_sqnr_db"]) for part in ("weight", "output")]
        rows.append([row["name"], str(row["bits"]), str(row["weights"]), *noise])
    return rows


def _tensor_rows(record: Mapping[str, Any]) -> list[list[str]]:
    rows = [["tensor", "role", "bits", "shape", "grid"]]
    for row in record["tensors"]:
        shape = "x".join(map(str, row["shape"]))
        rows.append([row["name"], row["role"], str(row["bits"]), shape, row["grid"]])
    return rows


def _markdown_table(rows: Sequence[Sequence[str]]) -> list[str]:
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return [head, "|" + "---|" * len(rows[0]), *body]


def _float(done: QuantizedModel) -> Predict:
    def run(pixels: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = done.original(done.image.normalize(pixels))
        return logits

    return run


def _runtime(done: QuantizedModel, file: Path) -> Predict:
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])

    def run(pixels: torch.Tensor) -> torch.Tensor:
        images = done.image.normalize(pixels).numpy()
        return torch.from_numpy(session.run(None, {"images": images})[0])

    return run


def _sizes(files: Mapping[str, Path]) -> dict[str, int]:
    return {f"file_{name}": path.stat().st_size for name, path in files.items()}


def _share(hits: torch.Tensor) -> float:
    return float(hits.double().mean())


def _finite(value: Any) -> Any:
    """JSON has no infinity: an exact layer is null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _decibel(value: float | None) -> str:
    return "exact" if value is None else f"{value:.1f}"
