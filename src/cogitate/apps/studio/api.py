"""The studio's server: a JSON API for annotators with keys, and the page. What is refused before is in `cogitate.web`."""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from cogitate import __version__
from cogitate.apps.studio import view
from cogitate.apps.studio.agreement import agreement
from cogitate.apps.studio.queue import Filter, Order, State
from cogitate.apps.studio.reading import read, word_diff
from cogitate.apps.studio.sources import LONGEST_ID, text_of
from cogitate.apps.studio.studio import MOST_TEXT, OF_WORK, Refused, Studio
from cogitate.errors import CogitateError
from cogitate.web.protect import Application, error_body, key_name, protect
from cogitate.web.rules import Rules

SCRIPTS = ("dialogs.js", "item.js", "keys.js", "list.js", "panels.js", "server.js", "state.js", "studio.js", "text.js")
PAGE = {
    "/": ("index.html", "text/html"),
    "/static/studio.css": ("studio.css", "text/css"),
    **{f"/static/{name}": (name, "text/javascript") for name in SCRIPTS},
}
MOST_ROWS = 200
FIRST_ITEMS, FIRST_ROWS = 200, 40  # of a queue, with which a page opens


class Body(BaseModel):
    """Base of all bodies: closed to keys it does not know."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Action(Body):
    """A decision, a skip or a remark; see `Studio.act`."""

    do: Literal["accept", "edit", "reject", "prefer", "label", "skip", "note", "tags"]
    item: str = Field(max_length=LONGEST_ID)
    text: str | None = Field(None, max_length=MOST_TEXT)
    contested: str | None = Field(None, max_length=MOST_TEXT)
    choice: Literal["left", "right", "tie", "both_bad", "safe", "unsafe"] | None = None
    note: str | None = Field(None, max_length=MOST_TEXT)
    tags: list[str] | None = Field(None, max_length=50)
    active_seconds: float | None = Field(None, ge=0, le=86_400)
    opened_at: str | None = Field(None, max_length=40)
    session: str | None = Field(None, max_length=40)
    request: str | None = Field(None, max_length=40)
    guidelines: str | None = Field(None, max_length=40)


class Again(Body):
    """An undo or a redo: of the last action, or of the last one on an item."""

    item: str | None = Field(None, max_length=LONGEST_ID)
    request: str | None = Field(None, max_length=40)


class Text(Body):
    """A text to be looked at while it is edited."""

    item: str = Field(max_length=LONGEST_ID)
    text: str = Field(max_length=MOST_TEXT)


class Asked(Body):
    """A filter, as in a query."""

    state: State = "open"
    order: Order = "file"
    search: str = Field("", max_length=500)
    source: str = ""
    verdict: str = ""
    fault: str = ""
    language: str = ""
    least: int = Field(0, ge=0)
    most: int = Field(0, ge=0)

    def wanted(self) -> Filter:
        return Filter(**self.model_dump())


class Names(Body):
    """Items of which a list shows a line."""

    items: list[str] = Field(max_length=MOST_ROWS)


def make_app(studio: Studio, rules: Rules) -> Application:
    """The studio behind its rules: every call of the API needs an annotator's key, the page needs none."""
    app = FastAPI(title="Cogitate studio", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    add_errors(app)
    add_page(app)
    add_reading(app, studio)
    add_writing(app, studio)
    return protect(app, rules)


def add_errors(app: FastAPI) -> None:
    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        return JSONResponse(error_body(error.status, str(error), code=error.code), error.status)

    @app.exception_handler(CogitateError)
    async def fault(request: Request, error: CogitateError) -> Response:
        """What somebody can mend, as graders that cannot start. No 5xx: to send it again would change nothing."""
        return JSONResponse(error_body(422, str(error)), 422)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"][1:]) or "the body"
        return JSONResponse(error_body(422, f"{key}: {first['msg']}"), 422)

    @app.exception_handler(404)
    async def missing(request: Request, error: Exception) -> Response:
        return JSONResponse(error_body(404, "there is no such address"), 404)


def add_page(app: FastAPI) -> None:
    folder = files("cogitate.apps.studio") / "page"
    for path, (name, kind) in PAGE.items():
        content = (folder / name).read_bytes()

        def page(content: bytes = content, kind: str = kind) -> Response:
            return Response(content, media_type=f"{kind}; charset=utf-8")

        app.get(path)(page)


def add_reading(app: FastAPI, studio: Studio) -> None:
    facets = view.facets(studio)

    @app.get("/api/session")
    def session(request: Request) -> dict[str, Any]:
        by = who(request)
        return {
            "name": by, "role": studio.annotators[by].role, "work": studio.settings.work, "studio": studio.settings.items[:12],
            "decisions": OF_WORK[studio.settings.work], "items": len(studio.items), "facets": facets,
            "guidelines": {"text": studio.guidelines, "version": studio.version}, "progress": studio.progress(by),
            "tool": __version__,
        }  # fmt: skip

    @app.get("/api/open")
    def first_page(request: Request, asked: Annotated[Asked, Query()]) -> Response:
        """All that a page shows first, in one answer: it costs little, however many items there are."""
        by = who(request)
        found = studio.select(by, asked.wanted())
        return JSONResponse(
            {
                "session": session(request), "count": len(found), "items": [entry.id for entry in found[:FIRST_ITEMS]],
                "item": view.item_view(studio, by, found[0].id) if found else None,
                "rows": [view.row(studio, by, entry) for entry in found[:FIRST_ROWS]],
            }
        )  # fmt: skip

    @app.get("/api/queue")
    def queue(request: Request, asked: Annotated[Asked, Query()]) -> Response:
        return JSONResponse({"items": [entry.id for entry in studio.select(who(request), asked.wanted())]})

    @app.post("/api/rows")
    def rows(request: Request, names: Names) -> list[dict[str, Any]]:
        return [view.row(studio, who(request), studio.entries[studio.item(name)["id"]]) for name in names.items]

    @app.get("/api/item")
    def item(request: Request, id: str) -> dict[str, Any]:
        return view.item_view(studio, who(request), id)

    @app.get("/api/history")
    def history(request: Request, id: str) -> list[dict[str, Any]]:
        return view.history(studio, who(request), id)

    @app.get("/api/agreement")
    def figures(request: Request) -> dict[str, Any] | None:
        """None for annotators who have items to decide: they would learn what others have decided."""
        by = who(request)
        own = studio.progress(by)
        if studio.annotators[by].role != "adjudicator" and own["decided"] < own["items"]:
            return None
        return agreement(studio.decisions(), {name: text_of(item) for name, item in studio.items.items()})

    @app.post("/api/check")
    def check(request: Request, text: Text) -> dict[str, Any]:
        found, item = studio.check(text.item, text.text), studio.item(text.item)
        parts = read(text.text, language=view.language(item), faults=found.faults, extracted=found.extracted)
        return {**found.facts(), "read": parts, "diff": word_diff(text_of(item), text.text)}


def add_writing(app: FastAPI, studio: Studio) -> None:
    def saved(by: str, event: Any) -> dict[str, Any]:
        shown = {key: event[key] for key in ("n", "do", "item", "hash", "at", "of") if key in event}
        return {"saved": shown, "progress": studio.progress(by), "guidelines": studio.version}

    @app.post("/api/act")
    def act(request: Request, action: Action) -> dict[str, Any]:
        by = who(request)
        return saved(by, studio.act(by, action.model_dump(exclude_none=True)))

    @app.post("/api/undo")
    def undo(request: Request, again: Again) -> dict[str, Any]:
        by = who(request)
        return saved(by, studio.undo(by, again.item, again.request))

    @app.post("/api/redo")
    def redo(request: Request, again: Again) -> dict[str, Any]:
        by = who(request)
        return saved(by, studio.redo(by, again.item, again.request))


def who(request: Request) -> str:
    """The annotator whose key the request carries."""
    name = key_name(request.scope)
    assert name is not None, request.url.path  # the rules let nobody else through
    return name
