"""Cogitate's side: GRPO steps by Engine and GRPOLearner, generation by Engine, supervised steps on packed rows."""

from __future__ import annotations

import itertools
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

import cogitate
from benchmarks.peers.runners.channel import Channel, Round, prompts_of_round, serve
from benchmarks.peers.runners.rewards import REWARDS
from benchmarks.speed.products import body, head, seconds_alone
from cogitate.backend import GenerationRequest
from cogitate.config import RLConfig, SupervisedConfig
from cogitate.engine.generator import Engine
from cogitate.model.files.hf import load_model
from cogitate.recipe.local_backend import DTYPES
from cogitate.runtime import derive_seed, give_back_memory, keep_freed_memory, loaded_objects_exempt
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.train.groups import group_relative
from cogitate.train.learners.grpo import GRPOLearner
from cogitate.train.learners.supervised import SupervisedLearner
from cogitate.train.rollouts import Sampled, to_rollout
from cogitate.train.rows.packing import pack_documents
from cogitate.types import Completion, PackedRows, Problem, RolloutGroup, SamplingParams, Verdict

NEVER = -1  # an end token that is not sampled: every completion is as long as asked for


def main() -> None:
    channel = Channel()
    keep_freed_memory()
    torch.set_num_threads(channel.settings["threads"])
    run = {"grpo": grpo, "generation": generation, "sft": sft}[channel.settings["work"]](channel.settings)
    with loaded_objects_exempt():
        channel.ready(versions={"cogitate": cogitate.__version__, "torch": torch.__version__}, threads=torch.get_num_threads())
        serve(channel, run)


def generation(settings: Mapping[str, Any]) -> Round:
    """All tokens of a case from the request on; of decoding alone beside it, and what it is of the products alone."""
    dtype = DTYPES[settings["dtype"]]
    model = load_model(Path(settings["model"]), dtype=dtype)
    engine = Engine(
        model, end_id=NEVER, max_batch=settings["most"], max_context=settings["context"],
        weight_bits=settings.get("weight_bits", 0), activation_bits=settings.get("activation_bits", 0),
    )  # fmt: skip
    prompts = read_prompts(settings)

    def run(number: int, case: Mapping[str, Any]) -> dict[str, float]:
        group, count = min(case["group"], case["sequences"]), case["sequences"]
        asked = prompts_of_round(prompts, number, count // group)
        started, cpu = time.perf_counter(), time.process_time()
        submit(engine, asked, group, SamplingParams(max_new_tokens=case["new_tokens"]), number)
        engine.poll()  # prefills, and samples two tokens of each completion
        decoding, before = time.perf_counter(), engine.tokens_sampled
        completions = drain(engine)
        ended, cpu_ended = time.perf_counter(), time.process_time()
        decoded = engine.tokens_sampled - before
        step = [*body(model.config, count), *head(model.config, count)]
        return {
            "tokens": sum(len(completion.token_ids) for completion in completions),
            "seconds": ended - started,
            "cpu_seconds": cpu_ended - cpu,
            "decode_tokens_per_second": decoded / (ended - decoding),
            "share_of_gemm": decoded / count * seconds_alone(step, dtype) / (ended - decoding),
        }

    return run


def grpo(settings: Mapping[str, Any]) -> Round:
    """One step: generate, learn with KL to a reference, hand the weights to the generator."""
    directory, dtype = Path(settings["model"]), DTYPES[settings["dtype"]]
    config = RLConfig(
        prompts_per_step=settings["prompt_count"],
        group_size=settings["group"],
        max_new_tokens=settings["new_tokens"],
        kl_beta=settings["kl_beta"],
        learning_rate=settings["learning_rate"],
    )
    prompts = read_prompts(settings)
    ends = NEVER if settings["forced"] else Tokenizer.load(directory).end_ids
    batch = settings["prompt_count"] * settings["group"]
    engine = Engine(load_model(directory, dtype=dtype), end_id=ends, max_batch=batch, max_context=settings["context"])
    learner = GRPOLearner(load_model(directory, dtype=dtype), config)
    params = SamplingParams(config.temperature, config.top_p, config.max_new_tokens)
    weights = Path(tempfile.mkdtemp()) / "weights"

    def run(number: int, _: Mapping[str, Any]) -> dict[str, float]:
        started = time.perf_counter()
        asked = prompts_of_round(prompts, number, config.prompts_per_step)
        submit(engine, asked, config.group_size, params, derive_seed("peers", settings["seed"], number))
        completions = drain(engine)
        generated = time.perf_counter()
        groups = graded_groups(asked, completions, REWARDS[settings["reward"]])
        learnable = group_relative(groups, config)
        engine.free_weights()
        if learnable:  # no group is alive once all has been learnt
            learner.update([rollout for rollout, _ in learnable], [advantage for _, advantage in learnable])
        learnt = time.perf_counter()
        give_back_memory()
        learner.save_weights(weights)
        engine.load_weights(weights, engine.version + 1)
        return {
            "tokens": sum(len(completion.token_ids) for completion in completions),
            "reward": fmean(rollout.reward for group in groups for rollout in group.rollouts if rollout.reward is not None),
            "seconds.generate": generated - started,
            "seconds.train": learnt - generated,
            "seconds.sync": time.perf_counter() - learnt,
        }

    return run


def sft(settings: Mapping[str, Any]) -> Round:
    """One optimiser step over packed rows, every token learnt."""
    directory, dtype = Path(settings["model"]), DTYPES[settings["dtype"]]
    documents = json.loads(Path(settings["documents"]).read_text())
    packed = pack_documents(documents, None, settings["row_tokens"], pad_id=Tokenizer.load(directory).pad_id)
    config = SupervisedConfig(
        rows=settings["rows"], row_tokens=settings["row_tokens"], micro_rows=settings["micro"], mtp_weight=0.0
    )
    model = load_model(directory, dtype=dtype)
    learner = SupervisedLearner(model, config)

    def run(number: int, _: Mapping[str, Any]) -> dict[str, float]:
        batch = rows_of(packed, prompts_of_round(list(range(len(packed.tokens_BT))), number, config.rows))
        tokens = int((batch.documents_BT >= 0).sum())
        started, cpu = time.perf_counter(), time.process_time()
        learner.update(batch, settings["learning_rate"])
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
        rows = config.micro_rows * config.row_tokens
        products = [*body(model.config, rows), *head(model.config, rows)]
        alone = seconds_alone(products, dtype) + seconds_alone(products, dtype, backward=True)
        share = tokens / rows * alone / seconds
        return {"tokens": tokens, "seconds": seconds, "cpu_seconds": cpu_seconds, "share_of_gemm": share}

    return run


def rows_of(packed: PackedRows, chosen: list[int]) -> PackedRows:
    """Some of the rows."""
    return PackedRows(
        packed.tokens_BT[chosen],
        packed.loss_mask_BT[chosen],
        packed.documents_BT[chosen],
        packed.positions_BT[chosen],
        packed.padding_share,
    )


def read_prompts(settings: Mapping[str, Any]) -> list[tuple[int, ...]]:
    return [tuple(prompt["ids"]) for prompt in json.loads(Path(settings["prompts"]).read_text())]


def submit(engine: Engine, prompts: list[tuple[int, ...]], group: int, params: SamplingParams, seed: int) -> None:
    """`group` completions of each prompt."""
    for index, prompt in enumerate(prompts):
        seeds = tuple(derive_seed("peers", seed, index, place) for place in range(group))
        engine.submit(GenerationRequest(str(index), prompt, params, seeds))


def drain(engine: Engine) -> list[Completion]:
    completions: list[Completion] = []
    while engine.pending():
        completions += engine.poll()
    return completions


def graded_groups(
    prompts: list[tuple[int, ...]], completions: list[Completion], reward: Callable[[Sequence[int]], float]
) -> list[RolloutGroup]:
    """Completions by their prompts, each with its reward."""
    by_prompt = sorted(completions, key=lambda completion: int(completion.request_id))
    problem, verdict = Problem("", "peers", "custom", ""), Verdict("right", 1.0, "not graded")
    groups = []
    for request, members in itertools.groupby(by_prompt, key=lambda completion: int(completion.request_id)):
        rollouts = tuple(
            to_rollout(Sampled(problem, prompts[request], completion, "", False, verdict), reward(completion.token_ids), {})
            for completion in members
        )
        groups.append(RolloutGroup(problem, rollouts))
    return groups


if __name__ == "__main__":
    main()
