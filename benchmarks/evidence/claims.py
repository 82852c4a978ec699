"""What the recipe is said to show, each claim computed from pooled completions, with a verdict that follows from the figures.

A claim that speaks of a bound or of intervals holds by them. One that speaks of the measured values holds by those, and it
is noted whether the 95 % interval settles it, too: lies wholly on the claim's side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.evidence.pool import (
    MODELS,
    Seed,
    difference_of_these_runs,
    pool_difference,
    pool_rate,
    pool_votes,
    seconds_of,
)
from cogitate.apps.report.words import stage_title
from cogitate.evals.metrics import Estimate

MIXED_AT_LEAST = 0.05  # of R1-Zero's completions
MIXED_AFTER = (0.005, 0.1)  # of R1-Dev2's: at most this, or this part of R1-Zero's, whichever is more
LOST_BY_LANGUAGE = -0.03  # of pass@1, R1-Dev2 - R1-Zero: the lower bound is above this
LOST_BY_GENERAL = -0.02  # of pass@1, R1 - R1-Dev3 of `tiny`
LOST_BY_LATER = -0.03  # the same of `puzzles`, which leave more to lose
TITLES = {"language_mix_rate": "language mix"}
FAMILIES = ("llama", "qwen")
ROUNDING = 1e-9  # of sums that are equal on paper

Claim = dict[str, Any]


def of_tiny(seeds: Sequence[Seed]) -> list[Claim]:
    """Every claim: {"claim", "holds", "settled", "verdict", "parts": [{"of", "figures", "holds", "settled"}]}."""
    return [
        claim("R1-Zero mixes languages in at least 5 % of its completions", mixes(seeds)),
        claim("R1-Dev2 mixes them in at most 0.5 %, or a tenth of R1-Zero's share if that is more", mixes_no_longer(seeds)),
        claim(
            "RL with the language reward keeps accuracy: the lower bound of R1-Dev2 - R1-Zero in pass@1 is above -3 points",
            keeps(seeds, "r1_dev2", "r1_zero", LOST_BY_LANGUAGE),
        ),
        claim(
            "RL over all scenarios keeps accuracy: the lower bound of R1 - R1-Dev3 in pass@1 is above -2 points",
            keeps(seeds, "r1", "r1_dev3", LOST_BY_GENERAL),
        ),
        claim(
            "RL over all scenarios raises helpfulness: R1 - R1-Dev3 is above 0", rises(seeds, "r1", "r1_dev3", "helpfulness")
        ),
        claim("RL over all scenarios raises safety: R1 - R1-Dev3 is above 0", rises(seeds, "r1", "r1_dev3", "safety")),
        claim(
            "RL alone beats its student base: the intervals of pass@1 do not touch",
            *(beats_base(seeds, family) for family in FAMILIES),
        ),
        claim(
            "Distillation beats RL alone of at least the same seconds: the lower bound of the difference in pass@1 is above 0",
            *(distillation_beats(seeds, family) for family in FAMILIES),
        ),
        claim("The majority vote is above pass@1 of the same completions", *(vote_helps(seeds, model) for model in MODELS)),
    ]


def of_puzzles(seeds: Sequence[Seed]) -> list[Claim]:
    """What R1's staged table says, of problems that leave every stage room; each: see `of_tiny`."""
    return [
        claim("Pure RL raises accuracy: R1-Zero - base is above 0", rises(seeds, "r1_zero", "base", "pass@1")),
        claim("The cold start costs accuracy: R1-Zero - R1-Dev1 is above 0", rises(seeds, "r1_zero", "r1_dev1", "pass@1")),
        claim("It buys readability: R1-Zero mixes more than R1-Dev1", rises(seeds, "r1_zero", "r1_dev1", "language_mix_rate")),
        claim("Reasoning RL wins it back: R1-Dev2 - R1-Dev1 is above 0", rises(seeds, "r1_dev2", "r1_dev1", "pass@1")),
        claim("All later stages win it back: R1 - R1-Dev1 is above 0", rises(seeds, "r1", "r1_dev1", "pass@1")),
        claim(
            "RL over all scenarios keeps accuracy: the lower bound of R1 - R1-Dev3 in pass@1 is above -3 points",
            keeps(seeds, "r1", "r1_dev3", LOST_BY_LATER),
        ),
        claim(
            "RL over all scenarios raises helpfulness: R1 - R1-Dev3 is above 0", rises(seeds, "r1", "r1_dev3", "helpfulness")
        ),
        claim(
            "Distillation beats RL alone: the difference in pass@1 is above 0",
            *(rises(seeds, f"r1_distill_{family}", f"student_rl_{family}", "pass@1") for family in FAMILIES),
        ),
        claim("The majority vote is above pass@1 of the same completions", *(vote_helps(seeds, model) for model in MODELS)),
    ]


CLAIMS: Mapping[str, Callable[[Sequence[Seed]], list[Claim]]] = {"puzzles": of_puzzles, "tiny": of_tiny}


def claim(text: str, *parts: dict[str, Any]) -> Claim:
    """A claim holds where each of its parts does."""
    holds, settled = all(part["holds"] for part in parts), all(part["settled"] for part in parts)
    return {"claim": text, "holds": holds, "settled": settled, "verdict": verdict(holds), "parts": list(parts)}


def verdict(holds: bool) -> str:
    return "holds" if holds else "does not hold"


def part(of: str, figures: dict[str, Any], *, holds: bool, settled: bool | None = None) -> dict[str, Any]:
    """One case of a claim. `settled`: by default as `holds`, of claims about bounds."""
    settled = holds if settled is None else settled
    shown = {name: value.as_json() if isinstance(value, Estimate) else value for name, value in figures.items()}
    return {"of": of, "figures": shown, "holds": holds, "settled": holds and settled, "verdict": verdict(holds)}


def bounds(estimate: Estimate) -> tuple[float, float]:
    """Both ends; without an interval (a single problem) nothing is excluded."""
    low, high = estimate.low, estimate.high
    return (-float("inf") if low is None else low), (float("inf") if high is None else high)


def mixes(seeds: Sequence[Seed]) -> dict[str, Any]:
    share = pool_rate(seeds, "r1_zero", "language_mix_rate")
    least = MIXED_AT_LEAST - ROUNDING
    return part(stage_title("r1_zero"), {"language mix": share}, holds=share.value >= least, settled=bounds(share)[0] >= least)


def mixes_no_longer(seeds: Sequence[Seed]) -> dict[str, Any]:
    before, after = (pool_rate(seeds, model, "language_mix_rate") for model in ("r1_zero", "r1_dev2"))
    allowed = max(MIXED_AFTER[0], MIXED_AFTER[1] * before.value)
    figures = {"language mix": after, "allowed": allowed}
    most = allowed + ROUNDING
    return part(stage_title("r1_dev2"), figures, holds=after.value <= most, settled=bounds(after)[1] <= most)


def keeps(seeds: Sequence[Seed], model: str, earlier: str, bound: float) -> dict[str, Any]:
    """By the interval over problems of these runs; settled where the one over problems and seeds says so, too."""
    of_these, of_any = (of(seeds, model, earlier, "pass@1") for of in (difference_of_these_runs, pool_difference))
    figures = {"difference in pass@1 of these runs": of_these, "difference in pass@1 over other seeds, too": of_any}
    return part(pair(model, earlier), figures, holds=bounds(of_these)[0] > bound, settled=bounds(of_any)[0] > bound)


def rises(seeds: Sequence[Seed], model: str, earlier: str, score: str) -> dict[str, Any]:
    difference = pool_difference(seeds, model, earlier, score)
    holds, settled = difference.value > ROUNDING, bounds(difference)[0] > 0
    name = f"difference in {TITLES.get(score, score)}"
    return part(pair(model, earlier), {name: difference}, holds=holds, settled=settled)


def beats_base(seeds: Sequence[Seed], family: str) -> dict[str, Any]:
    base, trained = (pool_rate(seeds, f"{way}_{family}", "pass@1") for way in ("student_base", "student_rl"))
    figures = {"pass@1 of RL alone": trained, "pass@1 of its base": base}
    return part(family.capitalize(), figures, holds=bounds(trained)[0] > bounds(base)[1])


def distillation_beats(seeds: Sequence[Seed], family: str) -> dict[str, Any]:
    """Fair to RL only where it took at least as long as the SFT at each seed; otherwise the claim does not hold."""
    distilled, trained = f"r1_distill_{family}", f"student_rl_{family}"
    difference = pool_difference(seeds, distilled, trained, "pass@1")
    seconds = {"distillation": seconds_of(seeds, distilled), "RL alone": seconds_of(seeds, trained)}
    fair = all(rl >= sft for sft, rl in zip(seconds["distillation"], seconds["RL alone"], strict=True))
    figures = {
        "difference in pass@1": difference,
        **{f"seconds of {way} by seed": took for way, took in seconds.items()},
        "RL alone took at least as long at each seed": fair,
    }
    return part(family.capitalize(), figures, holds=fair and bounds(difference)[0] > 0)


def vote_helps(seeds: Sequence[Seed], model: str) -> dict[str, Any]:
    votes = pool_votes(seeds, model)
    figures = {f"cons@{votes['k']}": votes["cons@k"], "pass@1": votes["pass@1"], "difference": votes["difference"]}
    (low, _), value = votes["difference"]["ci95"], votes["difference"]["value"]
    return part(stage_title(model), figures, holds=value > ROUNDING, settled=low is not None and low > 0)


def pair(model: str, earlier: str) -> str:
    return f"{stage_title(model)} - {stage_title(earlier)}"
