import pytest

from fedzda.platform.engines.base import SHARE, cores


@pytest.mark.parametrize("share", ["", "0", "x", "-1", "4096"])
def test_all_cores_of_the_machine_unless_there_is_a_share(share, monkeypatch):
    monkeypatch.delenv(SHARE, raising=False)
    every = cores()
    monkeypatch.setenv(SHARE, share)
    assert cores() == every >= 1


def test_a_share(monkeypatch):
    monkeypatch.setenv(SHARE, "1")
    assert cores() == 1
