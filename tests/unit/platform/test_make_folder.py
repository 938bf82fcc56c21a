"""A file where a folder is wanted is told in a sentence, before anything is run."""

from __future__ import annotations

import pytest

from fedzda.base import UserError
from fedzda.platform.export_records import export_records
from fedzda.platform.files import make_folder
from fedzda.platform.runs import new_folder

from .report.make_run import make_run


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "file").write_text("kept")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match=r"results is '.*file.*', but a file stands there"):
            make_folder(path, "results")
    make_folder(tmp_path / "a" / "b", "results")
    make_folder(tmp_path / "a" / "b", "results")
    assert (tmp_path / "file").read_text() == "kept"


def test_output_and_records(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"^output is "):
        new_folder(str(tmp_path / "file"), "name", 0, "abc")
    run = make_run(tmp_path / "run", rounds=1)
    with pytest.raises(UserError, match=r"^--out is "):
        export_records(run, tmp_path / "file")
