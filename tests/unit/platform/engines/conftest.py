from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fedzda.platform.engines.calls import Call, Chunk, HandlerSpec
from fedzda.platform.records import Content

HANDLER = '''
"""Clients that add noise of their own to the model, and misbehave as their request says."""

import collections, itertools, os, signal, sys, threading, time
from pathlib import Path

import torch

from fedzda.platform.engines.calls import Reply
from fedzda.platform.records import Content

LEAK = []


class Handler:
    def handle_many(self, calls):
        return None

    def handle(self, call):
        how = call.content.config()
        details = {}
        if call.client in how.get("bad", []):
            self.misbehave(how["how"], Path(how["flag"]) if "flag" in how else None)
            details = {"lock": threading.Lock()} if how["how"] == "unpicklable" else {}
        model = call.content.arrays["arrays"]
        arrays = {k: torch.as_tensor(v) + torch.randn(v.shape) for k, v in model.items()}
        metrics = {"num-examples": call.client + 1, "pid": os.getpid()}
        return Reply(call.client, Content({"arrays": arrays}, {"metrics": metrics}), details)

    def misbehave(self, how, flag):
        if flag is not None:
            if flag.exists():
                return
            flag.touch()
        if how == "raise":
            raise ValueError("the camera is broken")
        if how == "exit":
            sys.exit(3)
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "freeze":
            os.kill(os.getpid(), signal.SIGSTOP)
        if how == "spin":  # native code that never looks for signals and never lets go of the lock
            collections.deque(itertools.repeat(0), maxlen=0)
        if how == "sleep":
            time.sleep(60)
        if how == "nap":
            time.sleep(0.5)
        if how == "leak":
            LEAK.append(torch.ones(2**20 * 48))  # 192 MiB


class Together:
    """Serves all its clients in one go, and then damages the first one's model or takes long."""

    def __init__(self, factor=1.0, seconds=0.0):
        self.factor, self.seconds = factor, seconds

    def handle(self, call):
        arrays = {"w": torch.full((7, 5), float(call.client))}
        return Reply(call.client, Content({"arrays": arrays}, {"metrics": {"num-examples": 1}}))

    def handle_many(self, calls):
        time.sleep(self.seconds)
        replies = [self.handle(call) for call in calls]
        replies[0].content.arrays["arrays"]["w"] *= self.factor
        return replies


def where(handler, item):
    return __file__, item


def die(handler, flag):
    if not Path(flag).exists():
        Path(flag).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def always_die(handler, item):
    os.kill(os.getpid(), signal.SIGKILL)


def broken(handler, item):
    raise ZeroDivisionError(f"item {item}")
'''


@pytest.fixture(scope="module")
def plug(tmp_path_factory) -> Path:
    """A folder with the module ``misbehaving``, as a user's plug-in folder."""
    folder = tmp_path_factory.mktemp("plug")
    (folder / "misbehaving.py").write_text(HANDLER)
    return folder


@pytest.fixture(scope="module")
def spec(plug) -> HandlerSpec:
    return HandlerSpec("misbehaving:Handler", {}, (str(plug),))


MODEL = {"w": np.zeros((7, 5), np.float32), "b": np.ones(3, np.float32)}


@pytest.fixture(scope="session")
def chunks() -> Callable[..., list[Chunk]]:
    """``chunks(num_clients, size, **request)``: everybody trains; options of Chunk in ``chunk``."""

    def build(num_clients, size, chunk=None, **request):
        content = Content({"arrays": MODEL}, configs={"config": request})
        calls = [Call(c, "train", 1, content, Content()) for c in range(num_clients)]
        parts = [calls[i : i + size] for i in range(0, num_clients, size)]
        options = {"reduce": "naive", **(chunk or {})}
        return [Chunk(index, part, [len(part)], **options) for index, part in enumerate(parts)]

    return build
