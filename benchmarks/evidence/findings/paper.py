"""The seven findings, each as what the paper says and as statements that a staged table can answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.evidence.claims import LOST_BY_GENERAL, LOST_BY_LANGUAGE, MIXED_AFTER, MIXED_AT_LEAST
from benchmarks.evidence.findings.sources import Stages
from benchmarks.evidence.findings.verdicts import Figure, Measured, Missing, Part
from cogitate.apps.report.words import stage_title
from cogitate.evals.metrics import Estimate

READABLE = 0.95  # of R1-Dev1's completions: the form is kept in at least this share
STUDENTS = {"llama": "Llama", "qwen": "Qwen2"}


@dataclass(frozen=True, slots=True)
class Finding:
    """A title, and what the paper (arXiv:2501.12948) says."""

    title: str
    paper: str


FINDINGS: Mapping[str, Finding] = {
    "growth": Finding(
        "Pure RL raises accuracy, length and reflection together",
        "R1-Zero's pass@1 on AIME rises from 15.6 to 77.9 % by rule rewards alone, while its completions grow longer and it "
        "begins to reflect.",
    ),
    "mixing": Finding(
        "R1-Zero mixes languages, and the language reward cures it",
        "R1-Zero mixes languages in its thinking; a reward for the share of words in the question's language removes that, at "
        "the cost of a little accuracy.",
    ),
    "readability": Finding(
        "A cold start makes the thinking readable",
        "SFT on thousands of readable conversations gives thinking in one language, then a summary.",
    ),
    "stages": Finding(
        "Each stage does what the staged table says",
        "The cold start costs accuracy (AIME 77.9 to 59.0 %) and gains general quality (IF-Eval 46.6 to 71.7 %), reasoning RL "
        "wins accuracy back (74.0 %), SFT of base and RL over all scenarios keep it (78.1, 79.8 %) and add general quality.",
    ),
    "distillation": Finding(
        "Distillation beats RL alone of a small model",
        "SFT of a 32B base on R1's conversations gives 72.6 % on AIME, RL of the same base 47.0 %.",
    ),
    "test_time": Finding(
        "Votes and thinking budgets pay at test time",
        "The majority of 16 answers of R1-Zero is right in 86.7 % of AIME's problems where one is in 77.9 %; less room for "
        "thinking costs accuracy (s1, arXiv:2501.19393).",
    ),
    "overoptimisation": Finding(
        "A reward model that is used too long lowers the true score",
        "Model rewards are used in the last 400 of 1,700 steps alone, since longer use invites reward hacking "
        "(Gao et al., arXiv:2210.10760).",
    ),
}  # fmt: skip


def more(
    statement: str, stages: Stages | None, model: str, earlier: str, metric: str, missing: Missing, *, less_by: float = 0.0
) -> Part:
    """That a model has more of a metric than an earlier one, or less by at most `less_by`."""
    difference = stages.difference(model, earlier, metric) if stages else None
    if stages is None or difference is None:
        return Part(statement, missing)
    figures = [
        *scores(stages, earlier, metric),
        *scores(stages, model, metric),
        Figure("difference", difference, "points"),
    ]
    return Part(statement, Measured(shifted(difference, less_by), figures, stages.seeds, stages.source))


def less(statement: str, stages: Stages | None, model: str, earlier: str, metric: str, missing: Missing) -> Part:
    """That a model has less of a metric than an earlier one."""
    part = more(statement, stages, model, earlier, metric, missing)
    known = part.known
    if isinstance(known, Missing):
        return part
    return Part(statement, Measured(opposite(known.margin), known.figures, known.seeds, known.source))


def at_least(statement: str, stages: Stages | None, model: str, metric: str, bound: float, missing: Missing) -> Part:
    """That a model's rate is at least a bound."""
    found = stages.of(model, metric) if stages else None
    if stages is None or found is None:
        return Part(statement, missing)
    return Part(statement, Measured(shifted(found, -bound), scores(stages, model, metric), stages.seeds, stages.source))


def mixing(stages: Stages | None, missing: Missing) -> list[Part]:
    """R1-Zero mixes, R1-Dev2 does not, and what that costs."""
    cured = f"R1-Dev2 mixes in at most {100 * MIXED_AFTER[0]:.1f} %, or in a tenth of R1-Zero's share if that is more"
    before, after = (stages.of(model, "language_mix_rate") if stages else None for model in ("r1_zero", "r1_dev2"))
    if stages is None or before is None or after is None:
        cure = Part(cured, missing)
    else:
        allowed = max(MIXED_AFTER[0], MIXED_AFTER[1] * before.value)
        shown = [*scores(stages, "r1_zero", "language_mix_rate"), *scores(stages, "r1_dev2", "language_mix_rate")]
        cure = Part(cured, Measured(shifted(opposite(after), allowed), shown, stages.seeds, stages.source))
    lost = f"RL with the language reward costs less than {-100 * LOST_BY_LANGUAGE:.0f} points of pass@1"
    mixes = f"R1-Zero mixes languages in at least {100 * MIXED_AT_LEAST:.0f} % of its completions"
    return [
        at_least(mixes, stages, "r1_zero", "language_mix_rate", MIXED_AT_LEAST, missing),
        cure,
        more(lost, stages, "r1_dev2", "r1_zero", "pass@1", missing, less_by=-LOST_BY_LANGUAGE),
    ]


def readability(stages: Stages | None, missing: Missing) -> list[Part]:
    """The form of R1-Dev1, and one language."""
    form = f"R1-Dev1 keeps the form, thinking and then a summary, in at least {100 * READABLE:.0f} % of its completions"
    return [
        at_least(form, stages, "r1_dev1", "format_rate", READABLE, missing),
        less("R1-Dev1 mixes languages less often than R1-Zero", stages, "r1_dev1", "r1_zero", "language_mix_rate", missing),
    ]


def staged(stages: Stages | None, missing: Missing) -> list[Part]:
    """What each stage of the table adds and costs."""
    kept = f"RL over all scenarios costs less than {-100 * LOST_BY_GENERAL:.0f} points of pass@1"
    return [
        less("The cold start costs accuracy", stages, "r1_dev1", "r1_zero", "pass@1", missing),
        more("The cold start raises helpfulness", stages, "r1_dev1", "r1_zero", "helpfulness", missing),
        more("Reasoning RL raises accuracy", stages, "r1_dev2", "r1_dev1", "pass@1", missing),
        more("SFT of base on the collected data raises helpfulness", stages, "r1_dev3", "r1_dev2", "helpfulness", missing),
        more(kept, stages, "r1", "r1_dev3", "pass@1", missing, less_by=-LOST_BY_GENERAL),
        more("RL over all scenarios raises helpfulness", stages, "r1", "r1_dev3", "helpfulness", missing),
        more("RL over all scenarios raises safety", stages, "r1", "r1_dev3", "safety", missing),
    ]


def distillation(stages: Stages | None, students: tuple[str, ...], missing: Missing) -> list[Part]:
    """For each student; fair to RL where it took at least as long as the SFT at each seed."""
    parts = []
    for family in students:
        distilled, trained = f"r1_distill_{family}", f"student_rl_{family}"
        part = more(
            f"The distilled {STUDENTS[family]} student beats its RL alone", stages, distilled, trained, "pass@1", missing
        )
        known = part.known
        if stages is not None and isinstance(known, Measured):
            took = [stages.seconds.get(model, ()) for model in (distilled, trained)]
            shorter = [rl for sft, rl in zip(*took, strict=True) if rl < sft]
            unfair = "RL alone took less time than the distillation" if shorter or not took[0] else ""
            known = Measured(known.margin, known.figures, known.seeds, known.source, unfair)
        parts.append(Part(part.statement, known))
    return parts


def votes(stages: Stages | None, model: str, missing: Missing) -> Part:
    """That the majority vote is above pass@1 of the same completions."""
    statement = f"The majority vote of {stage_title(model)} is above its pass@1"
    if stages is None or model not in stages.votes:
        return Part(statement, missing)
    figures = stages.votes[model]
    return Part(statement, Measured(figures[-1].estimate, figures, stages.seeds, stages.source))


def scores(stages: Stages, model: str, metric: str) -> list[Figure]:
    found = stages.of(model, metric)
    return [Figure(stage_title(model), found, "percent")] if found else []


def shifted(estimate: Estimate, by: float) -> Estimate:
    low, high = estimate.low, estimate.high
    return Estimate(estimate.value + by, None if low is None else low + by, None if high is None else high + by)


def opposite(estimate: Estimate) -> Estimate:
    low, high = estimate.low, estimate.high
    return Estimate(-estimate.value, None if high is None else -high, None if low is None else -low)
