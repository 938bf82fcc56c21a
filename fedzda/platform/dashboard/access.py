"""Who may see the dashboard, and what a page of it may do.

- Bound to this machine only, a page of another site could reach it by letting its own name resolve
  to 127.0.0.1 (DNS rebinding): requests must name this machine.
- Bound to any other address, a token is needed: once in the address, then in a cookie.
- Forms are taken only from the dashboard's own pages.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_LOCAL = ("localhost", "127.0.0.1", "::1")


def is_loopback(address: str) -> bool:
    """Whether an IP address can be reached from this machine only."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


class Access:
    """Checks every request before the application sees it, and seals every answer.

    Args:
        app: The application.
        host: The name it was bound to.
        port: Its port; part of the cookie's name, because cookies do not know ports.
        loopback: Whether it can be reached from this machine only.
        token: What visitors must know; None lets everybody in who can reach it.
    """

    def __init__(
        self, app: ASGIApp, *, host: str, port: int, loopback: bool, token: str | None
    ) -> None:
        self.app = app
        self.names = {*_LOCAL, host.lower()} if loopback else None
        self.token = token
        self.cookie = f"fedzda_{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        answer = self._answer(Request(scope)) or self.app
        await answer(scope, receive, sealed)

    def _answer(self, request: Request) -> Response | None:
        """A refusal or a redirection; None for a request that may pass."""
        if self.names is not None and _host(request) not in self.names:
            return _refused(
                403, "This dashboard answers to localhost and 127.0.0.1 only. Use that address."
            )
        if self.token is not None and (answer := self._knows_token(request, self.token)):
            return answer
        if request.method not in ("GET", "HEAD") and not _own_form(request):
            return _refused(403, "Forms are taken from the dashboard's own pages only.")
        return None

    def _knows_token(self, request: Request, token: str) -> Response | None:
        expected = hmac.new(token.encode(), b"fedzda dashboard", hashlib.sha256).hexdigest()
        given = request.query_params.get("token")
        if given is not None and _equal(given, token) and request.method == "GET":
            rest = [(k, v) for k, v in request.query_params.multi_items() if k != "token"]
            path = "/" + request.url.path.lstrip("/")  # two slashes would name another host
            answer = RedirectResponse(f"{path}?{urlencode(rest)}" if rest else path, 303)
            # lax: with strict, the first visit from a link elsewhere would lose it on the way
            answer.set_cookie(self.cookie, expected, httponly=True, samesite="lax", path="/")
            return answer
        if _equal(request.cookies.get(self.cookie, ""), expected):
            return None
        return _refused(
            401, "This dashboard needs its token. Open the address that 'fedzda dashboard' printed."
        )


def _equal(given: str, expected: str) -> bool:
    """Comparison in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def _host(request: Request) -> str:
    """The name in the Host header, without the port."""
    try:
        return (urlsplit(f"//{request.headers.get('host', '')}").hostname or "").lower()
    except ValueError:
        return ""


def _own_form(request: Request) -> bool:
    """Whether a form was sent by a page of this address: browsers say where it comes from."""
    try:
        origin = urlsplit(request.headers.get("origin", ""))
    except ValueError:
        return False
    return origin.netloc != "" and origin.netloc == request.headers.get("host")


def _refused(code: int, sentence: str) -> Response:
    return PlainTextResponse(f"{sentence}\n", status_code=code)
