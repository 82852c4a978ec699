"""`cogitate studio`: open a studio, or make one; serve it; or write what was decided in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cogitate.apps.studio import directory
from cogitate.apps.studio.directory import Annotator, Role
from cogitate.apps.studio.sources import Item, Work
from cogitate.errors import ConfigError
from cogitate.recipe.data.decisions.chain import EVENTS, read_chain

Say = Callable[[str], None]
WAIT_TO_STOP = 5.0  # seconds for what has begun


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks of a studio; None leaves it as it is, or takes the default of a new one.

    Attributes:
        work: what is decided; of a new studio `review`.
        annotators, adjudicators: names to be added; a new studio has its owner's.
        overlap: share of the items that two annotators decide; of a new studio 0.
        add: where more items come from, for a studio that is there.
    """

    work: Work | None = None
    annotators: tuple[str, ...] = ()
    adjudicators: tuple[str, ...] = ()
    overlap: float | None = None
    add: Path | None = None


def open_place(path: Path, wanted: Wanted, say: Say) -> Path:
    """The studio's directory, made where it is not there yet.

    Raises:
        ConfigError: a studio that is there has another work or overlap.
    """
    place = directory.place_of(path)
    if not directory.is_studio(place):
        work = wanted.work or "review"
        directory.create(path, place, work, wanted.overlap or 0.0)
        say(f"{place}: a new studio for {work} of {path}")
    settings = directory.read_settings(place)
    if wanted.work not in (None, settings.work):
        raise ConfigError(
            f"--work {wanted.work}: {place} is a studio for {settings.work}; name a copy of the source for another"
        )
    if wanted.overlap not in (None, settings.overlap):
        raise ConfigError(f"--overlap {wanted.overlap}: {place} has {settings.overlap}, by which items were shared out already")
    return place


def people(place: Path, wanted: Wanted, owner: str) -> list[Annotator]:
    """All annotators, with those who are new; the owner where there would be nobody to decide."""
    names: dict[str, Role] = dict.fromkeys(wanted.annotators, "annotator")
    names |= dict.fromkeys(wanted.adjudicators, "adjudicator")
    known = directory.read_annotators(place)
    if not wanted.annotators and all(one.role != "annotator" for one in known):
        names[owner] = "annotator"
    return directory.add_annotators(place, names)


def serve(
    path: Path, wanted: Wanted, *, host: str, port: int, owner: str, custom: str | None, unsafe_local: bool, say: Say
) -> None:
    """Serve the studio until it is stopped; what was saved is on the disk at any moment.

    Raises:
        ConfigError, DataError: see open_place and Studio.
    """
    try:
        from cogitate.apps.studio.api import make_app
        from cogitate.apps.studio.grading import Regrading
        from cogitate.apps.studio.studio import Studio
        from cogitate.web.rules import Rules
        from cogitate.web.serving import address_of, listen, serve_app
    except ModuleNotFoundError as error:
        raise ConfigError(f"the studio needs the extra `studio` ({error}): pip install 'cogitate[studio]'") from error

    place = open_place(path, wanted, say)
    with directory.held(place):
        events = read_chain(place / EVENTS)
        directory.settle_items(place, events)
        if wanted.add is not None:
            new, known = directory.add_items(place, wanted.add, directory.read_settings(place).work)
            say(f"{place}: {wanted.add} has new items: {new}; there already: {known}")
            events = read_chain(place / EVENTS)
        everybody = people(place, wanted, owner)
        items = directory.read_own_items(place, events)
        grading = Regrading(custom=custom, needs_thinking=of_cold_start(items), unsafe_local=unsafe_local)
        studio = Studio(place, everybody, grading)
        rules = Rules(host=host, keys={one.name: one.key for one in everybody}, key_required=True, open_paths=("/", "/static/"))
        bound = listen(host, port)
        app = make_app(studio, rules)
        say(f"{place}: {len(studio.items)} items, {len(studio.decisions())} with decisions. One link for each person:")
        for one in everybody:
            say(f"  {one.name} ({one.role}): {address_of(bound)}/#key={one.key}")
        say(f"Stop it with Ctrl-C; what was saved is in events.jsonl, and {next_step(items, studio.settings.work)}.")
        try:
            serve_app(app, bound, stop_seconds=WAIT_TO_STOP)
        finally:
            studio.close()
            grading.close()
            bound.close()


def next_step(items: list[Item], work: Work) -> str:
    """What takes the decisions."""
    if work == "review" and of_cold_start(items):
        return "cold_start.review takes the directory"
    form = {"review": "conversations", "pairs": "preferences", "safety": "labels"}[work]
    return f"--export {form} --out FILE writes it for training"


def of_cold_start(items: list[Item]) -> bool:
    """Whether the texts are to be thinking and a summary, as the rows of a cold_start are."""
    return all("rule" in item for item in items)


def write(path: Path, form: str, out: Path, *, contested: bool, say: Say) -> None:
    """Export what was decided.

    Raises:
        ConfigError: there is no studio, or no such form of its work.
        DataError: nothing is decided yet.
    """
    from cogitate.apps.studio.export import FORMS, counted, export, user_of
    from cogitate.recipe.data.decisions.standing import Standing

    place = directory.place_of(path)
    if not directory.is_studio(place):
        raise ConfigError(f"{place}: no studio is there yet, so there is nothing to export")
    known = next((one for one in FORMS if one == form), None)
    if known is None:
        raise ConfigError(f"--export {form}: known are {', '.join(FORMS)}")
    settings = directory.read_settings(place)
    events = read_chain(place / EVENTS)
    items: Mapping[str, Item] = {item["id"]: item for item in directory.read_own_items(place, events)}
    standing = Standing(events)
    text = directory.guidelines(place)[0]
    found = export(known, out, settings.work, items, standing, contested=contested, guidelines=text)
    say(f"{out}: {len(found.rows)} rows; left out: {counted(found.left_out)}")
    if known == "argilla":
        for by in sorted({by for item in standing.items() for by in standing.decisions(item)}):
            say(f"  {by} must be Argilla's user {user_of(by)}")
