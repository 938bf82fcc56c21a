import errno
import os
import resource
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedzda.base import UserError
from fedzda.platform.config import DataConfig, TargetConfig
from fedzda.platform.data.federation import SPLITS, Federation, prepare
from fedzda.platform.data.partitioners.config import (
    DirichletConfig,
    FlwrDirichletConfig,
    NaturalIdConfig,
    PathologicalConfig,
    SizeConfig,
)
from fedzda.platform.data.sources.config import ArraysConfig, DigitsConfig
from fedzda.platform.data.store import stored


def arrays(npz: Path, **keys: Any) -> ArraysConfig:
    return ArraysConfig(path=str(npz), **{"clients": 5, **keys})


def bits(federation: Federation) -> bytes:
    parts = [federation._indices[split].tobytes() for split in SPLITS]
    return b"|".join(parts + [federation._offsets[split].tobytes() for split in SPLITS])


def test_every_sample_of_the_pool_is_in_one_place(npz: Path):
    config = arrays(npz, partition=DirichletConfig(alpha=0.3), validation_fraction=0.1)
    federation = prepare(config, 0, Path())
    rows = [federation.indices(c, split) for c in range(5) for split in SPLITS]
    assert sorted(np.concatenate(rows)) == list(range(180))
    assert len(federation.test["label"]) == 20
    assert sum(federation.sizes(split).sum() for split in SPLITS) == 180


def test_label_counts_are_counted(npz: Path):
    federation = prepare(arrays(npz, partition=DirichletConfig(alpha=0.3)), 0, Path())
    for split in SPLITS:
        table = federation.label_counts(split)
        assert table.shape == (5, 4)
        for client in range(5):
            labels = federation.train["label"][federation.indices(client, split)]
            assert table[client].tolist() == np.bincount(labels, minlength=4).tolist()


def test_open_gives_the_same_as_prepare_without_writing(npz: Path):
    prepared = prepare(arrays(npz), 0, Path())
    opened = Federation.open(prepared.folder)
    assert bits(opened) == bits(prepared)
    assert opened.image == prepared.image
    assert isinstance(opened.train["image"].base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        opened.train["image"][0] = 1


def test_the_seed_decides_bit_by_bit(npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = bits(prepare(arrays(npz), 0, Path()))
    assert bits(prepare(arrays(npz), 1, Path())) != first
    assert bits(prepare(arrays(npz, seed=0), 1, Path())) == first
    monkeypatch.setenv("FEDZDA_CACHE", str(tmp_path / "other"))
    assert bits(prepare(arrays(npz), 0, Path())) == first


def test_the_global_test_set_does_not_depend_on_the_seed(npz: Path):
    one, two = (prepare(arrays(npz), seed, Path()).test["image"] for seed in (0, 1))
    assert (one == two).all()


def mtimes(folder: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def test_the_cache_is_used_and_follows_content_and_keys(npz: Path, cache: Path):
    first = prepare(arrays(npz), 0, Path())
    before = mtimes(cache)
    assert prepare(arrays(npz), 0, Path()).folder == first.folder
    assert mtimes(cache) == before
    other = prepare(arrays(npz, test_fraction=0.5), 0, Path())
    assert other.folder != first.folder
    assert other.folder.parent == first.folder.parent
    assert prepare(arrays(npz, size=4), 0, Path()).folder.parent != first.folder.parent
    os.utime(npz, ns=(1, 1))
    assert prepare(arrays(npz), 0, Path()).folder.parent != first.folder.parent


def test_zero_test_fraction_leaves_the_test_parts_empty(npz: Path):
    federation = prepare(arrays(npz, test_fraction=0.0), 0, Path())
    assert federation.sizes("test").tolist() == [0] * 5
    assert federation.indices(4, "test").shape == (0,)
    assert federation.sizes("train").sum() == 180


def test_max_samples_keeps_the_label_distribution(npz: Path):
    federation = prepare(arrays(npz, max_samples=60, test_fraction=0.0), 0, Path())
    assert federation.label_counts("train").sum(axis=0).tolist() == [15] * 4


def test_an_error_that_was_hidden_by_allow_is_not_hidden_by_the_cache(npz: Path):
    block = PathologicalConfig(classes_per_client=1)
    config = arrays(npz, clients=3, partition=block)
    assert (
        prepare(config.model_copy(update={"missing_classes": "allow"}), 0, Path()).num_clients == 3
    )
    with pytest.raises(
        UserError, match=r"class \d \('\d'\) is held by no client.*raise data.clients"
    ):
        prepare(config, 0, Path())


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"clients": 181}, "data.clients is 181, but the training pool has 180 samples"),
        ({"clients": None}, "data.clients is missing: the partitioner 'iid' needs it"),
        ({"clients": 50, "max_samples": 40}, "the training pool has 40 samples"),
        ({"test_fraction": 0.6, "validation_fraction": 0.4}, "together they must stay below 1"),
        ({"partition": SizeConfig(sizes=[10, 10])}, r"data.clients is 5, .* has 2 values"),
        ({"partition": NaturalIdConfig(column="user")}, "the partitioner found 7 clients"),
        ({"partition": NaturalIdConfig(column="usr")}, "column is 'usr'.*Did you mean 'user'"),
        (
            {"clients": 90, "partition": FlwrDirichletConfig(alpha=0.01, min_partition_size=0)},
            r"leaves \d+ of 90 clients without a sample.*Raise data.partition.min_partition_size",
        ),
        ({"max_samples": 3, "clients": 1}, "the training pool has no sample of it: raise"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(
    npz: Path, cache: Path, keys: dict[str, Any], message: str
):
    with pytest.raises(UserError, match=message):
        prepare(arrays(npz, **keys), 0, Path())
    assert not list(cache.glob("data/*/splits/*"))
    assert not list(cache.glob("data/.*"))


def test_a_source_without_the_column_says_so():
    config = DigitsConfig(partition=NaturalIdConfig(column="writer"))
    with pytest.raises(UserError, match="column is 'writer', but the data set has no such column"):
        prepare(config, 0, Path())


def test_a_class_that_the_pool_lacks_is_named(tmp_path: Path):
    labels = np.repeat([0, 2], 20)
    np.savez(tmp_path / "gap.npz", image=np.zeros((40, 1, 1), np.uint8), label=labels)
    with pytest.raises(
        UserError, match=r"class 1 \('1'\) is held by no client, because the training"
    ):
        prepare(arrays(tmp_path / "gap.npz"), 0, Path())


def test_a_partitioner_of_the_users_own_and_its_edit(
    npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    source = tmp_path / "my_parts.py"
    source.write_text(
        "import numpy as np\n"
        "def stripes(labels, columns, num_clients, rng, column, step):\n"
        "    assert len(columns[column]) == len(labels)\n"
        "    order = np.roll(np.arange(len(labels)), step)\n"
        "    return order, np.linspace(0, len(labels), num_clients + 1).astype(int)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    block = TargetConfig(target="my_parts:stripes", args={"column": "user", "step": 3})
    config = arrays(npz, test_fraction=0.0).model_copy(update={"partition": block})
    federation = prepare(config, 0, Path())
    assert federation.indices(0, "train").tolist() == [*range(33), 177, 178, 179]
    os.utime(source, ns=(1, 1))
    assert prepare(config, 0, Path()).folder != federation.folder


def test_a_partitioner_of_the_users_own_that_returns_lists(
    npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "my_lists.py").write_text(
        "import numpy as np\n"
        "def deal(labels, columns, num_clients, rng):\n"
        "    return np.array_split(np.arange(len(labels)), num_clients)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = arrays(npz).model_copy(update={"partition": TargetConfig(target="my_lists:deal")})
    with pytest.raises(UserError, match="'my_lists:deal' returned a list where a tuple of two"):
        prepare(config, 0, Path())


def test_a_full_disk_is_told_and_leaves_nothing_half_made(npz: Path, cache: Path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, hard))
    try:
        with pytest.raises(UserError, match=r"the cache .* is full.*FEDZDA_CACHE") as caught:
            prepare(arrays(npz), 0, Path())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.EFBIG
    assert list((cache / "data").iterdir()) == []
    assert prepare(arrays(npz), 0, Path()).num_clients == 5


def test_a_cache_that_is_a_file_is_told(npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FEDZDA_CACHE", str(npz))
    with pytest.raises(UserError, match="cannot be written"):
        prepare(arrays(npz), 0, Path())


def test_two_builders_at_once_leave_one_whole_folder(tmp_path: Path):
    both_building = threading.Barrier(2, timeout=20)
    target = tmp_path / "deep" / "folder"
    results: list[Path] = []

    def build(folder: Path) -> None:
        both_building.wait()
        (folder / "part").write_text("whole")

    def work() -> None:
        results.append(stored(target, build))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [target, target]
    assert (target / "part").read_text() == "whole"
    assert [path.name for path in target.parent.iterdir()] == ["folder"]


def test_shared_keys_stay_out_of_the_content(npz: Path):
    """A new key of DataConfig must not make every data set convert again."""
    shared = set(DataConfig.model_fields) - {"name"}
    assert not shared & {"path", "image", "label", "size", "channels"}
    two = [prepare(arrays(npz, missing_classes=m), 0, Path()) for m in ("fail", "allow")]
    assert two[0].folder.parent == two[1].folder.parent
