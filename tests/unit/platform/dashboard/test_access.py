"""Who may see the dashboard, and what its answers allow a page to do."""

import pytest

from fedzda.platform.dashboard.access import HEADERS, is_loopback

TOKEN = "a-token-of-the-test"


@pytest.mark.parametrize("host", ["127.0.0.1:8642", "localhost:9999", "LOCALHOST", "[::1]:8642"])
def test_this_machine_is_answered_under_its_own_names(visit, host):
    assert visit("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example:8642", "127.0.0.1.evil.example", "", "[::1", "a b"])
def test_another_name_is_refused_even_if_it_resolves_here(visit, host):
    answer = visit("/", headers={"host": host})
    assert answer.status_code == 403
    assert "localhost and 127.0.0.1 only" in answer.text


def test_every_answer_is_sealed(visit):
    paths = ("/", "/nowhere", "/static/page.css", "/run?run=nothing", "/events/../x")
    for path in paths:
        answer = visit(path)
        assert {name: answer.headers[name.lower()] for name in HEADERS} == HEADERS, path
    refused = visit("/", headers={"host": "evil.example"})
    assert refused.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


def test_a_token_is_asked_for_once_and_kept_out_of_the_address(visit):
    client = visit.client(token=TOKEN, loopback=False)
    assert client.get("/").status_code == 401
    assert client.get("/static/page.css").status_code == 401
    assert client.get("/?token=another").status_code == 401
    answer = client.get(f"/run?run=zdac-s0&token={TOKEN}")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/run?run=zdac-s0"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert TOKEN not in cookie
    assert client.get("/run?run=zdac-s0").status_code == 200


def test_a_wrong_cookie_is_no_token(visit):
    client = visit.client(token=TOKEN, loopback=False)
    for value in (TOKEN, "ü", ""):
        client.cookies["fedzda_8642"] = value
        assert client.get("/").status_code == 401


def test_the_redirection_stays_on_this_host(visit):
    client = visit.client(token=TOKEN, loopback=False)
    answer = client.get(f"//evil.example/?token={TOKEN}")
    assert answer.headers["location"] == "/evil.example/"


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://127.0.0.1:1"])
def test_forms_of_other_pages_are_refused(visit, origin, root):
    headers = {} if origin is None else {"origin": origin}
    answer = visit.client().post("/tags", data={"run": "zdac-s0", "tags": "x"}, headers=headers)
    assert answer.status_code == 403
    assert not (root / "tags.json").exists()


def test_addresses_that_only_this_machine_reaches():
    assert [is_loopback(a) for a in ("127.0.0.1", "127.8.8.8", "::1")] == [True] * 3
    assert [is_loopback(a) for a in ("0.0.0.0", "192.168.0.2", "::", "fe80::1%lo")] == [False] * 4
