"""r1_zero: GRPO on the base model from rule rewards alone, accuracy and format (R1, section 2.2). No SFT, and no example
unless the recipe sets worked_examples for a model too small to find the form.

What it may see of a problem is its question; the gold answer goes to the grader alone. The stages student_rl_* are this one
from another base: the paper's comparison of RL alone with distillation (R1, supplement).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cogitate.config import Config, ZeroRLConfig
from cogitate.errors import ConfigError
from cogitate.recipe.asking import ask_r1_zero
from cogitate.recipe.probe.proposal import PROPOSAL, proposal_file
from cogitate.recipe.problems import data_files
from cogitate.recipe.rl.stage import Method, check_training_problems, rule_reward, run_rl
from cogitate.recipe.stage import Inputs, Stage, StageContext, proposals_for
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.train.rollouts import by_rules


def files(config: Config, stage: Stage) -> list[Path]:
    return data_files(config)


def check(config: Config, stage: Stage, graph: Sequence[Stage]) -> None:
    """Refuse bad data before any time is spent."""
    left = config.section(stage.name, ZeroRLConfig).from_probe
    probes = proposals_for(graph, stage.needs)
    if left and not probes:
        raise ConfigError(f"{stage.name}.from_probe: changes nothing, since {stage.name} needs no stage of kind probe")
    if probes and not left:
        raise ConfigError(f"{stage.name} sets all that {probes[0]} proposes: leave {probes[0]} out of its needs")
    check_training_problems(config, stage)


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    start, *proposals = [artifact.path for artifact in inputs.values()]
    for proposal in proposals:  # who reads this model learns from it how it was asked
        shutil.copyfile(proposal_file(proposal), out / PROPOSAL)
    settings = config.section(context.stage, ZeroRLConfig)

    def make(tokenizer: Tokenizer) -> Method:
        reward = rule_reward(config, "r1_zero", language=config.rewards.language)
        return Method(ask_r1_zero(settings, start, tokenizer), by_rules(reward))

    return run_rl(config, settings, start, out, context, make)
