"""The Ray that a run works on: one of our own on this machine for as long as the run lasts, or one that runs already.

Our own listens on loopback alone, demands a token, has no dashboard, reports nothing, and leaves its logs in the run
directory. The kernel ends it together with the process that started it, however that one ends.

Paths of Unix sockets may have 107 characters and run directories more: Ray works through a short link in a private temporary
directory, which also holds the token.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import ray

from cogitate.config import ClusterConfig
from cogitate.errors import ClusterError, ConfigError
from cogitate.runtime import python_path, write_json

RAY, MESSAGES = "ray", "ray_messages.log"  # its sessions with their logs; what it would write to our standard output
STARTED = "started.json"  # what a start has left behind where it was killed
TOO_SLOW = "timed out during startup"  # of what Ray says then
VITAL = ("gcs_server", "raylet")  # without them Ray does nothing, and would wait long before it said so
SECONDS_TO_END = 10.0  # for processes of an earlier start, before they are killed
SECONDS_TO_REACH = 5.0  # for an address to accept a connection

OUR_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token"}
ON_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # 0: as on those systems by default, Ray binds loopback alone


class Session:
    """A connection to Ray; `close` ends it.

    Attributes:
        logs: where processes on this machine write their logs.
    """

    def __init__(self, settings: ClusterConfig, directory: Path, say: Callable[[str], None]):
        """
        Args:
            directory: of the run, for our own Ray.
            say: takes a line that a person should read.

        Raises:
            ConfigError: the address cannot be reached, the token is refused, or Ray does not start.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)  # Ray makes its own for everybody to write to
        self.settings, self._directory, self._say = settings, directory, say
        end_earlier_start(directory, say)
        self._temporary = None if settings.address else self._make_temporary()
        try:
            keep_messages(directory / MESSAGES)
            with handlers_of_signals_kept():
                if self._temporary is None:
                    self._join()
                else:
                    self._start(self._temporary)
        except BaseException:
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
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            (self._directory / STARTED).unlink(missing_ok=True)

    def _make_temporary(self) -> Path:
        """The private directory with the token, and with the link to that of Ray, which is made anew."""
        directory = self._directory
        shutil.rmtree(directory / RAY, ignore_errors=True)
        (directory / RAY).mkdir()
        temporary = Path(tempfile.mkdtemp(prefix="cogitate-"))
        write_json(directory / STARTED, {"pid": os.getpid(), "temporary": str(temporary)})
        (temporary / RAY).symlink_to((directory / RAY).resolve(), target_is_directory=True)
        token = temporary / "token"
        token.touch(mode=0o600)
        token.write_text(secrets.token_hex(32))
        return temporary

    def _start(self, temporary: Path) -> None:
        """Start our own Ray, again where it was too slow for itself: it waits 30 seconds for its own processes."""
        settings, until = self.settings, time.monotonic() + self.settings.start_limit
        of_ours = {"RAY_AUTH_TOKEN_PATH": str(temporary / "token"), "PYTHONPATH": python_path(), ON_LOOPBACK: "0"}
        with environment(**of_ours, RAY_worker_register_timeout_seconds=str(math.ceil(settings.start_limit))):
            read_environment()
            while True:
                try:
                    ray.init(
                        address="local",
                        num_cpus=max(os.cpu_count() or 1, settings.generators * settings.generator_cpus),
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
        host, _, port = settings.address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=SECONDS_TO_REACH).close()
        except (OSError, OverflowError) as error:
            raise ConfigError(
                f"cluster.address={settings.address}: cannot be reached ({error}): is Ray running there?"
            ) from None
        token = {"RAY_AUTH_TOKEN_PATH": settings.token_file} if settings.token_file else {}
        if settings.token_file and not Path(settings.token_file).is_file():
            raise ConfigError(f"cluster.token_file={settings.token_file}: no such file")
        with environment(**token, **{ON_LOOPBACK: "1"}):
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


def end_earlier_start(directory: Path, say: Callable[[str], None]) -> None:
    """End what a start that was killed has left: processes of its Ray, which should be gone by themselves, and its files."""
    record = directory / STARTED
    if not record.is_file():
        return
    with contextlib.suppress(ValueError, KeyError):  # half a record is none: the kill came while it was written
        temporary = Path(json.loads(record.read_text(encoding="utf-8"))["temporary"])
        left = wait_for_end(temporary)
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
        if left:
            pids = ", ".join(str(process.pid) for process in left)
            say(f"ended processes that an earlier start's Ray has left: {pids}")
        if temporary.name.startswith("cogitate-"):
            shutil.rmtree(temporary, ignore_errors=True)
    record.unlink()


def wait_for_end(temporary: Path) -> list[psutil.Process]:
    """Processes of the Ray that works in a temporary directory and have not ended in time."""
    until = time.monotonic() + SECONDS_TO_END
    while left := processes_of(temporary):
        if time.monotonic() > until:
            break
        time.sleep(0.1)
    return left


def processes_of(temporary: Path) -> list[psutil.Process]:
    """Living processes whose command line, or environment, names the directory of a Ray."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE and names(process, str(temporary)):
                found.append(process)
    return found


def names(process: psutil.Process, path: str) -> bool:
    return any(path in word for word in process.cmdline()) or any(path in value for value in process.environ().values())


def read_environment() -> None:
    """Have Ray read its environment anew: it was imported under another one, or an earlier run of this process had another."""
    ray._private.ray_constants.ENABLE_RAY_CLUSTER = os.environ[ON_LOOPBACK] == "1"
    ray._raylet.Config.initialize("")
    ray._raylet.AuthenticationTokenLoader.instance().reset_cache()


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Variables that hold meanwhile: what Ray starts inherits them."""
    values = {**OUR_ENVIRONMENT, **values}
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


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
