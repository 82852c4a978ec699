"""Which files answer which finding for which model, and what is missing where none does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.evidence.findings.paper import distillation, mixing, more, opposite, readability, staged, votes
from benchmarks.evidence.findings.sources import (
    Stages,
    claim_of,
    estimate_of,
    pooled_stages,
    stages_of_runs,
    unpaired_difference,
    votes_of,
)
from benchmarks.evidence.findings.verdicts import Figure, Measured, Missing, Part
from cogitate.apps.report.data import read_json
from cogitate.errors import ArtifactError
from cogitate.evals.metrics import Estimate, mean_number

Parts = Mapping[str, Sequence[Part]]  # finding -> its parts

ACCURACY, LENGTH, REFLECTION = "Accuracy rises", "Thinking grows", "Reflection becomes more frequent"
TINY_R1, TINY_R1_ZERO = "r1/pooled.json", "r1_zero/pooled.json"
SMOLLM2 = "smollm2"
PUZZLES, PUZZLES_STAGES, SELECTION = "puzzles/pooled.json", "puzzles_stages", "puzzles_selection/selection.json"
HALF = 0.5  # of a thinking's tokens


def tiny(results: Path, experiments: Path) -> Parts:
    """The embedded model in its generated world."""
    missing = Missing("no pooled runs are kept", "`make evidence`")
    stages = pooled_stages(results, TINY_R1)
    grown = correlations(read_json(results / TINY_R1_ZERO)) if (results / TINY_R1_ZERO).is_file() else missing
    return {
        "growth": [
            more(ACCURACY, stages, "r1_zero", "base", "pass@1", missing),
            Part(LENGTH, grown),
            more(REFLECTION, stages, "r1_zero", "base", "reflection_rate", missing),
        ],
        **later(stages, missing, ("llama", "qwen")),
        "test_time": [
            votes(stages, "r1_zero", missing),
            votes(stages, "r1", missing),
        ],
        "overoptimisation": [claim_of(experiments, "overoptimisation", "helpfulness", "quarter", "middle")],
    }


def smollm2(results: Path, experiments: Path) -> Parts:
    """SmolLM2-135M-Instruct on MAWPS."""
    missing = Missing("no run is kept", "`cogitate run smollm2`, and its results.json in docs/results/smollm2")
    stages = stages_of_runs(results, SMOLLM2)
    no_vote = Missing("nobody voted in the runs that are kept", "`cogitate run smollm2 evaluate.consensus_problems=100`")
    no_true_score = Missing(
        "no program knows the true quality of an answer to its general prompts",
        "a judge as the true score that is better than the reward model, in an experiment of its own",
    )
    return {
        "growth": [
            more(ACCURACY, stages, "r1_zero", "base", "pass@1", missing),
            Part("Completions of R1-Zero are longer than those of base", longer(stages) or missing),
            more(REFLECTION, stages, "r1_zero", "base", "reflection_rate", missing),
        ],
        **later(stages, missing, ("llama",)),
        "test_time": [
            votes(stages, "r1_zero", no_vote),
            claim_of(experiments, "thinking_budget_smollm2", "pass@1", "natural", "quarter"),
            claim_of(experiments, "thinking_budget_smollm2", "pass@1", "double", "natural"),
        ],
        "overoptimisation": [Part("A part of the steps ends with a better true score than all of them", no_true_score)],
    }


def puzzles(results: Path, experiments: Path) -> Parts:
    """The recipe of problems where thinking pays."""
    missing = Missing(
        "no pooled runs are kept", "`python -m benchmarks.evidence.puzzles RUN RUN RUN --out docs/results/puzzles`"
    )
    raw = Missing(
        "only the raw files of one run have it (docs/puzzles.md, the later stages)",
        "`cogitate run puzzles` at three seeds, and each results.json as docs/results/puzzles_stages/seed-N.results.json",
    )
    pooled = read_json(results / PUZZLES) if (results / PUZZLES).is_file() else None
    selection = results / SELECTION
    stages = stages_of_runs(results, PUZZLES_STAGES)
    return {
        "growth": [
            Part(ACCURACY, gain(pooled) if pooled else missing),
            Part(LENGTH, grown_with_steps(pooled, "thinking_tokens_finished") if pooled else missing),
            Part("More completions reject a try and go on", grown_with_steps(pooled, "rejecting_rate") if pooled else missing),
        ],
        **later(stages, raw, ("llama", "qwen")),
        "test_time": [
            Part(
                "The majority vote of R1-Zero is above its pass@1",
                voted(read_json(selection)) if selection.is_file() else missing,
            ),
            Part("Half of its thinking gives fewer right answers than all of it", cut(pooled) if pooled else missing),
            claim_of(experiments, "thinking_budget", "pass@1", "natural", "quarter"),
            claim_of(experiments, "thinking_budget", "pass@1", "double", "natural"),
        ],
        "overoptimisation": [
            Part(
                "A part of the steps ends with a better true score than all of them",
                Missing("no experiment has this recipe", "`experiments/overoptimisation.toml` with the recipe `puzzles`"),
            )
        ],
    }


MODELS: Mapping[str, Callable[[Path, Path], Parts]] = {"tiny": tiny, "smollm2": smollm2, "puzzles": puzzles}


def later(stages: Stages | None, missing: Missing, students: tuple[str, ...]) -> Parts:
    """The findings that a staged table answers."""
    return {
        "mixing": mixing(stages, missing),
        "readability": readability(stages, missing),
        "stages": staged(stages, missing),
        "distillation": distillation(stages, students, missing),
    }


def correlations(pooled: Mapping[str, Any]) -> Measured:
    """Of thinking tokens with the step: the mean over seeds, with Student's t interval."""
    found = over_seeds(pooled["rank correlation of thinking tokens with the step"])
    return Measured(found, [Figure("rank correlation with the step", found, "number")], len(pooled["seeds"]), TINY_R1_ZERO)


def longer(stages: Stages | None) -> Measured | None:
    """Tokens of a completion, R1-Zero's less base's; None where there is no such figure."""
    if stages is None:
        return None
    before, after = (stages.of(model, "completion_tokens") for model in ("base", "r1_zero"))
    if before is None or after is None:
        return None
    difference = unpaired_difference(after, before)
    figures = [
        Figure("Base, tokens", before, "number"),
        Figure("R1-Zero", after, "number"),
        Figure("difference", difference, "change"),
    ]
    return Measured(difference, figures, stages.seeds, stages.source)


def gain(pooled: Mapping[str, Any]) -> Measured:
    """pass@1 over all families and levels."""
    row = pooled["by family"]["all"]
    difference = estimate_of(row["gain"])
    figures = [
        Figure("Base", estimate_of(row["base"]), "percent"),
        Figure("R1-Zero", estimate_of(row["r1_zero"]), "percent"),
        Figure("difference", difference, "points"),
    ]
    return Measured(difference, figures, len(pooled["seeds"]), PUZZLES)


def grown_with_steps(pooled: Mapping[str, Any], measure: str) -> Measured:
    """A number of R1-Zero's log: its rank correlation with the step, over seeds.

    Raises:
        ArtifactError: a seed has no such correlation.
    """
    values = [row[measure]["correlation"] for row in pooled["growth"].values()]
    if any(value is None for value in values):
        raise ArtifactError(f"{PUZZLES}: {measure} is the same at every step of a seed; its correlation says nothing")
    found = over_seeds([value["value"] for value in values])
    ends = [over_seeds([row[measure][end]["value"] for row in pooled["growth"].values()]) for end in ("first", "last")]
    unit = "percent" if measure.endswith("rate") else "number"
    figures = [
        Figure("first fifth of the steps", ends[0], unit),
        Figure("last fifth", ends[1], unit),
        Figure("rank correlation with the step", found, "number"),
    ]
    return Measured(found, figures, len(values), PUZZLES)


def voted(selection: Mapping[str, Any]) -> Measured:
    """The majority of R1-Zero's completions on puzzles whose answers can be compared."""
    row = {**selection["votes"]["R1-Zero"], "k": selection["votes"]["k"]}
    figures = votes_of(row, "gain")
    return Measured(figures[-1].estimate, figures, len(selection["r1_zero"]), SELECTION)


def cut(pooled: Mapping[str, Any]) -> Measured | Missing:
    """Answers after half of the thinking; of one model, which is the first seed's."""
    rows = {(row["thinking"], row["share"]): row for row in pooled["thinking"]}
    if ("cut", HALF) not in rows:
        return Missing("no thinking was cut in the runs that are kept", "`python -m benchmarks.evidence.thinking`")
    own, half = rows["its own", 1.0], rows["cut", HALF]
    lost = estimate_of(half["less_own"])
    figures = [
        Figure("all of it", estimate_of(own["right"]), "percent"),
        Figure("half of it", estimate_of(half["right"]), "percent"),
        Figure("difference", lost, "points"),
    ]
    return Measured(opposite(lost), figures, 1, PUZZLES)


def over_seeds(values: Sequence[float]) -> Estimate:
    return mean_number([[value] for value in values])
