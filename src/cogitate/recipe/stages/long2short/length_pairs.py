"""length_pairs: preferences for the shortest right completion of a problem (Kimi k1.5, arXiv:2501.12599, section 2.4), for DPO.

Chosen is the shortest right one. Rejected are longer wrong ones, and right ones with more than `longer` times its tokens; of
these the longest. Completions without a verdict, that were cut off or are not in R1's form are in no pair, except that a wrong
completion may have been cut off: what never ends is what should be unlearnt.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cogitate.config import Config, LengthPairsConfig
from cogitate.errors import DataError
from cogitate.recipe.data.candidates import Candidate, collect_all, writer_as_trained
from cogitate.recipe.data.preferences import PAIRS
from cogitate.recipe.data.rejection import fault_of
from cogitate.recipe.problems import data_files, training_problems
from cogitate.recipe.stage import Inputs, Stage, StageContext
from cogitate.tasks.files.datasets import write_rows
from cogitate.train.pools import in_turn
from cogitate.train.rl_metrics import mean
from cogitate.types import SamplingParams


def files(config: Config, stage: Stage) -> list[Path]:
    return data_files(config)


def check(config: Config, stage: Stage, graph: Sequence[Stage]) -> None:
    """Refuse bad data before any time is spent."""
    training_problems(config)


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    """
    Raises:
        DataError: no problem has a pair.
    """
    ((name, model),) = inputs.items()
    settings = config.section(context.stage, LengthPairsConfig)
    params = SamplingParams(settings.temperature, settings.top_p, settings.max_new_tokens)
    writer = writer_as_trained("reasoning", name, model.path, params, config, context)
    problems = in_turn(training_problems(config), settings.problems, lambda problem: problem.task)
    found, sampled = collect_all(writer, problems, settings.samples, config, context)
    pairs = [pair for group in by_problem(sampled) for pair in pairs_of(group, settings)]
    if not pairs:
        right = sum(candidate.verdict == "right" for candidate in sampled)
        raise DataError(
            f"{context.stage}: no problem has a right completion and a longer one to reject ({right} of {len(sampled)} right): "
            f"raise {context.stage}.samples or lower {context.stage}.longer"
        )
    write_rows(out / PAIRS, [pair_row(chosen, rejected) for chosen, rejected in pairs])
    return {
        "pairs": len(pairs),
        "problems_with_pairs": len({chosen.id for chosen, _ in pairs}),
        "sampled": len(sampled),
        "rejected_right": sum(rejected.verdict == "right" for _, rejected in pairs),
        "rejected_wrong": sum(rejected.verdict == "wrong" for _, rejected in pairs),
        "chosen_tokens": round(mean(chosen.tokens for chosen, _ in pairs), 1),
        "rejected_tokens": round(mean(rejected.tokens for _, rejected in pairs), 1),
        **found.summary(),
    }


def by_problem(candidates: Sequence[Candidate]) -> list[list[Candidate]]:
    groups: dict[tuple[str, str], list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        groups[candidate.problem.task, candidate.problem.id].append(candidate)
    return list(groups.values())


def pairs_of(group: Sequence[Candidate], settings: LengthPairsConfig) -> list[tuple[Candidate, Candidate]]:
    """(chosen, rejected) of the completions of one problem, the longest rejected ones first."""
    good = [candidate for candidate in group if fault_of(candidate) is None]
    if not good:
        return []
    chosen = min(good, key=lambda candidate: candidate.tokens)
    long = [candidate for candidate in good if candidate.tokens > settings.longer * chosen.tokens]
    wrong = [candidate for candidate in group if candidate.verdict == "wrong" and candidate.tokens > chosen.tokens]
    rejected = sorted((*long, *wrong), key=lambda candidate: -candidate.tokens)
    return [(chosen, one) for one in rejected[: settings.pairs_per_problem]]


def pair_row(chosen: Candidate, rejected: Candidate) -> dict[str, Any]:
    problem = chosen.problem
    return {
        "prompt": [{"role": turn.role, "content": turn.content} for turn in problem.conversation],
        "chosen": [{"role": "assistant", "content": chosen.text}],
        "rejected": [{"role": "assistant", "content": rejected.text}],
        "margin": None, "source": f"length, rejected is {rejected.verdict}", "task": problem.task, "problem_id": problem.id,
        "language": problem.language,
    }  # fmt: skip
