"""A folder of small runs, and a visitor who looks at its dashboard."""

import pytest

from fedzda.platform.dashboard.access import Access
from fedzda.platform.dashboard.app import make_app, make_routes

from ..report.make_run import make_run, unfinish
from .visitor import Visitor


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    """Two finished runs of one configuration, one of another, an interrupted one in a sub-folder.

    Tests read them only; what they change, they copy.
    """
    folder = tmp_path_factory.mktemp("dashboard") / "runs"
    for seed in (0, 1):
        make_run(folder / f"zdac-s{seed}", seed=seed)
    other = {"strategy": {"name": "fed-avg", "clients_per_round": 10}, "name": "fed-avg-digits"}
    make_run(folder / "avg-s0", seed=0, shift=-0.1, **other)
    unfinish(make_run(folder / "more" / "early", seed=2))
    return folder


@pytest.fixture
def visit(root):
    """``visit(path, root=…, results=[…], token=…)`` gives an answer of the dashboard."""

    def client(folder=root, results=(), token=None, loopback=True):
        app = make_app(make_routes(folder, list(results)))
        return Visitor(Access(app, host="127.0.0.1", port=8642, loopback=loopback, token=token))

    def call(path, folder=root, **how):
        headers = how.pop("headers", {})
        return client(folder, **how).get(path, headers)

    call.client = client
    return call
