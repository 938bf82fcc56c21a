"""What classes of devices get of every class of the data."""

import json

from fedzda.platform.report import devices
from fedzda.platform.report.data import collect

from .make_run import make_run


def part(folder, classes_by_device):
    path = folder / "summary.json"
    summary = json.loads(path.read_text())
    cost = {"asked": 4, "used": 4, "clients": 2, "late": 0, "dropped": 0, "left": 0}
    times = {"update_sec": 0.5, "update_bytes_down": 10, "update_bytes_up": 10}
    told = {name: {**cost, **times} for name in classes_by_device}
    summary["virtual"] = {"sec": 3.0, "devices": told}
    summary["classes_by_device"] = classes_by_device
    path.write_text(json.dumps(summary))
    return str(devices.part(collect(folder)))


def test_a_row_per_class_and_a_column_per_device(tmp_path):
    run = make_run(tmp_path / "run", clients=6)
    iou = {
        "phone": {"iou": {"0": 0.25, "2": 0.5}, "recall": {"0": 0.9}},
        "watch": {"iou": {"2": 0.125}},
    }
    page = part(run, iou)
    assert "Intersection over union by class" in page
    assert '<th scope="row">2</th><td>50.0\u00a0%</td><td>12.5\u00a0%</td>' in page
    assert '<th scope="row">0</th><td>25.0\u00a0%</td><td>–</td>' in page
    assert "Recall by class" not in page


def test_of_many_classes_those_in_which_devices_differ_most(tmp_path):
    run = make_run(tmp_path / "run", clients=6, classes=60)
    strong = {str(label): 0.5 for label in range(60)}
    weak = {str(label): 0.5 - label / 200 for label in range(60)}
    page = part(run, {"phone": {"recall": strong}, "watch": {"recall": weak}})
    assert "Recall by class" in page
    assert "The 40 of 60 classes in which devices differ most." in page
    assert '<th scope="row">59</th>' in page
    assert '<th scope="row">5</th>' not in page


def test_nothing_where_nothing_is_known(tmp_path):
    run = make_run(tmp_path / "run", clients=6)
    assert "by class" not in part(run, {"phone": {}})
