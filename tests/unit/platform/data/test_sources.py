import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from fedzda.base import UserError
from fedzda.platform import plugins
from fedzda.platform.data.federation import Federation, prepare
from fedzda.platform.data.partitioners.config import NaturalIdConfig
from fedzda.platform.data.sources.config import (
    ArraysConfig,
    DigitsConfig,
    FolderConfig,
    HubConfig,
    ParquetConfig,
)
from fedzda.platform.data.sources.raw import RawData

Png = Callable[..., bytes]


def write_parquet(path: Path, png: Png, rows: range, names: list[str] | None = None) -> None:
    """Grey 2x2 images that hold their row's number; label is row % 3."""
    images = [{"bytes": png(np.full((2, 2), row, np.uint8)), "path": None} for row in rows]
    table = pa.table(
        {
            "image": images,
            "label": [row % 3 for row in rows],
            "camera": [f"cam{row % 5}" for row in rows],
        }
    )
    if names:
        features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
        features["camera"] = {"dtype": "string", "_type": "Value"}
        hub = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": hub})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def load(config: Any, folder: Path) -> Federation:
    return prepare(config, 0, folder)


def test_digits():
    federation = load(DigitsConfig(clients=3), Path())
    assert federation.train["image"].shape == (1617, 1, 8, 8)
    assert federation.test["image"].shape == (180, 1, 8, 8)
    assert federation.train["image"].max() == 255
    assert federation.image is not None
    pixels = federation.train["image"] / 255
    assert federation.image.mean == pytest.approx([pixels.mean()])
    assert federation.image.std == pytest.approx([pixels.std()])


def test_parquet_folder_with_test_split_and_class_names(tmp_path: Path, png: Png):
    write_parquet(
        tmp_path / "d/data/train-00000-of-00002.parquet", png, range(0, 40), ["a", "b", "c"]
    )
    write_parquet(
        tmp_path / "d/data/train-00001-of-00002.parquet", png, range(40, 60), ["a", "b", "c"]
    )
    write_parquet(
        tmp_path / "d/data/test-00000-of-00001.parquet", png, range(60, 69), ["a", "b", "c"]
    )
    federation = load(ParquetConfig(path="d", clients=4), tmp_path)
    assert federation.class_names == ["a", "b", "c"]
    assert federation.train["image"][:, 0, 0, 0].tolist() == list(range(60))
    assert federation.train["label"].tolist() == [row % 3 for row in range(60)]
    assert federation.test["image"][:, 0, 1, 1].tolist() == list(range(60, 69))


def test_parquet_file_alone_gives_a_stratified_tenth_to_the_global_test(tmp_path: Path, png: Png):
    write_parquet(tmp_path / "all.parquet", png, range(90))
    federation = load(ParquetConfig(path="all.parquet", clients=4), tmp_path)
    assert np.bincount(federation.test["label"]).tolist() == [3, 3, 3]
    values = [federation.train["image"][:, 0, 0, 0], federation.test["image"][:, 0, 0, 0]]
    assert sorted(np.concatenate(values)) == list(range(90))
    for table in (federation.train, federation.test):
        assert (table["image"][:, 0, 0, 0] % 3 == table["label"]).all()


def test_parquet_natural_clients(tmp_path: Path, png: Png):
    write_parquet(tmp_path / "all.parquet", png, range(100))
    block = NaturalIdConfig(column="camera")
    federation = load(
        ParquetConfig(path="all.parquet", partition=block, test_fraction=0.0), tmp_path
    )
    assert federation.num_clients == 5
    assert federation.client_ids == [f"cam{i}" for i in range(5)]
    rows = federation.indices(3, "train")
    assert set(federation.train["image"][rows, 0, 0, 0] % 5) == {3}
    assert set(federation.train["camera"][rows]) == {"cam3"}


def test_parquet_with_raw_bytes_and_string_labels(tmp_path: Path, png: Png):
    image = [png(np.full((2, 2), row, np.uint8)) for row in range(20)]
    label = pa.array(["b", "a"] * 10).dictionary_encode()
    pq.write_table(pa.table({"img": image, "kind": label}), tmp_path / "x.parquet")
    config = ParquetConfig(path="x.parquet", image="img", label="kind", clients=2)
    federation = load(config, tmp_path)
    assert federation.class_names == ["a", "b"]
    assert (federation.train["label"] == 1 - federation.train["image"][:, 0, 0, 0] % 2).all()


def test_parquet_errors(tmp_path: Path, png: Png, monkeypatch: pytest.MonkeyPatch):
    write_parquet(tmp_path / "x.parquet", png, range(9))
    with pytest.raises(UserError) as caught:
        load(ParquetConfig(path="x.parquet", image="imag", label="lable", clients=2), tmp_path)
    assert "data.image is 'imag'" in caught.value.problems[0]
    assert "Did you mean 'image'?" in caught.value.problems[0]
    assert "Did you mean 'label'?" in caught.value.problems[1]
    with pytest.raises(UserError, match=r"data.image is 'label', a column of int64"):
        load(ParquetConfig(path="x.parquet", image="label", clients=2), tmp_path)
    with pytest.raises(UserError, match=r"no file or folder at .*nothing\.parquet"):
        load(ParquetConfig(path="nothing.parquet", clients=2), tmp_path)
    with pytest.raises(UserError, match=r"holds no train\*\.parquet"):
        load(ParquetConfig(path=".", clients=2), tmp_path)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(UserError, match=r"bad\.parquet cannot be read as Parquet"):
        load(ParquetConfig(path="bad.parquet", clients=2), tmp_path)
    monkeypatch.delenv("FEDZDA_DATA", raising=False)
    with pytest.raises(UserError, match="environment variable FEDZDA_DATA is not set: export"):
        load(ParquetConfig(path="${FEDZDA_DATA}/x.parquet", clients=2), tmp_path)
    monkeypatch.setenv("FEDZDA_DATA", str(tmp_path))
    assert load(ParquetConfig(path="${FEDZDA_DATA}/x.parquet", clients=2), Path()).num_clients == 2


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"image": b"broken", "label": 0}, r"image x\.parquet row 3 cannot be read"),
        ({"image": None, "label": 0}, r"image in x\.parquet row 3 is missing"),
        ({"image": b"", "label": None}, r"column 'label' of x\.parquet is empty in row 3"),
    ],
)
def test_parquet_names_the_bad_row(tmp_path: Path, png: Png, row: dict[str, Any], message: str):
    rows = [{"image": png(np.zeros((2, 2), np.uint8)), "label": 0} for _ in range(3)]
    pq.write_table(pa.Table.from_pylist([*rows, row]), tmp_path / "x.parquet")
    with pytest.raises(UserError, match=message):
        load(ParquetConfig(path="x.parquet", clients=2), tmp_path)


def test_empty_parquet(tmp_path: Path, png: Png):
    write_parquet(tmp_path / "x.parquet", png, range(1))
    pq.write_table(pq.read_table(tmp_path / "x.parquet")[:0], tmp_path / "empty.parquet")
    with pytest.raises(UserError, match=r"empty\.parquet is empty"):
        load(ParquetConfig(path="empty.parquet", clients=1), tmp_path)


def write_folder(root: Path, png: Png, per_class: int, start: int = 0) -> None:
    for label, name in enumerate(["cat", "dog"]):
        (root / name).mkdir(parents=True)
        for number in range(per_class):
            value = start + 100 * label + number
            (root / name / f"{number:02}.png").write_bytes(png(np.full((2, 2), value, np.uint8)))


def test_folder_of_classes(tmp_path: Path, png: Png):
    write_folder(tmp_path / "pets", png, 10)
    (tmp_path / "pets/cat/notes.txt").write_text("no image")
    federation = load(FolderConfig(path="pets", clients=2), tmp_path)
    assert federation.class_names == ["cat", "dog"]
    assert len(federation.train["label"]) == 18
    assert (federation.train["label"] == federation.train["image"][:, 0, 0, 0] // 100).all()


def test_folder_with_train_and_test(tmp_path: Path, png: Png):
    write_folder(tmp_path / "pets/train", png, 6)
    write_folder(tmp_path / "pets/test", png, 2, start=50)
    federation = load(FolderConfig(path="pets", clients=2), tmp_path)
    assert federation.train["image"].shape == (12, 1, 2, 2)
    assert sorted(federation.test["image"][:, 0, 0, 0]) == [50, 51, 150, 151]


def test_folder_errors(tmp_path: Path, png: Png):
    write_folder(tmp_path / "pets", png, 4)
    (tmp_path / "pets/dog/02.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"image .*pets/dog/02\.png cannot be read"):
        load(FolderConfig(path="pets", clients=2), tmp_path)
    (tmp_path / "pets/dog/02.png").write_bytes(png(np.zeros((3, 2), np.uint8)))
    with pytest.raises(UserError, match=r"pets/dog/02\.png has shape \(1, 3, 2\)"):
        load(FolderConfig(path="pets", clients=2), tmp_path)
    assert load(FolderConfig(path="pets", clients=2, size=4), tmp_path).train["image"].shape[
        2:
    ] == (4, 4)
    (tmp_path / "void/x").mkdir(parents=True)
    with pytest.raises(UserError, match=r"holds no <class>/\*\.png"):
        load(FolderConfig(path="void", clients=2), tmp_path)
    with pytest.raises(UserError, match=r"02\.png, a file: it must be a folder"):
        load(FolderConfig(path="pets/dog/02.png", clients=2), tmp_path)


def test_arrays_with_a_test_part(tmp_path: Path):
    images = np.random.default_rng(0).random((30, 4, 4, 3))
    labels = np.arange(30) % 3
    np.savez(tmp_path / "x.npz", image=images, label=labels, image2=images[:6], label2=labels[:6])
    config = ArraysConfig(path="x.npz", clients=3, test_image="image2", test_label="label2")
    federation = load(config, tmp_path)
    expected = np.rint(images * 255).astype(np.uint8).transpose(0, 3, 1, 2)
    assert (federation.train["image"] == expected).all()
    assert (federation.test["label"] == labels[:6]).all()


def test_arrays_errors(tmp_path: Path, npz: Path):
    with pytest.raises(UserError, match="Did you mean 'image'"):
        load(ArraysConfig(path=str(npz), image="images", clients=2), tmp_path)
    with pytest.raises(UserError, match="set both or neither"):
        load(ArraysConfig(path=str(npz), test_image="image", clients=2), tmp_path)
    (tmp_path / "bad.npz").write_bytes(b"")
    with pytest.raises(UserError, match=r"bad\.npz, which cannot be read as \.npz"):
        load(ArraysConfig(path="bad.npz", clients=2), tmp_path)
    np.savez(tmp_path / "o.npz", image=np.array([{}, {}], dtype=object), label=np.arange(2))
    with pytest.raises(UserError, match=r"as .npz of plain arrays: it holds Python objects"):
        load(ArraysConfig(path="o.npz", clients=2), tmp_path)
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(UserError, match="it is a single array"):
        load(ArraysConfig(path="one.npy", clients=2), tmp_path)
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(UserError, match="it is another kind of file"):
        load(ArraysConfig(path="text.npz", clients=2), tmp_path)
    np.savez(tmp_path / "u.npz", image=np.zeros((3, 2, 2), np.uint8), label=np.arange(2))
    with pytest.raises(UserError, match=r"images of u\.npz have shape \(3, 2, 2\)"):
        load(ArraysConfig(path="u.npz", clients=2), tmp_path)


def test_hub_layout_from_a_local_folder(tmp_path: Path, png: Png, monkeypatch: pytest.MonkeyPatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    names = ["a", "b", "c"]
    write_parquet(tmp_path / "mine/data/train-00000-of-00001.parquet", png, range(30), names)
    write_parquet(tmp_path / "mine/data/test-00000-of-00001.parquet", png, range(30, 36), names)
    block = NaturalIdConfig(column="camera")
    federation = load(HubConfig(repo="mine", partition=block), tmp_path)
    assert federation.class_names == names
    assert federation.train["image"][:, 0, 0, 0].tolist() == list(range(30))
    assert federation.test["image"][:, 0, 0, 0].tolist() == list(range(30, 36))
    assert federation.num_clients == 5
    with pytest.raises(
        UserError, match=r"data.test_split is 'dev', but 'mine' has only: train, test"
    ):
        load(HubConfig(repo="mine", test_split="dev", clients=2), tmp_path)
    with pytest.raises(UserError, match=r"data.image is 'img'.*Did you mean 'image'"):
        load(HubConfig(repo="mine", image="img", clients=2), tmp_path)


def test_hub_without_network_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import datasets
    import huggingface_hub

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"data\.repo 'nobody/nothing' cannot be loaded"):
        load(HubConfig(repo="nobody/nothing", clients=2), tmp_path)


def test_a_data_set_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "my_data.py").write_text(
        "import numpy as np\n"
        "from fedzda.platform.data.sources.raw import RawData\n"
        "def stripes(rows):\n"
        "    images = [np.full((3, 3), row, np.uint8) for row in range(rows)]\n"
        "    return RawData.from_arrays((images, np.array(['x', 'y'] * (rows // 2))))\n"
        "def nothing():\n"
        "    return 1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    from fedzda.platform.config import target_class

    kind = target_class("datasets", "my_data:stripes")
    config = kind.model_validate({"target": "my_data:stripes", "args": {"rows": 20}, "clients": 2})
    assert load(config, tmp_path).train["image"].shape == (18, 1, 3, 3)
    wrong = kind.model_validate({"target": "my_data:nothing", "clients": 2})
    with pytest.raises(UserError, match="returned int: it must return a"):
        load(wrong, tmp_path)


def test_content_identifies_arrays_in_memory():
    def identity(value: int) -> list[str]:
        return RawData.from_arrays((np.full((2, 1, 1), value, np.uint8), np.arange(2))).identity

    assert identity(1) == identity(1)
    assert identity(1) != identity(2)


def test_every_catalogued_source_and_partitioner_has_its_config():
    for kind in ("datasets", "partitioners"):
        for name in plugins.entries(kind):
            assert plugins.config_class(kind, name).model_fields["name"].default == name
            assert callable(plugins.load(kind, name))


def test_images_of_a_size_that_no_memory_holds_are_refused():
    with pytest.raises(ValidationError, match="less than or equal to 8192"):
        ArraysConfig(path="mine.npz", size=100_000)
