import pytest

TEXT = """\
name: tiny
data: {name: digits, clients: 4, partition: {name: dirichlet, alpha: 1.0}}
model: {name: mlp}
strategy: {name: fed-avg}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working directory with a small simulation, ``sim.yaml``, and an empty cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEDZDA_CACHE", str(tmp_path / "cache"))
    (tmp_path / "sim.yaml").write_text(TEXT, encoding="utf-8")
    return tmp_path
