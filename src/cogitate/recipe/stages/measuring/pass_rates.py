"""pass_rates: how often the model that RL starts from solves each training problem (Kimi k1.5, arXiv:2501.12599, section 2.1).

An RL stage that needs this artifact takes its easy problems (`easy_first_steps`) by these rates in place of the look of their
questions. A problem none of whose completions has a verdict has no rate, and counts as the hardest.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cogitate.config import Config, PassRatesConfig
from cogitate.errors import DataError
from cogitate.recipe.data.candidates import Candidate, collect_all, writer_as_trained
from cogitate.recipe.problems import data_files, training_problems
from cogitate.recipe.stage import Inputs, Stage, StageContext
from cogitate.runtime import write_json
from cogitate.train.pools import key_of
from cogitate.train.rl_metrics import mean
from cogitate.types import SamplingParams

FILE = "pass_rates.json"  # {"TASK/ID": share of right completions}


def files(config: Config, stage: Stage) -> list[Path]:
    return data_files(config)


def check(config: Config, stage: Stage, graph: Sequence[Stage]) -> None:
    """Refuse bad data before any time is spent."""
    training_problems(config)


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    """
    Raises:
        DataError: no completion has a verdict.
    """
    ((name, model),) = inputs.items()
    settings = config.section(context.stage, PassRatesConfig)
    params = SamplingParams(settings.temperature, settings.top_p, settings.max_new_tokens)
    writer = writer_as_trained("start", name, model.path, params, config, context)
    found, sampled = collect_all(writer, training_problems(config), settings.samples, config, context)
    rates = rates_of(sampled)
    if not rates:
        raise DataError(f"{context.stage}: no completion of a training problem has a verdict ({sampled[0].reason})")
    write_json(out / FILE, rates)
    return {
        "problems": len(rates),
        "mean": round(mean(rates.values()), 4),
        "never": sum(rate == 0 for rate in rates.values()),
        "always": sum(rate == 1 for rate in rates.values()),
        "without_rate": len(found.problems) - len(rates),
        **found.summary(),
    }


def rates_of(candidates: Sequence[Candidate]) -> dict[str, float]:
    """The share of right completions among those with a verdict, by pools.key_of."""
    verdicts: dict[str, list[bool]] = defaultdict(list)
    for candidate in candidates:
        if candidate.verdict != "none":
            verdicts[key_of(candidate.problem)].append(candidate.verdict == "right")
    return {key: mean(values) for key, values in verdicts.items()}


def read_rates(artifact: Path) -> Mapping[str, float]:
    """What the stage has written."""
    rates: dict[str, float] = json.loads((artifact / FILE).read_text(encoding="utf-8"))
    return rates
