"""A client runtime on a few digits, and requests to it."""

from fedzda.clients.runtime import ClientRuntime
from fedzda.platform.config import plain
from fedzda.platform.config.load import from_dict
from fedzda.platform.data.federation import prepare
from fedzda.platform.engines.calls import Call
from fedzda.platform.parts import build_model
from fedzda.platform.records import Content

RAW = {
    "name": "hooks",
    "data": {
        "name": "digits",
        "clients": 5,
        "max_samples": 200,
        "partition": {"name": "pathological", "classes_per_client": 2},
    },
    "model": {"name": "lenet-bn"},
    "local": {"batch_size": 8},
    "strategy": {"name": "fed-avg"},
}


def make_runtime(folder):
    """Of five clients with two classes each; ``folder`` gets the data."""
    config = from_dict(RAW)
    federation = prepare(config.data, 0, folder)
    return ClientRuntime(plain(config), str(federation.folder), "cpu")


def call(runtime, client=0, round_=1, state=None, **config):
    """A request to train a fresh model, with these keys."""
    arrays = build_model(runtime.config, runtime.image).state_dict()
    content = Content(arrays={"arrays": {k: v.numpy() for k, v in arrays.items()}})
    content.configs["config"] = {"server-round": round_, **config}
    return Call(client, "train", round_, content, state or Content())
