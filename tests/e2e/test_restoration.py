"""Restoration as federated tasks through the command line: tiny, to the report; wrong inputs."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from fedzda.clients.runtime import ClientRuntime
from fedzda.clients.weights import snapshot
from fedzda.platform.cli.app import app
from fedzda.platform.config import plain
from fedzda.platform.config.load import load_config
from fedzda.platform.data.dealing import dealt
from fedzda.platform.engines.calls import Call
from fedzda.platform.recorder import read_clients
from fedzda.platform.records import Content

pytestmark = pytest.mark.e2e

TINY = [
    "engine={name: inline}",
    "rounds=2",
    "local.steps=2",
    "local.batch_size=2",
    "evaluate.every=1",
]
SMALL_SR = [
    "data.cameras=2",
    "data.pieces=2",
    "data.edge=64",
    "model={name: sr-residual, scale: 2, channels: 4, blocks: 1}",
    "task.patch=8",
]


def run(tmp_path, monkeypatch, *arguments):
    monkeypatch.chdir(tmp_path)
    return CliRunner().invoke(app, ["run", *arguments])


def folder_of(result):
    assert result.exit_code == 0, result.output
    return result.output.strip().splitlines()[-1].removeprefix("run folder: ").strip()


def figures(folder, metric):
    table = read_clients(folder / "clients")
    table = table[(table.metric == metric) & (table.split == "test")]
    return table[table["round"] == table["round"].max()].value.tolist()


def test_denoising_says_what_it_gains_and_shows_it(tmp_path, monkeypatch):
    small = ["data.cameras=3", "data.pieces=2", "data.edge=32", "task.patch=16"]
    model = "model={name: nafnet, channels: 4, encoder: [1], decoder: [1]}"
    result = run(tmp_path, monkeypatch, "fed-denoise", *TINY, *small, model)
    folder = tmp_path / folder_of(result)
    for name in ("gain_over_noisy", "gain_over_filters"):
        assert len(figures(folder, name)) == 3
    summary = json.loads((folder / "summary.json").read_text())
    assert {"psnr", "ssim", "pooled_psnr", "loss", "noisy_psnr"} <= set(summary["metrics"])
    with Image.open(folder / "artifacts" / "predictions.png") as picture:
        assert picture.height == 3 * (18 + 164)
    page = (folder / "report.html").read_text()
    assert "Predictions" in page
    assert {"noisy_psnr", "gaussian_psnr", "bilateral_psnr"} <= set(summary["means_only"])
    aside = page.partition("Means over clients of what does not say how well a client is served: ")
    shown = summary["metrics"]["noisy_psnr"]["mean"]
    assert f"{shown:.2f}" in aside[2].partition("</p>")[0]
    assert '<th scope="col">noisy' not in page.lower()


@pytest.mark.parametrize(
    "extra",
    [
        [],
        ["task.noise.fresh=false", "task.permutation=16"],
        ["devices=[{profile: phone-high, share: 1.0, variant: quantized}]"],
    ],
    ids=["fresh", "permuted", "quantized"],
)
def test_denoising_with_a_noise_map(tmp_path, monkeypatch, extra):
    small = ["data.cameras=2", "data.pieces=2", "data.edge=32", "task.patch=16"]
    model = "model={name: nafnet, channels: 4, encoder: [1], decoder: [1], noise_map: true}"
    options = [*TINY, *small, model, "task.noise_map=true", *extra]
    folder = tmp_path / folder_of(run(tmp_path, monkeypatch, "fed-denoise", *options))
    assert np.isfinite(figures(folder, "gain_over_noisy")).all()
    assert len(figures(folder, "gain_over_filters")) == 2
    with Image.open(folder / "artifacts" / "predictions.png") as picture:
        assert picture.height == 3 * (18 + 164)


def test_super_resolution_beside_bicubic(tmp_path, monkeypatch):
    folder = tmp_path / folder_of(run(tmp_path, monkeypatch, "fed-sr", *TINY, *SMALL_SR))
    assert len(figures(folder, "gain_over_bicubic")) == 2


INT8 = (
    "devices=[{profile: phone-high, share: 0.5}, {profile: phone-low, share: 0.5, variant: int8}]"
)


def test_super_resolution_on_integers(tmp_path, monkeypatch):
    folder = folder_of(run(tmp_path, monkeypatch, "fed-sr", *TINY, *SMALL_SR, INT8))
    found = json.loads((tmp_path / folder / "summary.json").read_text())
    assert set(found["by_variant"]) == {"full", "int8"}
    assert all(np.isfinite(figures(tmp_path / folder, "psnr")))


def test_a_super_resolver_without_an_integer_form_is_refused(tmp_path, monkeypatch):
    imdn = "model={name: imdn, scale: 2, channels: 8, blocks: 1}"
    result = run(tmp_path, monkeypatch, "fed-sr", *TINY, *SMALL_SR, imdn, INT8)
    assert result.exit_code == 2
    assert "variant 'int8' cannot be made" in result.output


def test_nothing_but_the_model_leaves_a_client(tmp_path, monkeypatch):
    """The reply of a client that knows its camera and has a discriminator; the rest is state."""
    monkeypatch.setenv("FEDZDA_CACHE", str(tmp_path / "cache"))
    loaded = load_config("fed-sr", [*TINY, *SMALL_SR])
    federation = dealt(loaded.config, loaded.folder)
    runtime = ClientRuntime(plain(loaded.config), str(federation.folder), "cpu")
    arrays = snapshot(runtime.model)
    content = Content({"arrays": arrays})
    reply = runtime.handle(Call(1, "train", 1, content, Content()))
    sent = reply.content
    assert set(sent.arrays) == {"arrays"}
    assert {k: v.shape for k, v in sent.arrays["arrays"].items()} == {
        k: v.shape for k, v in arrays.items()
    }
    assert set(sent.metrics) == {"metrics"}
    assert set(sent.metrics["metrics"]) == {"num-examples", "loss", "steps"}
    assert not sent.configs
    assert not reply.details
    assert set(reply.state.arrays) == {"degradation", "discriminator"}
    later = runtime.handle(Call(1, "train", 2, content, reply.state))
    kept = [found.state.arrays["degradation"] for found in (reply, later)]
    assert all(np.array_equal(kept[0][name], kept[1][name]) for name in kept[0])


def test_hypercon_gives_scalars_of_private_clips(tmp_path, monkeypatch):
    small = ["data.clips=2", "data.frames=8", "data.height=32", "data.width=48", "task.patch=16"]
    model = "model={name: nafnet, channels: 4, encoder: [1], decoder: [1]}"
    folder = tmp_path / folder_of(run(tmp_path, monkeypatch, "fed-hypercon", *TINY, *small, model))
    for name in ("warping_error", "fidelity"):
        both = [figures(folder, name + end) for end in ("", "_framewise")]
        assert np.isfinite(both).all()
        assert both[0] != both[1]
    assert figures(folder, "frames") == [3.0, 3.0]


def encoded(shape, seed=0):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": "x.png"}


def pairs(folder, noisy=(32, 32), clean=(32, 32), rows=8, **names):
    columns = {
        names.get("noisy", "noisy"): [encoded(noisy, i) for i in range(rows)],
        names.get("clean", "clean"): [encoded(clean, i) for i in range(rows)],
        "camera": [f"camera{i % 2}" for i in range(rows)],
        "scene": [f"scene{i // 2}_{i}" for i in range(rows)],
    }
    (folder / "polyu").mkdir()
    pd.DataFrame(columns).to_parquet(folder / "polyu" / "test.parquet")


@pytest.mark.parametrize(
    ("data", "arguments", "sentence"),
    [
        ({"clean": (32, 30)}, [], "32x32 pixels (height x width) and its clean counterpart"),
        ({"noisy": (1, 1), "clean": (1, 1)}, [], "the images have 1x1 pixels"),
        ({}, ["data.clean=clear"], "data.clean is 'clear'"),
        ({}, ["data.clean=noisy"], "data.noisy and data.clean are both 'noisy'"),
        ({}, ["data.noisy=null", "data.clean=null", "data.label=null"], "no such column"),
        ({}, ["data={name: digits, clients: 2}"], "it needs the column 'clean'"),
        ({}, ["model={name: sr-residual}"], "Choose a denoiser"),
        ({}, ["task.patch=20"], "task.patch"),
        ({}, ["strategy={name: oversampling}"], "repeats samples of the classes that a client has"),
        ({}, ["task.noise={name: camera}"], "data.noisy' names noisy ones ('noisy')"),
        ({}, ["task.noise_map=true"], "level of noise is known for simulated noise only"),
        ({}, ["model.noise_map=true"], "Set task.noise_map to true, which needs task.noise"),
        ({}, ["task.permutation=64", "task.patch=16"], "noise of developed colour images"),
    ],
)
def test_wrong_inputs_are_said_in_a_sentence(tmp_path, monkeypatch, data, arguments, sentence):
    pairs(tmp_path, **data)
    monkeypatch.setenv("FEDZDA_DATA", str(tmp_path))
    monkeypatch.setenv("FEDZDA_CACHE", str(tmp_path / "cache"))
    small = ["task.patch=16"] if not any(a.startswith("task") for a in arguments) else []
    result = run(tmp_path, monkeypatch, "fed-denoise-polyu", *TINY, *small, *arguments)
    assert result.exit_code == 2, result.output
    assert sentence in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_a_single_pair_trains_and_says_that_nothing_is_measured(tmp_path, monkeypatch):
    pairs(tmp_path, rows=1)
    monkeypatch.setenv("FEDZDA_DATA", str(tmp_path))
    monkeypatch.setenv("FEDZDA_CACHE", str(tmp_path / "cache"))
    model = "model={name: nafnet, channels: 4, encoder: [1], decoder: [1]}"
    result = run(tmp_path, monkeypatch, "fed-denoise-polyu", *TINY, "task.patch=16", model)
    folder = tmp_path / folder_of(result)
    page = (folder / "report.html").read_text()
    assert "No client was evaluated" in page
