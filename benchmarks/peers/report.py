"""From the rounds of `make bench-peers` to medians, ratios, a table and a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

Numbers = Mapping[str, float]
Rounds = Mapping[str, Mapping[str, Sequence[Numbers]]]  # case -> side -> one entry for each round
Figures = Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]  # case -> side -> number -> median, min, max

OWN = "ours"
SPEED = "per_second"
COUNTED = ("tokens", "verdicts")
BEGIN, END = "<!-- bench-peers {isa}: begin -->", "<!-- bench-peers {isa}: end -->"

# name -> (workload, case, who is compared with, what is aimed at); all of speed, ours over theirs.
SPEED_RATIOS: dict[str, tuple[str, str, str, float | None]] = {
    "grpo_tiny_vs_trl": ("grpo_tiny", "step", "trl", 4.0),
    "grpo_natural_vs_trl": ("grpo_natural", "step", "trl", 4.0),
    "grpo_smollm2_vs_trl": ("grpo_smollm2", "step", "trl", 4.0),
    **{f"decode{n}_vs_transformers": ("generation", str(n), "transformers", 2.0 if n >= 32 else None) for n in (1, 8, 32, 64)},
    **{f"decode{n}_vs_vllm": ("generation", str(n), "vllm", None if n == 8 else 1.5) for n in (1, 8, 32, 64)},
    "decode1_vs_llamacpp_f16": ("generation", "1", "llamacpp_f16", 0.8),
    "decode1_vs_llamacpp_q4": ("generation", "1", "llamacpp_q4", None),
    "sft_vs_trl": ("sft", "step", "trl", 1.5),
    "math_vs_math_verify": ("verdicts", "math", "math-verify", None),
    "programs_vs_fresh_python": ("verdicts", "code", "python", None),
}
# The same of our sides with weights of fewer bits, which are families of their own: a ratio names its type, and no other's.
BITS_RATIOS: dict[str, tuple[str, str, str, str, float | None]] = {
    **{f"decode{n}_w8_vs_vllm": ("generation", str(n), f"{OWN}_w8", "vllm", 2.3 if n == 32 else None) for n in (1, 8, 32, 64)},
    **{
        f"decode{n}_w8a8_vs_vllm": ("generation", str(n), f"{OWN}_w8a8", "vllm", 2.3 if n == 32 else None)
        for n in (1, 8, 32, 64)
    },
    "decode1_w8_vs_llamacpp_f16": ("generation", "1", f"{OWN}_w8", "llamacpp_f16", None),
    "decode1_w4_vs_llamacpp_f16": ("generation", "1", f"{OWN}_w4", "llamacpp_f16", 1.8),
    "decode1_w4_vs_llamacpp_q4": ("generation", "1", f"{OWN}_w4", "llamacpp_q4", 1.3),
    **{
        f"decode{n}_{bits}_vs_bf16": ("generation", str(n), f"{OWN}_{bits}", OWN, None)
        for bits in ("w8", "w8a8", "w4")
        for n in (1, 8, 32, 64)
    },
}
# name -> (workload, case, number of ours, what is aimed at)
OWN_NUMBERS: dict[str, tuple[str, str, str, float]] = {
    "decode64_of_gemm": ("generation", "64", "share_of_gemm", 0.5),
    "train_of_gemm": ("sft", "step", "share_of_gemm", 0.6),
    "math_verdicts_per_s": ("verdicts", "math", SPEED, 300.0),
    "programs_per_s": ("verdicts", "code", SPEED, 60.0),
}
# name -> (workload, case, who is compared with, what is aimed at); theirs over ours. The fastest TRL, and TRL with float32
# masters, as ours has: in bfloat16 alone most updates of a small learning rate are lost.
MEMORY_RATIOS = {
    "peak_memory_vs_trl": ("grpo_smollm2", "step", "trl", 2.0),
    "peak_memory_vs_trl_with_masters": ("grpo_smollm2", "step", "trl:mixed", 2.0),
}


def with_speed(numbers: Numbers) -> dict[str, float]:
    """What was counted, per second of the round, beside the numbers."""
    counted = next(numbers[name] for name in COUNTED if name in numbers)
    return {**numbers, SPEED: counted / numbers["seconds"]}


def figures_of(rounds: Rounds) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """Median, least and greatest of every number that each round has."""
    return {case: {side: pooled(each) for side, each in sides.items() if each} for case, sides in rounds.items()}


def pooled(rounds: Sequence[Numbers]) -> dict[str, dict[str, float]]:
    names = [name for name in rounds[0] if all(name in numbers for numbers in rounds)]
    values = {name: [numbers[name] for numbers in rounds] for name in names}
    figures = {name: {"median": short(median(v)), "min": short(min(v)), "max": short(max(v))} for name, v in values.items()}
    return {name: {**figure, "rounds": len(rounds)} for name, figure in figures.items()}


def best_side(sides: Mapping[str, Any], family: str) -> str | None:
    """The fastest variant of a family, or the side of that name, by its median; None where none took part."""
    variants = [side for side in sides if family in (side, side.partition(":")[0])]
    return max(variants, key=lambda side: sides[side][SPEED]["median"], default=None)


def ratios_of(workloads: Mapping[str, Figures]) -> tuple[dict[str, float], dict[str, dict[str, Any]]]:
    """All ratios whose sides were measured, larger is better for us; and of each who was compared, its spread and its aim.

    A spread is that of the worst against the best round: theirs at its fastest against ours at its slowest, and the other way
    round.
    """
    ratios: dict[str, float] = {}
    details: dict[str, dict[str, Any]] = {}
    of_types = {name: (workload, case, OWN, family, aim) for name, (workload, case, family, aim) in SPEED_RATIOS.items()}
    for name, (workload, case, own_family, family, aim) in (of_types | BITS_RATIOS).items():
        pair = compared(workloads, workload, case, family, own_family)
        if pair is not None:
            ours, theirs, sides = pair
            ratios[name] = short(ours[SPEED]["median"] / theirs[SPEED]["median"])
            spread = [short(ours[SPEED][a] / theirs[SPEED][b]) for a, b in (("min", "max"), ("max", "min"))]
            details[name] = {"compared": sides, "spread": spread, "aim": aim}
    for name, (workload, case, family, aim) in MEMORY_RATIOS.items():
        pair = compared(workloads, workload, case, family)
        if pair is not None:
            ours, theirs, sides = pair
            ratios[name] = short(theirs["peak_bytes"]["max"] / ours["peak_bytes"]["max"])
            details[name] = {"compared": sides, "spread": [ratios[name]] * 2, "aim": aim}
    for name, (workload, case, number, aim) in OWN_NUMBERS.items():
        sides_there = workloads.get(workload, {}).get(case, {})
        own = best_side(sides_there, OWN)
        if own is not None:
            value = sides_there[own][number]
            ratios[name] = value["median"]
            details[name] = {"compared": [own], "spread": [value["min"], value["max"]], "aim": aim}
    return ratios, details


def compared(
    workloads: Mapping[str, Figures], workload: str, case: str, family: str, own_family: str = OWN
) -> tuple[Any, Any, list[str]] | None:
    """The numbers of our fastest variant and of theirs, and their names; None where one was not measured."""
    sides = workloads.get(workload, {}).get(case, {})
    own, other = best_side(sides, own_family), best_side(sides, family)
    return None if own is None or other is None else (sides[own], sides[other], [own, other])


def as_markdown(result: Mapping[str, Any], chart: str) -> str:
    """The generated part of docs/performance.md."""
    machine = result["machine"]
    lines = [
        f"Measured on {result['date']}: {machine['cpu']}, class {result['isa']}, {result['threads']} threads, "
        f"{machine['memory_gb']} GB, "
        f"{result['rounds']} rounds of every side in turn, one of those marked so; medians, in brackets the least and "
        "the greatest.",
        "",
        f"![speed beside the peers]({chart})",
        "",
        "| ratio | ours to theirs | spread | aim | compared |",
        "|---|---|---|---|---|",
    ]
    for name, value in result["ratios"].items():
        detail = result["ratio_details"][name]
        low, high = detail["spread"]
        aim = "" if detail["aim"] is None else f"{detail['aim']:g}"
        lines.append(f"| {name} | {value:.2f} | {low:.2f} - {high:.2f} | {aim} | {' and '.join(detail['compared'])} |")
    for workload in result["workloads"].values():
        heading = f"| | side | {workload['unit']} per second | peak memory, GB |"
        lines += ["", f"**{workload['title']}** ({workload['measured']})", "", heading, "|---|---|---|---|"]
        for case, sides in workload["figures"].items():
            for side, numbers in sides.items():
                speed, peak = numbers[SPEED], numbers["peak_bytes"]["max"] / 1e9
                cell = f"{speed['median']:,.1f} ({speed['min']:,.1f} - {speed['max']:,.1f})"
                cell += f", {speed['rounds']:.0f} round" * (speed["rounds"] == 1)
                lines.append(f"| {case} | {side} | {cell} | {peak:.2f} |")
    sides = [facts for workload in result["workloads"].values() for facts in workload["sides"].values()]
    versions = {f"{name} {number}" for facts in sides for name, number in facts["versions"].items()}
    lines += ["", f"Versions: {', '.join(sorted(versions))}."]
    if result["failed"]:
        lines += ["", f"Not measured, since they failed: {', '.join(sorted(result['failed']))}."]
    return "\n".join(lines)


def between_markers(text: str, generated: str, begin: str, end: str) -> str:
    """A page with its generated part replaced.

    Raises:
        ValueError: the page has no such part.
    """
    before, found, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise ValueError(f"the page needs {begin} and {end}")
    return f"{before}{begin}\n{generated.strip()}\n{end}{after}"


def draw_chart(result: Mapping[str, Any], path: Path) -> None:
    """Speed ratios as bars beside their aims."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    names = [name for name in (*SPEED_RATIOS, *BITS_RATIOS) if name in result["ratios"]]
    figure = Figure(figsize=(9, 0.4 * len(names) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    places = range(len(names))
    values = [result["ratios"][name] for name in names]
    axes.barh(places, values, color="#4c72b0")
    for place, name in zip(places, names, strict=True):
        detail = result["ratio_details"][name]
        axes.plot(detail["spread"], [place, place], color="black", linewidth=1)
        if detail["aim"] is not None:
            axes.plot([detail["aim"]] * 2, [place - 0.4, place + 0.4], color="#c44e52", linewidth=2)
    axes.axvline(1.0, color="grey", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.set_xlabel("our speed over theirs (line: spread, red: aim)")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", metadata={"Date": None})


def short(value: float) -> float:
    """To six digits: no clock says more."""
    return float(f"{value:.6g}")
