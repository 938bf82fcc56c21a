"""Many clients at once against one by one, on digits, with unequal sizes."""

import copy
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from fedzda.base import ImageSpec, UserError
from fedzda.clients.cohort import can_vectorise, train_cohort
from fedzda.clients.hooks.base import LocalRun
from fedzda.clients.hooks.proximal import Proximal
from fedzda.clients.models.lenet_bn import LeNetBN
from fedzda.clients.models.mlp import MLP
from fedzda.clients.models.resnet import ResNet8
from fedzda.clients.runtime import ClientRuntime, load_arrays
from fedzda.clients.tasks.classification import Classification
from fedzda.clients.training import train
from fedzda.platform.config import LocalConfig, plain
from fedzda.platform.config.load import from_dict
from fedzda.platform.data.federation import prepare
from fedzda.platform.engines.calls import Call
from fedzda.platform.records import Content

SIZES = [1, 7, 23, 40, 17]
"""At batch size 4: one frozen client, last batches of 3, 4 and 5, and from 1 to 10 steps."""
ROUND = 3
NESTEROV = {"name": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3}
ADAM = {"name": "adam", "lr": 1e-3, "weight_decay": 0.1}


def local(**options):
    return LocalConfig.model_validate({"batch_size": 4, **options})


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("cohort")
    config = from_dict(
        {
            "name": "cohort",
            "data": {"name": "digits", "clients": 4, "max_samples": 400},
            "model": {"name": "mlp"},
            "task": {"name": "classification", "label_smoothing": 0.1},
            "strategy": {"name": "fed-avg"},
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FEDZDA_CACHE", str(folder))
        federation = prepare(config.data, 0, folder)
        yield ClientRuntime(plain(config), str(federation.folder), "cpu")


def build(kind, image, **options):
    """A model with weights, and BatchNorm statistics that are no longer those of a new one."""
    torch.manual_seed(0)
    model = kind.build(kind.Config(**options), image)
    for name, buffer in model.named_buffers():
        if name.endswith("num_batches_tracked"):
            buffer.fill_(5)
        else:
            buffer.add_(torch.rand_like(buffer) * 0.2)
    return model


def freeze_biases_before_batchnorm(model):
    """BatchNorm takes them away, so their gradient is rounding alone, which Adam magnifies."""
    layers = list(model.modules())
    for layer, following in pairwise(layers):
        if isinstance(following, nn.BatchNorm1d | nn.BatchNorm2d) and layer.bias is not None:
            layer.bias.requires_grad_(False)


def client_data(runtime, dtype, sizes=SIZES, device="cpu"):
    starts = np.cumsum([0, *sizes])
    batches = [
        runtime.batch(np.arange(start, start + size))
        for start, size in zip(starts, sizes, strict=False)
    ]
    return [
        {"image": own["image"].to(device, dtype), "label": own["label"].to(device)}
        for own in batches
    ]


def received(model):
    return {name: value.cpu().numpy().copy() for name, value in model.state_dict().items()}


def rngs(count):
    return [np.random.default_rng([7, client]) for client in range(count)]


def one_by_one(runtime, model, data, config):
    arrays, found = received(model), []
    model = copy.deepcopy(model)
    for client, (own, rng) in enumerate(zip(data, rngs(len(data)), strict=True)):
        load_arrays(model, arrays)
        run = LocalRun(runtime, Call(client, "train", ROUND, Content(), Content()), model, own)
        train(run, config, [], rng)
        state = {name: value.cpu().clone() for name, value in model.state_dict().items()}
        found.append((state, run.metrics))
    return found


def together(runtime, model, data, config, **options):
    clients = rngs(len(data))
    task = runtime.task
    return train_cohort(model, task, received(model), data, config, clients, ROUND, **options)


def assert_equal(found, expected, tolerance):
    assert len(found) == len(expected)
    for (state, metrics), (true_state, true_metrics) in zip(found, expected, strict=True):
        assert list(state) == list(true_state)
        for name, value in true_state.items():
            assert state[name].dtype == value.dtype
            torch.testing.assert_close(
                state[name], value, rtol=0, atol=tolerance, msg=lambda m, name=name: f"{name}: {m}"
            )
        assert metrics["steps"] == true_metrics["steps"]
        assert metrics["loss"] == pytest.approx(true_metrics["loss"], abs=tolerance)


MODELS = [
    pytest.param(LeNetBN, {"norm": "batch"}, id="lenet-bn"),
    pytest.param(LeNetBN, {"norm": "group"}, id="lenet-group"),
    pytest.param(MLP, {"norm": "batch", "hidden": [24]}, id="mlp-batch"),
    pytest.param(MLP, {"hidden": [24, 16]}, id="mlp"),
    pytest.param(ResNet8, {"norm": "batch"}, id="resnet-8"),
]
LOCALS = [
    pytest.param({"optimizer": NESTEROV, "clip_norm": 0.5, "lr_decay": 0.9}, id="nesterov"),
    pytest.param({"optimizer": ADAM, "lr_decay": 0.9}, id="adam"),
]


@pytest.mark.parametrize("options", LOCALS)
@pytest.mark.parametrize(("kind", "form"), MODELS)
def test_ten_steps_in_double_precision(runtime, kind, form, options):
    model, config = build(kind, runtime.image, **form).double(), local(**options)
    if config.optimizer.name == "adam":
        freeze_biases_before_batchnorm(model)
    data = client_data(runtime, torch.float64)
    expected = one_by_one(runtime, model, data, config)
    assert [metrics["steps"] for _, metrics in expected] == [1, 2, 6, 10, 4]
    assert_equal(together(runtime, model, data, config), expected, 1e-9)


@pytest.mark.parametrize(("kind", "form"), MODELS)
def test_one_step_in_single_precision(runtime, kind, form):
    model = build(kind, runtime.image, **form)
    config = local(batch_size=8, steps=1, optimizer=NESTEROV)
    data = client_data(runtime, torch.float32)
    expected = one_by_one(runtime, model, data, config)
    assert_equal(together(runtime, model, data, config), expected, 1e-5)


def test_one_adam_step_in_single_precision(runtime):
    # A network without gradients near Adam's eps, 1e-8, where its first step magnifies rounding.
    model, config = build(MLP, runtime.image, hidden=[24, 16]), local(steps=1, optimizer=ADAM)
    data = client_data(runtime, torch.float32)
    expected = one_by_one(runtime, model, data, config)
    assert_equal(together(runtime, model, data, config), expected, 1e-5)


@pytest.mark.parametrize("momentum", [None, 0.3])
def test_momentum_of_batchnorm(runtime, momentum):
    model = build(LeNetBN, runtime.image).double()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.momentum = momentum
    data = client_data(runtime, torch.float64)
    expected = one_by_one(runtime, model, data, local(epochs=2))
    assert_equal(together(runtime, model, data, local(epochs=2)), expected, 1e-9)


def test_batches_of_one_sample_use_running_statistics(runtime):
    model, config = build(LeNetBN, runtime.image).double(), local(batch_size=1)
    data = client_data(runtime, torch.float64, [3, 1, 4])
    expected = one_by_one(runtime, model, data, config)
    assert_equal(together(runtime, model, data, config), expected, 1e-9)


@pytest.mark.parametrize("max_clients", [1, 2])
def test_groups_keep_the_order_of_the_clients(runtime, max_clients):
    model = build(MLP, runtime.image, norm="batch", hidden=[12]).double()
    data = client_data(runtime, torch.float64)
    expected = one_by_one(runtime, model, data, local())
    found = together(runtime, model, data, local(), max_clients=max_clients)
    assert_equal(found, expected, 1e-9)


def test_frozen_tied_and_unused_weights(runtime):
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(64, 64)
            self.second = nn.Linear(64, 64)
            self.second.weight = self.first.weight
            self.first.bias.requires_grad_(False)
            self.unused = nn.Linear(2, 2)
            self.scale = nn.Parameter(torch.tensor(0.3))
            self.norm = nn.BatchNorm1d(64)

        def forward(self, x_NCHW):
            x = self.norm(self.first(x_NCHW.flatten(1)))
            return self.norm(self.second(x)).mul(self.scale)[:, :10]

    torch.manual_seed(0)
    model, config = Odd().double(), local(optimizer=NESTEROV)
    data = client_data(runtime, torch.float64)
    expected = one_by_one(runtime, model, data, config)
    found = together(runtime, model, data, config)
    assert_equal(found, expected, 1e-9)
    assert torch.equal(found[3][0]["unused.weight"], model.unused.weight)
    assert torch.equal(found[3][0]["first.weight"], found[3][0]["second.weight"])
    assert found[3][0]["norm.num_batches_tracked"] == 20


def test_model_and_received_weights_stay_as_they_are(runtime):
    model = build(LeNetBN, runtime.image)
    before, arrays = received(model), received(model)
    for array in arrays.values():
        array.setflags(write=False)
    data = client_data(runtime, torch.float32)
    first, *_ = train_cohort(model.eval(), runtime.task, arrays, data, local(), rngs(5), ROUND)
    assert not model.training
    assert all(np.array_equal(value, before[name]) for name, value in received(model).items())
    assert not torch.equal(first[0]["classifier.weight"], model.classifier.weight)
    assert first[0]["classifier.weight"].untyped_storage().nbytes() == 64 * 10 * 4


class Perceptron(nn.Module):
    """Flattened pixels, a layer to put in question, ten logits."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer
        self.classifier = nn.Linear(64, 10)

    def forward(self, x_NCHW):
        return self.classifier(self.layer(x_NCHW.flatten(1)))


class Centred(nn.Module):
    """Lets the samples of a batch see each other."""

    def forward(self, x):
        return x - x.mean(0)


class Noisy(nn.Module):
    """Draws random numbers without saying so."""

    def forward(self, x):
        return x + torch.randn_like(x)


class TwoPieces(nn.Module):
    """Hands each sample to BatchNorm as two rows."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(32)

    def forward(self, x):
        return self.norm(x.reshape(-1, 32)).reshape(len(x), 64)


class OtherLoss(Classification):
    """Changes the loss and forgets the loss of a sample."""

    def loss(self, model, batch):
        return model(batch["image"]).square().mean()


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (nn.Dropout(0.1), "'layer' (Dropout) draws random numbers"),
        (nn.BatchNorm1d(64, track_running_stats=False), "no running statistics"),
        (nn.SyncBatchNorm(64), "unknown kind"),
        (nn.utils.parametrizations.spectral_norm(nn.Linear(64, 64)), "has buffers"),
        (nn.LSTM(64, 64), "no form"),
        (Centred(), "depend on the other samples"),
        (Noisy(), "cannot be stacked: RuntimeError: vmap: called random"),
        (TwoPieces(), "layer 'layer.norm' gets 10 rows for a batch of 5 samples"),
    ],
)
def test_models_that_must_be_trained_one_by_one(runtime, layer, reason):
    [sample] = client_data(runtime, torch.float32, [5])
    found = can_vectorise([], Perceptron(layer), runtime.task, local(), sample)
    assert reason in found


@pytest.mark.parametrize(("kind", "form"), MODELS)
def test_built_in_models_can_be_stacked(runtime, kind, form):
    [sample] = client_data(runtime, torch.float32, [5])
    model = build(kind, runtime.image, **form)
    assert can_vectorise([], model, runtime.task, local(), sample) == ""
    assert can_vectorise([], model, runtime.task, local(batch_size=1)) == ""
    assert "(Proximal)" in can_vectorise([Proximal()], model, runtime.task, local())


def test_plain_batchnorm_and_batches_of_one(runtime):
    model = Perceptron(nn.BatchNorm1d(64))
    assert can_vectorise([], model, runtime.task, local()) == ""
    assert "batch of one sample" in can_vectorise([], model, runtime.task, local(batch_size=1))


def test_a_task_must_offer_the_loss_of_a_sample(runtime):
    model, image = nn.Flatten(), ImageSpec((1, 1, 10), 10, (0.0,), (1.0,))
    task = OtherLoss(runtime.config.task, image)
    assert "changes its loss" in can_vectorise([], model, task, local())
    assert "no sample_losses" in can_vectorise([], model, nn.Identity(), local())


def test_rows_that_are_no_samples_are_refused_in_training(runtime):
    data = client_data(runtime, torch.float32, [4, 3])
    with pytest.raises(UserError, match=r"'layer\.norm' gets 8 rows for a batch of 4"):
        together(runtime, Perceptron(TwoPieces()), data, local())


@pytest.mark.gpu
def test_ten_steps_on_a_gpu(runtime):
    model = build(LeNetBN, runtime.image).double().cuda()
    data = client_data(runtime, torch.float64, device="cuda")
    config = local(optimizer=NESTEROV, clip_norm=0.5)
    expected = one_by_one(runtime, model, data, config)
    assert_equal(together(runtime, model, data, config), expected, 1e-9)
