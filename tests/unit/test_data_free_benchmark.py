"""benchmarks/data_free.py: every part for a few steps, resumed, and its tables."""

import importlib
import io
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from PIL import Image

from fedzda.base import ImageSpec
from fedzda.clients.classifiers import build_model, save_classifier

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
OURS = ("data_free", "data_free_cases", "teachers")
GREY = ImageSpec((1, 8, 8), 10, (0.3,), (0.38,))
COLOUR = ImageSpec((3, 8, 8), 10, (0.5,) * 3, (0.25,) * 3)
TEACHERS = [
    ("mnist-lenet-bn", {"name": "lenet-bn", "width": 4}, GREY),
    ("mnist-resnet-8", {"name": "resnet-8"}, GREY),
    ("cifar10-resnet-20", {"name": "resnet-20"}, COLOUR),
    ("cifar10-wrn-40-2", {"name": "wrn-40-2"}, COLOUR),
]


def write_split(path, count, column, shape):
    rng = np.random.default_rng(count)
    blobs = []
    for pixels in rng.integers(0, 256, (count, *shape), dtype=np.uint8):
        blob = io.BytesIO()
        Image.fromarray(pixels).save(blob, "PNG")
        blobs.append({"bytes": blob.getvalue(), "path": None})
    labels = [number % 10 for number in range(count)]
    pyarrow.parquet.write_table(pyarrow.table({column: blobs, "label": labels}), path)


@pytest.fixture
def make_bench(tmp_path, monkeypatch):
    """The benchmark on a machine with tiny teachers and data sets."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setenv("FEDZDA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FEDZDA_DATA", str(tmp_path / "data"))
    for name, column, shape in (("mnist", "image", (8, 8)), ("cifar10", "img", (8, 8, 3))):
        (tmp_path / "data" / name).mkdir(parents=True)
        write_split(tmp_path / "data" / name / "train.parquet", 60, column, shape)
        write_split(tmp_path / "data" / name / "test.parquet", 30, column, shape)
    folder = tmp_path / "cache" / "teachers"
    folder.mkdir(parents=True)
    for name, block, image in TEACHERS:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = build_model(block, image).eval()
        save_classifier(model, folder / f"{name}.safetensors", block, image)

    def make(device="cpu", full=False, only=()):
        return case("bench").Bench(tmp_path / "results", device, full, 3, only)

    yield make
    for name in [n for n in sys.modules if n.partition(".")[0] in OURS]:
        del sys.modules[name]


@pytest.fixture
def bench(make_bench):
    return make_bench()


def case(name):
    return importlib.import_module(f"data_free_cases.{name}")


def test_quantization_for_every_source(bench):
    quant = case("quant")
    for source in case("budget").SOURCES:
        quant.run_cell(bench, "quant-mnist", "mnist-lenet-bn", (4, 4), source, 0)
    found = case("bench").cells(bench.results / "quant-mnist")
    assert {row["source"] for row in found} == set(case("budget").SOURCES)
    assert all(row["training"]["steps"] == 3 and row["images"] == 40 for row in found)
    assert all(0 <= row["accuracy"] <= 100 for row in found)
    assert len(list((bench.results.parent / "cache" / "data-free").iterdir())) == 3
    shown = quant.table(bench, "quant-mnist")
    for words in ("| image-distillation |", "| W4A4 |", "points below real data (1 seeds)"):
        assert words in shown


def test_a_finished_cell_is_not_measured_again(bench):
    quant, arguments = case("quant"), ("mnist-lenet-bn", (8, 8), "real", 0)
    quant.run_cell(bench, "quant-mnist", *arguments)
    (path,) = (bench.results / "quant-mnist").iterdir()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"accuracy": -1.0}))
    quant.run_cell(bench, "quant-mnist", *arguments)
    assert json.loads(path.read_text())["accuracy"] == -1.0


def test_distillation_of_one_and_of_several(bench):
    distil = case("distil")
    for shape in ((1, 1), (2, 2)):
        distil.run_cell(bench, distil.PAIRS[1], shape, 0)
    found = case("bench").cells(bench.results / "distil-mnist")
    assert [len(row["students_accuracy"]) for row in found] == [1, 2]
    assert all(row["student_accuracy"] == row["students_accuracy"][0] for row in found)
    assert "| resnet-8-half | 2x2 |" in distil.table(bench, "distil-mnist")


def test_distances_to_the_statistics(bench):
    distances = case("bn_distance")
    for distance in distances.DISTANCES:
        distances.run_cell(bench, distance, 5.0, 0)
    found = case("bench").cells(bench.results / "bn-distance")
    assert len(found) == 5
    assert "| kl_gen_bn | 5 |" in distances.table(bench)


def try_everything(bench):
    """The commands for a GPU, a few steps each."""
    for source in case("budget").SOURCES:
        case("quant").run_cell(bench, "quant-cifar10", "cifar10-resnet-20", (3, 3), source, 0)
    distil = case("distil")
    (pair,) = (p for p in distil.PAIRS if p.part == "distil-cifar10")
    distil.run_cell(bench, pair, (2, 1), 0)
    assert len(case("bench").cells(bench.results / "quant-cifar10-full")) == 5
    assert "| wrn-16-1 | 2x1 |" in distil.table(bench, "distil-cifar10")


def test_the_commands_for_a_gpu_run_a_few_steps(make_bench):
    try_everything(make_bench(full=True))


@pytest.mark.gpu
def test_the_commands_for_a_gpu_run_on_one(make_bench):
    try_everything(make_bench("cuda", full=True))


def test_the_budget_for_a_gpu_is_that_of_the_sheet(bench):
    budget = case("budget").budget_of("cifar10-resnet-20", True, None)
    assert budget.synthesizers["zs-cgan"]["steps"] == 10_000
    assert budget.training.steps == 20_000


def test_only_the_cells_that_are_wanted(make_bench):
    bench = make_bench(only=("_w8a8_noise_s0",))
    case("quant").run(bench, "quant-mnist", [0, 1])
    names = {path.stem for path in (bench.results / "quant-mnist").iterdir()}
    assert names == {"mnist-lenet-bn_w8a8_noise_s0", "mnist-resnet-8_w8a8_noise_s0"}


def test_the_command_refuses_what_it_does_not_know(bench, monkeypatch, capsys):
    main = importlib.import_module("data_free").main
    for arguments, said in (
        (["quant-svhn"], "no part quant-svhn"),
        (["--steps", "3"], "--results"),
    ):
        monkeypatch.setattr(sys, "argv", ["data_free.py", *arguments])
        with pytest.raises(SystemExit, match="2"):
            main()
        assert said in capsys.readouterr().err
