"""Whether speed has cost quality: greedy tokens beside `transformers`, the sampler beside the learner, rewards beside TRL."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import torch

from benchmarks.curves.report import Check, check, reward_gap
from benchmarks.curves.work import NEVER, RATE
from benchmarks.peers import setup
from benchmarks.peers.sides import Runner, Side
from benchmarks.peers.workloads import grpo_sides
from cogitate.backend import GenerationRequest
from cogitate.config import RLConfig
from cogitate.engine.generator import Engine
from cogitate.model.files.hf import load_model
from cogitate.model.transformer import Transformer
from cogitate.train.learners.grpo import GRPOLearner
from cogitate.train.rollouts import Sampled, to_rollout
from cogitate.types import Completion, Problem, Rollout, SamplingParams, Verdict

TIE = 1e-4  # logits that are closer may be taken for one another
GAP_MAX, GAP_MEAN = 1e-4, 1e-6  # of log-probabilities in float32
GROUP = 8
REWARD_RATE = 1e-4
BLOCK = 10  # steps whose rewards are compared as one
ERRORS = 3.0  # standard errors that sides may be apart
LEARNT = 0.2  # of the share of odd tokens, that a side must have gained for the comparison to say anything

Prompt = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Attributes: greedy, sampled: prompts and new tokens; rewards: steps, prompts, completions of each and most new tokens."""

    greedy: tuple[int, int]
    sampled: tuple[int, int]
    rewards: tuple[int, int, int, int]
    seeds: tuple[int, ...] = (0, 1)


FULL = Sizes((16, 64), (4, 64), (50, 8, 8, 32))
QUICK = Sizes((2, 8), (1, 8), (3, 2, 4, 8))


def equality_checks(sizes: Sizes) -> list[Check]:
    """Greedy tokens of SmolLM2; log-probabilities of it and of the trained small Llama."""
    count, new_tokens = sizes.greedy
    checks = greedy_checks(setup.smollm2(), read_prompts(setup.smollm2(), count), new_tokens)
    count, new_tokens = sizes.sampled
    for directory in (setup.tiny(trained=True), setup.smollm2()):
        checks += gap_checks(directory, read_prompts(directory, count), new_tokens)
    return checks


def read_prompts(directory: Path, count: int) -> list[Prompt]:
    return [tuple(row["ids"]) for row in json.loads(setup.prompts_for(directory).read_text())[:count]]


def greedy_checks(directory: Path, prompts: Sequence[Prompt], new_tokens: int) -> list[Check]:
    """Each greedy token of the engine beside what `transformers` finds likeliest after the same tokens, both in float32."""
    from transformers import AutoModelForCausalLM

    engine = Engine(load_model(directory, dtype=torch.float32), end_id=NEVER, max_batch=len(prompts))
    completions = generate(engine, prompts, SamplingParams(temperature=0.0, max_new_tokens=new_tokens), group=1)
    del engine
    reference = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    tokens, ties, others = 0, 0, 0
    for prompt, (completion,) in zip(prompts, completions, strict=True):
        chosen_T = torch.tensor(completion.token_ids)
        with torch.inference_mode():
            logits_TV = reference(torch.tensor([[*prompt, *completion.token_ids]])).logits[0, len(prompt) - 1 : -1]
        tied, other = other_choices(logits_TV, chosen_T)
        tokens, ties, others = tokens + len(chosen_T), ties + tied, others + other
    return [
        check(f"{directory.name}: greedy tokens compared with those of transformers", tokens, None),
        check(f"of them another one, more than a tie of {TIE:g} apart", others, 0, exact=True),
        check("of them another one of a tie", ties, None),
    ]


def other_choices(logits_TV: torch.Tensor, chosen_T: torch.Tensor) -> tuple[int, int]:
    """How many tokens are not the likeliest although nearly as likely, and how many are not at all."""
    short_T = logits_TV.amax(1) - logits_TV.gather(1, chosen_T[:, None])[:, 0]
    different_T = logits_TV.argmax(1) != chosen_T
    return int((different_T & (short_T < TIE)).sum()), int((different_T & (short_T >= TIE)).sum())


def gap_checks(directory: Path, prompts: Sequence[Prompt], new_tokens: int) -> list[Check]:
    """Log-probabilities of sampled tokens as the engine told them and as the learner finds them, importance correction on."""
    name = directory.name
    checks = []
    for dtype, most, mean in ((torch.float32, GAP_MAX, GAP_MEAN), (torch.bfloat16, None, None)):
        model = load_model(directory, dtype=dtype)
        engine = Engine(model, end_id=NEVER, max_batch=len(prompts) * GROUP)
        groups = generate(engine, prompts, SamplingParams(max_new_tokens=new_tokens), GROUP)
        metrics = learner_metrics(model, prompts, groups, new_tokens)
        what = f"{name} in {str(dtype).removeprefix('torch.')}, sampler's and learner's logprobs"
        checks.append(check(f"{what}: greatest gap", metrics["logprob_gap_max"], most))
        checks.append(check(f"{what}: mean gap", metrics["logprob_gap"], mean))
    rounding = rounding_of_float32(directory, prompts, [group[0] for group in groups])
    checks.append(check(f"{name}, what float32 itself rounds: mean gap to the same computed in float64", rounding, None))
    return checks


def learner_metrics(
    model: Transformer, prompts: Sequence[Prompt], groups: Sequence[Sequence[Completion]], new_tokens: int
) -> dict[str, float]:
    """Of an update on these rollouts, whose log-probabilities are taken before its optimiser step."""
    rollouts = [as_rollout(prompt, completion) for prompt, group in zip(prompts, groups, strict=True) for completion in group]
    learner = GRPOLearner(model, RLConfig(learning_rate=RATE, kl_beta=0.0, max_new_tokens=new_tokens))
    return learner.update(rollouts, [1.0 - 2.0 * (index % 2) for index in range(len(rollouts))])


@torch.inference_mode()
def rounding_of_float32(directory: Path, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> float:
    """Mean difference of the tokens' log-probabilities by the learner's forward pass in float32 and in float64."""
    gaps, model = [], load_model(directory, dtype=torch.float32)
    exact = load_model(directory, dtype=torch.float32).double()
    for prompt, completion in zip(prompts, completions, strict=True):
        targets_N = torch.tensor(completion.token_ids)
        tokens_1T = torch.tensor([[*prompt, *completion.token_ids]])
        one, other = (
            torch.log_softmax(each.logits(each(tokens_1T))[0, len(prompt) - 1 : -1].double(), -1) for each in (model, exact)
        )
        gaps.append((one - other).gather(1, targets_N[:, None]).abs())
    return float(torch.cat(gaps).mean())


def generate(engine: Engine, prompts: Sequence[Prompt], params: SamplingParams, group: int) -> list[list[Completion]]:
    """`group` completions of each prompt, in order."""
    for index, prompt in enumerate(prompts):
        engine.submit(GenerationRequest(str(index), prompt, params, tuple(range(group))))
    completions: list[Completion] = []
    while engine.pending():
        completions += engine.poll()
    completions.sort(key=lambda completion: (int(completion.request_id), completion.seed))
    return [list(members) for _, members in itertools.groupby(completions, key=lambda completion: completion.request_id)]


def as_rollout(prompt: Prompt, completion: Completion) -> Rollout:
    verdict = Verdict("right", 1.0, "not graded")
    return to_rollout(Sampled(Problem("", "quality", "custom", ""), prompt, completion, "", False, verdict), 1.0, {})


def reward_curves(sizes: Sizes, threads: int) -> dict[str, list[list[float]]]:
    """side -> for each seed the mean reward of each step: GRPO on the trained small Llama, rewarded by the share of odd
    token ids, natural lengths, same prompts, settings and optimiser."""
    steps, *shape = sizes.rewards
    model = setup.tiny(trained=True)
    sides = grpo_sides(model, (shape[0], shape[1], shape[2]), forced=False, micro=64, own=("float32",))
    chosen = [side for side in sides if side.name in ("ours:float32", "trl:float32")]
    return {side.name: [reward_run(side, seed, steps, threads) for seed in sizes.seeds] for side in chosen}


def reward_run(side: Side, seed: int, steps: int, threads: int) -> list[float]:
    settings = {**side.settings, "reward": "odd_share", "seed": seed, "learning_rate": REWARD_RATE}
    log = setup.ROOT / "logs" / f"rewards-{side.name.replace(':', '-')}-{seed}.log"
    runner = Runner(replace(side, settings=settings), log, threads)
    try:
        rewards = [runner.run(number, {})["reward"] for number in range(steps)]
    finally:
        runner.close()
    print(f"{side.name}, seed {seed}: mean reward {rewards[0]:.3f} at first, {rewards[-1]:.3f} after {steps} steps", flush=True)
    return rewards


def reward_checks(rewards: dict[str, list[list[float]]]) -> list[Check]:
    """Both sides learn, and as fast as each other."""
    ours, theirs = rewards.values()
    steps = len(ours[0])
    compared = reward_gap(ours, theirs, min(BLOCK, steps))
    last = compared["blocks"][-1]
    firsts = [fmean(run[0] for run in runs) for runs in (ours, theirs)]
    gains = [
        check(f"mean reward gained in {steps} steps, {name}", end - first, LEARNT, at_least=True)
        for name, end, first in zip(rewards, last, firsts, strict=True)
    ]
    return [
        *gains,
        check(f"greatest difference of the mean reward of {BLOCK} steps", compared["gap"], None),
        check("the same in standard errors between runs", compared["gap_in_errors"], ERRORS),
    ]
