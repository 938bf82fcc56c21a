import multiprocessing
import os

import pytest

from fedzda.base import UserError
from fedzda.platform.lock import sole_player


def hold(folder, held, release):
    with sole_player(folder):
        held.set()
        release.wait(30)


def test_a_run_folder_has_one_player_at_a_time(tmp_path):
    context = multiprocessing.get_context("fork")
    held, release = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path, held, release))
    other.start()
    assert held.wait(30)
    with pytest.raises(UserError, match=f"played by process {other.pid}"), sole_player(tmp_path):
        pass
    other.kill()  # no clean end: the system lets go of the lock all the same
    other.join()
    with sole_player(tmp_path):
        assert (tmp_path / "lock").read_text() == str(os.getpid())
