import pytest
from PIL import Image

from fedzda.base import UserError
from fedzda.vision.restoration.folders import find


def put(folder, *names):
    folder.mkdir(parents=True)
    for name in names:
        Image.new("RGB", (4, 4)).save(folder / name)


def names(paths):
    return [path.name for path in paths]


def test_div2k_pairs_by_name(tmp_path):
    put(tmp_path / "DIV2K_train_HR", "0002.png", "0001.png")
    found = find(tmp_path, "div2k", "train")
    assert (names(found.large), found.small, found.paired) == (["0001.png", "0002.png"], [], False)
    put(tmp_path / "DIV2K_train_LR_bicubic" / "X4", "0001x4.png", "0002x4.png")
    found = find(tmp_path, "div2k", "train")
    assert names(found.small) == ["0001x4.png", "0002x4.png"]
    assert found.paired
    put(tmp_path / "DIV2K_valid_HR", "0801.png")
    put(tmp_path / "DIV2K_valid_LR_bicubic" / "X2", "0802x2.png")
    with pytest.raises(UserError, match=r"0801x2\.png is missing"):
        find(tmp_path, "div2k", "valid", scale=2)


def test_flickr2k_has_training_images_only(tmp_path):
    put(tmp_path / "Flickr2K_HR", "000001.png")
    assert names(find(tmp_path, "flickr2k", "train").large) == ["000001.png"]
    with pytest.raises(UserError, match=r"no published split 'valid'. Choose one of: train\."):
        find(tmp_path, "flickr2k", "valid")


def test_unknown_names_are_refused(tmp_path):
    put(tmp_path / "Flickr2K_HR", "000001.png")
    with pytest.raises(UserError, match=r"choose one of div2k, .*got 'DIV2K'"):
        find(tmp_path, "DIV2K", "train")
    with pytest.raises(UserError, match=r"'validation'. Choose one of: train, valid, test\."):
        find(tmp_path, "ntire2020-track1", "validation")
    with pytest.raises(UserError, match=r"'test'. Choose one of: train, valid\."):
        find(tmp_path, "div2k", "test")


@pytest.mark.parametrize(
    ("layout", "folders"),
    [
        (
            "ntire2020-track1",
            ["Corrupted-tr-x", "Corrupted-tr-y", "Corrupted-va-x", "Corrupted-te-x"],
        ),
        (
            "ntire2020-track2",
            ["DPEDiphone-tr-x", "DPEDiphone-tr-y", "DPEDiphone-va", "DPEDiphone-crop-te-x"],
        ),
    ],
)
def test_the_challenge_has_no_pairs(tmp_path, layout, folders):
    for folder in folders:
        put(tmp_path / folder, f"{folder}.jpg")
    train = find(tmp_path, layout, "train")
    assert names([*train.small, *train.large]) == [f"{f}.jpg" for f in folders[:2]]
    assert not train.paired
    for split, folder in (("valid", folders[2]), ("test", folders[3])):
        found = find(tmp_path, layout, split)
        assert (names(found.small), found.large) == ([f"{folder}.jpg"], [])


def test_missing_and_empty_folders(tmp_path):
    with pytest.raises(UserError, match="there is no folder"):
        find(tmp_path, "div2k", "train")
    put(tmp_path / "DIV2K_train_HR")
    with pytest.raises(UserError, match="has no images"):
        find(tmp_path, "div2k", "train")
