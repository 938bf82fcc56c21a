"""What a stage takes from earlier ones."""

import pytest

from fedzda.base import UserError
from fedzda.platform.lifecycle.references import check_left, references, resolved

DATA = {
    "start_from": {"stage": "train"},
    "devices": [{"variant": {"file": {"stage": "w8", "file": "model.onnx"}}}],
    "data": {"name": "digits", "stage": 3},
    "stage": "adaround",
}


def test_found_and_replaced(tmp_path):
    found = {path: tuple(reference) for path, reference in references(DATA)}
    assert found == {
        ("start_from",): ("train", None),
        ("devices", 0, "variant", "file"): ("w8", "model.onnx"),
    }
    made = resolved(DATA, tmp_path)
    assert made["start_from"] == str(tmp_path / "train")
    assert made["devices"][0]["variant"]["file"] == str(tmp_path / "w8" / "model.onnx")
    assert made["data"] == DATA["data"]


def test_what_is_not_there_is_told_with_what_is(tmp_path):
    (tmp_path / "train" / "artifacts").mkdir(parents=True)
    (tmp_path / "train" / "artifacts" / "classes.json").write_text("[]")
    data = {"data": {"stage": "train", "file": "artifacts/generator.safetensors"}}
    with pytest.raises(UserError) as caught:
        check_left(data, "w8", tmp_path)
    assert str(caught.value) == (
        "stage 'w8' takes 'artifacts/generator.safetensors' of stage 'train', which has left no "
        "such file. It has left: artifacts/classes.json."
    )
    check_left({"start_from": {"stage": "train"}}, "w8", tmp_path)
