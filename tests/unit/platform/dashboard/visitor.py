"""Calls an ASGI application in this process: a request in, an answer out, cookies kept."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http.cookies import SimpleCookie
from urllib.parse import unquote, urlencode


@dataclass
class Answer:
    status_code: int
    headers: dict[str, str]
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode("utf-8")


class Visitor:
    def __init__(self, app, host="127.0.0.1:8642"):
        self.app, self.host = app, host
        self.cookies: dict[str, str] = {}

    def get(self, path, headers=None):
        return self._ask("GET", path, b"", headers)

    def post(self, path, data, headers=None):
        return self._ask("POST", path, urlencode(data).encode(), headers)

    def _ask(self, method, target, body, headers):
        path, _, query = target.partition("?")
        sent = {"host": self.host, **(headers or {})}
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        scope = {
            **{"type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}},
            **{"http_version": "1.1", "scheme": "http", "root_path": "", "method": method},
            **{"path": unquote(path), "raw_path": path.encode(), "query_string": query.encode()},
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in sent.items()],
            "server": ("127.0.0.1", 8642),
        }
        answer = asyncio.run(self._call(scope, body))
        cookies = SimpleCookie(answer.headers.get("set-cookie", ""))
        self.cookies |= {name: morsel.value for name, morsel in cookies.items()}
        return answer

    async def _call(self, scope, body):
        messages, waiting = [], [{"type": "http.request", "body": body, "more_body": False}]

        async def receive():
            return waiting.pop(0) if waiting else {"type": "http.disconnect"}

        async def send(message):
            messages.append(message)

        try:
            await self.app(scope, receive, send)
        except Exception:  # Starlette answers first and then passes the error on
            if not messages:
                raise
        start = next(m for m in messages if m["type"] == "http.response.start")
        found = {k.decode(): v.decode("latin-1") for k, v in start["headers"]}
        parts = [m.get("body", b"") for m in messages if m["type"] == "http.response.body"]
        return Answer(start["status"], found, b"".join(parts))
