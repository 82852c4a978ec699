"""proposal.toml: the settings that a probe proposes, and how the stages that leave settings to it take them from there."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cogitate.config import Config, Section, ZeroRLConfig
from cogitate.config.toml import explain
from cogitate.errors import ArtifactError
from cogitate.recipe.stage import Inputs, Stage, proposals_for
from cogitate.runtime import atomic_write

PROPOSAL = "proposal.toml"


@dataclass(frozen=True, slots=True)
class Proposed:
    """One value, and why it is this one."""

    key: str
    value: Any
    reason: str


def with_proposals(config: Config, graph: Sequence[Stage], inputs: Inputs) -> Config:
    """The settings with what stages leave to probes filled in from the inputs of a stage that is about to run.

    A probe fills in the stages that need it. A model that was trained by a proposal holds a copy of it, so that whoever asks
    this model asks it in the same way.

    Raises:
        ArtifactError: there is no proposal, it has not all that is left to it, or a value cannot be used.
    """
    changed: dict[str, Section] = {}
    for name, artifact in inputs.items():
        is_proposal = bool(proposals_for(graph, [name]))
        for stage in graph:
            if stage.has(ZeroRLConfig) and (name == stage.name or (is_proposal and name in stage.needs)):
                settings = config.section(stage.name, ZeroRLConfig)
                if settings.from_probe:
                    changed[stage.name] = filled_in(settings, stage.name, proposal_file(artifact.path))
    return config.model_copy(update=changed) if changed else config


def taken_from_proposal(settings: Mapping[str, Any], stage: str, run: Path) -> dict[str, Any]:
    """A stage's recorded section with what it took from a proposal, for readers of a run directory."""
    left = settings.get("from_probe") or ()
    files = [place / PROPOSAL for place in (run / stage, run / "unfinished" / stage / "out")]
    file = next((file for file in files if left and file.is_file()), None)
    values = read_proposal(file, stage) if file else {}
    return {**settings, **{key: values[key] for key in left if key in values}}


def filled_in(settings: ZeroRLConfig, stage: str, file: Path) -> ZeroRLConfig:
    """A stage's settings with those of `from_probe` from a proposal."""
    values = read_proposal(file, stage)
    if missing := [key for key in settings.from_probe if key not in values]:
        raise ArtifactError(
            f"{file}: [{stage}] has no {missing[0]}, which {stage}.from_probe leaves to it; set {stage}.{missing[0]}"
        )
    # What nobody sets stays unset: a method has defaults of its own.
    given = {**settings.model_dump(exclude_unset=True), **{key: values[key] for key in settings.from_probe}}
    try:
        return type(settings).model_validate(given)
    except ValidationError as error:
        problem = explain(error, type(settings))[1]
        raise ArtifactError(f"{file}: {stage}.{problem}: set {stage}'s settings so that they agree") from error


def read_proposal(file: Path, stage: str) -> Mapping[str, Any]:
    """What a proposal says for a stage. Raises ArtifactError where it cannot be read."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8")).get(stage, {})
    except OSError as error:
        raise ArtifactError(
            f"{file}: cannot be read: {error.strerror}; {stage} takes settings from it: give a stage of kind probe, or set them"
        ) from error
    except ValueError as error:
        raise ArtifactError(f"{file}: not a TOML file: {error}") from error
    if not isinstance(table, dict):
        raise ArtifactError(f"{file}: {stage} is no section")
    return table


def proposal_file(path: Path) -> Path:
    """The proposal that an artifact holds; one that is given may be the file itself."""
    return path if path.is_file() else path / PROPOSAL


def write_proposal(path: Path, stage: str, proposed: Sequence[Proposed], head: Sequence[str]) -> None:
    """A recipe's section with the reason above each value; what is no part of it stands in comments at the head."""
    lines = [*(f"# {line}".rstrip() for line in head), "", f"[{stage}]"]
    tables: list[str] = []
    for one in proposed:
        reason = f"# {one.reason}"
        if isinstance(one.value, Sequence) and not isinstance(one.value, str) and one.value:  # tables stand after plain keys
            tables += ["", reason]
            for row in one.value:
                tables += [f"[[{stage}.{one.key}]]", *(f"{key} = {toml_value(value)}" for key, value in row.items())]
        else:
            lines += [reason, f"{one.key} = {toml_value(one.value)}"]
    with atomic_write(path) as temporary:
        temporary.write_text("\n".join([*lines, *tables]) + "\n", encoding="utf-8")


def toml_value(value: Any) -> str:
    """A text, number, truth value or empty list as TOML has it."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
