"""The script for Slurm: with stand-ins for Slurm, Ray and driver that are real processes, and with a real Ray and driver."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.cluster.clustered import SECONDS, command, is_alive, made, run, stop_after_a_step, until

SCRIPT = Path(__file__).parents[2] / "examples" / "slurm.sh"
STAND_INS = {
    "scontrol": 'echo "$3" | tr "," "\\n"',
    # A step: its node's name is in its environment, and signals to it are signals to its task.
    "srun": """
while [[ $1 == --* ]]; do case $1 in --nodelist=*) export NODE=${1#*=} ;; esac; shift; done
exec "$@"
""",
    "getent": '[ -z "$ADDRESS" ] || echo "$ADDRESS STREAM $2"',
    "ip": '[ "$6" != eth1 ] || echo "2: eth1    inet 10.9.8.7/24 brd 10.9.8.255 scope global eth1"',
    "ray": """
echo $$ >> pids
echo "$NODE: $*" >> steps.log
[ "$NODE" != "$BROKEN" ] || { echo "no such network"; exit 1; }
[ "$NODE" != "$SLOW" ] || [ -e slow ] || { touch slow; echo "The current node timed out during startup."; exit 1; }
[ "$NODE" != "$SILENT" ] || exec sleep 1000
echo "Ray runtime started."
exec sleep 1000
""",
    "cogitate": """
trap 'echo "step 7" > checkpoint; exit 143' TERM
echo "$*" > driver.log
cat "$RAY_AUTH_TOKEN_PATH" > token_of_the_driver
[ -z "$STATUS" ] || exit "$STATUS"
while true; do sleep 0.05; done
""",
}
Job = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A directory with a short name: paths of sockets may have 107 characters."""
    directory = Path(tempfile.mkdtemp(prefix="cogitate-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """The script as a job of three nodes; `variables` are of its environment."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in STAND_INS.items():
        (programs / name).write_text(f"#!/usr/bin/env bash\n{text}")
        (programs / name).chmod(0o755)

    def start(*arguments: str, **variables: str) -> subprocess.Popen[str]:
        of_slurm = {"SLURM_JOB_ID": "17", "SLURM_JOB_NODELIST": "n1,n2,n3", "SLURM_CPUS_ON_NODE": "4", "ADDRESS": "10.0.0.1"}
        of_stand_ins = dict.fromkeys(("BROKEN", "SILENT", "SLOW", "STATUS"), "")
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        return subprocess.Popen(
            ["bash", str(SCRIPT), *arguments],
            env={**os.environ, **of_slurm, **of_stand_ins, "PATH": path, **variables},
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    return start


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit status and the last line of standard error."""
    _, errors = process.communicate(timeout=SECONDS)
    return process.returncode, (errors.strip().splitlines() or [""])[-1]


def assert_all_is_gone(directory: Path) -> None:
    for pid in (directory / "pids").read_text().split():
        assert not Path(f"/proc/{pid}").exists()
    assert not (directory / "slurm-17" / "token").exists()


def test_ray_starts_on_every_node_then_the_driver_and_all_of_it_ends_with_the_driver(job: Job, tmp_path: Path) -> None:
    assert ended(job("tiny", "--out", "there", "cluster.generators=3", STATUS="0")) == (0, "")
    first, *others = (tmp_path / "steps.log").read_text().splitlines()
    assert first == "n1: start --block --num-cpus=4 --head --node-ip-address=10.0.0.1 --port=6379 --include-dashboard=false"
    assert sorted(others) == [f"{node}: start --block --num-cpus=4 --address=10.0.0.1:6379" for node in ("n2", "n3")]
    token = tmp_path / "slurm-17" / "token"
    assert (tmp_path / "driver.log").read_text() == (
        "run tiny --out there cluster.generators=3 runtime.backend=ray cluster.address=10.0.0.1:6379 "
        f"cluster.token_file={token}\n"
    )
    assert len((tmp_path / "token_of_the_driver").read_text()) == 64
    assert token.parent.stat().st_mode & 0o077 == 0
    assert_all_is_gone(tmp_path)


def test_a_job_that_is_cut_has_the_driver_write_a_checkpoint_and_leaves_nothing(job: Job, tmp_path: Path) -> None:
    process = job("tiny")
    until(lambda: (tmp_path / "token_of_the_driver").exists(), "the driver")
    process.send_signal(signal.SIGTERM)
    assert ended(process) == (143, "the job was cut; submit it again, and the run goes on from its last checkpoint")
    assert (tmp_path / "checkpoint").read_text() == "step 7\n"
    assert_all_is_gone(tmp_path)


def test_a_job_that_is_cut_before_ray_is_there_starts_no_driver(job: Job, tmp_path: Path) -> None:
    process = job("tiny", SILENT="n2")
    until(lambda: "n3" in (tmp_path / "steps.log").read_text() if (tmp_path / "steps.log").exists() else False, "the last step")
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 143
    assert not (tmp_path / "driver.log").exists()
    assert_all_is_gone(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        ((), {}, "no recipe"),
        (("tiny",), {"SLURM_JOB_ID": ""}, "this is no job of Slurm; submit it by sbatch"),
        (("tiny",), {"ADDRESS": "193.0.2.7"}, "193.0.2.7 is a public address, and Ray's ports must not be open to others"),
        (("tiny",), {"ADDRESS": "172.32.0.1"}, "172.32.0.1 is a public address"),
        (("tiny",), {"ADDRESS": "127.0.1.1"}, "n1 is 127.0.1.1 here, where others do not reach it; name the "),
        (("tiny",), {"ADDRESS": ""}, "n1 has no IPv4 address; name the private network's interface by COGITATE_NETWORK"),
        (("tiny",), {"COGITATE_NETWORK": "none0"}, "COGITATE_NETWORK=none0: no such interface with an IPv4 address on n1"),
        (("tiny",), {"BROKEN": "n3"}, "Ray does not start on n3; its last line: no such network; see "),
        (("tiny",), {"SILENT": "n1", "COGITATE_START_LIMIT": "0"}, "Ray has not started on n1 for "),
    ],
)
def test_what_cannot_begin_is_one_line(
    arguments: tuple[str, ...], variables: dict[str, str], message: str, job: Job, tmp_path: Path
) -> None:
    status, line = ended(job(*arguments, **variables))
    assert (status, line[:7]) == (2, "error: ")
    assert message in line
    assert not (tmp_path / "driver.log").exists()


def test_a_public_address_is_taken_where_the_user_trusts_its_network_and_the_drivers_fault_is_the_jobs(
    job: Job, tmp_path: Path
) -> None:
    assert ended(job("tiny", ADDRESS="193.0.2.7", COGITATE_TRUSTED_NETWORK="1", STATUS="2"))[0] == 2
    said = (tmp_path / "driver.log").read_text()
    assert "cluster.address=193.0.2.7:6379" in said
    assert said.endswith(" cluster.trusted_network=true\n")
    assert_all_is_gone(tmp_path)


def test_the_head_listens_on_the_interface_that_is_named(job: Job, tmp_path: Path) -> None:
    variables = {
        "SLURM_JOB_NODELIST": "n1",
        "COGITATE_NETWORK": "eth1",
        "COGITATE_RAY_PORT": "7000",
        "SLURM_CPUS_PER_TASK": "2",
    }
    assert ended(job("tiny", STATUS="0", **variables)) == (0, "")
    assert "--num-cpus=2 --head --node-ip-address=10.9.8.7 --port=7000 " in (tmp_path / "steps.log").read_text()


def test_ray_that_was_too_slow_for_itself_is_started_again(job: Job, tmp_path: Path) -> None:
    assert ended(job("tiny", STATUS="0", SLOW="n2")) == (0, "Ray was too slow to start on n2; it is started again")
    assert sorted(line[:2] for line in (tmp_path / "steps.log").read_text().splitlines()) == ["n1", "n2", "n2", "n3"]
    assert_all_is_gone(tmp_path)


@pytest.mark.cluster
@pytest.mark.timeout(3 * SECONDS)
def test_a_run_on_a_ray_of_the_script_is_cut_and_can_be_gone_on_with(
    job: Job, laptop: Path, temporary: Path, tmp_path: Path
) -> None:
    """Ray and the driver are real."""
    for name in ("ray", "cogitate"):
        (tmp_path / "programs" / name).unlink()
    out = tmp_path / "run"
    variables = {
        "SLURM_JOB_NODELIST": "here", "ADDRESS": own_address(), "COGITATE_TRUSTED_NETWORK": "1", "SLURM_CPUS_ON_NODE": "2",
        "PATH": os.pathsep.join((str(tmp_path / "programs"), str(Path(sys.executable).parent), os.environ["PATH"])),
        "RAY_TMPDIR": str(temporary), "COGITATE_START_LIMIT": str(int(SECONDS)), "COGITATE_RAY_PORT": str(free_port()),
    }  # fmt: skip
    process = job(*command(out, "cluster.generators=2")[4:], **variables)
    try:
        until(lambda: drivers_below(process) or process.poll() is not None, "the driver")
        assert process.poll() is None, process.communicate()[1]
        (driver,) = drivers_below(process)
        stop_after_a_step(process, out, pid=driver.pid)
        all_of_it = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        driver.send_signal(signal.SIGCONT)
        status, line = ended(process)
    finally:
        for each in psutil.Process(process.pid).children(recursive=True) if process.poll() is None else ():
            each.kill()
        process.kill()
    assert (status, line[:15]) == (143, "the job was cut"), line
    until(lambda: not any(map(is_alive, all_of_it)), "the end of all processes")
    assert not (tmp_path / "slurm-17" / "token").exists()
    assert run(out).returncode == 0  # a run may go on elsewhere
    assert made(out) == made(laptop)


def drivers_below(process: subprocess.Popen[str]) -> list[psutil.Process]:
    found = []
    for each in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.Error):
            if any(word.startswith("cluster.token_file=") for word in each.cmdline()):
                found.append(each)
    return found


def own_address() -> str:
    """That of this machine which Ray chooses, too: of loopback it takes none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        try:
            sender.connect(("8.8.8.8", 53))  # which sends nothing
        except OSError:
            pytest.skip("this machine has no address but that of loopback")
        address: str = sender.getsockname()[0]
    return address


def free_port() -> int:
    with socket.create_server(("", 0)) as server:
        port: int = server.getsockname()[1]
    return port
