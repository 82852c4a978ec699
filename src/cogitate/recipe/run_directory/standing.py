"""Where each stage of a run stands: finished, given, shipped, unfinished, to do, or outdated."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cogitate.config import Config
from cogitate.errors import ArtifactError, ConfigError
from cogitate.json_lines import first_and_number
from cogitate.recipe.run_directory.attempt import goes_on_with_other_steps, holds_work, load_attempt, unfinished
from cogitate.recipe.run_directory.changes import reasons
from cogitate.recipe.run_directory.store import MANIFEST, Identity, find_shipped, identify, is_shipped_copy, verify
from cogitate.recipe.stage import Stage
from cogitate.types import Artifact

State = Literal["finished", "given", "shipped", "unfinished", "to do", "outdated"]


@dataclass(frozen=True, slots=True)
class Planned:
    """A stage, and what stands of it.

    Attributes:
        identity: None where the user gives the artifact.
        artifact: of a finished or given stage.
        shipped: the directory to copy, of a shipped one.
        place, because: of an outdated one, the directory of the work that it would make again, and each reason.
    """

    stage: Stage
    state: State
    identity: Identity | None
    artifact: Artifact | None = None
    shipped: Path | None = None
    place: Path | None = None
    because: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        if self.identity is not None:
            return self.identity.id
        assert self.artifact is not None
        return self.artifact.id

    @property
    def runs(self) -> bool:
        """Whether its work is still to be done."""
        return self.state in ("to do", "unfinished", "outdated")


@dataclass(frozen=True, slots=True)
class Standing:
    """What decides where a stage stands.

    Attributes:
        given: stage -> the artifact that the user gives for it.
        changed: the settings that are not those of config.json, see changes.changed_settings.
        also: stage -> settings that can change it though its id does not hold them.
    """

    graph: Sequence[Stage]
    config: Config
    out: Path
    given: Mapping[str, Artifact]
    changed: Mapping[str, str]
    also: Mapping[str, Collection[str]]
    retrain: Sequence[str]

    def of(self, stage: Stage, planned: Mapping[str, Planned]) -> Planned:
        """Where this stage stands, after those it needs.

        Raises:
            ArtifactError: its artifact is damaged, or what is shipped was made with other settings.
            ConfigError: --retrain of a stage whose shipped artifact is there already.
            DataError: a data file it reads cannot be read.
        """
        path = self.out / stage.name
        if stage.name in self.given:
            artifact = self.given[stage.name]
            if (path / MANIFEST).is_file():
                why = (f"inputs.{stage.name} is given in its place",)
                return Planned(stage, "outdated", None, artifact, place=path, because=why)
            return Planned(stage, "given", None, artifact)
        identity = identify(stage, self.graph, self.config, {need: planned[need].id for need in stage.needs})
        outdated = {name for name, item in planned.items() if item.state == "outdated"}
        also = [self.changed[key] for key in self.also.get(stage.name, ()) if key in self.changed]
        if path.exists():
            if stage.name in self.retrain and is_shipped_copy(path):
                raise ConfigError(f"--retrain {stage.name}: {path} is the shipped one; use another --out to train it")
            manifest = verify(path)
            if manifest["id"] == identity.id and not also:
                return Planned(stage, "finished", identity, Artifact(stage.name, identity.id, path))
            because = (*reasons(manifest, identity, self.changed, outdated), *also)
            return Planned(stage, "outdated", identity, place=path, because=because)
        work, record = unfinished(self.out, stage.name), load_attempt(self.out, stage.name)
        if record is not None:
            key = stage.kind.open_steps.replace("{stage}", stage.name)
            same = record["id"] == identity.id or goes_on_with_other_steps(work, record, identity, key)
            if same and not also:
                return Planned(stage, "unfinished", identity)
            if holds_work(work):
                because = (*reasons(record, identity, self.changed, outdated), *also)
                return Planned(stage, "outdated", identity, place=work, because=because)
        shipped = find_shipped(identity) if stage.kind.may_be_shipped and stage.name not in self.retrain else None
        return Planned(stage, "shipped" if shipped else "to do", identity, shipped=shipped)


def has_work(out: Path, stage: Stage) -> bool:
    """Whether a run directory holds anything of a stage."""
    return (out / stage.name).exists() or (unfinished(out, stage.name) / "work.json").is_file()


def refuse_outdated(planned: Sequence[Planned], out: Path) -> None:
    """Refuse to go on where finished or unfinished work would be made again.

    Raises:
        ArtifactError: names the work, the reasons and what to do.
    """
    named = [f"{item.place.relative_to(out)} ({', '.join(item.because)})" for item in planned if item.place is not None]
    if not named:
        return
    them = "it" if len(named) == 1 else "them"
    raise ArtifactError(
        f"{out}: {first_and_number(named, len(named))} would be made again: use another --out, or delete {them} first; "
        "--dry-run shows every stage"
    )
