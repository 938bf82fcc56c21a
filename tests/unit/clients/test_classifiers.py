import json
import re

import pytest
import torch

from fedzda.base import ImageSpec, UserError, fingerprint
from fedzda.clients.classifiers import (
    build_model,
    federation_of,
    load_classifier,
    save_classifier,
)
from fedzda.clients.models.lenet_bn import LeNetBN
from fedzda.platform.config.load import from_dict
from fedzda.platform.simulation import Simulation

IMAGE = ImageSpec((1, 8, 8), 10, (0.3,), (0.4,))
LENET = {"name": "lenet-bn", "width": 4}


@pytest.fixture
def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_model(LENET, IMAGE).eval()


def same(found, model):
    assert not found.model.training
    assert found.fingerprint == fingerprint(model.state_dict())
    x = torch.rand(2, 1, 8, 8)
    torch.testing.assert_close(found.model(x), model(x))


def test_a_saved_classifier_says_what_it_is(model, tmp_path):
    path = tmp_path / "teacher.safetensors"
    save_classifier(model, path, LENET, IMAGE, {"recipe": "{}"})
    found = load_classifier(path)
    same(found, model)
    assert found.image == IMAGE
    assert [file.name for file in tmp_path.iterdir()] == ["teacher.safetensors"]


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_bare_state_dict_needs_a_model_and_its_images(model, tmp_path, wrapped):
    path = tmp_path / "weights.pt"
    state = model.state_dict()
    torch.save({"state_dict": state, "epoch": 3} if wrapped else state, path)
    same(load_classifier(path, LENET, IMAGE), model)
    with pytest.raises(UserError, match=r"nothing says of which model\. Give --model"):
        load_classifier(path, None, IMAGE)
    with pytest.raises(UserError, match="nothing says for which images"):
        load_classifier(path, LENET)


def test_a_model_of_the_users_own(model, tmp_path, monkeypatch):
    source = "from torch import nn\ndef net(width):\n    return nn.Linear(width, 2)\nother = dict\n"
    (tmp_path / "my_nets_for_fedzda.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    block = {"target": "my_nets_for_fedzda:net", "args": {"width": 5}}
    assert build_model(block, IMAGE).in_features == 5
    with pytest.raises(UserError, match=r"cannot be called with \{\}"):
        build_model({"target": "my_nets_for_fedzda:net"}, IMAGE)
    with pytest.raises(UserError, match=r"gives dict: it must give a torch\.nn\.Module"):
        build_model({"target": "my_nets_for_fedzda:other"}, IMAGE)


@pytest.mark.parametrize(
    ("block", "sentence"),
    [
        ({"name": "lenet"}, "no models named 'lenet'. Did you mean 'lenet-bn'?"),
        ({"name": "lenet-bn", "with": 3}, "unknown key 'with'. Did you mean 'width'?"),
        ({"target": "nowhere:Net"}, "target 'nowhere:Net' cannot be imported"),
    ],
)
def test_unknown_models(block, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        build_model(block, IMAGE)


def test_bad_files(model, tmp_path):
    with pytest.raises(UserError, match="there is no file or folder"):
        load_classifier(tmp_path / "missing.pt")
    whole, text = tmp_path / "whole.pt", tmp_path / "text.pth"
    torch.save(LeNetBN(1, 10, (8, 8)), whole)
    text.write_text("hello")
    for path in (whole, text):
        with pytest.raises(UserError, match=r"cannot be read safely.*model\.state_dict\(\)"):
            load_classifier(path, LENET, IMAGE)
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(UserError, match="holds no state dict"):
        load_classifier(tmp_path / "list.pt", LENET, IMAGE)
    (tmp_path / "text.safetensors").write_text("hello")
    with pytest.raises(UserError, match="cannot be read as safetensors"):
        load_classifier(tmp_path / "text.safetensors", LENET, IMAGE)
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    with pytest.raises(UserError, match=r"do not fit model LeNetBN.*size mismatch"):
        load_classifier(tmp_path / "weights.pt", {"name": "lenet-bn"}, IMAGE)
    with pytest.raises(UserError, match="is not a run folder"):
        load_classifier(tmp_path)


def test_the_newest_checkpoint_of_a_run(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDZDA_CACHE", str(tmp_path / "cache"))
    raw = {
        "name": "tiny",
        "rounds": 1,
        "data": {"name": "digits", "clients": 2, "max_samples": 60},
        "model": LENET,
        "strategy": {"name": "fed-avg"},
        "engine": {"name": "inline"},
        "output": str(tmp_path / "runs"),
        "report": False,
    }
    run = Simulation.build(from_dict(raw), folder=tmp_path).run()
    found = load_classifier(run.path)
    assert found.image.shape == (1, 8, 8)
    assert found.image.num_classes == 10
    assert isinstance(found.model, LeNetBN)
    stored = run.path / "checkpoints" / "round-000001" / "state.json"
    assert json.loads(stored.read_text())["names"] == list(found.model.state_dict())


def test_a_run_of_another_task_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDZDA_CACHE", str(tmp_path / "cache"))
    raw = {
        "name": "tiny",
        "rounds": 1,
        "data": {"name": "digits", "clients": 2, "max_samples": 60},
        "model": {"name": "diffusion-unet"},
        "task": {"name": "diffusion"},
        "strategy": {"name": "fed-avg"},
        "engine": {"name": "inline"},
    }
    path = tmp_path / "run"
    path.mkdir()
    (path / "config.yaml").write_text(json.dumps(raw))
    (path / "meta.json").write_text(json.dumps({"source_folder": str(tmp_path)}))
    with pytest.raises(UserError, match="for the task 'diffusion', which is no classifier"):
        load_classifier(path)


def tiny_run(tmp_path, **changes):
    raw = {
        "name": "tiny",
        "rounds": 2,
        "data": {"name": "digits", "clients": 2},
        "model": LENET,
        "strategy": {"name": "fed-avg"},
        "engine": {"name": "inline"},
        "output": str(tmp_path / "runs"),
        "report": False,
        **changes,
    }
    return Simulation.build(from_dict(raw), folder=tmp_path).run()


def test_labels_of_a_scenario_are_those_of_its_model(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDZDA_CACHE", str(tmp_path / "cache"))
    scenario = {"name": "class-incremental", "base_classes": 5, "classes_per_phase": 5}
    run = tiny_run(tmp_path, scenario={**scenario, "rounds_per_phase": 1})
    known, found = federation_of(run.path), load_classifier(run.path)
    images = found.image.normalize(torch.tensor(known.test["image"]).float() / 255)
    with torch.no_grad():
        right = found.model(images).argmax(1).numpy() == known.test["label"]
    assert right.mean() == pytest.approx(run.summary["global_test"]["accuracy"], abs=1e-3)


def test_heads_that_devices_add_are_no_part_of_the_classifier(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDZDA_CACHE", str(tmp_path / "cache"))
    shallow = {"profile": "phone-high", "share": 1.0, "variant": {"name": "depth", "stages": 2}}
    run = tiny_run(tmp_path, rounds=1, devices=[shallow])
    found, whole = load_classifier(run.path).model, run.model()
    images = torch.rand(3, 1, 8, 8)
    assert hasattr(whole, "exits")
    assert not hasattr(found, "exits")
    torch.testing.assert_close(found(images), whole(images))
