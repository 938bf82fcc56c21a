from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fedzda.base import UserError
from fedzda.platform.data.annotations import PIXELS, VOID
from fedzda.platform.data.federation import Federation, prepare
from fedzda.platform.data.partitioners.config import NaturalIdConfig, PathologicalConfig
from fedzda.platform.data.sources.cityscapes import CLASSES
from fedzda.platform.data.sources.config import (
    ADE20KConfig,
    CityscapesConfig,
    ParquetConfig,
    SegmentationFolderConfig,
    TexturesConfig,
)
from fedzda.platform.data.sources.raw import Annotations, RawTable, RawTables

Png = Callable[..., bytes]
NAMES = ["sky", "road", "tree"]


def load(config: Any, folder: Path) -> Federation:
    return prepare(config, 0, folder)


def annotation(row: int) -> np.ndarray:
    """4x6 pixels: mostly class row % 3, one row of the next class, a corner of void (11)."""
    pixels = np.full((4, 6), row % 3, np.uint8)
    pixels[3] = (row + 1) % 3
    pixels[0, 0] = 11
    return pixels


def photo(row: int, size: tuple[int, int] = (4, 6)) -> np.ndarray:
    return np.full((*size, 3), row, np.uint8)


def write_parquet(path: Path, png: Png, rows: range) -> None:
    """Drives come one after the other, as the frames of videos do."""
    drives = [f"drive{row * 3 // len(rows)}" for row in range(len(rows))]
    table = {
        "image": [{"bytes": png(photo(row)), "path": None} for row in rows],
        "mask": [{"bytes": png(annotation(row)), "path": None} for row in rows],
        "drive": drives,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(table), path)


def write_pairs(root: Path, rows: range, prefix: str = "") -> None:
    for folder, maker in (("images", photo), ("annotations", annotation)):
        (root / folder / prefix).mkdir(parents=True, exist_ok=True)
        for row in rows:
            Image.fromarray(maker(row)).save(root / folder / prefix / f"{row:03}.png")


def stored(row: int) -> np.ndarray:
    """What the prepared data must hold."""
    pixels = annotation(row)
    return np.where(pixels == 11, VOID, pixels)


def test_parquet_with_annotations_and_natural_clients(tmp_path: Path, png: Png):
    write_parquet(tmp_path / "d/train.parquet", png, range(30))
    write_parquet(tmp_path / "d/test.parquet", png, range(30, 36))
    config = ParquetConfig(
        path="d",
        annotation="mask",
        class_names=NAMES,
        void=[11],
        partition=NaturalIdConfig(column="drive"),
    )
    federation = load(config, tmp_path)
    assert federation.class_names == NAMES
    assert federation.client_ids == ["drive0", "drive1", "drive2"]
    assert federation.image is not None
    assert federation.image.shape == (3, 4, 6)
    for table, first in ((federation.train, 0), (federation.test, 30)):
        assert table["annotation"].dtype == np.uint8
        for i, row in enumerate(range(first, first + len(table["label"]))):
            assert (table["annotation"][i] == stored(row)).all()
            assert table["image"][i, 0, 0, 0] == row
            assert table["label"][i] == row % 3
            assert table[PIXELS][i].sum() == 23
            assert table[PIXELS][i, (row + 1) % 3] == 6


def test_without_a_test_split_images_and_annotations_are_held_out_together(
    tmp_path: Path, png: Png
):
    write_parquet(tmp_path / "all.parquet", png, range(30))
    config = ParquetConfig(
        path="all.parquet", annotation="mask", class_names=NAMES, void=[11], clients=2
    )
    federation = load(config, tmp_path)
    assert len(federation.test["label"]) == 3
    for table in (federation.train, federation.test):
        for image, pixels in zip(table["image"], table["annotation"], strict=True):
            assert (pixels == stored(int(image[0, 0, 0]))).all()


def test_a_label_partition_follows_the_most_frequent_class(tmp_path: Path):
    write_pairs(tmp_path, range(30))
    config = SegmentationFolderConfig(
        path=".", void=[11], clients=3, partition=PathologicalConfig(classes_per_client=1)
    )
    federation = load(config, tmp_path)
    assert federation.class_names == ["0", "1", "2"]
    for client in range(3):
        assert len(set(federation.train["label"][federation.indices(client, "train")])) == 1


def test_blocks_keep_neighbouring_frames_together(tmp_path: Path, png: Png):
    write_parquet(tmp_path / "d/train.parquet", png, range(30))
    write_parquet(tmp_path / "d/test.parquet", png, range(3))
    config = ParquetConfig(
        path="d",
        annotation="mask",
        void=[11],
        partition=NaturalIdConfig(column="drive"),
        split="blocks",
        validation_fraction=0.1,
    )
    federation = load(config, tmp_path)
    for client in range(3):
        first = 10 * client
        assert federation.indices(client, "train").tolist() == list(range(first, first + 7))
        assert federation.indices(client, "validation").tolist() == [first + 7]
        assert federation.indices(client, "test").tolist() == [first + 8, first + 9]


def test_annotations_are_resized_to_the_nearest_pixel(tmp_path: Path):
    write_pairs(tmp_path, range(12))
    config = SegmentationFolderConfig(
        path=".", void=[11], class_names=NAMES, clients=2, size=[8, 12]
    )
    federation = load(config, tmp_path)
    assert federation.train["image"].shape[1:] == (3, 8, 12)
    for image, pixels in zip(
        federation.train["image"], federation.train["annotation"], strict=True
    ):
        expected = stored(int(image[0, 0, 0])).repeat(2, 0).repeat(2, 1)
        assert (pixels == expected).all()


def test_folders_with_train_and_test(tmp_path: Path):
    write_pairs(tmp_path, range(12), "train")
    write_pairs(tmp_path, range(12, 15), "test")
    federation = load(SegmentationFolderConfig(path=".", void=[11], clients=2), tmp_path)
    assert len(federation.train["label"]) == 12
    assert federation.test["image"][:, 0, 0, 0].tolist() == [12, 13, 14]


def test_ade20k_stand_in(tmp_path: Path):
    for split, rows in (("training", range(8)), ("validation", range(8, 10))):
        for folder in ("images", "annotations"):
            (tmp_path / folder / split).mkdir(parents=True)
        for row in rows:
            name = f"ADE_{split}_{row:08}"
            Image.fromarray(photo(row)).save(tmp_path / "images" / split / f"{name}.jpg")
            pixels = np.array([[0, 1], [150, row + 1]], np.uint8).repeat(2, 0).repeat(3, 1)
            Image.fromarray(pixels).save(tmp_path / "annotations" / split / f"{name}.png")
    lines = ["Idx\tRatio\tTrain\tVal\tStuff\tName"]
    lines += [f"{i}\t0.1\t1\t1\t1\tname{i}, other word" for i in range(1, 151)]
    (tmp_path / "objectInfo150.txt").write_text("\n".join(lines))
    config = ADE20KConfig(path=".", clients=2, missing_classes="allow")
    federation = load(config, tmp_path)
    assert len(federation.class_names) == 150
    assert federation.class_names[149] == "name150"
    assert (
        federation.test["annotation"][0].tolist()
        == [[VOID] * 3 + [0] * 3] * 2 + [[149] * 3 + [8] * 3] * 2
    )


def test_cityscapes_stand_in(tmp_path: Path):
    for split, cities in (("train", ["aachen", "bremen"]), ("val", ["lindau"])):
        for city in cities:
            for frame in range(5):
                name = f"{city}_{frame:06}_000019"
                image = tmp_path / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png"
                truth = tmp_path / "gtFine" / split / city / f"{name}_gtFine_labelIds.png"
                for path, pixels in ((image, photo(frame)), (truth, annotation(0) * 0 + 7)):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    if path == truth:
                        pixels[0] = [0, 26, 33, 255, 24, 6]
                    Image.fromarray(pixels).save(path)
    config = CityscapesConfig(
        path=".", partition=NaturalIdConfig(column="city"), missing_classes="allow"
    )
    federation = load(config, tmp_path)
    assert federation.client_ids == ["aachen", "bremen"]
    assert federation.class_names == list(CLASSES)
    assert len(CLASSES) == 19
    pixels = federation.train["annotation"][0]
    assert pixels[0].tolist() == [VOID, 13, 18, VOID, 11, VOID]
    assert (pixels[1:] == 0).all()
    (tmp_path / "gtFine/val/lindau/lindau_000003_000019_gtFine_labelIds.png").unlink()
    with pytest.raises(UserError, match=r"lindau_000003.* has no annotation at .*unpack gtFine"):
        load(config, tmp_path)


def test_texture_mosaics(tmp_path: Path):
    pytest.importorskip("skimage")
    config = TexturesConfig(clients=4, images=60, test_images=20, edge=32)
    federation = load(config, tmp_path)
    assert federation.train["image"].shape == (60, 1, 32, 32)
    assert federation.test["annotation"].shape == (20, 32, 32)
    assert len(federation.class_names) == 5
    assert federation.train[PIXELS].sum() == 60 * 32 * 32
    # The grey level alone says little: class means lie within one spread of each other.
    pixels, truth = federation.train["image"][:, 0], federation.train["annotation"]
    means = [pixels[truth == label].mean() for label in range(5)]
    assert np.ptp(means) < pixels.std()
    assert not np.isin(federation.test["image"][0], federation.train["image"][0]).all()


def test_a_class_that_nobody_holds_is_named(tmp_path: Path):
    write_pairs(tmp_path, range(12))
    config = SegmentationFolderConfig(path=".", void=[11], class_names=[*NAMES, "boat"], clients=2)
    with pytest.raises(UserError, match=r"class 3 \('boat'\) is held by no client"):
        load(config, tmp_path)


def broken(tmp_path: Path, pixels: np.ndarray, **keys: Any) -> str:
    """The sentence for one broken annotation, the sixth."""
    write_pairs(tmp_path, range(12))
    Image.fromarray(pixels).save(tmp_path / "annotations/005.png")
    config = SegmentationFolderConfig(path=".", **{"void": [11], "clients": 2, **keys})
    with pytest.raises(UserError) as caught:
        load(config, tmp_path)
    (problem,) = caught.value.problems
    return problem


def test_a_label_outside_the_range(tmp_path: Path):
    bad = annotation(5)
    bad[2, 2] = 77
    problem = broken(tmp_path, bad, class_names=NAMES)
    assert problem.startswith(f"annotation {tmp_path}/annotations/005.png holds the value 77: ")
    assert "it must hold 0 .. 2, or 11 for void" in problem
    assert "data.class_names and data.void" in problem


def test_a_gap_in_the_values_where_no_names_are_given(tmp_path: Path):
    bad = annotation(5)
    bad[2, 2] = 77
    problem = broken(tmp_path, bad)
    assert "annotations/005.png holds the value 77, but no annotation holds 3" in problem


def test_another_size_than_the_image(tmp_path: Path):
    problem = broken(tmp_path, annotation(5)[:3])
    assert "images/005.png has 4x6 pixels (height x width) and its annotation" in problem
    assert "annotations/005.png 3x6: both must have one size." in problem


def test_an_all_void_annotation(tmp_path: Path):
    problem = broken(tmp_path, np.full((4, 6), 11, np.uint8))
    assert "annotations/005.png marks every pixel as void (11): remove" in problem


def test_an_annotation_in_colours(tmp_path: Path):
    problem = broken(tmp_path, photo(5))
    assert "annotations/005.png has colours (mode RGB)" in problem


def test_files_without_a_partner(tmp_path: Path):
    write_pairs(tmp_path, range(12))
    (tmp_path / "annotations/004.png").unlink()
    with pytest.raises(UserError, match=r"images/004\.png has no partner '004\.\*' in .*annotat"):
        load(SegmentationFolderConfig(path=".", clients=2), tmp_path)
    with pytest.raises(UserError, match=r"there is no folder .*/nothing"):
        load(SegmentationFolderConfig(path=".", annotations="nothing", clients=2), tmp_path)


def test_parquet_columns_are_checked(tmp_path: Path, png: Png):
    write_parquet(tmp_path / "all.parquet", png, range(9))
    with pytest.raises(UserError, match=r"data\.annotation is 'mas', .* Did you mean 'mask'"):
        load(ParquetConfig(path="all.parquet", annotation="mas", clients=2), tmp_path)
    with pytest.raises(UserError, match=r"data\.annotation is 'drive', a column of string"):
        load(ParquetConfig(path="all.parquet", annotation="drive", clients=2), tmp_path)


def test_annotations_in_memory(tmp_path: Path):
    truth = np.stack([annotation(row) for row in range(20)]).astype(np.int64)
    images = np.stack([photo(row) for row in range(20)])
    table = RawTable(images, np.zeros(20, np.int64), annotations=truth)
    tables = RawTables(table, class_names=NAMES, annotations=Annotations((11,)))
    from fedzda.platform.data.convert import convert

    convert(tables, tmp_path)
    assert (np.load(tmp_path / "train-3.npy")[0] == stored(0)).all()
    wrong = RawTables(
        RawTable(images[:, :3], np.zeros(20, np.int64), annotations=truth),
        annotations=Annotations((11,)),
    )
    with pytest.raises(UserError, match=r"the data row 0 has 3x6 pixels .* 4x6: both must"):
        convert(wrong, tmp_path)
