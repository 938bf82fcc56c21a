"""Lives in the dashboard: the list, a page, its links, and what must not be read."""

import pytest

from ..report.test_life import make_life


@pytest.fixture
def lives(tmp_path):
    folder = tmp_path / "runs"
    folder.mkdir()
    make_life(folder / "mine")
    return folder


def test_a_life_and_its_stages(visit, lives):
    listing = visit("/lives", folder=lives)
    assert listing.status_code == 200
    assert "/life?life=mine" in listing.text
    assert "3 of 4" in listing.text
    page = visit("/life?life=mine", folder=lives)
    assert page.status_code == 200
    assert "They learn." in page.text
    assert "/run?run=mine%2Ftrain" in page.text
    assert visit("/run?run=mine%2Ftrain", folder=lives).status_code == 200
    assert "mine/train" in visit("/", folder=lives).text


def test_no_life(visit, root):
    assert "fedzda run lifecycle" in visit("/lives").text
    for id_ in ("mine", "..", "", "zdac-s0"):
        assert visit(f"/life?life={id_}").status_code == 404


def test_damaged_files_and_links_to_outside(visit, lives, tmp_path):
    (tmp_path / "secret.json").write_text("{}")
    (lives / "mine" / "stages.json").unlink()
    (lives / "mine" / "stages.json").symlink_to(tmp_path / "secret.json")
    assert "unreadable" in visit("/lives", folder=lives).text
    refused = visit("/life?life=mine", folder=lives)
    assert refused.status_code == 422
    assert "is a link to outside" in refused.text
    (lives / "mine" / "stages.json").unlink()
    (lives / "mine" / "stages.json").write_text("{")
    assert "unreadable" in visit("/lives", folder=lives).text
    assert visit("/life?life=mine", folder=lives).status_code == 422
