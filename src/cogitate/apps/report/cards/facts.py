"""What the report says of a stage, by its kind: its page, what it does, and which settings matter most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cogitate.config.methods import METHODS


@dataclass(frozen=True, slots=True)
class KindFacts:
    """One kind of stage.

    Attributes:
        page: in docs/.
        does: one sentence.
        settings: the keys of its section that matter most, in order.
    """

    page: str
    does: str
    settings: tuple[str, ...] = ()


TRAINING = ("learning_rate", "rows", "row_tokens")
RL = ("steps", "prompts_per_step", "group_size", "max_new_tokens", "temperature", "learning_rate", "kl_beta")
SAMPLING_OF_PROBE = ("minutes", "problems", "sources", "samples", "max_new_tokens", "examples")
SAMPLING = ("problems", "samples", "temperature", "max_new_tokens")
FACTS: dict[str, KindFacts] = {
    "pretrain": KindFacts(
        "stages/base.md", "Next-token and multi-token prediction over a generated corpus.", ("steps", *TRAINING, "optimiser")
    ),
    "pretrain_student": KindFacts(
        "stages/student_base.md", "A smaller model of another family, pretrained on the corpus of base.", ("steps", *TRAINING)
    ),
    "prune": KindFacts(
        "stages/student_base.md", "A smaller model, made of a part of base.", ("every_nth_layer", "kept_neurons", "texts")
    ),
    "probe": KindFacts(
        "own_model.md", "A look at what the model can do at several prompts; it proposes settings of RL.", SAMPLING_OF_PROBE
    ),
    "rl_zero": KindFacts("stages/r1_zero.md", "RL on a base model from rule rewards alone: no example, no SFT.", RL),
    "reasoning_rl": KindFacts(
        "stages/reasoning_rl.md", "RL from rule rewards, with a reward for one language.", (*RL, "language_weight")
    ),
    "all_scenario_rl": KindFacts(
        "stages/all_scenario_rl.md",
        "RL from rule rewards on reasoning prompts and, from a late step on, from reward models on general ones.",
        (*RL, "general_from_step", "general_prompts_per_step"),
    ),
    "fine_tune": KindFacts("stages/r1_dev1.md", "Supervised fine-tuning on conversations.", ("epochs", *TRAINING)),
    "cold_start_data": KindFacts("stages/cold_start.md", "Readable worked answers, gathered by several collectors.", SAMPLING),
    "rejection_sampling": KindFacts(
        "stages/sft_data.md", "Right and readable completions of the model, with general answers.", (*SAMPLING, "general_share")
    ),
    "reward_models": KindFacts(
        "stages/reward_models.md",
        "A helpfulness model from pairs and a safety model from labels.",
        ("members", "epochs", "batch", "learning_rate"),
    ),
    "process_reward_model": KindFacts(
        "stages/process_reward_model.md",
        "A model of single steps: how likely each leads to a right answer.",
        ("labels", "problems", "samples", "rollouts", "epochs", "learning_rate"),
    ),
    "process_rl": KindFacts(
        "stages/process_reward_model.md",
        "RL in which a process reward model judges the steps beside the rules.",
        (*RL, "process_weight", "use_verdict"),
    ),
    "pass_rates": KindFacts("stages/long2short.md", "How often the model solves each training problem.", SAMPLING[1:]),
    "draws": KindFacts(
        "experiments.md", "Many completions of general prompts, with their true scores.", ("prompts", *SAMPLING[1:])
    ),
    "best_of_n": KindFacts("experiments.md", "What a reward model's choice among n completions is worth."),
    "search_curves": KindFacts("experiments.md", "Accuracy over tokens of ways to search.", ("methods", "n", "problems")),
    "pretrain_branches": KindFacts(
        "experiments.md",
        "One pretraining at a constant rate, cooled down at several lengths.",
        ("lengths", "cooldown", *TRAINING, "optimiser"),
    ),
    "demonstrations": KindFacts(
        "stages/ppo.md", "The base model's own answers that a judge found good.", ("problems", "samples", "threshold")
    ),
    "preferences": KindFacts("stages/reward_models.md", "Pairs of answers, compared by a judge.", ("pairs", "samples")),
    "ppo": KindFacts("stages/ppo.md", "PPO with a critic against a reward model.", (*RL, "critic_learning_rate")),
    "merge": KindFacts("stages/long2short.md", "The average of two models' weights; nothing is trained.", ("share",)),
    "length_pairs": KindFacts(
        "stages/long2short.md", "The shortest right completion of a problem beside longer ones, for DPO.", (*SAMPLING, "longer")
    ),
    "dpo": KindFacts("stages/dpo.md", "The policy learns from pairs directly.", ("loss", "beta", "epochs", "learning_rate")),
}  # fmt: skip
PAGES = {  # of stages that have one of their own beside their kind's
    "r1_dev3": "stages/r1_dev3.md", "r1_distill_llama": "stages/r1_distill.md", "r1_distill_qwen": "stages/r1_distill.md",
}  # fmt: skip
BY_METHOD = ("rl_zero", "reasoning_rl", "all_scenario_rl", "process_rl")
METHOD_OF_KIND = {
    "pretrain": "next-token loss with multi-token prediction", "pretrain_student": "next-token loss",
    "pretrain_branches": "next-token loss", "pass_rates": "sampling and rules", "draws": "sampling and programs",
    "best_of_n": "order statistics", "search_curves": "search and rules",
    "prune": "layers are copied", "probe": "sampling and rules", "fine_tune": "next-token loss on the assistant's turns",
    "cold_start_data": "sampling, rules, rewriting",
    "rejection_sampling": "sampling, rules, decontamination", "reward_models": "pairwise and pointwise logistic loss",
    "process_reward_model": "logistic loss at the ends of steps",
    "demonstrations": "sampling and a judge", "preferences": "sampling and a judge", "ppo": "PPO (arXiv:1707.06347)",
    "merge": "weights are averaged", "length_pairs": "sampling and rules",
}  # fmt: skip


def method_of(kind: str, section: Mapping[str, Any]) -> str:
    """The algorithm by its name and paper."""
    if kind in BY_METHOD:
        name = str(section.get("method", "grpo"))  # what runs that do not name it were made with
        return f"{METHODS[name].title} ({METHODS[name].paper})" if name in METHODS else name
    if kind == "dpo":
        return f"{str(section.get('loss', 'dpo')).replace('_', ' ')} (arXiv:2305.18290)"
    return METHOD_OF_KIND.get(kind, "")
