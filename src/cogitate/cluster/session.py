"""The Ray that a run works on: one of our own on this machine for as long as the run lasts, or one that runs already.

Our own listens on loopback alone, demands a token, has no dashboard, reports nothing, and leaves its logs in the run
directory. The kernel ends it together with the process that started it, however that one ends.

Paths of Unix sockets may have 107 characters and run directories more: Ray works through a short link in a private temporary
directory, which also holds the token.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray

from cogitate.cluster.address import check_address
from cogitate.cluster.earlier_start import TOKEN, end_earlier_start, make_temporary
from cogitate.config import ClusterConfig
from cogitate.errors import ClusterError, ConfigError
from cogitate.runtime import python_path

RAY, MESSAGES = "ray", "ray_messages.log"  # its sessions with their logs; what it would write to our standard output
STARTED = "started.json"  # what a start has left behind where it was killed
TOO_SLOW = "timed out during startup"  # of what Ray says then
VITAL = ("gcs_server", "raylet")  # without them Ray does nothing, and would wait long before it said so

OUR_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token"}
ON_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # 0: as on those systems by default, Ray binds loopback alone


class Session:
    """A connection to Ray; `close` ends it.

    Attributes:
        logs: where processes on this machine write their logs.
        scratch: a directory that goes with our own Ray; None with one at an address.
    """

    def __init__(self, settings: ClusterConfig, directory: Path, say: Callable[[str], None]):
        """
        Args:
            directory: of the run, for our own Ray.
            say: takes a line that a person should read.

        Raises:
            ConfigError: the address cannot be reached, the token is refused, Ray does not start, or this process is connected
                to another one, which would be cut off.
        """
        if ray.is_initialized():
            raise ConfigError(
                "this process is connected to a Ray already: call ray.shutdown() first, or run in another process"
            )
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)  # Ray makes its own for everybody to write to
        self.settings, self._directory, self._say = settings, directory, say
        end_earlier_start(directory / STARTED, say)
        self._print = ray._private.worker.print_to_stdstream
        self._temporary = None if settings.address else self._make_temporary()
        self.scratch = self._temporary
        try:
            keep_messages(directory / MESSAGES)
            with handlers_of_signals_kept():
                if self._temporary is None:
                    self._join()
                else:
                    self._start(self._temporary)
        except BaseException:  # Ctrl-C, too: nobody has this object yet, and our Ray would stay
            self.close()
            raise
        self.logs = Path(ray._private.worker._global_node.get_logs_dir_path()).resolve()

    def check_alive(self) -> None:
        """Refuse to go on with a Ray of our own that has died; the others of its processes can be missed.

        Raises:
            ClusterError: says which process, and how it ended.
        """
        processes = ray._private.worker._global_node.all_processes
        for name in VITAL if self._temporary else ():
            for each in processes.get(name, ()):
                if (status := each.process.poll()) is not None:
                    ending = f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
                    raise ClusterError(
                        f"{name} of our Ray (process {each.process.pid}) has died: {ending}; "
                        "the same command goes on from the last checkpoint"
                    )

    def close(self) -> None:
        """Disconnect; our own Ray ends, and its logs stay."""
        with handlers_of_signals_kept():
            ray.shutdown()
        ray._private.worker.print_to_stdstream = self._print
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            (self._directory / STARTED).unlink(missing_ok=True)

    def _make_temporary(self) -> Path:
        """The private directory with the token, and with the link to that of Ray, which is made anew."""
        directory = self._directory
        shutil.rmtree(directory / RAY, ignore_errors=True)
        (directory / RAY).mkdir()
        temporary = make_temporary(directory / STARTED)
        (temporary / RAY).symlink_to((directory / RAY).resolve(), target_is_directory=True)
        return temporary

    def _start(self, temporary: Path) -> None:
        """Start our own Ray, again where it was too slow for itself: it waits 30 seconds for its own processes."""
        settings, until = self.settings, time.monotonic() + self.settings.start_limit
        of_ours = {**with_token(temporary / TOKEN), "PYTHONPATH": python_path(), ON_LOOPBACK: "0"}
        with environment(**of_ours, RAY_worker_register_timeout_seconds=str(math.ceil(settings.start_limit))):
            read_environment()
            while True:
                try:
                    ray.init(
                        address="local",
                        num_cpus=settings.generators * settings.generator_cpus,
                        include_dashboard=False,
                        object_store_memory=settings.object_store << 20,
                        log_to_driver=False,
                        logging_level="CRITICAL",
                        _temp_dir=str(temporary / RAY),
                    )
                    return
                except Exception as error:  # what Ray raises has no class of its own
                    ray.shutdown()
                    if TOO_SLOW not in str(error) or time.monotonic() > until:
                        raise ConfigError(f"Ray does not start: {first_line(error)}") from error
                    self._say("Ray was too slow to start; it is started again")

    def _join(self) -> None:
        settings = self.settings
        with environment(**(with_token(Path(settings.token_file)) if settings.token_file else {}), **{ON_LOOPBACK: "1"}):
            check_address(settings)
            read_environment()
            try:
                ray.init(address=settings.address, log_to_driver=False, logging_level="CRITICAL")
            except (ray.exceptions.RayError, RuntimeError, ConnectionError, ValueError) as error:
                raise ConfigError(f"cluster.address={settings.address}: Ray refuses: {first_line(error)}") from error


def first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def keep_messages(path: Path) -> None:
    """Have Ray append to a file what it would print between our own lines, whoever else may print."""

    def write(data: dict[str, Any], ignore_prefix: bool = False) -> None:
        with path.open("a", encoding="utf-8") as handle:
            handle.writelines(f"{line}\n" for line in data["lines"])

    ray._private.worker.print_to_stdstream = write


def read_environment() -> None:
    """Have Ray read its environment anew: it was imported under another one, or an earlier run of this process had another."""
    ray._private.ray_constants.ENABLE_RAY_CLUSTER = os.environ[ON_LOOPBACK] == "1"
    ray._raylet.Config.initialize("")
    ray._raylet.AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def environment(**values: str | None) -> Iterator[None]:
    """Variables that hold meanwhile, None for none: what Ray starts inherits them."""
    before = {name: os.environ.get(name) for name in (*OUR_ENVIRONMENT, *values)}
    set_environment({**OUR_ENVIRONMENT, **values})
    try:
        yield
    finally:
        set_environment(before)


def set_environment(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def with_token(path: Path) -> dict[str, str | None]:
    """Variables for the token in a file: one in the environment would come first."""
    return {"RAY_AUTH_TOKEN": None, "RAY_AUTH_TOKEN_PATH": str(path)}


@contextmanager
def handlers_of_signals_kept() -> Iterator[None]:
    """Ray takes SIGTERM for itself, which should let a stage write its checkpoint."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            with contextlib.suppress(ValueError):  # outside the main thread nothing has changed
                signal.signal(number, handler)
