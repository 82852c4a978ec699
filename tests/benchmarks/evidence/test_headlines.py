"""Figures that README and docs repeat by hand, against the committed result files: each is what its source rounds to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
RESULTS = ROOT / "docs" / "results"

STAGES = {  # of docs/results_tiny.md
    "base": "base",
    "R1-Zero": "r1_zero",
    "R1-Dev1 (cold start)": "r1_dev1",
    "R1-Dev2 (reasoning RL)": "r1_dev2",
    "R1-Dev3 (SFT of base again)": "r1_dev3",
    "**R1** (RL over all scenarios)": "r1",
    "Llama student": "student_base_llama",
    "Llama, RL alone": "student_rl_llama",
    "Llama, distilled": "r1_distill_llama",
    "Qwen2 student": "student_base_qwen",
    "Qwen2, RL alone": "student_rl_qwen",
    "Qwen2, distilled": "r1_distill_qwen",
}
OF_SMOLLM2 = {  # of docs/smollm2.md
    "base, best of five prompts": "base",
    "R1-Dev1 (cold start)": "r1_dev1",
    "R1-Dev2 (reasoning RL)": "r1_dev2",
    "R1-Dev3 (SFT of base again)": "r1_dev3",
    "R1 (RL over all scenarios)": "r1",
    "student: every second layer of base": "student_base_llama",
    "the student, distilled": "r1_distill_llama",
    "the student, RL alone": "student_rl_llama",
}
GROWN = {  # of docs/puzzles.md: row -> measure, unit
    "right completions": ("accuracy", "%"),
    "thinking tokens of finished completions": ("thinking_tokens_finished", ""),
    "tries of a problem": ("tries", "tries"),
    "completions that reject a try and go on": ("rejecting_rate", "%"),
    "completions with a verified self-correction": ("self_correction_rate", "%"),
    "cut off at the limit": ("truncated_share", "%"),
    "entropy of sampled tokens, nats": ("entropy", "nats"),
}


def read(name: str) -> Any:
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


def page(name: str) -> str:
    """With single blanks, so that a sentence may be wrapped anywhere."""
    return " ".join((ROOT / name).read_text(encoding="utf-8").split())


def rows(name: str) -> dict[str, list[str]]:
    """First cell -> the others, of every table of a page; of rows with the same first cell the first one."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            first, *others = (cell.strip() for cell in line.strip("|").split("|"))
            found.setdefault(first, others)
    return found


def rate(value: Mapping[str, Any], digits: int = 0, sign: str = "") -> str:
    """`52.0 [49, 55]`"""
    low, high = (f"{100 * limit:{sign}.{digits}f}" for limit in value["ci95"])
    return f"{plain(value, sign)} [{low}, {high}]"


def plain(value: Mapping[str, Any], sign: str = "") -> str:
    return f"{100 * value['value']:{sign}.1f}"


@pytest.fixture(scope="module")
def tiny() -> dict[str, dict[str, Any]]:
    """Model -> metric -> its value over all tasks."""
    models = read("r1/pooled.json")["models"]
    return {
        model: {name: row["all"] for name, row in rows.items() if isinstance(row, dict) and "all" in row}
        for model, rows in models.items()
    }


def figures(part_of: str) -> dict[str, Any]:
    """The figures of all claims of r1/pooled.json about one case."""
    parts = [part for claim in read("r1/pooled.json")["claims"] for part in claim["parts"] if part["of"] == part_of]
    return {name: figure for part in parts for name, figure in part["figures"].items()}


def test_the_tables_of_readme_and_results() -> None:
    base = read("puzzles/pooled.json")["by family"]["all"]["base"]
    variants = json.loads((ROOT / "docs" / "experiments" / "thinking_pays.json").read_text(encoding="utf-8"))["variants"]
    free, quarter, price = (variants[name]["measures"]["pass@1"] for name in ("free", "a_quarter_of_the_room", "no_rejecting"))
    names = ("base", "R1-Zero", "R1-Zero with a quarter of the room", "R1-Zero that pays for every try it rejects")
    for name, value in zip(names, (base, free, quarter, price), strict=True):
        assert rows("README.md")[name] == [rate(value)], name
    shown, forty = rows("docs/results.md"), read("puzzles/pooled.json")["by family"]["all"]["r1_zero"]
    titles = (
        "base", "R1-Zero, 40 steps", "R1-Zero, at most 1,000,000 tokens", "the same with a quarter of the room",
        "the same with a price on rejecting a try",
    )  # fmt: skip
    for name, value in zip(titles, (base, forty, free, quarter, price), strict=True):
        assert shown[name][0] == rate(value), name


def test_the_sentences_of_the_readme(tiny: dict[str, dict[str, Any]]) -> None:
    smollm2 = read("smollm2/results.json")["stages"]
    base, zero, last = (rate(tiny[model]["pass@1"]) for model in ("base", "r1_zero", "r1"))
    assert f"base {base} %, R1-Zero {zero}, R1 {last}" in page("README.md")
    first, last = (rate(smollm2[model]["mawps"]["pass@1"]).replace(" [", " % [") for model in ("base", "r1_zero"))
    assert f"R1-Zero goes from {first} to {last}" in page("README.md")


def test_the_table_of_quick() -> None:
    """docs/puzzles.md: what `make run` leaves."""
    stages, shown = read("quick/results.json")["stages"], rows("docs/puzzles.md")
    table = {"pass@1, all five levels": "pass@1", "rejects a try": "rejecting_rate", "cut off": "truncated_share"}
    for name, metric in table.items():
        assert shown[name] == [rate(stages[model]["all"][metric]) for model in ("base", "r1_zero")], name
    later = (("R1-Dev1", "r1_dev1"), ("R1-Dev2", "r1_dev2"), ("R1-Dev3", "r1_dev3"), ("R1", "r1"))
    told = ", ".join(f"{title} {rate(stages[model]['all']['pass@1'])}" for title, model in later)
    assert told in page("docs/puzzles.md")


def test_the_staged_table_of_the_results(tiny: dict[str, dict[str, Any]]) -> None:
    shown = rows("docs/results_tiny.md")
    for name, model in STAGES.items():
        row = tiny[model]
        rates = [plain(row[metric]) for metric in ("format_rate", "language_mix_rate", "reflection_rate")]
        assert shown[name] == [rate(row["pass@1"]), *rates, rate(row["helpfulness"]), rate(row["safety"])], name


def test_the_claims_of_the_results(tiny: dict[str, dict[str, Any]]) -> None:
    shown = rows("docs/results_tiny.md")
    mixes, cured = (rate(tiny[model]["language_mix_rate"], 1).replace(" [", " % [") for model in ("r1_zero", "r1_dev2"))
    assert shown["R1-Zero mixes languages (at least 5 %)"][0] == mixes
    allowed = 100 * figures("R1-Dev2")["allowed"]
    cure = f"The language reward removes the mixing (R1-Dev2: at most a tenth of R1-Zero's share, {allowed:.2f} %)"
    assert shown[cure][0] == cured
    for name, pair in (("RL with the language reward costs less than 3 points of pass@1", "R1-Dev2 - R1-Zero"),
                       ("RL over all scenarios costs less than 2 points of pass@1", "R1 - R1-Dev3")):  # fmt: skip
        given = figures(pair)
        here, any_seed = (
            rate(given[f"difference in pass@1 {of}"], 1, sign)
            for of, sign in (("of these runs", ""), ("over other seeds, too", "+"))
        )
        value, _, interval = here.partition(" ")
        assert shown[name][0] == f"{pair}: {value}; these runs {interval}, other seeds {any_seed.partition(' ')[2]}"
    for score in ("helpfulness", "safety"):
        difference = rate(figures("R1 - R1-Dev3")[f"difference in {score}"], 1, "+")
        assert shown[f"RL over all scenarios raises {score}"][0] == f"R1 - R1-Dev3: {difference}"
    trained = [
        f"{title} {rate(tiny[f'student_base_{family}']['pass@1'])} to {rate(tiny[f'student_rl_{family}']['pass@1'])}"
        for title, family in (("Llama", "llama"), ("Qwen2", "qwen"))
    ]
    assert shown["RL alone improves a student"][0] == ", ".join(trained)
    gained = [
        f"{title} {rate(figures(of)['difference in pass@1'], 1, '+')}" for title, of in (("Llama", "Llama"), ("Qwen2", "Qwen"))
    ]
    distilled = shown["Distillation beats RL alone of at least the same duration"][0]
    assert distilled == f"{', '.join(gained)} points of pass@1"


def test_the_votes_of_the_results() -> None:
    votes = {model: rows["votes"]["difference"] for model, rows in read("r1/pooled.json")["models"].items()}
    students = between([value for model, value in votes.items() if "student" in model or "distill" in model])
    later = between([votes[model] for model in ("r1_zero", "r1_dev1", "r1_dev2", "r1_dev3", "r1")])
    told = f"base {rate(votes['base'], 1, '+')}; students {students}; R1-Zero and the later stages {later}"
    assert rows("docs/results_tiny.md")["The majority of 16 completions beats pass@1"][0] == told


def test_r1_zero_by_domain() -> None:
    pooled, text = read("r1_zero/pooled.json"), (ROOT / "docs" / "results_tiny.md").read_text(encoding="utf-8")
    for name, model in (("base", "base"), ("R1-Zero", "r1_zero")):
        *tasks, whole = (pooled["pass@1"][task][model] for task in ("arithmetic", "word_problems", "code", "logic", "all"))
        assert f"| {name} | {' | '.join(map(plain, tasks))} | {rate(whole)} |" in text
    correlations = ", ".join(f"{value:.2f}" for value in pooled["rank correlation of thinking tokens with the step"])
    assert f"(rank correlation with the step {correlations})" in page("docs/results_tiny.md")


def test_the_table_of_smollm2() -> None:
    stages, shown = read("smollm2/results.json")["stages"], rows("docs/smollm2.md")
    for name, model in {**OF_SMOLLM2, "**R1-Zero**": "r1_zero"}.items():
        row = stages[model]
        mawps = rate(row["mawps"]["pass@1"], 1)
        further = [rate(row[task]["pass@1"], 1) if task in row else "" for task in ("svamp", "gsm8k_test")]
        cells = [cell.replace("**", "") for cell in shown[name][:4]]
        assert cells == [mawps, *further, plain(row["mawps"]["pass@4"])], name


def test_the_tables_of_puzzles() -> None:
    short, long, shown = read("puzzles/pooled.json"), read("puzzles_150/pooled.json"), rows("docs/puzzles.md")
    for name, place in (
        ("all five levels", ("by family", "all")),
        ("levels 1 to 3, as trained", ("by level", "levels 1 to 3, as trained")),
        ("levels 4 and 5, never trained", ("by level", "levels 4 and 5, never trained")),
    ):
        forty, hundred_fifty = (pooled[place[0]][place[1]] for pooled in (short, long))
        assert shown[name] == [rate(forty["base"]), rate(forty["r1_zero"]), rate(hundred_fifty["r1_zero"])], name
    for name, (measure, unit) in GROWN.items():
        first, last, correlations = shown[name]
        assert [first, last] == [number(ends(short, measure, end), unit) for end in ("first", "last")], name
        assert correlations == "; ".join(correlation(row[measure]["correlation"]) for row in short["growth"].values()), name
    texts = {"cut": "cut, {share:.0%} of it", "its own": "its own", "filler": "filler", "another's": "another's"}
    for row in short["thinking"]:
        name = texts[row["thinking"]].format(share=row["share"])
        assert shown[name] == [rate(row["right"]), rate(row["less_own"], 0, "+").replace("+-", "-")], name


def test_the_later_stages_of_puzzles() -> None:
    """docs/puzzles.md; its names of stages are those of docs/results_tiny.md but for students."""
    models, shown = read("puzzles_stages/pooled.json")["models"], rows("docs/puzzles.md")
    for name, model in {name: model for name, model in STAGES.items() if name != "R1-Zero"}.items():
        row, cells = models[model], shown[name]
        vote = rate(row["votes"]["difference"], 0, "+")
        found = [rate(row["pass@1"]["all"]), vote, plain(row["language_mix_rate"]["all"]), plain(row["helpfulness"]["all"])]
        assert [cells[0], cells[2], cells[3], cells[6]] == found, name
    claims = read("puzzles_stages/pooled.json")["claims"]
    won = next(claim["parts"][0]["figures"] for claim in claims if claim["claim"].startswith("All later stages"))
    assert f"R1 - R1-Dev1: {rate(won['difference in pass@1'], 1, '+')}" in page("docs/puzzles.md")


def ends(pooled: Mapping[str, Any], measure: str, end: str) -> float:
    """Of the first or the last fifth of the steps, the mean over seeds."""
    return fmean(row[measure][end]["value"] for row in pooled["growth"].values())


def number(value: float, unit: str) -> str:
    if unit == "%":
        return f"{100 * value:.1f} %"
    return f"{value:.2f}" if unit else f"{value:.0f}"


def correlation(value: Mapping[str, Any]) -> str:
    low, high = value["ci95"]
    return f"{value['value']:+.2f} [{low:+.2f}, {high:+.2f}]"


def between(values: Sequence[Mapping[str, Any]]) -> str:
    """`+0.5 to +1.8`"""
    numbers = sorted(value["value"] for value in values)
    return f"{100 * numbers[0]:+.1f} to {100 * numbers[-1]:+.1f}"
