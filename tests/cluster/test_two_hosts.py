"""Two network namespaces with a pair of virtual interfaces between them, as two hosts: a Ray that runs already, on both."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.cluster.clustered import SECONDS, called, command, driver_of, made, on_ray, stop_after_a_step

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3 * SECONDS)]
SECONDS_OF_A_CUT = 20.0
ADDRESSES = ("10.213.7.1", "10.213.7.2")


@dataclass(frozen=True)
class Hosts:
    """Attributes:
    names: of the namespaces; Ray's head is in the first.
    token: the file with the token.
    end: of the second's interface.
    """

    names: tuple[str, str]
    token: Path
    end: str

    @property
    def settings(self) -> tuple[str, ...]:
        return (f"cluster.address={ADDRESSES[0]}:6379", f"cluster.token_file={self.token}")

    def on(self, host: int, arguments: list[str]) -> list[str]:
        return ["ip", "netns", "exec", self.names[host], *arguments]

    def processes(self, host: int) -> list[int]:
        found = subprocess.run(["ip", "netns", "pids", self.names[host]], capture_output=True, text=True, check=True)
        return [int(pid) for pid in found.stdout.split()]

    def living(self, host: int) -> Iterator[psutil.Process]:
        for pid in self.processes(host):
            with suppress(psutil.NoSuchProcess):
                yield psutil.Process(pid)

    def kill(self, host: int) -> None:
        for pid in self.processes(host):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def start_node(hosts: Hosts, host: int, cpus: int, *further: str) -> None:
    arguments = [
        sys.executable, "-m", "ray.scripts.scripts", "start", "--node-ip-address", ADDRESSES[host], "--num-cpus", str(cpus),
        "--object-store-memory", str(100 << 20), "--disable-usage-stats", *further,
    ]  # fmt: skip
    environment = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(hosts.token)}
    with tempfile.TemporaryFile("w+") as said:  # no pipe: what Ray leaves in the background would hold it open
        done = subprocess.run(
            hosts.on(host, arguments), env=environment, stdout=said, stderr=said, check=False, timeout=SECONDS
        )
        said.seek(0)
        assert done.returncode == 0, said.read()


def permitted(arguments: list[str]) -> None:
    """Run `ip`, or skip: a container may forbid it to root."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"ip {' '.join(arguments)} is not permitted here: {done.stderr.strip()}")


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and the program ip")
    folder = Path(tempfile.mkdtemp(prefix="cogitate-"))
    ends = [f"cg{os.getpid()}{letter}" for letter in "ab"]
    found = Hosts((f"cogitate-{os.getpid()}-a", f"cogitate-{os.getpid()}-b"), folder / "token", ends[1])
    found.token.write_text(secrets.token_hex(32))
    try:
        for name in found.names:
            permitted(["netns", "add", name])
        permitted(["link", "add", ends[0], "type", "veth", "peer", "name", ends[1]])
        for host, (name, end) in enumerate(zip(found.names, ends, strict=True)):
            permitted(["link", "set", end, "netns", name])
            for arguments in (
                ["addr", "add", f"{ADDRESSES[host]}/24", "dev", end],
                ["link", "set", end, "up"],
                ["link", "set", "lo", "up"],
            ):
                permitted(["-n", name, *arguments])
        start_node(found, 0, 2, "--head", "--port", "6379", "--include-dashboard", "false", "--temp-dir", str(folder / "ray"))
        start_node(found, 1, 1, "--address", f"{ADDRESSES[0]}:6379")
        yield found
    finally:
        for host, name in enumerate(found.names):
            with suppress(subprocess.CalledProcessError):
                found.kill(host)
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", ends[0]], capture_output=True, check=False)  # it goes with a namespace it is in
        shutil.rmtree(folder, ignore_errors=True)


def refused(hosts: Hosts, out: Path, *settings: str) -> str:
    """What a command on the first host says that does not start."""
    done = subprocess.run(hosts.on(0, command(out, *settings)), capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 2, done.stderr
    assert not out.exists()
    return done.stderr.strip().splitlines()[-1]


def test_a_cluster_that_is_too_small_is_refused_at_once(hosts: Hosts, tmp_path: Path) -> None:
    said = refused(hosts, tmp_path / "run", *on_ray(4, *hosts.settings))
    assert said == ("error: 4 generators with 1 CPU each need 4, and the cluster has 3: lower cluster.generators or add nodes")


def test_a_connection_without_the_token_is_refused(hosts: Hosts, tmp_path: Path) -> None:
    other = tmp_path / "token"
    other.write_text(secrets.token_hex(32))
    said = refused(hosts, tmp_path / "run", *on_ray(1, hosts.settings[0], f"cluster.token_file={other}"))
    assert said.startswith(f"error: cluster.address={ADDRESSES[0]}:6379: Ray refuses: ")


@pytest.mark.slow
def test_a_link_that_is_cut_for_a_while_costs_no_bit(hosts: Hosts, laptop: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = hosts.on(0, command(out, *on_ray(2, *hosts.settings)))
    with driver_of(arguments) as driver:
        stop_after_a_step(driver, out)
        for state in ("down", "up"):
            subprocess.run(["ip", "-n", hosts.names[1], "link", "set", hosts.end, state], check=True)
            if state == "down":
                driver.send_signal(signal.SIGCONT)
                time.sleep(SECONDS_OF_A_CUT)
        _, errors = driver.communicate(timeout=SECONDS)
    assert driver.returncode == 0, errors  # whether Ray has given the host up or has waited for it
    assert made(out) == made(laptop)


def test_a_host_that_is_lost_costs_no_bit(hosts: Hosts, laptop: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = hosts.on(0, command(out, *on_ray(2, *hosts.settings, "cluster.graders=1")))
    with driver_of(arguments) as driver:
        stop_after_a_step(driver, out)
        there = {word: [each.pid for each in called(hosts.living(1), word)] for word in ("GeneratorWork", "GradingWork")}
        hosts.kill(1)
        driver.send_signal(signal.SIGCONT)
        _, errors = driver.communicate(timeout=SECONDS)
    assert driver.returncode == 0, errors
    assert made(out) == made(laptop)
    deaths = [json.loads(line) for line in (out / "cluster" / "deaths.jsonl").read_text().splitlines()]
    assert [death["pid"] for death in deaths if "generator" in death] == there["GeneratorWork"]
    graders = [
        death["pid"] for death in deaths if "grader" in death
    ]  # none where it had not started yet, two where Ray is slow to notice
    assert set(graders) <= {*there["GradingWork"], None}
