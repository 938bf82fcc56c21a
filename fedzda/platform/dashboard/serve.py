"""Binding to an address, and serving until interrupted."""

from __future__ import annotations

import errno
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

import uvicorn

from fedzda.base import UserError
from fedzda.platform.dashboard.access import Access, is_loopback
from fedzda.platform.dashboard.app import make_app
from fedzda.platform.dashboard.routes import Routes

MIN_TOKEN = 16
"""Fewest characters of a token: shorter ones can be guessed."""
_STOP_SEC = 2


@dataclass(frozen=True)
class Bound:
    """A socket that is bound, and what follows from where.

    Attributes:
        socket: The socket, not listening yet.
        host: The name it was asked to be bound to.
        port: Its port.
        loopback: Whether it can be reached from this machine only.
        token: What visitors must know; None on this machine unless one was asked for.
    """

    socket: socket.socket
    host: str
    port: int
    loopback: bool
    token: str | None

    @property
    def url(self) -> str:
        """The address to open, token included."""
        anywhere = self.host in ("0.0.0.0", "::")  # noqa: S104  # compared, not bound
        name = socket.gethostname() if anywhere else self.host
        name = f"[{name}]" if ":" in name else name
        query = "" if self.token is None else f"?token={quote(self.token, safe='')}"
        return f"http://{name}:{self.port}/{query}"


def bind(host: str, port: int, token: str | None) -> Bound:
    """Take an address; any but this machine's own gets a token if none was given.

    Raises:
        UserError: The address is unknown, taken or not allowed, or the token is too short.
    """
    if token is not None and (len(token) < MIN_TOKEN or not token.isascii()):
        raise UserError(
            f"--token must have at least {MIN_TOKEN} characters, all of them ASCII (found "
            f"{len(token)}). Leave it out and one is made."
        )
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, OverflowError, UnicodeError) as error:
        raise UserError(
            f"--host '{host}' cannot be looked up: {error}. Use 127.0.0.1, or an address of this "
            "machine."
        ) from error
    made = socket.socket(family, kind, proto)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(address)
        made.listen(1)  # two that share an address both bind; only one of them can listen
    except OSError as error:
        made.close()
        raise UserError(_unbound(host, port, error)) from error
    loopback = is_loopback(str(address[0]))
    if token is None and not loopback:
        token = secrets.token_urlsafe(24)
    return Bound(made, host, made.getsockname()[1], loopback, token)


def _unbound(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} on {host} is in use, perhaps by another dashboard: choose another one "
            f"with --port {port + 1}, or --port 0 for any that is free."
        )
    if error.errno == errno.EACCES:
        return f"port {port} needs rights that this user lacks: choose one above 1023 with --port."
    return f"--host {host} is no address of this machine ({error.strerror}): use 127.0.0.1."


def serve(routes: Routes, bound: Bound, ready: Callable[[], None]) -> None:
    """Serve until interrupted.

    Args:
        routes: The pages.
        bound: Where.
        ready: Called when visitors can come.
    """
    app = Access(
        make_app(routes),
        host=bound.host,
        port=bound.port,
        loopback=bound.loopback,
        token=bound.token,
    )
    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,  # it would write the token to the terminal
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=_STOP_SEC,
    )
    server = _Server(config, ready)
    routes.stopping = lambda: server.should_exit
    try:
        server.run(sockets=[bound.socket])
    except KeyboardInterrupt:  # uvicorn passes on the signal that it stopped for
        pass
    finally:
        bound.socket.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, and say so."""
        await super().startup(sockets=sockets)
        self._ready()
