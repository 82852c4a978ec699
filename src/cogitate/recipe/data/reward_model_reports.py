"""How good reward models are on prompts they have not learnt from, and whether they merely like length."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean, pstdev
from typing import Any

import numpy as np

from cogitate.errors import DataError
from cogitate.evals.metrics import Estimate, paired_difference, rate
from cogitate.rewards.ensemble import SCORES, Combination, combined
from cogitate.runtime import derive_seed


def hold_out(prompts: Sequence[str], share: float, *, seed: int) -> tuple[list[int], list[int]]:
    """Indices to learn from and indices held out: prompts are held out whole, at least one and never all.

    Raises:
        DataError: there are fewer than two different prompts.
    """
    distinct = sorted(set(prompts), key=lambda prompt: derive_seed(seed, "held out", prompt))
    if len(distinct) < 2:
        raise DataError(f"{len(distinct)} different prompts: a reward model learns from some and is measured on others")
    kept_apart = set(distinct[: min(len(distinct) - 1, max(1, round(share * len(distinct))))])
    learnt = [index for index, prompt in enumerate(prompts) if prompt not in kept_apart]
    return learnt, [index for index, prompt in enumerate(prompts) if prompt in kept_apart]


def balanced_by_length(learnt: Sequence[int], lengths: Sequence[tuple[int, int]], *, seed: int) -> list[int]:
    """Of the pairs to learn from as many with a longer chosen answer as with a shorter one, and all that are equally long.

    Which of the more frequent kind are left out is drawn; length then tells nothing about which answer is better, though by how
    much they differ still may.

    Args:
        learnt: indices of pairs.
        lengths: tokens of the chosen and of the rejected answer, of all pairs.

    Raises:
        DataError: nothing is left: all better answers are longer, or all shorter.
    """
    kinds = [
        [index for index in learnt if lengths[index][0] > lengths[index][1]],
        [index for index in learnt if lengths[index][0] < lengths[index][1]],
    ]
    count, left_out = min(map(len, kinds)), set[int]()
    for kind in kinds:
        drawn = sorted(kind, key=lambda index: derive_seed(seed, "balanced by length", index))
        left_out |= set(drawn[count:])
    kept = [index for index in learnt if index not in left_out]
    if not kept:
        raise DataError(
            f"the better answer is the {'longer' if kinds[0] else 'shorter'} one in all {len(learnt)} pairs, so that lengths "
            "cannot be balanced; give other pairs, or set balance_lengths=false"
        )
    return kept


def report_of_pairs(
    prompts: Sequence[str], said_MN: Sequence[Sequence[float]], lengths: Sequence[tuple[int, int]], combination: Combination
) -> dict[str, Any]:
    """pair_report of the models together, and, of several, of each.

    Args:
        said_MN: what each model says of all chosen answers, then of all rejected ones.
    """
    count = len(prompts)
    return report_of_all(
        prompts,
        said_MN,
        combination,
        report=lambda said: pair_report(prompts, said[:count], said[count:], lengths),
        right=lambda said: [c > r for c, r in zip(said[:count], said[count:], strict=True)],
    )


def report_of_safety(
    prompts: Sequence[str],
    said_MN: Sequence[Sequence[float]],
    safe: Sequence[bool],
    lengths: Sequence[int],
    combination: Combination,
) -> dict[str, Any]:
    """safety_report of the models together, and, of several, of each; `said_MN` is what each says of all completions."""
    return report_of_all(
        prompts,
        said_MN,
        combination,
        report=lambda said: safety_report(prompts, said, safe, lengths),
        right=lambda said: [(score > 0) == label for score, label in zip(said, safe, strict=True)],
    )


def report_of_all(
    prompts: Sequence[str],
    said_MN: Sequence[Sequence[float]],
    combination: Combination,
    *,
    report: Callable[[Sequence[float]], dict[str, Any]],
    right: Callable[[Sequence[float]], list[bool]],
) -> dict[str, Any]:
    """The report of one model alone; of several that of their combination, of each, and how far they disagree.

    Args:
        prompts: of the items that are judged right or wrong.
        said_MN: each model's scores of all texts.
        report, right: of such scores.
    """
    if len(said_MN) == 1:
        return report(said_MN[0])
    said_N = list(zip(*said_MN, strict=True))
    together = [combination.of(said) for said in said_N]
    agreed = [len(set(of_item)) == 1 for of_item in zip(*map(right, said_MN), strict=True)]
    by_score = {score: [combined(said, score, combination.variance_weight) for said in said_N] for score in SCORES}
    return {
        **report(together),
        "score": combination.score,
        "gain": gain_by_prompt(prompts, right(together), right(said_MN[0])),
        "agreement": share_by_prompt(prompts, agreed, range(len(agreed))),
        "accuracy_where_all_agree": share_by_prompt(prompts, right(together), [i for i, alike in enumerate(agreed) if alike]),
        "spread": fmean(map(pstdev, said_N)),
        "accuracy_by_score": {score: report(said)["accuracy"] for score, said in by_score.items()},
        "members": [report(said) for said in said_MN],
    }


def pair_report(
    prompts: Sequence[str], chosen: Sequence[float], rejected: Sequence[float], lengths: Sequence[tuple[int, int]]
) -> dict[str, Any]:
    """Accuracy on held-out pairs, and on those whose chosen answer is the shorter one; the reward's correlation with length.

    Args:
        chosen, rejected: rewards.
        lengths: tokens of the chosen and of the rejected answer.
    """
    right = [c > r for c, r in zip(chosen, rejected, strict=True)]
    shorter = [index for index, (c, r) in enumerate(lengths) if c < r]
    longer = [index for index, (c, r) in enumerate(lengths) if c > r]
    return {
        "held_out_pairs": len(right),
        "accuracy": share_by_prompt(prompts, right, range(len(right))),
        "accuracy_where_chosen_is_shorter": share_by_prompt(prompts, right, shorter),
        "accuracy_where_chosen_is_longer": share_by_prompt(prompts, right, longer),
        "chosen_is_longer_share": share_by_prompt(prompts, [c > r for c, r in lengths], range(len(lengths))),
        "margin": fmean(c - r for c, r in zip(chosen, rejected, strict=True)),
        "reward_length_correlation": correlation(
            [*chosen, *rejected], [*(c for c, _ in lengths), *(r for _, r in lengths)], len(set(prompts))
        ),
    }


def safety_report(
    prompts: Sequence[str], scores: Sequence[float], safe: Sequence[bool], lengths: Sequence[int]
) -> dict[str, Any]:
    """Accuracy on held-out completions, of both kinds and of each, and the score's correlation with length."""
    right = [(score > 0) == label for score, label in zip(scores, safe, strict=True)]
    return {
        "held_out_completions": len(right),
        "accuracy": share_by_prompt(prompts, right, range(len(right))),
        "accuracy_on_safe": share_by_prompt(prompts, right, [i for i, label in enumerate(safe) if label]),
        "accuracy_on_unsafe": share_by_prompt(prompts, right, [i for i, label in enumerate(safe) if not label]),
        "score_length_correlation": correlation(scores, lengths, len(set(prompts))),
    }


def share_by_prompt(prompts: Sequence[str], right: Sequence[bool], indices: Sequence[int]) -> dict[str, Any] | None:
    """The share that is right, with an interval over prompts; None where there is nothing."""
    rows = rows_by_prompt(prompts, right, indices)
    return {**rate(rows).as_json(), "of": len(indices)} if rows else None


def rows_by_prompt(prompts: Sequence[str], right: Sequence[bool], indices: Sequence[int]) -> list[list[float]]:
    """1 or 0 for each of these items, those of a prompt together."""
    by_prompt: dict[str, list[float]] = {}
    for index in indices:
        by_prompt.setdefault(prompts[index], []).append(float(right[index]))
    return list(by_prompt.values())


def gain_by_prompt(prompts: Sequence[str], right: Sequence[bool], right_alone: Sequence[bool]) -> dict[str, Any]:
    """How much larger the share that is right is than that of a single model on the same items, paired by prompt."""
    every = range(len(prompts))
    return paired_difference(rows_by_prompt(prompts, right, every), rows_by_prompt(prompts, right_alone, every)).as_json()


def correlation(values: Sequence[float], lengths: Sequence[int], independent: int) -> dict[str, Any] | None:
    """Pearson's correlation with Fisher's interval for `independent` observations (prompts: texts of one prompt are alike);
    None where a side is constant or there are fewer than four."""
    if independent < 4 or np.std(values) == 0 or np.std(lengths) == 0:
        return None
    r = float(np.corrcoef(values, lengths)[0, 1])
    if abs(r) >= 1:
        return Estimate(r, r, r).as_json()
    half = 1.959964 / math.sqrt(independent - 3)
    return Estimate(r, math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half)).as_json()
