"""From what a probe measured to settings of RL: each rule with its reason. Most rest on one hand-made run, docs/smollm2.md."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cogitate.config import ProbeConfig, ZeroRLConfig
from cogitate.recipe.probe.measure import READING, Figures
from cogitate.recipe.probe.prompts import Tried
from cogitate.recipe.probe.proposal import Proposed
from cogitate.recipe.probe.worked_examples import Draft
from cogitate.train.rl_metrics import mean
from cogitate.train.rows.shared_prompts import tokens_of_prompts

ENOUGH_FORM = 1 / 2  # of the best form among prompts that are about as often right
COMPLETIONS, FEWEST_COMPLETIONS = 256, 128  # of a step: 16 groups of 16, as in docs/smollm2.md; half where steps would be few
ENOUGH_STEPS = 40  # the first dozen teach the form alone: docs/own_model.md
GROUP, LARGE_GROUP = 16, 32  # the paper's, and one for models that are rarely right
ENOUGH_LIVE = 0.3  # share of live groups of 16 below which larger ones are worth fewer prompts
MANY_LIVE = 0.8  # from here on further prompts in place of dead groups are not worth their time
EASIER = 1.3  # times as often right on the easiest third as on the rest: worth beginning there
EASY_STEPS = 1 / 3  # of the steps begin with easy problems: variety is gone soon after, and must have met the others
LENGTH_ROOM, LENGTH_UNIT = 2, 16  # thinking may double; a multiple of this
LEARNING_RATE, OF_PARAMETERS = 1.5e-5, 134_515_008  # of SmolLM2-135M: docs/smollm2.md
RATE_EXPONENT = -0.5  # the line from there to the 2.9 M parameters and 1.5e-4 of recipe tiny has -0.6
SMALLEST_RATE, LARGEST_RATE = 1e-6, 2e-4
MOST_STEPS = 200  # the hand-made run stopped gaining long before its 120th
BATCHES = 1.5  # of a step with dynamic sampling: hardly any group is dead at first, many are later


@dataclass(frozen=True, slots=True)
class Found:
    """All that proposals are made from.

    Attributes:
        figures: of each prompt that was tried, for groups of GROUP or what the user sets.
        larger: the figures of the chosen prompt for LARGE_GROUP.
        easy, rest: shares of right answers, wherever they stand, at all prompts: on the easiest third and on the others.
        lengths: tokens of completions to come at the chosen prompt, and prompts some of its prompts. tokens_per_second: of
            sampling there, where tokens that are read count as READING; learnt_per_second those of learning.
        parameters: of the model. pool: training problems.
    """

    tried: Mapping[str, Tried]
    figures: Mapping[str, Figures]
    drafts: Sequence[Draft]
    larger: Figures
    chosen: str
    easy: float
    rest: float
    parameters: int
    pool: int
    lengths: Sequence[int]
    prompts: Sequence[tuple[int, ...]]
    tokens_per_second: float
    learnt_per_second: float


def choose(figures: Mapping[str, Figures], problems: int) -> str:
    """The prompt to train at: of those that are about as often right as the best, and keep the form about as often as the best
    of these, the one with most live groups a token: what RL learns from, for what it costs.

    Right is what RL judges so. Where no prompt has a right answer, the one whose answers are right anywhere, and in the form,
    most often. About as often right: within a standard error of the difference, each problem counted once.
    """
    best = max(one.right for one in figures.values())
    if best == 0:
        return max(figures, key=lambda name: (figures[name].right_free + figures[name].form, -figures[name].tokens))
    margin = math.sqrt(2 * best * (1 - best) / problems)
    near = [name for name, one in figures.items() if one.right > 0 and one.right >= best - margin]
    form = max(figures[name].form for name in near)
    near = [name for name in near if figures[name].form >= ENOUGH_FORM * form]
    return max(near, key=lambda name: (figures[name].live / figures[name].tokens, figures[name].right))


def propose(found: Found, settings: ZeroRLConfig, probe: ProbeConfig) -> list[Proposed]:
    """A value for each setting that RL leaves to the probe, with its reason."""
    tried, at = found.tried[found.chosen].settings, found.figures[found.chosen]
    left = settings.from_probe
    large = "group_size" in left and at.live < ENOUGH_LIVE and found.larger.live > at.live
    group = (LARGE_GROUP if large else GROUP) if "group_size" in left else settings.group_size
    live = found.larger.live if large else at.live
    dynamic = live < MANY_LIVE if "dynamic_sampling" in left else settings.dynamic_sampling
    limit = longest(at, probe.max_new_tokens) if "max_new_tokens" in left else settings.max_new_tokens

    def steps_of(prompts: int) -> int:
        in_time = round(60 * probe.minutes / step_seconds(found, prompts, group, limit, dynamic=dynamic))
        return max(1, min(MOST_STEPS, in_time)) if "steps" in left else settings.steps

    prompts = settings.prompts_per_step
    if "prompts_per_step" in left:
        prompts = max(1, min(COMPLETIONS // group, found.pool))
        if steps_of(prompts) < ENOUGH_STEPS and "steps" in left:
            prompts = max(1, min(prompts, FEWEST_COMPLETIONS // group))
    steps, seconds = steps_of(prompts), step_seconds(found, prompts, group, limit, dynamic=dynamic)
    gain = found.easy / found.rest if found.rest else math.inf if found.easy else 1.0
    easier = gain >= EASIER and prompts <= found.pool // 3
    own = sum(draft.own for draft in found.drafts)
    shown = f"{own} from the model's own right completions, {len(found.drafts) - own} from questions and gold answers"
    others = ", ".join(f"{name} {share(one.right)}" for name, one in found.figures.items() if name != found.chosen)
    against = f"; others: {others}" if others else ""
    proposed = [
        Proposed(
            "prompt", tried.prompt,
            f"at {found.chosen} {share(at.right)} are right, {share(at.form)} keep the form{against}",
        ),
        Proposed("open_thinking", tried.open_thinking, "as in the prompt that was chosen"),
        Proposed(
            "worked_examples",
            [one.model_dump() for one in tried.worked_examples],
            shown if tried.worked_examples else "the prompt that was chosen has none",
        ),
        Proposed(
            "group_size", group, f"{share(live)} of groups of {group} are expected to have right and wrong answers"
            + (f", {share(at.live)} of groups of {GROUP}" if large else ""),
        ),
        Proposed("prompts_per_step", prompts, f"{group * prompts} completions a step ({found.pool} training problems)"),
        Proposed(
            "max_new_tokens", limit,
            f"95 % of completions that are right or in the form have at most {at.long_tokens} tokens: room for twice as many",
        ),
        Proposed("temperature", 1.0, "the paper's; lower ones lose their variety sooner (docs/smollm2.md)"),
        Proposed(
            "learning_rate", learning_rate(found.parameters),
            f"{LEARNING_RATE:g} of SmolLM2-135M, times (135 M / {found.parameters / 1e6:.4g} M)^0.5",
        ),
        Proposed(
            "steps", steps,
            f"{probe.minutes:g} minutes, at most {MOST_STEPS} steps, at about {seconds:.3g} s a step: "
            f"{found.tokens_per_second:.4g} tokens are sampled a second, {found.learnt_per_second:.4g} learnt",
        ),
        Proposed(
            "easy_first_steps", round(EASY_STEPS * steps) if easier else 0,
            f"{share(found.easy)} are right on the easiest third of the problems, {share(found.rest)} on the rest",
        ),
        Proposed(
            "dynamic_sampling", dynamic,
            "dead groups are drawn again, once" if dynamic else f"{share(live)} of groups are live: no need to draw again",
        ),
    ]  # fmt: skip
    return [one for one in proposed if one.key in left]


def longest(at: Figures, most: int) -> int:
    """Room for a completion to grow."""
    return min(most, LENGTH_UNIT * math.ceil(LENGTH_ROOM * at.long_tokens / LENGTH_UNIT))


def learning_rate(parameters: int) -> float:
    """Smaller models want larger steps; two digits."""
    rate = LEARNING_RATE * (parameters / OF_PARAMETERS) ** RATE_EXPONENT
    return float(f"{min(LARGEST_RATE, max(SMALLEST_RATE, rate)):.1e}")


def step_seconds(found: Found, prompts: int, group: int, max_new_tokens: int, *, dynamic: bool) -> float:
    """How long a step takes: sampling, more than once where dead groups are drawn again, and learning from one batch."""
    sampled = prompts * group * mean(min(length, max_new_tokens) for length in found.lengths)
    read, batches = tokens_of_prompts(found.prompts, prompts), BATCHES if dynamic else 1
    return batches * (sampled + READING * read) / found.tokens_per_second + (sampled + read) / found.learnt_per_second


def share(value: float) -> str:
    return f"{100 * value:.1f} %"
