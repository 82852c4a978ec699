"""What a measurement beside the peers need not do: what it has done before it was stopped, and variants that do not count."""

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import cogitate
from benchmarks.peers import bench, setup
from benchmarks.peers.workloads import WORKLOADS, Scale, Workload


def empty_workload(name: str, scale: Scale) -> Workload:
    return Workload(name, f"the {name}", "tokens", cases={}, sides=())


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace:
    """Two workloads in which nobody takes part."""
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    for name in ("first", "second"):
        monkeypatch.setitem(WORKLOADS, name, partial(empty_workload, name))
    chosen = {"only": ["first", "second"], "sides": [], "quick": False, "publish": True, "out": None}
    return argparse.Namespace(rounds=5, threads=2, isa="avx2", **chosen)


def test_whole_workloads_are_kept_and_not_measured_again(
    options: argparse.Namespace, capsys: pytest.CaptureFixture[str]
) -> None:
    options.only = ["first"]
    measured = bench.measure(options)["workloads"]["first"]["measured"]
    options.only = ["first", "second"]
    result = bench.measure(options)
    assert capsys.readouterr().out == f"first: measured already, {measured}\n"
    assert list(result["workloads"]) == ["first", "second"]
    assert list(json.loads(bench.kept_file("avx2").read_text())["workloads"]) == ["first", "second"]


@pytest.mark.parametrize("change", [{"rounds": 6}, {"threads": 1}, {"isa": "plain"}])
def test_under_other_conditions_everything_is_measured_again(
    options: argparse.Namespace, capsys: pytest.CaptureFixture[str], change: dict[str, Any]
) -> None:
    bench.measure(options)
    bench.measure(argparse.Namespace(**{**vars(options), **change}))
    assert capsys.readouterr().out == ""


def test_other_code_is_another_condition(
    options: argparse.Namespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "cogitate"
    (package / "engine").mkdir(parents=True)
    for room in bench.ROOMS:
        if room.endswith(".py"):
            (package / room).write_text("")
    monkeypatch.setattr(cogitate, "__file__", str(package / "__init__.py"))
    before = bench.measured_code()
    (package / "engine" / "sampler.cpp").write_text("int x;")
    assert bench.measured_code() != before


def test_what_is_only_tried_neither_uses_nor_leaves_kept_workloads(options: argparse.Namespace) -> None:
    options.publish = False
    bench.measure(options)
    assert not bench.kept_file("avx2").exists()


def test_variants_far_behind_the_fastest_of_their_family_in_every_case_are_not_run_again() -> None:
    def case(**speeds: float) -> dict[str, list[dict[str, float]]]:
        return {side.replace("_", ":"): [{"per_second": speed}] for side, speed in speeds.items()}

    one = case(ours_float32=50, ours_bfloat16=30, trl_float32=10, trl_mixed=8, trl_bfloat16=1, vllm=2)
    assert bench.far_behind({"1": one}) == {"ours:bfloat16", "trl:bfloat16"}  # mixed is close, vllm alone of its kind
    other = case(ours_float32=1, ours_bfloat16=9, trl_float32=10, trl_bfloat16=2)
    assert bench.far_behind({"1": one, "64": other}) == {"trl:bfloat16"}
    assert bench.far_behind({"1": case(vllm=1)}) == set()
