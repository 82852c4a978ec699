"""Which plots the report draws of a stage's metrics.jsonl, and the one sentence that says what each means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cogitate.apps.report.words import Unit, plain


@dataclass(frozen=True, slots=True)
class Plot:
    """One small picture.

    Attributes:
        title: in plain words.
        metrics: keys of metrics.jsonl with the name of their line; a key ending in "*" stands for all that begin so.
        y: what the vertical axis counts.
        unit: how its numbers are written.
        meaning: one sentence.
        flag: a metric that is not 0 at the steps to mark.
    """

    title: str
    metrics: tuple[tuple[str, str], ...]
    y: str
    unit: Unit
    meaning: str
    flag: str = ""


LEARNING = (
    Plot(
        "Accuracy",
        (("accuracy", "right"),),
        "right",
        "share",
        "Sampled completions whose final answer the rules accept, on the step's training problems.",
    ),
    Plot("Accuracy by task", (("accuracy.*", ""),), "right", "share", "The same, one line for each kind of problem."),
    Plot(
        "Reward",
        (("reward", "reward"),),
        "reward",
        "number",
        "What the policy is trained to raise: the weighted sum of the parts beside it.",
    ),
    Plot(
        "Parts of the reward",
        (("reward.*", ""),),
        "reward",
        "number",
        "Where the reward comes from, each part before its weight; a part of weight 0 is only watched.",
    ),
    Plot(
        "Reward model against the truth",
        (("model_reward", "reward model"), ("true_score", "true score")),
        "score",
        "number",
        "Where the two part, the policy has learned to please the reward model rather than to do better.",
        flag="reward_hacking",
    ),
    Plot(
        "How far the reward model runs ahead",
        (("reward_hacking_gap", "gap"),),
        "score",
        "number",
        "How much more the reward model's score has risen than the true one since general prompts came in.",
        flag="reward_hacking",
    ),
    Plot(
        "Helpfulness: reward model and truth",
        (("reward.helpfulness", "reward model"), ("true_helpfulness", "true score")),
        "score",
        "number",
        "Of the final answers to the step's general prompts; the true score is only measured, never a reward.",
    ),
    Plot(
        "Safety: reward model and truth",
        (("reward.safety", "reward model"), ("true_safety", "true score")),
        "score",
        "number",
        "The same of safety, over everything said.",
    ),
)
# Where general prompts join at some step, two lines: all completions, and those of the prompts that every step has.
LENGTH = (
    Plot(
        "Completion length",
        (("completion_tokens", "all"), ("completion_tokens.reasoning", "reasoning prompts")),
        "tokens",
        "tokens",
        "Mean tokens of a completion, cut-off ones included.",
    ),
    Plot(
        "Thinking of finished completions",
        (("thinking_tokens_finished", "all"), ("thinking_tokens_finished.reasoning", "reasoning prompts")),
        "tokens",
        "tokens",
        "Mean thinking tokens where the completion came to its end: growth here is thinking, not rambling into the limit.",
    ),
    Plot(
        "Thinking of finished completions by level",
        (("thinking_tokens_finished.level_*", ""),),
        "tokens",
        "tokens",
        "The same for each level of difficulty, where problems have one.",
    ),
    Plot(
        "Cut off at the limit",
        (("truncated_share", "all"), ("truncated_share.reasoning", "reasoning prompts")),
        "completions",
        "share",
        "Completions stopped by the token limit: high values make every length plot a lower bound.",
    ),
)
BEHAVIOUR = (
    Plot(
        "Reflection",
        (("reflection_rate", "all"), ("reflection_rate.reasoning", "reasoning prompts")),
        "completions",
        "share",
        'Completions that turn back on their own work ("wait,", "let me check", "等等").',
    ),
    Plot(
        "Tries of a puzzle",
        (("tries", "all"), ("distinct_tries", "without repeats")),
        "tries",
        "number",
        "Candidates that a completion goes through, of the puzzles that have any.",
    ),
    Plot(
        "Rejects a try and goes on",
        (("rejecting_rate", "completions"),),
        "completions",
        "share",
        "Completions of these puzzles that say of a try that it fails, and make another one.",
    ),
    Plot(
        "Corrects itself",
        (("self_correction_rate", "completions"),),
        "completions",
        "share",
        "Completions of puzzles that replace a wrong statement by a right one, as a program finds; words alone do not count.",
    ),
    Plot(
        "Right statements",
        (("step_accuracy", "right"),),
        "statements",
        "share",
        "Sums, remainders, comparisons and claims of completions of puzzles that are right.",
    ),
    Plot(
        "Languages mixed",
        (("language_mix_rate", "all"), ("language_mix_rate.reasoning", "reasoning prompts")),
        "completions",
        "share",
        "Completions thinking with under 95 % words of the question's language: nothing in R1-Zero's reward forbids it.",
    ),
)
HEALTH = (
    Plot(
        "Groups without a signal",
        (("dead_groups", "dead groups"),),
        "groups",
        "share",
        "Groups whose completions all got the same reward: too easy or too hard, they teach nothing.",
    ),
    Plot(
        "No verdict",
        (("no_verdict_share", "no verdict"),),
        "completions",
        "share",
        "Completions the graders could not judge through no fault of theirs; should stay at zero.",
    ),
    Plot(
        "Entropy",
        (("entropy", "entropy"),),
        "nats per token",
        "number",
        "How undecided the policy is at each token: near zero it has stopped exploring.",
    ),
    Plot(
        "Distance from the reference (KL)",
        (("kl", "KL"),),
        "nats per token",
        "number",
        "How far the policy has moved from the reference model; drops when the reference is replaced.",
    ),
    Plot(
        "Clipped tokens",
        (("clip_share", "all"), ("clip_share_low", "at the lower bound"), ("clip_share_high", "at the upper bound")),
        "tokens",
        "share",
        "Tokens whose probability moved so far in one step that the loss ignores them.",
    ),
    Plot(
        "Ratio of new to old policy",
        (("ratio_mean", "mean"), ("ratio_max", "largest")),
        "ratio",
        "number",
        "How far token probabilities moved since sampling; 1 in the first optimiser step on a batch.",
    ),
    Plot(
        "Distance moved by an update",
        (("old_kl", "KL"),),
        "nats per token",
        "number",
        "KL between the policy that sampled and the one being trained: 0 with one optimiser step a batch.",
    ),
    Plot(
        "Sampler against learner",
        (("logprob_gap", "gap"),),
        "nats",
        "number",
        "Mean difference of a token's log-probability between the code that samples and the code that trains; rounding only.",
    ),
    Plot(
        "Sampler against learner, worst token",
        (("logprob_gap_max", "largest gap"),),
        "nats",
        "number",
        "The largest such difference in a step.",
    ),
    Plot(
        "Gradient norm",
        (("gradient_norm", "norm"),),
        "norm",
        "number",
        "Length of the gradient before clipping; jumps foretell trouble.",
    ),
    Plot(
        "Loss",
        (("loss", "loss"), ("mtp_loss", "two tokens ahead"), ("held_out_loss", "held out")),
        "nats per token",
        "number",
        "In pretraining and fine-tuning the surprise at the next token; in RL it hovers near zero and says little.",
    ),
    Plot("Learning rate", (("learning_rate", "learning rate"),), "rate", "number", "The optimiser's step size."),
)
SPEED = (
    Plot(
        "Tokens per second",
        (("tokens_per_second.*", ""), ("tokens_per_second", "whole step")),
        "tokens/s",
        "tokens",
        "Speed of sampling and of training.",
    ),
    Plot(
        "Tokens per step",
        (("tokens_generated", "sampled"), ("tokens_trained", "trained on"), ("tokens", "trained on")),
        "tokens",
        "tokens",
        "Work done in a step: grows with the length of completions.",
    ),
    Plot(
        "Time of a step",
        (("seconds.*", ""), ("seconds", "whole step")),
        "seconds",
        "seconds",
        "Wall time of a step and of its phases.",
    ),
)
GROUPS: tuple[tuple[str, tuple[Plot, ...]], ...] = (
    ("What it learns", LEARNING),
    ("How long it thinks", LENGTH),
    ("How it thinks", BEHAVIOUR),
    ("Health of the training", HEALTH),
    ("Speed", SPEED),
)


def expand(plot: Plot, logged: Sequence[str]) -> list[tuple[str, str]]:
    """(metric, name of its line) for those of a plot's metrics that were logged; "reward.*" becomes each part."""
    found = []
    for metric, name in plot.metrics:
        if metric.endswith("*"):
            named_from = metric.rindex(".") + 1
            found += [(key, plain(key[named_from:]).lower()) for key in logged if key.startswith(metric[:-1])]
        elif metric in logged:
            found.append((metric, name))
    return found


def unlisted(logged: Sequence[str]) -> list[Plot]:
    """A plot of its own for every number that no plot above names."""
    listed = {metric for _, plots in GROUPS for plot in plots for metric, _ in expand(plot, logged)}
    listed |= {plot.flag for _, plots in GROUPS for plot in plots}
    return [Plot(plain(name), ((name, ""),), name, "number", "") for name in logged if name not in listed]
