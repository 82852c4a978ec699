"""The processes that generate: actors of Ray, each with a `GeneratorWorker`. One that dies is replaced; the death is reported.

Engines of all generators of the driver live in the same processes, since a process takes seconds to start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from weakref import WeakSet

import ray

from cogitate.cluster.deaths import Death, Watched, record_death
from cogitate.cluster.placement import config_of_worker, resources_of
from cogitate.cluster.vllm.engine import EngineDiedError
from cogitate.cluster.weights import StaleWeightsError
from cogitate.cluster.worker import Facts, GeneratorWorker, Turn, facts_here
from cogitate.config import ClusterConfig, Config
from cogitate.errors import ClusterError, CogitateError, ConfigError

SHARE_TO_WARN = 0.25  # of a limit: from then on the one that is waited for is named
# What Ray raises where a process, its node, or what it has returned is gone; killed for memory is no RayActorError.
GONE = (
    ray.exceptions.RayActorError,
    ray.exceptions.OutOfMemoryError,
    ray.exceptions.NodeDiedError,
    ray.exceptions.WorkerCrashedError,
    ray.exceptions.ObjectLostError,
)


class Owner(Protocol):
    """Whoever has work at members."""

    def take(self, member: Member, turn: Turn) -> None:
        """A turn has ended."""

    def lost(self, member: Member) -> int:
        """A member has died with all its engines; returns how many completions will be drawn again."""


@dataclass(slots=True, eq=False)
class Member:
    """A process that generates.

    Attributes:
        call: what it is doing; None while it stands still.
        owner: who gets the turn; None while it starts.
    """

    number: int
    actor: Any
    facts: Facts | None = None
    watched: Watched | None = None
    call: Any = None
    owner: Owner | None = None
    since: float = 0.0
    named: bool = False  # whether it was said that it is waited for
    silent: str = ""  # why it was ended by us
    after: int = 0  # losses of the pool that it was started after

    @property
    def started(self) -> bool:
        return self.facts is not None

    @property
    def idle(self) -> bool:
        return self.call is None

    def __str__(self) -> str:
        place = f" (process {self.facts.pid} on {self.facts.host})" if self.facts else ""
        return f"generator {self.number}{place}"


class GeneratorPool:
    """Starts the members at once and hands each turn to its owner.

    Args:
        logs: of processes of this machine.
        directory: the run's, for `deaths.jsonl`.
        say: takes a line that a person should read.
        scratch: a directory for files on their way; None: each process's own temporary one.
        check_alive: called while one waits, and before Ray is asked anything, since a call to a Ray that has died may end this
            process without a word; raises where Ray itself has died.
    """

    def __init__(
        self,
        config: Config,
        *,
        logs: Path,
        directory: Path,
        say: Callable[[str], None],
        check_alive: Callable[[], None],
        scratch: Path | None = None,
    ):
        self.settings, self._config, self._logs, self._directory, self._say = config.cluster, config, logs, directory, say
        self._losses, self._in_a_row, self._owners, self._here = 0, 0, WeakSet[Owner](), facts_here()
        self._check_alive, self._scratch = check_alive, scratch
        self._actor_class = ray.remote(GeneratorWorker)
        self.members = [Member(number, None) for number in range(self.settings.generators)]
        self._said, self._closed = set[str](), False
        for member in self.members:
            self._start(member)

    def join(self, owner: Owner) -> None:
        """Have an owner hear of deaths for as long as it lives."""
        self._owners.add(owner)

    def begin(self, member: Member, owner: Owner, *arguments: Any) -> None:
        """Let an idle member take a turn."""
        assert member.idle, member
        self._check_alive()
        member.owner = owner
        self._call(member, member.actor.take_turn.remote(*arguments))

    def tell(self, member: Member, method: str, *arguments: Any) -> None:
        """Have a member do something after its turn; nobody waits for it."""
        if not self._closed:
            self._check_alive()
            getattr(member.actor, method).remote(*arguments)

    def put(self, content: Any) -> Any:
        """Place something where all members can fetch it from."""
        self._check_alive()
        return ray.put(content)

    def ask(self, member: Member, method: str, *arguments: Any) -> Any:
        """The answer of a member, after its turn; None where it has died meanwhile."""
        while not member.idle:
            self.wait(1.0)
        self._check_alive()
        self._call(member, getattr(member.actor, method).remote(*arguments))
        member.owner = None
        while not ray.wait([member.call], timeout=1.0)[0]:
            self._check_alive()
            self._check_silence(member)
        return self._result(member)

    def wait(self, seconds: float) -> None:
        """Wait for the first turns that end, at most so long, and hand them to their owners.

        Raises:
            ClusterError: too many have died, or one has failed.
        """
        busy = {member.call: member for member in self.members if not member.idle}
        if not busy:
            return
        owners = {call: member.owner for call, member in busy.items()}
        self._check_alive()
        ready, _ = ray.wait(list(busy), num_returns=len(busy), timeout=0)
        if not ready:
            ready, _ = ray.wait(list(busy), num_returns=1, timeout=seconds)
        self._check_alive()
        for call in ready:
            member, owner = busy[call], owners[call]
            result = self._result(member)
            if isinstance(result, Facts):
                self._started(member, result)
            elif isinstance(result, Turn) and owner is not None:
                if result.completions:
                    self._in_a_row = 0
                owner.take(member, result)
        for call, member in busy.items():
            if call not in ready:
                self._check_silence(member)

    def close(self) -> None:
        """End all members."""
        self._closed, alive = True, True
        try:
            self._check_alive()
        except ClusterError:  # its processes have ended with it, or end with this one
            alive = False
        for member in self.members:
            if alive:
                ray.kill(member.actor)
            if member.watched:
                member.watched.close()

    def _start(self, member: Member) -> None:
        """Begin to start the process of a member."""
        settings = self.settings
        member.actor = self._actor_class.options(**resources_of(settings)).remote(
            config_of_worker(self._config), self._scratch, settings if settings.engine == "vllm" else None
        )
        member.facts = member.watched = member.owner = None
        member.silent, member.after = "", self._losses
        self._call(member, member.actor.facts.remote())

    def _call(self, member: Member, call: Any) -> None:
        member.call, member.since, member.named = call, time.monotonic(), False

    def _started(self, member: Member, facts: Facts) -> None:
        """Refuse a process with other code, and say where bits may differ."""
        member.facts = facts
        if facts.machine == self._here.machine:
            member.watched = Watched(facts.pid)
        for (name, theirs), (_, ours) in zip(facts.versions, self._here.versions, strict=True):
            if theirs != ours:
                raise ConfigError(f"{member}: has {name} {theirs}, and this process has {ours}: install the same on all nodes")
        if self.settings.engine == "vllm":
            return
        if not facts.kernels:
            raise ConfigError(
                f"{member}: has no compiled kernels, so its results would depend on which completions are decoded together: "
                "install a C compiler there"
            )
        if (facts.kernels, facts.processor) != (self._here.kernels, self._here.processor):
            self._say_once(
                f"{facts.host} computes otherwise than this machine ({facts.processor}, kernels: {facts.kernels}; "
                f"here {self._here.processor}, {self._here.kernels}): the last bits of its completions may differ"
            )

    def _result(self, member: Member) -> Any:
        """What a finished call returns; None where the process has died, which is replaced."""
        call, member.call, member.owner = member.call, None, None
        try:
            return ray.get(call)
        except GONE as error:
            self._replace(member, str(error))
            return None
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, CogitateError):
                raise cause from None
            if isinstance(cause, EngineDiedError):
                member.silent = str(cause)
                self._replace(member, member.silent)
                return None
            if isinstance(cause, StaleWeightsError):
                raise ClusterError(f"{member}: {cause}") from None
            raise ClusterError(f"{member} has failed: {type(cause).__name__}: {cause}") from error
        except ray.exceptions.RayError as error:
            raise ClusterError(f"{member}: Ray has failed: {first_sentence(str(error))}") from error

    def _replace(self, member: Member, words: str) -> None:
        """Report a death and start another process in its place; one that is out of reach must not hold its resources.

        Processes that die together, with their node, are one loss: it has those that were started before it was noticed.
        """
        self._check_alive()
        ray.kill(member.actor)
        lost = sum(owner.lost(member) for owner in list(self._owners))
        found = member.watched.death(self._logs) if member.watched else Death("", None, ())
        line = death_line(member, found, words, lost)
        self._say(line)
        place = (member.facts.pid, member.facts.host) if member.facts else (None, None)
        who = {"generator": member.number, **dict(zip(("pid", "host"), place, strict=True))}
        cause = member.silent or found.ending or first_sentence(words)
        record_death(self._directory, who, cause, found, {"drawn_again": lost})
        if member.after == self._losses:
            self._losses += 1
            self._in_a_row += 1
        if self._in_a_row > self.settings.deaths_limit:
            raise ClusterError(
                f"{self._in_a_row} times in a row generators have died without a completion in between, the last: {line}"
            )
        self._start(member)

    def _check_silence(self, member: Member) -> None:
        check_silence(member, self.settings, say=self._say, check_alive=self._check_alive)

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._say(line)


class Called(Protocol):
    """A process that has been asked something; attributes as of Member."""

    actor: Any
    watched: Watched | None
    since: float
    named: bool
    silent: str

    @property
    def started(self) -> bool: ...


def check_silence(
    called: Called, settings: ClusterConfig, *, say: Callable[[str], None], check_alive: Callable[[], None]
) -> None:
    """Name a process that is waited for long; end one that is waited for too long."""
    limit = settings.answer_limit if called.started else settings.start_limit
    waited, what = time.monotonic() - called.since, "has not answered" if called.started else "has not started"
    if called.watched:
        called.watched.look()
    if waited > SHARE_TO_WARN * limit and not called.named:
        called.named = True
        say(f"{called} {what} for {waited:.0f} s; it is replaced after {limit:g} s")
    if waited > limit:
        called.silent = f"{what} for {limit:g} s, and was ended"
        check_alive()
        ray.kill(called.actor)
        called.since = time.monotonic()


def death_line(member: Member, found: Death, words: str, lost: int) -> str:
    """One line: who, why, what was lost."""
    parts = [f"{member} has died: {member.silent or found.ending or first_sentence(words)}"]
    if found.resident is not None:
        parts.append(f"it had {found.resident >> 20} MiB in memory")
    parts.append(f"{lost} completions under way are drawn again with the same seeds")
    if found.last_lines:
        parts.append(f"the last lines of its log: {' | '.join(found.last_lines)}")
    return "; ".join(parts)


def first_sentence(words: str) -> str:
    """Of Ray's many words the cause that it gives."""
    lines: Sequence[str] = [line.strip() for line in words.splitlines() if line.strip()]
    cause = next(
        (line for line in lines if line.startswith("The actor") and "because" in line), lines[0] if lines else "no reason"
    )
    if "creation task" in cause:  # then the last line is the exception
        return f"{cause} {lines[-1]}"
    return cause.partition(" Some common causes")[0]
