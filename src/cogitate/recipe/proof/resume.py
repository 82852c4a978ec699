"""Proof that a killed recipe ends as an uninterrupted one: each stage is made once undisturbed and once killed again and again.

Killed means SIGKILL, in a process of its own: half of the times at a change on disk, then at a moment, both drawn at random.
What the two leave behind is compared byte for byte, times aside.
"""

from __future__ import annotations

import multiprocessing
import random
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from cogitate.backend import Backend
from cogitate.config import Config
from cogitate.errors import CogitateError, ConfigError
from cogitate.recipe.proof.shrink import shrink
from cogitate.recipe.proof.sigkill_injection import arm, outcome
from cogitate.recipe.recipe import is_evaluation
from cogitate.recipe.run_directory.lock import LOCK
from cogitate.recipe.runner import plan, run_recipe
from cogitate.recipe.settings import make_config
from cogitate.recipe.stage import Stage
from cogitate.runtime import derive_seed

NEVER = 10**9
LAST_CHANGES = 3  # of a stage, at which no kill is tried: a second attempt may need as many fewer
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["cogitate.recipe.local_backend"])  # torch is imported once, not in every process

MakeBackend = Callable[[Config], Backend]


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of one stage.

    Attributes:
        kills: how often it was killed before it was let go on to its end.
        files: how many files were compared.
        differences: names of files that differ or are there only once; empty where resume is exact.
        seconds: of the undisturbed attempt.
    """

    stage: str
    kills: int
    files: int
    differences: tuple[str, ...]
    seconds: float


def prove_resume(
    config: Config,
    folder: Path,
    *,
    make_backend: MakeBackend,
    kills: int = 2,
    seed: int = 0,
    only: str | None = None,
    say: Callable[[str], None] = lambda line: None,
    on_proof: Callable[[Proof], None] = lambda proof: None,
) -> list[Proof]:
    """Make the recipe on a shrunken budget in `folder`, and prove each stage that is made.

    Stages the user gives are used as they are. Shipped ones are copied, and trained in the end to prove these too.

    Args:
        only: prove this stage alone; what it needs is made undisturbed.
        on_proof: told of each stage as it is done.

    Raises:
        ConfigError: a stage refuses the shrunken recipe.
    """
    states = {item.stage.name: item.state for item in plan(config, folder / "whole", until=only)}
    shipped = [name for name, state in states.items() if state == "shipped"]
    small = shrink(config, keep=[*shipped, *(["tokenizer"] if shipped else [])])
    maker = Maker(folder, make_backend, kills, seed)
    proofs = []
    for item in plan(small, folder / "whole", until=only):
        name = item.stage.name
        if only is not None and is_evaluation(item.stage) and name != only:
            continue
        if states[name] == "to do" and only in (None, name):
            proofs.append(maker.prove(small, item.stage))
            on_proof(proofs[-1])
        elif states[name] != "given":
            maker.make(small, folder / "whole", name)
            say(f"{name}: {'shipped' if states[name] == 'shipped' else 'made once'}, not killed")
    for item in plan(small, folder / "whole", until=only):
        if item.stage.name in shipped and not item.stage.needs and only in (None, item.stage.name):
            say(f"{item.stage.name}: trained anew, to prove it too")
            proofs.append(maker.prove(shrink(config), item.stage, retrain=(item.stage.name,)))
            on_proof(proofs[-1])
    return proofs


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes stages in processes that may be killed."""

    folder: Path
    make_backend: MakeBackend
    kills: int
    seed: int

    def prove(self, config: Config, stage: Stage, retrain: Sequence[str] = ()) -> Proof:
        """Make a stage both ways and compare."""
        whole = self.folder / ("retrained" if retrain else "whole")
        killed = self.folder / "killed" / ("retrained" if retrain else stage.name)
        for need in stage.needs:
            if need not in config.inputs:
                shutil.copytree(whole / need, killed / need)
                (killed / LOCK).touch()  # a run directory
        changes, seconds = self.make(config, whole, stage.name, retrain)
        survived = self.kill(config, killed, stage.name, retrain, changes, seconds)
        self.make(config, killed, stage.name, retrain)
        expected, found = outcome(whole / stage.name), outcome(killed / stage.name)
        differing = tuple(name for name in sorted(expected.keys() | found) if expected.get(name) != found.get(name))
        return Proof(stage.name, survived, len(expected), differing, seconds)

    def kill(self, config: Config, out: Path, stage: str, retrain: Sequence[str], changes: int, seconds: float) -> int:
        """Start the stage and kill it, so many times, or until it gets to its end before; returns the number of kills."""
        chance = random.Random(derive_seed(self.seed, stage))
        for number in range(self.kills):
            at_change = chance.randint(1, max(1, changes - LAST_CHANGES)) if number < (self.kills + 1) // 2 else NEVER
            process, reading = self.start(config, out, stage, retrain, at_change)
            if at_change == NEVER:
                process.join(chance.uniform(0.2, 1.0) * seconds)
                process.kill()  # nothing where it has ended by itself
            self.wait(process, reading, stage)
            if process.exitcode == 0:
                return number
        return self.kills

    def make(self, config: Config, out: Path, stage: str, retrain: Sequence[str] = ()) -> tuple[int, float]:
        """Make the stage to its end; returns how many changes on disk that took, and the seconds."""
        started = time.monotonic()
        process, reading = self.start(config, out, stage, retrain, NEVER)
        changes = self.wait(process, reading, stage)
        if process.exitcode != 0:
            raise ConfigError(f"{stage}: its process ended with {process.exitcode}, though nothing killed it")
        return changes, time.monotonic() - started

    def start(self, config: Config, out: Path, stage: str, retrain: Sequence[str], kill_at: int) -> tuple[Any, Connection]:
        reading, writing = processes.Pipe(duplex=False)
        arguments = (config.model_dump(mode="json"), out, stage, tuple(retrain), kill_at, self.make_backend, writing)
        process = processes.Process(target=make_stage, args=arguments)
        process.start()
        writing.close()
        return process, reading

    def wait(self, process: Any, reading: Connection, stage: str) -> int:
        """Wait for the end; returns the number of changes on disk, 0 of a killed process."""
        try:
            process.join()
        finally:  # Ctrl-C
            process.kill()
        with reading:
            try:
                changes, refusal = reading.recv()
            except EOFError:
                return 0
        if refusal:
            raise ConfigError(
                f"{stage} cannot be made on the shrunken budget: {refusal}; give what it reads from a real run, "
                "as inputs.STAGE=PATH"
            )
        return int(changes)


def make_stage(
    settings: dict[str, Any],
    out: Path,
    stage: str,
    retrain: tuple[str, ...],
    kill_at: int,
    make_backend: MakeBackend,
    writing: Connection,
) -> None:
    """Body of a process: make one stage, and tell how many changes on disk it took or why it was refused."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends this process
    config = make_config(settings)
    out.mkdir(parents=True, exist_ok=True)
    changes = arm(out, kill_at)
    try:
        run_recipe(config, out, make_backend=make_backend, only=stage, retrain=list(retrain))
    except CogitateError as error:
        writing.send((0, str(error)))
    else:
        writing.send((len(changes), ""))
