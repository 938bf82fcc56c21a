"""Every shipped simulation is read, and each that needs no further data runs with --fast."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from fedzda.platform.cli.app import app
from fedzda.platform.config.load import shipped

pytestmark = pytest.mark.e2e

REPORTED = ("quickstart", "ditto", "gsanet-textures")
"""A report takes longer than the rest of a run; one per kind of page is enough here."""
SMALLER = {"fed-diffusion-mnist": ["model.widths=[8, 16]"]}
"""What takes long even so; fed-diffusion-digits keeps the widths of its file."""


def encoded(pixels, seed):
    import io

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": f"{seed}.png"}


def png(seed):
    return encoded(np.random.default_rng(seed).integers(0, 256, (28, 28), np.uint8), seed)


def thumbnail(seed):
    return encoded(np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8), seed)


def photo(seed):
    return encoded(np.random.default_rng(seed).integers(0, 256, (180, 240, 3), np.uint8), seed)


def shot(seed):
    return encoded(np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8), seed)


def mask(seed):
    """Eleven classes and void (11)."""
    return encoded(np.random.default_rng(seed).integers(0, 12, (180, 240), np.uint8), seed)


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    """Tiny data sets in the layout of the real ones."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "mnist").mkdir()
    for split, size in (("train", 800), ("test", 20)):
        rows = {"image": [png(i) for i in range(size)], "label": [i % 10 for i in range(size)]}
        pd.DataFrame(rows).to_parquet(folder / "mnist" / f"{split}.parquet")
    for name, label, classes in (("cifar10", "label", 10), ("cifar100", "fine_label", 100)):
        (folder / name).mkdir()
        for split, size in (("train", 4 * classes), ("test", classes)):
            rows = {"img": [thumbnail(i) for i in range(size)]}
            rows[label] = [i % classes for i in range(size)]
            pd.DataFrame(rows).to_parquet(folder / name / f"{split}.parquet")
    (folder / "camvid").mkdir()
    for split, size in (("train", 24), ("test", 4)):
        drives = [f"drive{3 * i // size}" for i in range(size)]
        columns = {"image": [photo(i) for i in range(size)], "sequence": drives}
        columns["annotation"] = [mask(i) for i in range(size)]
        pd.DataFrame(columns).to_parquet(folder / "camvid" / f"{split}.parquet")
    (folder / "polyu").mkdir()
    columns = {"noisy": [shot(i) for i in range(12)], "clean": [shot(i) for i in range(12)]}
    columns["camera"] = [f"camera{i // 6}" for i in range(12)]
    columns["scene"] = [f"scene{i // 2}_{i}" for i in range(12)]
    pd.DataFrame(columns).to_parquet(folder / "polyu" / "test.parquet")
    return folder


@pytest.mark.parametrize("name", sorted(shipped()))
def test_runs_fast(name, stand_in, tmp_path, monkeypatch):
    monkeypatch.setenv("FEDZDA_DATA", str(stand_in))
    monkeypatch.chdir(tmp_path)
    report = f"report={str(name in REPORTED).lower()}"
    own = ["engine={name: inline}", report, *SMALLER.get(name, [])]
    result = CliRunner().invoke(app, ["run", name, "--fast", *own])
    assert result.exit_code == 0, result.output
    assert "run folder" in result.output
