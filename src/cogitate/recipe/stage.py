"""What a stage is, what a kind of stage is (one settings class and one function), and what the runner hands to it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, cast

from cogitate.backend import Backend
from cogitate.config import Config, Section
from cogitate.recipe.progress import Progress
from cogitate.runtime import MetricsLog, interruption_requested, raise_interrupted
from cogitate.types import Artifact

Inputs = Mapping[str, Artifact]  # by the names of the stages that made them, in the order of `needs`
# What an artifact is.
Product = Literal[
    "model",
    "conversations",
    "preferences",
    "reward models",
    "process reward model",
    "metrics",
    "proposal",
    "problems",
    "pass rates",
    "draws",
]
GIVEN = "given"  # the kind of a stage that a graph does not have: inputs.NAME=PATH is its artifact


class Work(Protocol):
    """What the file of a kind offers. It may also offer

    - `check(config, stage, graph) -> None`: refuse settings and data it cannot work with (raising our errors); called for every
      stage of a run before the first of them spends time.
    - `files(config, stage) -> list[Path]`: the data files it reads; their content is part of the artifact's id, their place is
      not.
    """

    def run(self, config: Config, inputs: Inputs, out: Path, context: StageContext, /) -> Mapping[str, Any] | None:
        """Read only `inputs`, write only `out`. The result, if any, is a summary kept in the manifest.

        A stage that stops early by itself says why: {"stopped_early": "20 steps in a row without a learning signal"}.
        """


@dataclass(frozen=True, slots=True)
class Need:
    """One artifact that a kind reads.

    Attributes:
        product: what it must be.
        kinds: the kinds that may make it, where not every one that makes this product will do.
        optional: it may be left out; then so are all that follow.
    """

    product: Product
    kinds: tuple[str, ...] = ()
    optional: bool = False

    def __str__(self) -> str:
        of = f" of kind {' or '.join(self.kinds)}" if self.kinds else ""
        return f"{in_words(self.product)}{of}{' (optional)' if self.optional else ''}"


def in_words(product: Product) -> str:
    """A product within a sentence."""
    return f"a {product}" if product in ("model", "proposal", "process reward model") else product


@dataclass(frozen=True, slots=True)
class Kind:
    """What several stages of a graph may have in common: the work, and the class of their settings.

    Attributes:
        name: as a recipe calls it.
        file: the module that does the work, imported only when it is needed, so that `--help` need not wait for torch.
        settings: the class of the section that is named like the stage; None: it has none of its own.
        reads: every setting that can change its result: names of sections ("rewards"), of plain keys ("seed") or single
            dotted keys ("runtime.dtype"). "{stage}" stands for the section named like the stage, "{inputs}.KEY" for this key
            of each stage it needs, "{all}.KEY" for it of each stage of the graph, where these have it.
        version: raised by whoever changes what the stage computes; artifacts of other versions are not reused.
        sections: further sections that it reads, by name.
        needs: what each of a stage's `needs` must be, in their order.
        makes: what its artifact is. A model is a Hugging Face directory, and `evaluate.<stage>` measures it.
        may_be_shipped: an artifact that the package ships under a stage's name is this kind's.
        uses: those of "tasks.train", "rewards.parts" and "judge" that it uses. A recipe that sets one is refused where no
            stage uses it.
        open_steps: the setting that says how many steps there are, e.g. "{stage}.steps", where nothing that comes before the
            last step depends on it: an unfinished stage then goes on from its checkpoint with more or fewer steps.
    """

    name: str
    file: str
    settings: type[Section] | None
    reads: tuple[str, ...]
    version: int = 1
    sections: Mapping[str, type[Section]] = field(default_factory=dict)
    needs: tuple[Need, ...] = ()
    makes: Product = "model"
    may_be_shipped: bool = True
    uses: tuple[str, ...] = ()
    open_steps: str = ""

    def work(self) -> Work:
        """Import the kind's file."""
        return cast(Work, importlib.import_module(self.file))


@dataclass(frozen=True, slots=True)
class Stage:
    """One box of the paper's figure.

    Attributes:
        name: also its directory in a run, and the name of its section of settings.
        needs: the stages whose artifacts it reads, the model it starts from first.
        title: the paper's name of what it makes.
    """

    name: str
    kind: Kind
    needs: tuple[str, ...] = ()
    title: str = ""

    @property
    def makes_model(self) -> bool:
        return self.kind.makes == "model"

    def check(self, config: Config, graph: Sequence[Stage]) -> None:
        """Refuse settings and data that its kind cannot work with."""
        check: Callable[[Config, Stage, Sequence[Stage]], None] | None = getattr(self.kind.work(), "check", None)
        if check is not None:
            check(config, self, graph)

    def files(self, config: Config) -> Sequence[Path]:
        """The data files that its kind reads."""
        files: Callable[[Config, Stage], Sequence[Path]] | None = getattr(self.kind.work(), "files", None)
        return files(config, self) if files is not None else ()

    def has(self, settings: type[Section]) -> bool:
        """Whether its settings are of this class."""
        return self.kind.settings is not None and issubclass(self.kind.settings, settings)


@dataclass(frozen=True, slots=True)
class StageContext:
    """What a stage is handed beside its settings and inputs: a backend, a log, a place for checkpoints, a voice.

    Attributes:
        stage: this stage's name in the graph, e.g. "r1_zero" or "evaluate.base"; its settings are the section of that name.
        graph: all stages of the recipe.
        backend: makes generators, graders and learners.
        metrics: out/metrics.jsonl. Each row moves the progress display, which shows whichever of `loss`, `reward`,
            `accuracy`, `completion_tokens`, `tokens_per_second` it holds. A resumed stage first calls `metrics.truncate(step)`.
        checkpoint: a directory that survives kills until the stage is finished. Empty at the first start; then so is `out`.
            After a kill `out` is as the stage left it, `.tmp` files removed: write the same names again.
        progress: see `begin` and `say`.
    """

    stage: str
    graph: Sequence[Stage]
    backend: Backend
    metrics: MetricsLog
    checkpoint: Path
    progress: Progress

    @property
    def handover(self) -> Path:
        """A directory for models on their way between learners, generators and scorers. It does not outlive an attempt."""
        return self.checkpoint.with_name("handover")

    def begin(self, steps: int, first_step: int = 0) -> None:
        """Say how many steps there are and which is next: the n of the progress bar."""
        self.progress.stage_begins(self.stage, first_step, steps)

    def say(self, line: str) -> None:
        """Show one line to the user without disturbing the progress bar."""
        self.progress.say(f"{self.stage}: {line}")

    def interrupted(self) -> bool:
        """True after SIGINT or SIGTERM: write a checkpoint, then call `runtime.raise_interrupted("step 12 of r1_zero")`."""
        return interruption_requested()

    def stop_if_interrupted(self) -> None:
        """Leave after SIGINT or SIGTERM: for places from which nothing has to be kept but what is in the checkpoint already."""
        if interruption_requested():
            raise_interrupted(self.stage)


def find(graph: Sequence[Stage], name: str) -> Stage:
    """The stage of this name."""
    return next(stage for stage in graph if stage.name == name)


def line_of(graph: Sequence[Stage], name: str) -> list[Stage]:
    """A model's stage, the stage whose model it started from, and so on to the first."""
    by_name = {stage.name: stage for stage in graph}
    line = [by_name[name]]
    while line[-1].needs:
        line.append(by_name[line[-1].needs[0]])
    return line


def with_all_needs(graph: Sequence[Stage], names: Sequence[str], *, given: Collection[str]) -> set[str]:
    """These stages, those that they need, and so on; what is given needs nothing."""
    by_name = {stage.name: stage for stage in graph}
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += by_name[name].needs if name not in given else ()
    return found


def proposals_for(graph: Sequence[Stage], needs: Collection[str]) -> list[str]:
    """Those of the needs that are proposals of settings."""
    return [stage.name for stage in graph if stage.kind.makes == "proposal" and stage.name in needs]


def trained_from(graph: Sequence[Stage], name: str, settings: type[Section]) -> list[Stage]:
    """The stages with settings of this class that start from the model of stage `name`."""
    return [stage for stage in graph if stage.has(settings) and stage.needs[:1] == (name,)]
