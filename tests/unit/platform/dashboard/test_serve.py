"""Binding: ports, tokens, addresses, and the sentences when they are wrong."""

import socket

import pytest
from typer.testing import CliRunner

from fedzda.base import UserError
from fedzda.platform.cli.app import app
from fedzda.platform.dashboard.serve import bind


@pytest.fixture
def bound():
    made = []

    def call(*arguments):
        made.append(bind(*arguments))
        return made[-1]

    yield call
    for each in made:
        each.socket.close()


def test_this_machine_needs_no_token_and_any_other_address_gets_one(bound):
    here = bound("127.0.0.1", 0, None)
    assert (here.loopback, here.token) == (True, None)
    assert here.url == f"http://127.0.0.1:{here.port}/"
    everywhere = bound("0.0.0.0", 0, None)
    assert everywhere.loopback is False
    assert len(everywhere.token) >= 32
    assert everywhere.url.endswith(f":{everywhere.port}/?token={everywhere.token}")
    assert "0.0.0.0" not in everywhere.url
    assert bound("0.0.0.0", 0, None).token != everywhere.token


def test_a_token_can_be_chosen_also_for_this_machine(bound):
    found = bound("127.0.0.1", 0, "sixteen-letters&more")
    assert found.url.endswith("/?token=sixteen-letters%26more")


@pytest.mark.parametrize("token", ["short", "é" * 20, ""])
def test_a_token_that_can_be_guessed_is_refused(token):
    with pytest.raises(UserError, match="--token must have at least 16 characters"):
        bind("127.0.0.1", 0, token)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.7", "192.168..1"])
def test_an_address_that_is_not_of_this_machine(host):
    with pytest.raises(UserError, match=r"--host .*127\.0\.0\.1"):
        bind(host, 0, None)


def test_a_port_in_use_is_a_sentence_and_exit_code_2(root):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = CliRunner().invoke(app, ["dashboard", str(root), "--port", str(port)])
    assert result.exit_code == 2
    assert f"port {port} on 127.0.0.1 is in use" in result.output


def test_folders_that_are_missing_or_a_run_are_named_all_at_once(root, tmp_path):
    result = CliRunner().invoke(
        app, ["dashboard", str(tmp_path / "no"), "--results", str(tmp_path / "neither")]
    )
    assert result.exit_code == 2
    assert result.output.count("does not exist") == 2
    result = CliRunner().invoke(app, ["dashboard", str(root / "zdac-s0")])
    assert result.exit_code == 2
    assert f"fedzda dashboard {root}" in result.output
