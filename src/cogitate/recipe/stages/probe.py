"""probe: a look at a model before RL: its completions of training problems at several prompts, and a proposal of settings.

What it makes is proposal.toml, which the stage of RL that needs it takes its settings from where nobody sets them, and every
completion. It makes worked examples itself, from the model's own right completions. No problem of the evaluation is asked.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cogitate.config import Config, ProbeConfig, WorkedExample, ZeroRLConfig
from cogitate.errors import CheckpointError, ConfigError, DataError
from cogitate.evals.completions import write_rows
from cogitate.model.describe import describe
from cogitate.model.files.hf import load_config
from cogitate.recipe.asking import ask_r1_zero, check_tags, with_tags_of
from cogitate.recipe.probe.learning_speed import learning_speed, rollouts_of
from cogitate.recipe.probe.measure import Figures, Measurement, Sample, figures, lengths_to_come, measure
from cogitate.recipe.probe.prompts import Tried, prompts_to_try
from cogitate.recipe.probe.proposal import PROPOSAL, Proposed, write_proposal
from cogitate.recipe.probe.propose import GROUP, LARGE_GROUP, Found, choose, propose, share
from cogitate.recipe.probe.worked_examples import Draft, choose_examples
from cogitate.recipe.problems import data_files, training_problems
from cogitate.recipe.stage import Inputs, Stage, StageContext
from cogitate.runtime import derive_seed, write_json
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.chat_template import ChatTemplate
from cogitate.train.collecting import EASY_SHARE
from cogitate.train.pools import difficulty, easiest
from cogitate.train.rows.shared_prompts import prompts_of
from cogitate.types import Problem, Rollout

FEWEST = 12  # training problems: fewer are no pool to learn from
LEARNING_TIME = 1.5  # of the time to sample a token: to learn one, where it is not measured; SmolLM2-135M on two cores with AMX


def files(config: Config, stage: Stage) -> list[Path]:
    return data_files(config)


def check(config: Config, stage: Stage, graph: Sequence[Stage]) -> None:
    """Refuse bad data, a proposal that nobody takes or two stages take, and settings that would change nothing."""
    user = user_of(graph, stage.name)
    settings, probe = config.section(user, ZeroRLConfig), config.section(stage.name, ProbeConfig)
    check_tags(settings, user)
    if "steps" not in settings.from_probe:
        for key in ("minutes", "tokens_per_second"):
            if getattr(probe, key) != ProbeConfig.model_fields[key].default:
                raise ConfigError(
                    f"{stage.name}.{key} = {getattr(probe, key):g}: changes nothing, since {user}.steps is set; leave one out"
                )
    if (count := len(training_problems(config))) < FEWEST:
        raise DataError(f"{stage.name}: {count} training problems; give at least {FEWEST}, better hundreds")


def user_of(graph: Sequence[Stage], name: str) -> str:
    """The one stage of RL that takes what a probe proposes."""
    users = [stage.name for stage in graph if stage.has(ZeroRLConfig) and name in stage.needs]
    if len(users) != 1:
        who = f"{' and '.join(users)} need it" if users else "no stage needs it"
        raise ConfigError(f"stage {name} proposes settings for one stage of kind rl_zero, and {who}: give each its own probe")
    return users[0]


def run(config: Config, inputs: Inputs, out: Path, context: StageContext) -> dict[str, Any]:
    model = next(iter(inputs.values())).path
    user = user_of(context.graph, context.stage)
    settings, probe = config.section(user, ZeroRLConfig), config.section(context.stage, ProbeConfig)
    pool = training_problems(config)
    problems, sources, easy = draw(pool, probe, seed=derive_seed(config.seed, context.stage))
    settings = settings if "temperature" not in settings.from_probe else settings.model_copy(update={"temperature": 1.0})
    asked = dict(enumerate([*sources, *problems]))  # by number: the sources come first
    numbers = range(len(sources), len(asked))
    group = GROUP if "group_size" in settings.from_probe else settings.group_size
    bench = Bench(config, context, model, settings, probe, group)
    context.begin(bench.count)
    measured = bench.measure_all(prompts_to_try(settings, has_template=bench.has_template), asked)
    drafts: list[Draft] = []
    if "worked_examples" in settings.from_probe and probe.examples:
        drafts = examples(measured, asked, len(sources), pool, probe.examples)
        measured |= bench.measure_with_examples(drafts, {number: asked[number] for number in numbers}, settings)
    if not measured:
        raise DataError(f"{context.stage}: none of the prompts can be put to the model; see the lines above")
    of_prompts = {name: figures(one.of(numbers), group) for name, one in measured.items()}
    refuse_hopeless(context.stage, measured, of_prompts)
    chosen = choose(of_prompts, len(numbers))
    samples = measured[chosen].of(numbers)
    speed = probe.tokens_per_second or measured[chosen].tokens_per_second
    rollouts = bench.rollouts(chosen, samples, asked)
    measures_learning = "steps" in settings.from_probe and not probe.tokens_per_second
    found = Found(
        tried=bench.tried,
        figures=of_prompts,
        drafts=drafts,
        larger=figures(samples, LARGE_GROUP),
        chosen=chosen,
        easy=right_anywhere(measured, [number for number in numbers if number - len(sources) in easy]),
        rest=right_anywhere(measured, [number for number in numbers if number - len(sources) not in easy]),
        parameters=describe(load_config(model)).parameters,
        pool=len(pool),
        lengths=lengths_to_come(samples),
        prompts=prompts_of(rollouts),
        tokens_per_second=speed,
        learnt_per_second=bench.learnt_per_second(chosen, rollouts) if measures_learning else speed / LEARNING_TIME,
    )
    proposed = propose(found, settings, probe)
    rows = table(of_prompts, chosen)
    head = [f"What the stage {context.stage} proposes for {user}; copy what you like into a recipe of your own.", "", *rows]
    write_proposal(out / PROPOSAL, user, proposed, head)
    write_rows(
        out / "completions.jsonl",
        ({"prompt": name, **one.row(asked[one.problem])} for name, each in measured.items() for one in each.samples),
    )
    for line in [*rows, *told(user, proposed)]:
        context.say(line)
    return {
        "prompt": chosen,
        "figures": {name: asdict(one) for name, one in of_prompts.items()},
        "examples": {"of the model": sum(draft.own for draft in drafts), "of gold answers": sum(not d.own for d in drafts)},
    }


class Bench:
    """Measures prompts one after the other; what is measured survives a kill."""

    def __init__(
        self,
        config: Config,
        context: StageContext,
        model: Path,
        settings: ZeroRLConfig,
        probe: ProbeConfig,
        group_size: int,
    ):
        self.context, self.model, self.probe, self.group_size = context, model, probe, group_size
        self.seed = derive_seed(config.seed, context.stage, "completions")
        self.tokenizer = with_tags_of(settings, Tokenizer.load(model))
        self.has_template = ChatTemplate.load(model) is not None
        self.generator, self.grader = context.backend.generator(model), context.backend.grader()
        self.tried: dict[str, Tried] = {}
        self.done = 0
        placeholder = [WorkedExample(question="q", thinking="t", answer="a").model_dump()]
        both = [prompts_to_try(settings, has_template=self.has_template)]
        if "worked_examples" in settings.from_probe and probe.examples:
            both.append(prompts_to_try(settings, has_template=self.has_template, examples=placeholder))
        self.count = sum(map(len, both))
        context.metrics.truncate(0)

    def measure_all(self, prompts: Sequence[Tried], problems: Mapping[int, Problem]) -> dict[str, Measurement]:
        """The measurements of prompts that can be put to the model; the others are named with the reason."""
        found: dict[str, Measurement] = {}
        for tried in prompts:
            self.tried[tried.name] = tried
            saved = self.context.checkpoint / f"{tried.name}.json"
            try:
                measured = self.load(saved) or self.measure(tried, problems)
            except (CheckpointError, DataError) as error:
                self.context.say(f"without prompt {tried.name}: {error}")
                continue
            write_json(saved, asdict(measured))
            found[tried.name] = measured
            at = figures(measured.samples, self.group_size)
            self.context.metrics.write(
                {
                    "step": self.done, "prompt": tried.name, "accuracy": at.right, "accuracy_anywhere": at.right_free,
                    "format_rate": at.form, "live_groups": at.live, "completion_tokens": at.tokens,
                    "truncated_share": at.truncated,
                }
            )  # fmt: skip
            self.done += 1
        return found

    def measure_with_examples(
        self, drafts: Sequence[Draft], problems: Mapping[int, Problem], settings: ZeroRLConfig
    ) -> dict[str, Measurement]:
        """The measurements of all prompts with these worked examples; {} where there are none."""
        if not drafts:
            self.context.say("no worked examples: no right completion and no gold answer makes a short one")
            return {}
        shown = [draft.example.model_dump() for draft in drafts]
        return self.measure_all(prompts_to_try(settings, has_template=self.has_template, examples=shown), problems)

    def rollouts(self, chosen: str, samples: Sequence[Sample], problems: Mapping[int, Problem]) -> list[Rollout]:
        """Some of the completions at a prompt as a learner is given them."""
        prompt_of = ask_r1_zero(self.tried[chosen].settings, self.model, self.tokenizer)
        return rollouts_of(samples, problems, prompt_of, self.tokenizer)

    def learnt_per_second(self, chosen: str, rollouts: Sequence[Rollout]) -> float:
        """Tokens a second of learning at a prompt; measured once, as the prompts are."""
        saved = self.context.checkpoint / "learning.json"
        if not saved.is_file():
            self.generator.free_weights()
            learner = self.context.backend.policy_learner(self.model, self.tried[chosen].settings)
            write_json(saved, learning_speed(learner, rollouts))
        return float(json.loads(saved.read_text(encoding="utf-8")))

    def load(self, saved: Path) -> Measurement | None:
        """What was measured before a kill."""
        return Measurement.from_json(json.loads(saved.read_text(encoding="utf-8"))) if saved.is_file() else None

    def measure(self, tried: Tried, problems: Mapping[int, Problem]) -> Measurement:
        return measure(
            tried.name,
            problems,
            ask_r1_zero(tried.settings, self.model, self.tokenizer),
            settings=tried.settings,
            samples=self.probe.samples,
            max_new_tokens=self.probe.max_new_tokens,
            seed=self.seed,
            tokenizer=self.tokenizer,
            generator=self.generator,
            grader=self.grader,
            meanwhile=self.context.stop_if_interrupted,
        )


def draw(pool: Sequence[Problem], probe: ProbeConfig, *, seed: int) -> tuple[list[Problem], list[Problem], set[int]]:
    """Problems to measure on, others to make examples from, and which of the former are of the easiest third of the pool.

    Examples come from easy problems, where right answers are most likely. Half of the problems that are measured are easy.
    """
    chance = random.Random(seed)
    easy = list(easiest(pool, EASY_SHARE))
    ids = {id(problem) for problem in easy}
    rest = [problem for problem in pool if id(problem) not in ids]
    chance.shuffle(easy)
    chance.shuffle(rest)
    sources = easy[: min(probe.sources, len(easy) // 2)]
    easy = easy[len(sources) :]
    half = probe.problems // 2
    chosen = [*easy[:half], *rest[: probe.problems - half]]
    return chosen, sources, set(range(min(half, len(easy))))


def examples(
    measured: dict[str, Measurement], asked: Mapping[int, Problem], sources: int, pool: Sequence[Problem], count: int
) -> list[Draft]:
    """Worked examples from right completions of the first problems that were asked, filled up from others of the pool. The
    problems that prompts are measured on are none, since their answers would stand in the prompt."""
    right = [
        (asked[one.problem], one.text)
        for each in measured.values()
        for one in each.samples
        if one.right_free and one.finished and one.problem < sources
    ]
    taken = {id(problem) for number, problem in asked.items() if number >= sources}
    easy = [problem for problem in easiest(pool, EASY_SHARE) if id(problem) not in taken]
    steps = [
        problem for problem in pool if difficulty(problem.question)[0] > 2 and id(problem) not in taken
    ]  # for several steps
    return choose_examples(right, [*easy, *steps], count)


def right_anywhere(measured: dict[str, Measurement], numbers: Sequence[int]) -> float:
    """The share of right answers to some problems, wherever they stand, at all prompts."""
    values = [one.right_free for each in measured.values() for one in each.of(numbers) if one.right_free is not None]
    return sum(values) / max(1, len(values))


def refuse_hopeless(stage: str, measured: dict[str, Measurement], of_prompts: dict[str, Figures]) -> None:
    """Stop where RL would have nothing to learn from: no right answer at any prompt.

    Raises:
        DataError: says what was measured and what to do.
    """
    samples = [one for each in measured.values() for one in each.samples]
    if any(one.right or one.right_free for one in samples):
        return
    form = max(one.form for one in of_prompts.values())
    raise DataError(
        f"{stage}: not one of {len(samples)} completions at {len(measured)} prompts is right, in any form (at the best prompt "
        f"{share(form)} keep the form), so RL has nothing to learn from: give easier problems or another model, fine-tune the "
        f"model on worked solutions first, or look at more with a larger {stage}.samples or {stage}.max_new_tokens"
    )


def table(of_prompts: dict[str, Figures], chosen: str) -> list[str]:
    """The figures of the prompts, one a line; the chosen one is marked."""
    columns = ("right", "anywhere", "in form", "live groups", "tokens", "cut off")
    rows = [["prompt", *columns]]
    for name, one in of_prompts.items():
        shares = [share(value) for value in (one.right, one.right_free, one.form, one.live)]
        rows.append([f"{'*' if name == chosen else ' '} {name}", *shares, f"{one.tokens:.0f}", share(one.truncated)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]


def told(user: str, proposed: Sequence[Proposed]) -> list[str]:
    """The proposal, a line for each value."""
    lines = []
    for one in proposed:
        shown = f"{len(one.value)} of them" if isinstance(one.value, list) else json.dumps(one.value)
        lines.append(f"{user}.{one.key} = {shown}: {one.reason}")
    return lines
