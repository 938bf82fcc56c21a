"""``fedzda dashboard``: runs, sweeps and studies in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def dashboard(
    runs: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help="The folder that run folders lie in.")
    ] = Path("runs"),
    results: Annotated[
        list[Path] | None,
        typer.Option(
            "--results",
            metavar="FOLDER",
            help="Result files of sweeps and studies to show as well; repeatable.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="Address to be reached at; any but this machine's: token.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")
    ] = 8642,
    token: Annotated[
        str | None,
        typer.Option("--token", help="What visitors must know; made if it is needed and left out."),
    ] = None,
) -> None:
    """Show runs in the browser, live while they run.

    Nothing is sent anywhere, and run folders are only read; tags lie in tags.json beside them.
    """
    from fedzda.platform.dashboard.app import make_routes
    from fedzda.platform.dashboard.serve import bind, serve

    routes = make_routes(runs, results or [])
    bound = bind(host, port, token)
    routes.index.cards()  # all runs are read once now, so that the first page need not wait
    serve(routes, bound, lambda: typer.echo(f"dashboard: {bound.url}\nstop it with Ctrl-C"))
