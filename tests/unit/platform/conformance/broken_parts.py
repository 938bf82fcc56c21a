"""Components of a user's own: some that keep the rules, and for each rule one that breaks it."""

import time
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from fedzda.base import StrictConfig
from fedzda.clients.tasks.base import Task
from fedzda.clients.variants.full import Form
from fedzda.platform.config import VariantConfig
from fedzda.platform.data.sources.raw import RawData
from fedzda.platform.records import array_record, arrays_of
from fedzda.strategies.base import MeanStrategy
from fedzda.strategies.config import MeanConfig

NUMBER = 7


# -- models -----------------------------------------------------------------------------------


class Fine(nn.Module):
    outputs = 10

    def __init__(self):
        super().__init__()
        self.net = nn.Linear(64, self.outputs)

    def forward(self, x):
        return self.net(x.flatten(1))


class TooFew(Fine):
    outputs = 3


class Untrained(nn.Module):
    def forward(self, x):
        return x.flatten(1)[:, :10]


class Clock(Fine):
    def __init__(self):
        super().__init__()
        rng = torch.Generator().manual_seed(time.perf_counter_ns())
        self.net.weight = nn.Parameter(torch.rand(10, 64, generator=rng))


class Idle(Fine):
    def __init__(self):
        super().__init__()
        self.spare = nn.Linear(2, 2)


class Crowd(Fine):
    def forward(self, x):
        return super().forward(x - x.mean(dim=0))


class Endless(Fine):
    def __init__(self):
        super().__init__()
        nn.init.constant_(self.net.bias, torch.inf)


class Borrowed(Fine):
    class Config(StrictConfig):
        name: Literal["mlp"] = "mlp"


class Nameless(Fine):
    class Config(StrictConfig):
        width: int = 3


# -- tasks ------------------------------------------------------------------------------------


class Distance(Task):
    """How far the answer is from the one-hot label."""

    columns = ("image", "label")
    primary = "distance"
    higher_is_better = False

    def __init__(self, image):
        self.num_classes = image.num_classes

    def loss(self, model, batch):
        return self.sample_losses(self.outputs(model, batch), batch).mean()

    def outputs(self, model, batch):
        return model(batch["image"])

    def sample_losses(self, outputs, batch):
        wanted = nn.functional.one_hot(batch["label"], self.num_classes)
        return ((outputs - wanted) ** 2).mean(dim=1)

    def sample_statistics(self, outputs, batch):
        each = self.sample_losses(outputs, batch).double()
        return {"distance": each, "count": torch.ones_like(each)}

    def metrics(self, statistics):
        return {"distance": (statistics["distance"] / statistics["count"]).item()}

    def details(self, statistics):
        return {}

    def validate(self, model, image):
        pass


class ManyLosses(Distance):
    def loss(self, model, batch):
        return self.sample_losses(self.outputs(model, batch), batch)


class NoGradient(Distance):
    def loss(self, model, batch):
        return super().loss(model, batch).detach()


class MeanOfMeans(Distance):
    def sample_statistics(self, outputs, batch):
        each = super().sample_statistics(outputs, batch)
        return {name: value.mean() for name, value in each.items()}


class Relative(Distance):
    def sample_statistics(self, outputs, batch):
        each = super().sample_statistics(outputs, batch)
        return {**each, "distance": each["distance"] / each["distance"].max()}


class Unnamed(Distance):
    primary = "quality"


class DividesPython(Distance):
    def metrics(self, statistics):
        return {"distance": statistics["distance"].item() / statistics["count"].item()}


class TwoLosses(Distance):
    def loss(self, model, batch):
        return 2 * super().loss(model, batch)


# -- partitioners -----------------------------------------------------------------------------


def halves(labels, columns, num_clients, rng):
    cuts = np.linspace(0, len(labels), num_clients + 1).astype(int)
    return rng.permutation(len(labels)), cuts


def twice(labels, columns, num_clients, rng):
    indices, offsets = halves(labels, columns, num_clients, rng)
    indices[-1] = indices[0]
    return indices, offsets


def short_offsets(labels, columns, num_clients, rng):
    indices, offsets = halves(labels, columns, num_clients, rng)
    return indices, offsets[:-1]


def hungry(labels, columns, num_clients, rng):
    indices, offsets = halves(labels, columns, num_clients, rng)
    if num_clients == 5:
        offsets[-2] = offsets[-1]
    return indices, offsets


def moody(labels, columns, num_clients, rng):
    return halves(labels, columns, num_clients, np.random.default_rng())


def sorts_labels(labels, columns, num_clients, rng):
    labels.sort()
    return halves(labels, columns, num_clients, rng)


# -- data sets --------------------------------------------------------------------------------


def points() -> RawData:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (40, 8, 8)).astype(np.uint8)
    return RawData.from_arrays((images, np.arange(40) % 4))


def listed() -> RawData:
    return [1, 2, 3]


def timed() -> RawData:
    return RawData([str(time.perf_counter_ns())], points().read)


def fresh() -> RawData:
    def read():
        labels = np.random.default_rng().integers(0, 4, 40)
        return RawData.from_arrays((np.zeros((40, 8, 8), np.uint8), labels)).read()

    return RawData(["fresh"], read)


# -- shifts -----------------------------------------------------------------------------------


class Fog:
    def __init__(self, num_units, image, seed, density=0.5):
        self.density = density

    def apply(self, pixels_NCHW, unit_N, row_N):
        return pixels_NCHW * (1 - self.density) + self.density

    def describe(self, unit):
        return "in fog"


class Flood(Fog):
    def apply(self, pixels_NCHW, unit_N, row_N):
        return pixels_NCHW + 1


# -- strategies -------------------------------------------------------------------------------


class SteadyConfig(MeanConfig):
    name: Literal["steady"] = "steady"


class Steady(MeanStrategy):
    Config = SteadyConfig


class Stuck(Steady):
    def improve(self, server_round, mean, replies, metrics):
        return self.before

    def request(self, server_round, arrays, record):
        self.before = arrays


class Forgetful(Steady):
    """Takes steps that grow with what it remembers, and forgets to write it down."""

    seen = 0

    def improve(self, server_round, mean, replies, metrics):
        self.seen += 1
        return array_record({n: v * (1 + self.seen) for n, v in arrays_of(mean).items()})


class Lottery(Steady):
    def improve(self, server_round, mean, replies, metrics):
        luck = np.random.default_rng().random()
        return array_record({n: v + v.dtype.type(luck) for n, v in arrays_of(mean).items()})


class Everybody(Steady):
    def cohort(self, server_round, arrays, grid):
        return list(grid.get_node_ids())


class Diverges(Steady):
    def improve(self, server_round, mean, replies, metrics):
        return array_record(
            {
                n: v * np.float32(1e30) if v.dtype.kind == "f" else v
                for n, v in arrays_of(mean).items()
            }
        )


class Fails(Steady):
    def improve(self, server_round, mean, replies, metrics):
        raise ValueError("nothing to aggregate")


# -- synthesizers -----------------------------------------------------------------------------


class Plain:
    """One picture per class, drawn once."""

    figures: ClassVar = {"agreement": 0.1, "bn_loss": 0.0}

    def __init__(self, bright=1.0):
        self.bright = bright
        self.pictures = None

    def fit(self, classifier, classes, image, rng):
        if self.pictures is None:
            self.pictures = torch.rand((image.num_classes, *image.shape), generator=rng)
        return dict(self.figures)

    def sample(self, labels, rng):
        return self.pictures[labels] * self.bright

    def state(self):
        return {"pictures": self.pictures}

    def load_state(self, state, image):
        self.pictures = state["pictures"]

    def save(self, path, classifier_fingerprint=""):
        save_file(self.state(), path, {"classifier": classifier_fingerprint})


class Boasting(Plain):
    figures: ClassVar = {"agreement": 1.5, "bn_loss": 0.0}


class Meddling(Plain):
    def fit(self, classifier, classes, image, rng):
        with torch.no_grad():
            next(classifier.parameters()).add_(1.0)
        return super().fit(classifier, classes, image, rng)


class Training(Plain):
    def fit(self, classifier, classes, image, rng):
        classifier.train()
        return super().fit(classifier, classes, image, rng)


class Dazzling(Plain):
    def sample(self, labels, rng):
        return super().sample(labels, rng) * 300


class Single(Plain):
    def sample(self, labels, rng):
        return super().sample(labels, rng)[:1]


class Whimsical(Plain):
    def sample(self, labels, rng):
        return (super().sample(labels, rng) + torch.rand(1)).clamp(0, 1)


class Oblivious(Plain):
    def load_state(self, state, image):
        self.pictures = torch.zeros_like(state["pictures"])


class Anonymous(Plain):
    def save(self, path, classifier_fingerprint=""):
        save_file(self.state(), path)


class Once(Plain):
    def fit(self, classifier, classes, image, rng):
        if self.pictures is not None:
            raise RuntimeError("fitted already")
        return super().fit(classifier, classes, image, rng)


# -- variants ---------------------------------------------------------------------------------


class SameConfig(VariantConfig):
    name: Literal["same"] = "same"


class Same(Form):
    Config = SameConfig


class Borrowing(Same):
    def build(self, model, turn):
        return model


@torch.no_grad()
def shaken(model):
    rng = torch.Generator().manual_seed(time.perf_counter_ns())
    parameter = next(model.parameters())
    parameter.add_(torch.rand(parameter.shape, generator=rng))
    return model


class Shaky(Same):
    def build(self, model, turn):
        return shaken(super().build(model, turn))


class Doubling(Same):
    def to_global(self, device_model, turn):
        arrays, coverage = super().to_global(device_model, turn)
        return {name: 2 * value for name, value in arrays.items()}, coverage


class Partial(Same):
    def to_global(self, device_model, turn):
        arrays, coverage = super().to_global(device_model, turn)
        arrays.popitem()
        return arrays, coverage


class FrozenConfig(SameConfig):
    @property
    def whole(self):
        return False


class Frozen(Same):
    Config = FrozenConfig

    def to_global(self, device_model, turn):
        arrays, _ = super().to_global(device_model, turn)
        return arrays, {name: np.zeros(value.shape, bool) for name, value in arrays.items()}


class Noisy(Same):
    def deploy(self, device_model, images_NCHW, turn):
        return shaken(device_model.eval())


class Free(Same):
    def cost(self):
        return replace(super().cost(), macs=0)


class Bloated(Same):
    def cost(self):
        return replace(super().cost(), bytes=10**9)


class OtherAnswers(Same):
    def deploy(self, device_model, images_NCHW, turn):
        return nn.Sequential(device_model, nn.Linear(10, 3)).eval()


class Wrapped(Same):
    def build(self, model, turn):
        return nn.Sequential(super().build(model, turn))


class Cut(Same):
    def to_global(self, device_model, turn):
        arrays, coverage = super().to_global(device_model, turn)
        name = next(iter(arrays))
        return {**arrays, name: arrays[name][:1]}, coverage


class Doubles(Same):
    def to_global(self, device_model, turn):
        arrays, coverage = super().to_global(device_model, turn)
        name = next(iter(arrays))
        return {**arrays, name: arrays[name].astype(np.float64)}, coverage


class Tensors(Same):
    def to_global(self, device_model, turn):
        return device_model.state_dict(), {}


class Lonely(Same):
    def to_global(self, device_model, turn):
        return super().to_global(device_model, turn)[0]


class Priceless(Same):
    def cost(self):
        return None


class OneArgument(Same):
    def __init__(self, config):
        self.config = config


class Bare(Form):
    Config = None
