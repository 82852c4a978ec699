"""`cogitate studio`: open a studio, or make one; serve it; or write what was decided in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cogitate.apps.studio import directory
from cogitate.apps.studio.directory import Annotator, Role
from cogitate.apps.studio.sources import Item, Work, is_candidate
from cogitate.errors import ConfigError
from cogitate.recipe.data.decisions.chain import EVENTS, read_chain

Say = Callable[[str], None]
WAIT_TO_STOP = 5.0  # seconds for what has begun
SUFFIXES = (".jsonl", ".parquet")  # of exports


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
        directory.create(path, place, work, wanted.overlap or 0.0, say)
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
    path: Path,
    wanted: Wanted,
    *,
    host: str,
    port: int,
    owner: str,
    custom: str | None,
    unsafe_local: bool,
    say: Say,
    server_names: Sequence[str] = (),
    origins: Sequence[str] = (),
) -> None:
    """Serve the studio until it is stopped; what was saved is on the disk at any moment.

    Args:
        server_names, origins: further names and origins that the page is reached by: those of a proxy.

    Raises:
        ConfigError, DataError: see open_place, Regrading and Studio.
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
        work = directory.read_settings(place).work
        if wanted.add is not None:
            new, known = directory.add_items(place, wanted.add, work, say)
            say(f"{place}: {wanted.add} has new items: {new}; there already: {known}")
            events = read_chain(place / EVENTS)
        items = directory.read_own_items(place, events)
        check_graders(place, items, work, custom, say)
        everybody = people(place, wanted, owner)
        keys = {one.name: one.key for one in everybody}
        rules = Rules(host, frozenset(server_names), frozenset(origins), keys, key_required=True, open_paths=("/", "/static/"))
        with (
            closing(Regrading(custom=custom, unsafe_local=unsafe_local)) as grading,
            closing(Studio(place, everybody, grading)) as studio,
            closing(listen(host, port)) as bound,
        ):
            app = make_app(studio, rules)
            say(f"{place}: {len(studio.items)} items, {len(studio.decisions())} with decisions. One link for each person:")
            for one in everybody:
                say(f"  {one.name} ({one.role}): {address_of(bound)}/#key={one.key}")
            say(f"Stop it with Ctrl-C; what was saved is in events.jsonl, and {next_step(items, work)}.")
            serve_app(app, bound, stop_seconds=WAIT_TO_STOP)


def check_graders(place: Path, items: Sequence[Item], work: Work, custom: str | None, say: Say) -> None:
    """Say which candidates no rule can judge. Raises ConfigError for a function that would judge nothing."""
    if custom is not None and all(item.get("kind") != "custom" for item in items):
        raise ConfigError(f"--custom {custom}: no item of {place} is of kind custom, so it would judge nothing; leave it out")
    lost = sum(is_candidate(item) and item.get("kind") is None for item in items)
    if lost and work == "review":
        say(f"{place}: {lost} candidates name no kind, and their run's config.json was not there: edits of them are not graded")


def next_step(items: list[Item], work: Work) -> str:
    """What takes the decisions."""
    if work == "review" and all(map(is_candidate, items)):
        return "cold_start.review takes the directory"
    form = {"review": "conversations", "pairs": "preferences", "safety": "labels"}[work]
    return f"--export {form} --out FILE writes it for training"


def write(path: Path, form: str, out: Path, *, contested: bool, say: Say) -> None:
    """Export what was decided.

    Raises:
        ConfigError: there is no studio, no such form of its work, or `out` or `contested` does not fit.
        DataError: nothing is decided yet.
    """
    from cogitate.apps.studio.export import FORMS, TEXTS, counted, export, user_of
    from cogitate.recipe.data.decisions.standing import Standing

    place = directory.place_of(path)
    if not directory.is_studio(place):
        raise ConfigError(f"{place}: no studio is there yet, so there is nothing to export")
    known = next((one for one in FORMS if one == form), None)
    if known is None:
        raise ConfigError(f"--export {form}: known are {', '.join(FORMS)}")
    settings = directory.read_settings(place)
    check_out(known, out, (place, Path(settings.source)))
    if contested and known not in TEXTS:
        raise ConfigError(f"--contested changes nothing in the form {known}; leave it out, or export {' or '.join(TEXTS)}")
    events = read_chain(place / EVENTS)
    items: Mapping[str, Item] = {item["id"]: item for item in directory.read_own_items(place, events)}
    standing = Standing(events)
    text = directory.guidelines(place)[0]
    found = export(known, out, settings.work, items, standing, contested=contested, guidelines=text)
    say(f"{out}: {len(found.rows)} rows; left out: {counted(found.left_out)}")
    if known == "argilla":
        for by in sorted({by for item in standing.items() for by in standing.decisions(item)}):
            say(f"  {by} must be Argilla's user {user_of(by)}")


def check_out(form: str, out: Path, kept: Sequence[Path]) -> None:
    """Raises ConfigError where a form cannot be written, or would be written over the studio or what it was made from."""
    whole = out.resolve()
    for path in kept:
        if path.resolve() in (whole, *whole.parents):
            raise ConfigError(f"--out {out}: belongs to {path}, which an export leaves as it is; name another place")
    if form == "argilla":
        return
    if out.suffix not in SUFFIXES:
        raise ConfigError(f"--out {out}: the name must end in {' or '.join(SUFFIXES)}, which says how it is written")
    if out.is_dir() or not out.parent.is_dir():
        raise ConfigError(f"--out {out}: {'a directory; name a file' if out.is_dir() else f'{out.parent} is no directory'}")
