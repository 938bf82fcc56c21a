"""The application: which address leads where, and what happens when something goes wrong."""

from __future__ import annotations

import logging
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from fedzda.base import UserError
from fedzda.platform.dashboard.index import RunIndex
from fedzda.platform.dashboard.routes import Missing, Routes, message
from fedzda.platform.dashboard.tags import Tags

_LOG = logging.getLogger(__name__)


def make_routes(root: Path, results: list[Path]) -> Routes:
    """What the pages are made of.

    Args:
        root: Folder of run folders.
        results: Folders of result files.

    Raises:
        UserError: A folder does not exist, or ``root`` is itself a run. All problems at once.
    """
    found = [
        f"folder '{folder}' does not exist: give a folder that does, or make a run first with "
        "'fedzda run quickstart'."
        for folder in (root, *results)
        if not folder.is_dir()
    ]
    if (root / "config.yaml").is_file():
        found.append(
            f"'{root}' is one run: give the folder that it lies in, fedzda dashboard {root.parent}."
        )
    if found:
        raise UserError(*found)
    return Routes(RunIndex(root), Tags(root.resolve()), results)


def make_app(routes: Routes) -> Starlette:
    """The application, without the checks of :class:`~fedzda.platform.dashboard.access.Access`."""
    pages = {
        "/": routes.runs,
        "/events": routes.events,
        "/run": routes.run,
        "/run/panel": routes.run_panel,
        "/run/events": routes.run_events,
        "/clients": routes.clients,
        "/images": routes.images,
        "/artifact": routes.artifact,
        "/cost": routes.cost,
        "/lives": routes.lives,
        "/life": routes.life,
        "/compare": routes.compare,
        "/sweeps": routes.sweeps,
        "/sweep": routes.sweep,
        "/studies": routes.studies,
        "/study": routes.study,
        "/static/{name}": routes.static,
    }
    known = [Route(path, endpoint, methods=["GET"]) for path, endpoint in pages.items()]
    return Starlette(
        routes=[*known, Route("/tags", routes.save_tags, methods=["POST"])],
        exception_handlers={
            Missing: _missing,
            UserError: _refused,
            HTTPException: _http,
            Exception: _failed,
        },
    )


def _missing(request: Request, error: Exception) -> Response:
    return HTMLResponse(message("Not found", str(error)), 404)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, UserError)
    return HTMLResponse(message("This cannot be shown", *error.problems), 422)


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentence = {404: "There is no such page."}.get(error.status_code, f"{error.detail}.")
    return HTMLResponse(message("Not found", sentence), error.status_code, error.headers)


def _failed(request: Request, error: Exception) -> Response:
    _LOG.error("%s failed", request.url.path, exc_info=error)
    said = f"The page could not be made: {type(error).__name__}. The terminal says more."
    return HTMLResponse(message("Something went wrong", said), 500)
