"""From requests to pages. Parameters are looked up among what is known, never made into paths."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)

from fedzda.base import UserError
from fedzda.platform.dashboard import live, shell
from fedzda.platform.dashboard.card import RunCard
from fedzda.platform.dashboard.index import RunIndex
from fedzda.platform.dashboard.pages import (
    clients,
    compare,
    cost,
    images,
    lives,
    run,
    runs,
    studies,
    sweeps,
)
from fedzda.platform.dashboard.results import ResultSet, result_sets
from fedzda.platform.dashboard.static import asset
from fedzda.platform.dashboard.tags import Tags
from fedzda.platform.report.markup import Markup, join

MAX_FORM_BYTES = 16_384


class Missing(Exception):
    """There is no such page, run, picture or study. Carries the sentence to show."""


@dataclass
class Routes:
    """The pages of one dashboard.

    Attributes:
        index: Its runs.
        tags: Their tags.
        results: Folders of result files.
        stopping: Whether the server is about to stop; streams end then.
    """

    index: RunIndex
    tags: Tags
    results: Sequence[Path] = ()
    stopping: Callable[[], bool] = field(default=lambda: False)

    # -- the list ----------------------------------------------------------------------------

    def runs(self, request: Request) -> Response:
        """All runs."""
        cards = self.index.cards()
        tags, problems = self._tags()
        wanted = runs.Wanted.of(request.query_params)
        outside = self.index.outside
        return HTMLResponse(
            runs.page(cards, tags, wanted, time.time(), outside=outside, problems=problems)
        )

    def events(self, request: Request) -> Response:
        """What changes in the list."""
        return _stream(live.list_events(self.index, self._over(request)))

    # -- one run -----------------------------------------------------------------------------

    def run(self, request: Request) -> Response:
        """One run."""
        card = self._card(request)
        return HTMLResponse(self._run_page(card))

    def run_panel(self, request: Request) -> Response:
        """The part of a run's page that is replaced while it is live."""
        return HTMLResponse(self._panel(self._card(request)))

    def run_events(self, request: Request) -> Response:
        """Where a run stands."""
        card = self._card(request)
        return _stream(live.run_events(self.index, card.id, self._over(request)))

    def clients(self, request: Request) -> Response:
        """The client explorer."""
        client, place = (_number(request, name) for name in ("client", "page"))
        return self._of_run(
            request, lambda card: clients.page(card, time.time(), client, place or 1)
        )

    def images(self, request: Request) -> Response:
        """The pictures of a run."""
        return self._of_run(request, lambda card: images.page(card, time.time()))

    def artifact(self, request: Request) -> Response:
        """One picture."""
        folder = self.index.folder(self._card(request).id)
        found = images.picture(folder, request.query_params.get("name", ""))
        if found is None:
            raise Missing("This run has no such picture.")
        return FileResponse(found, media_type="image/png")

    def cost(self, request: Request) -> Response:
        """Devices and cost of a run."""
        return self._of_run(request, lambda card: cost.page(card, time.time()))

    async def save_tags(self, request: Request) -> Response:
        """Take the form that changes a run's tags, and go back to its page."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_FORM_BYTES:
                return HTMLResponse(message("Too long", "The form is too long."), 413)
        fields = parse_qs(bytes(body).decode("utf-8", "replace"), keep_blank_values=True)
        run_id, text = (fields.get(name, [""])[0] for name in ("run", "tags"))
        return await run_in_threadpool(self._saved, run_id, text)

    def _saved(self, run_id: str, text: str) -> Response:
        card = self.index.card(run_id)
        if card is None:
            raise Missing("There is no such run in this folder.")
        try:
            self.tags.set(card.id, text)
        except UserError as error:
            return HTMLResponse(self._run_page(card, error.problems), 422)
        return RedirectResponse(shell.href("/run", run=card.id), 303)

    # -- lives ---------------------------------------------------------------------------------

    def lives(self, request: Request) -> Response:
        """All lives of models."""
        self.index.cards()
        return HTMLResponse(lives.listing({id_: self._life(id_) for id_ in self.index.lives}))

    def life(self, request: Request) -> Response:
        """The life of one model."""
        id_ = request.query_params.get("life", "")
        path = self.index.life(id_)
        if path is None:
            raise Missing("There is no such life in this folder. It may have been removed.")
        return HTMLResponse(lives.page(id_, path))

    # -- several runs, sweeps, studies ---------------------------------------------------------

    def compare(self, request: Request) -> Response:
        """Runs side by side."""
        ids = list(dict.fromkeys(request.query_params.getlist("run")))
        cards = [card for card in map(self.index.card, ids) if card is not None]
        for card in cards:
            self.index.folder(card.id)
        return HTMLResponse(compare.page(cards, request.query_params.get("base", ""), time.time()))

    def sweeps(self, request: Request) -> Response:
        """All sweeps."""
        return HTMLResponse(sweeps.listing(result_sets(self.results), bool(self.results)))

    def sweep(self, request: Request) -> Response:
        """One sweep."""
        found = self._set(request)
        if not found.sweep:
            raise Missing("These are results of a study, not of a sweep.")
        return HTMLResponse(sweeps.page(found, request.query_params))

    def studies(self, request: Request) -> Response:
        """All studies."""
        return HTMLResponse(studies.listing(result_sets(self.results), bool(self.results)))

    def study(self, request: Request) -> Response:
        """One study."""
        return HTMLResponse(studies.page(self._set(request)))

    # -- files of the package -------------------------------------------------------------------

    def static(self, request: Request) -> Response:
        """Style sheets, scripts and the icon."""
        found = asset(request.path_params["name"])
        if found is None:
            raise Missing("There is no such file.")
        return Response(found.content, media_type=found.media_type)

    # -- what they share ------------------------------------------------------------------------

    def _card(self, request: Request) -> RunCard:
        card = self.index.card(request.query_params.get("run", ""))
        if card is None:
            raise Missing("There is no such run in this folder. It may have been removed.")
        return card

    def _life(self, id_: str) -> Path | None:
        try:
            return self.index.life(id_)
        except UserError:
            return None

    def _set(self, request: Request) -> ResultSet:
        found = result_sets(self.results).get(request.query_params.get("results", ""))
        if found is None:
            raise Missing("There are no such results in the folders given with --results.")
        return found

    def _tags(self) -> tuple[dict[str, list[str]], Sequence[str]]:
        try:
            return self.tags.all(), ()
        except UserError as error:
            return {}, error.problems

    def _run_page(self, card: RunCard, said: Sequence[str] = ()) -> str:
        tags, problems = self._tags()
        content = self._panel(card)
        return run.page(card, tags.get(card.id, []), content, time.time(), [*said, *problems])

    def _panel(self, card: RunCard) -> Markup:
        try:
            self.index.folder(card.id)
            return run.panel(card)
        except UserError as error:
            return join(shell.note("This run cannot be shown."), shell.problems(error.problems))

    def _of_run(self, request: Request, make: Callable[[RunCard], str]) -> Response:
        card = self._card(request)
        try:
            self.index.folder(card.id)
            return HTMLResponse(make(card))
        except UserError as error:
            return HTMLResponse(
                message("This run cannot be shown", *error.problems, kicker=card.name), 422
            )

    def _over(self, request: Request) -> Callable[[], Awaitable[bool]]:
        async def over() -> bool:
            return self.stopping() or await request.is_disconnected()

        return over


def message(title: str, *sentences: str, kicker: str = "dashboard") -> str:
    """A page that says what went wrong."""
    back = shell.note("Go back to ", Markup('<a href="/">all runs</a>'), ".")
    return shell.document(title, shell.heading(title, kicker), shell.problems(sentences), back)


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 16 else None


def _stream(content: AsyncIterator[str]) -> Response:
    return StreamingResponse(content, media_type="text/event-stream")
