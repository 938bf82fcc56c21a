from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fedzda.base import UserError
from fedzda.platform.data.images import Standardiser
from fedzda.platform.data.labels import encode
from fedzda.platform.data.sources.raw import RawImage, RawTable, RawTables

Png = Callable[..., bytes]


def standard(images: object, size: int | None = None, channels: object = "auto") -> np.ndarray:
    if isinstance(images, list):
        items = [RawImage(f"row {row}", image) for row, image in enumerate(images)]

        def source() -> Iterator[RawImage]:
            yield from items

        images = source
    return np.concatenate(list(Standardiser(size, channels).chunks(images, "toy")))  # type: ignore[arg-type]


GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)
RGB = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)


def test_encoded_grey_and_colour_keep_their_pixels(png: Png):
    assert (standard([png(GREY), png(GREY + 1)])[:, 0] == [GREY, GREY + 1]).all()
    assert (standard([png(RGB)])[0] == RGB.transpose(2, 0, 1)).all()


def test_arrays_of_any_layout_become_channels_first():
    batch = np.stack([RGB, RGB + 1])
    expected = batch.transpose(0, 3, 1, 2)
    assert (standard(batch) == expected).all()
    assert (standard(expected) == expected).all()
    assert standard(batch[..., 0]).shape == (2, 1, 3, 4)


def test_floats_in_unit_range_are_scaled_and_others_refused():
    assert standard(np.full((1, 2, 2), 0.5)).ravel().tolist() == [128] * 4
    with pytest.raises(UserError, match=r"hold values from 0 to 255: floats must lie in \[0, 1\]"):
        standard(np.array([[[0.0, 255.0]]]))
    with pytest.raises(UserError, match=r"nan"):
        standard(np.array([[[0.0, np.nan]]]))
    with pytest.raises(UserError, match="are int64: they must be uint8"):
        standard(np.zeros((1, 2, 2), dtype=np.int64))


def test_many_images_pass_in_pieces(monkeypatch: pytest.MonkeyPatch, png: Png):
    monkeypatch.setattr("fedzda.platform.data.images.CHUNK_BYTES", 30)
    batch = np.stack([GREY + i for i in range(7)])
    for images in (batch, (lambda: (RawImage("x", png(image)) for image in batch))):
        pieces = list(Standardiser(None, "auto").chunks(images, "toy"))
        assert len(pieces) > 2
        assert (np.concatenate(pieces)[:, 0] == batch).all()


def test_size_and_channels_convert(png: Png):
    both = standard(
        [png(np.full((5, 9, 3), 90, np.uint8)), png(np.full((2, 2), 90, np.uint8))], 4, 1
    )
    assert both.shape == (2, 1, 4, 4)
    assert (both == 90).all()
    assert standard(np.stack([GREY]), 6, 3).shape == (1, 3, 6, 6)


def test_a_difference_without_the_option_names_the_image(png: Png):
    with pytest.raises(UserError, match=r"image row 1 has shape \(1, 2, 2\).*set data.size"):
        standard([png(GREY), png(np.zeros((2, 2), np.uint8))])
    with pytest.raises(UserError, match=r"image row 1 has shape \(3, 3, 4\).*data.channels"):
        standard([png(GREY), png(RGB)])


def test_sixteen_bits_are_brought_to_eight(png: Png):
    deep = np.array([[0, 257 * 7, 65535]], dtype=np.uint16)
    assert standard([png(deep)]).ravel().tolist() == [0, 7, 255]


def test_a_camera_turn_is_undone(tmp_path: Path):
    picture = Image.fromarray(GREY)
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.png", exif=exif)
    assert standard([tmp_path / "turned.png"]).shape == (1, 1, 4, 3)


@pytest.mark.parametrize("damage", [b"", b"not an image", "cut"])
def test_an_unreadable_image_is_named(damage: object, png: Png):
    bad = png(np.zeros((50, 50), np.uint8))[:60] if damage == "cut" else damage
    with pytest.raises(UserError, match=r"image row 1 cannot be read.*repair or remove"):
        standard([png(GREY), bad])


def tables(labels: object, test: object = None, names: list[str] | None = None) -> RawTables:
    def table(values: object, where: str) -> RawTable:
        array = np.asarray(values)
        return RawTable(np.zeros((len(array), 1, 1), np.uint8), array, where=where)

    return RawTables(
        table(labels, "train"), None if test is None else table(test, "test"), class_names=names
    )


def test_strings_are_numbered_in_sorted_order_over_both_splits():
    train, test, names = encode(tables(["dog", "ant", "dog"], ["cat", "ant"]))
    assert names == ["ant", "cat", "dog"]
    assert train.tolist() == [2, 0, 2]
    assert test is not None
    assert test.tolist() == [1, 0]


def test_integers_booleans_and_whole_floats_are_taken():
    assert encode(tables([0, 2, 1]))[2] == ["0", "1", "2"]
    assert encode(tables([True, False]))[0].tolist() == [1, 0]
    assert encode(tables([0.0, 1.0]))[0].dtype == np.int64


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        ([], None, "train is empty"),
        ([0, -1], None, "train row 1 has the label -1: labels must be 0 or more"),
        ([0.0, np.nan], None, "train row 1 has the label nan: labels must be whole"),
        ([0.5, 1.0], None, "train row 0 has the label 0.5"),
        ([0, 3], ["a", "b"], "row 1 has the label 3: there are only 2 classes"),
        ([0, 1990], None, "holds the label 1990 in 2 rows"),
        (["a", "z"], ["a", "b"], "holds the label 'z', which is none of a, b"),
    ],
)
def test_bad_labels_are_named(labels: object, names: list[str] | None, message: str):
    with pytest.raises(UserError, match=message):
        encode(tables(labels, names=names))


def test_images_and_labels_must_agree_in_number():
    with pytest.raises(UserError, match=r"images of toy have shape \(2, 1, 1\)"):
        RawTable(np.zeros((2, 1, 1), np.uint8), np.zeros(3, int), where="toy")


def test_files_of_floats_keep_their_grey_levels(tmp_path: Path):
    levels = np.array([[0.0, 0.5], [0.25, 1.0]], dtype=np.float32)
    Image.fromarray(levels).save(tmp_path / "a.tif")
    assert standard([tmp_path / "a.tif"])[0, 0].tolist() == [[0, 128], [64, 255]]
    Image.fromarray(np.array([[0, 70_000]], dtype=np.int32)).save(tmp_path / "c.tif")
    with pytest.raises(UserError, match=r"row 0 holds grey values from 0 to 70000: they must lie"):
        standard([tmp_path / "c.tif"])
    Image.fromarray(240 * levels).save(tmp_path / "d.tif")
    assert standard([tmp_path / "d.tif"])[0, 0].tolist() == [[0, 120], [60, 240]]
    Image.fromarray(4000 * levels).save(tmp_path / "b.tif")
    with pytest.raises(UserError, match=r"row 0 hold values from 0 to 4000: floats must lie in"):
        standard([tmp_path / "b.tif"])
