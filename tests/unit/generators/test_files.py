import pytest
import torch

from fedzda.base import ImageSpec, UserError
from fedzda.generators.config import ZSCGANConfig
from fedzda.generators.files import read_state, read_tensors, save_state, write_tensors
from fedzda.generators.history import History

IMAGE = ImageSpec((3, 4, 5), 7, (0.1, 0.2, 0.3), (1.0, 2.0, 3.0))


def test_round_trip(tmp_path):
    history = History(3)
    for step in (1, 2, 3):
        history.add(step, {"bn": torch.tensor(step / 3)})
    config = ZSCGANConfig(steps=3)
    tensors = {"a": torch.arange(3), "b": torch.rand(2, 2).T}
    save_state(tensors, tmp_path / "x.safetensors", config, "abc", IMAGE, history)
    saved = read_state(tmp_path / "x.safetensors")
    assert all(torch.equal(saved.state[name], tensors[name]) for name in tensors)
    assert (saved.classifier, saved.image) == ("abc", IMAGE)
    assert ZSCGANConfig(**saved.config) == config
    assert saved.history == {"step": [1, 2, 3], "bn": [0.333333, 0.666667, 1.0]}


def test_bad_files_are_the_users(tmp_path):
    with pytest.raises(UserError, match="there is no file"):
        read_state(tmp_path / "missing")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(UserError, match="cannot be read as safetensors"):
        read_state(tmp_path / "text")
    write_tensors({"a": torch.zeros(1)}, tmp_path / "bare", {})
    with pytest.raises(UserError, match="holds tensors but no synthesizer"):
        read_state(tmp_path / "bare")
    assert read_tensors(tmp_path / "bare")[1] == {}


def test_a_long_history_is_thinned_out_and_keeps_its_ends():
    history = History(10_000)
    for step in range(1, 10_001):
        if history.wants(step):
            history.add(step, {"loss": 1.0 / step})
    steps = history.columns["step"]
    assert (steps[0], steps[-1]) == (1, 10_000)
    assert 190 < len(steps) < 210
    assert len(history.columns["loss"]) == len(steps)
