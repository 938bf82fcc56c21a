"""What runs clients, follows runs, and works on their results."""

from __future__ import annotations

from fedzda.platform.catalog.entry import Entry, family

_ENGINES = "fedzda.platform.engines"
_CONFIG = "fedzda.platform.config"

ENGINES = {
    name: Entry(f"{_ENGINES}.{name}:{made}Engine", summary, f"{_CONFIG}:{made}Config")
    for name, made, summary in [
        ("inline", "Inline", "one process, debugger-friendly"),
        ("ray", "Ray", "Ray actors on a laptop, a GPU box or a cluster"),
        ("flower", "Flower", "Flower's stock simulation engine"),
    ]
}

COMMANDS = {
    name: Entry(f"fedzda.clients.commands.{name}:{name}", summary)
    for name, summary in [
        ("synthesize", "Make labelled images from a trained classifier."),
        ("probe", "Look for the clients' own images among a run's synthetic ones."),
        ("quantize", "Give a trained classifier fewer bits, without data."),
        ("merge", "Make one classifier of two, without data."),
        ("hypercon", "Make an image model consistent on video."),
        ("score", "Score restored images, with the truth or without."),
    ]
}

EXPORTS = {
    "onnx": Entry(
        "fedzda.clients.commands.export_onnx:export_onnx", "Write a run's trained model as ONNX."
    ),
}

TRACKERS = family(
    "fedzda.platform.trackers",
    ("tensorboard", "tensorboard", "TensorBoard", "event files for TensorBoard"),
    ("wandb", "wandb", "Wandb", "Weights & Biases, offline unless told otherwise"),
    ("mlflow", "mlflow", "Mlflow", "MLflow: a local database or file store, or a server"),
)

RUNTIMES = {
    "flower-app": Entry("fedzda.clients.app:make_app", "the same clients as a Flower ClientApp"),
    "flower-node": Entry("fedzda.clients.app:app_of", "a client on a machine of its own"),
    "local": Entry(
        "fedzda.clients.runtime:ClientRuntime", "trains and evaluates simulated devices"
    ),
}
