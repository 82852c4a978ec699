"""Published figures, one row a line, as what the cost functions take: a training step, a step of RL, a whole run.

Unknown fields are left alone. A row of another kind, or one that lacks what its kind needs, is left out with a reason.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cogitate.apps.plan.hardware import Hardware
from cogitate.apps.plan.models import find_shape
from cogitate.costs.counts import count_parameters
from cogitate.costs.factors import Factors
from cogitate.costs.generation import Sampling, smallest_tensor
from cogitate.costs.hardware import GIB, Cluster
from cogitate.costs.layout import Layout, usual_layout
from cogitate.costs.lengths import UNKNOWN_LENGTH, Lengths, usual_mean
from cogitate.costs.memory import MEGATRON, Training, training_memory
from cogitate.costs.rl_step import RLStep, rl_seconds
from cogitate.costs.shape import Shape
from cogitate.costs.training import best_kernel, can_run, training_seconds
from cogitate.errors import CogitateError, DataError

ACTIVATIONS = {"recompute": "recompute", "offload": "offload", "none": "keep", "selective": "keep", "keep": "keep"}
USUAL_PROMPT = 105.0
USUAL_SEQUENCES = 4096.0  # of a step of RL, where a row does not say: recipes have 512 to 8,192 and more
ENGINE_SHARE = 0.65  # of the memory, that serving engines fill with weights and cache beside a trainer
PRETRAINING_SEQUENCE = 4096.0
# R1-Zero's limit is 32,768 and then 65,536 tokens; the mean grows from some hundred to over ten thousand (R1, figure 3).
R1_MEAN, R1_LIMIT = 8000.0, 32768.0
# Its engine has FP8 weights and drafts by the MTP block, 1.8 tokens a step (arXiv:2412.19437, section 5.4.3).
R1_WEIGHT_BYTES, R1_TOKENS_PER_STEP = 1.0, 1.8
R1_STEPS_OF_ROLLOUTS = 16  # 8,192 completions are drawn at a time and learnt from in 16 steps of 512 (R1, supplement)


@dataclass(frozen=True, slots=True)
class Row:
    """A published row as figures to predict.

    Attributes:
        figures: name of a figure (memory in bytes, step_time or whole_run in seconds or GPU hours) -> its formula.
        published: the same names -> what was published.
        fits: whether it ran, where the row says so; capacity: bytes of one accelerator.
        cannot: why it would not run whatever memory there is; "" where nothing stands against it.
        further: deviation of the logarithm of times from guesses that the row left open.
        notes: those guesses.
    """

    id: str
    what: str
    figures: Mapping[str, Callable[[Factors], float]]
    published: Mapping[str, float]
    fits: bool | None = None
    capacity: float = 0.0
    cannot: str = ""
    further: float = 0.0
    notes: tuple[str, ...] = ()
    memory: Callable[[Factors], Any] | None = None

    @property
    def is_fitted(self) -> bool:
        """Whether factors may be fitted on it: rows whose hash is even, and never whole runs."""
        return self.what != "whole run" and int(hashlib.sha256(self.id.encode()).hexdigest(), 16) % 2 == 0


@dataclass(frozen=True, slots=True)
class Left:
    """A row that was left out, and why."""

    line: int
    id: str
    why: str


def read_rows(path: Path, hardware: Hardware) -> tuple[list[Row], list[Left]]:
    """The rows of a JSON Lines file, and those that cannot be planned.

    Raises:
        DataError: the file cannot be read, or no row of it can be planned.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as text: {error}") from error
    rows, left = list[Row](), list[Left]()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name = f"line {number}"
        try:
            content = json.loads(line)
            if not isinstance(content, dict):
                raise DataError("is no JSON object")
            name = str(content.get("id", name))
            rows.append(row_of(content, name, hardware))
        except (CogitateError, ValueError, TypeError, KeyError, ZeroDivisionError, OverflowError) as error:
            why = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
            left.append(Left(number, name, " ".join(why.split())))
    if not rows:
        why = f"; line {left[0].line}: {left[0].why}" if left else ""
        raise DataError(f"{path}: no row that can be planned{why}")
    return rows, left


def row_of(row: Mapping[str, Any], name: str, hardware: Hardware) -> Row:
    """One row, by its kind."""
    kind = str(row.get("what") or "")
    kind = kind if kind in KINDS else kind_by_fields(row)
    if not kind:
        raise DataError(f"what = {row.get('what')!r}: no kind that is planned ({', '.join(KINDS)})")
    return KINDS[kind](row, name, hardware)


def kind_by_fields(row: Mapping[str, Any]) -> str:
    if row.get("gpu_hours") or row.get("hours"):
        return "whole run"
    if any(row.get(key) for key in ("sequences_per_step", "generate_seconds", "max_new_tokens", "mean_new_tokens")):
        return "RL step"
    return "training step" if row.get("seq_len") else ""


def number(row: Mapping[str, Any], key: str, default: float | None = None) -> float:
    """A number of a row above 0. Raises DataError where it is missing or is none."""
    value = row.get(key)
    if value is None and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise DataError(f"{key} = {value!r}: give a number above 0" if key in row else f"{key} is missing")
    return float(value)


def degree(row: Mapping[str, Any], name: str, keys: tuple[str, ...], mark: str) -> int:
    """A degree of parallelism: a field of its own, or written in the id as cp2."""
    for key in keys:
        if row.get(key):
            return int(number(row, key))
    found = re.search(rf"(?:^|[-_]){mark}(\d+)(?=[-_.]|$)", name)
    return int(found[1]) if found else 1


def given(row: Mapping[str, Any], pairs: Mapping[str, tuple[str, float]]) -> dict[str, float]:
    """What was published: figure -> field and unit."""
    return {figure: number(row, key) * unit for figure, (key, unit) in pairs.items() if row.get(key) is not None}


def training_row(row: Mapping[str, Any], name: str, hardware: Hardware) -> Row:
    """A training step of an FSDP2 trainer: micro-batches are packed rows of seq_len tokens."""
    (shape, note), gpu = find_shape(str(row["model"])), hardware.find(str(row["gpu"]))
    cluster = Cluster(gpu, int(number(row, "gpus", 1)))
    context, experts = degree(row, name, ("context_parallel", "cp"), "cp"), degree(row, name, ("expert_parallel", "ep"), "ep")
    layout = Layout(cluster.count, context=min(context, cluster.count), experts=experts if shape.experts else 1)
    activations = ACTIVATIONS.get(str(row.get("activation") or "none").lower())
    if activations is None:
        raise DataError(f"activation = {row.get('activation')!r}: one of {', '.join(ACTIVATIONS)}")
    sequence = number(row, "seq_len")
    # These rows were measured with another version of the framework: their throughput counts other seconds than that of the
    # rest, and a layer takes a fraction of the memory. Compiled layers would explain both.
    compiled = row.get("type") == "rl" and not row.get("lora_rank") and gpu.generation == "ampere"
    work = Training(
        tokens=sequence, sequence=sequence, micro_batches=number(row, "micro_batches_per_gpu", 1),
        lora_rank=int(row.get("lora_rank") or 0), activations=activations,  # type: ignore[arg-type]
        logits="plain" if row.get("type") == "sft" else "fused", compiled=compiled,
    )  # fmt: skip
    kernel = str(row.get("attention") or best_kernel(gpu.generation))
    runs = can_run(kernel, gpu.generation)
    return Row(
        name,
        "training step",
        {
            "memory": lambda factors: training_memory(shape, work, layout, factors).total,
            "step_time": lambda factors: training_seconds(shape, work, layout, cluster, factors, kernel=kernel).total,
        },
        given(row, {"memory": ("peak_memory_gib_per_gpu", GIB), "step_time": ("step_seconds", 1)}),
        fits=row.get("fits"),
        capacity=gpu.memory,
        cannot="" if runs else f"{kernel} has no kernels for {gpu.name} ({gpu.generation})",
        notes=tuple(filter(None, (note, "taken as compiled" if compiled else ""))),
        memory=lambda factors: training_memory(shape, work, layout, factors),
    )


@dataclass(frozen=True, slots=True)
class Guesses:
    """What a row left open and was guessed."""

    notes: list[str] = field(default_factory=list)
    further: list[float] = field(default_factory=list)

    def add(self, note: str, deviation: float = 0.0) -> None:
        self.notes.append(note)
        self.further.append(deviation)

    @property
    def deviation(self) -> float:
        return math.hypot(*self.further)


def rl_row(row: Mapping[str, Any], name: str, hardware: Hardware) -> Row:
    """A step of RL: rollouts of a step, log-probabilities, an update."""
    (shape, note), gpu = find_shape(str(row["model"])), hardware.find(str(row["gpu"]))
    cluster, guesses = Cluster(gpu, int(number(row, "gpus"))), Guesses()
    if note:
        guesses.add(note, 0.3)
    step = rl_step_of(row, shape, cluster, guesses)
    published = given(row, {"step_time": ("step_seconds", 1), "memory": ("peak_memory_gb_per_gpu", 1e9)})
    return Row(
        name,
        "RL step",
        {
            "step_time": lambda factors: rl_seconds(shape, step, cluster, factors).total,
            "memory": lambda factors: rl_memory(shape, step, cluster, factors, offloaded=bool(row.get("host_memory_gb"))),
        },
        published,
        fits=row.get("fits"),
        capacity=gpu.memory,
        further=guesses.deviation,
        notes=tuple(guesses.notes),
    )


def rl_step_of(row: Mapping[str, Any], shape: Shape, cluster: Cluster, guesses: Guesses) -> RLStep:
    """The work of an RL row; what it leaves open is guessed, and noted."""
    if row.get("max_new_tokens") is None and row.get("mean_new_tokens") is None:
        raise DataError("neither max_new_tokens nor mean_new_tokens: how long completions are decides a step of RL")
    limit = number(row, "max_new_tokens", 4 * number(row, "mean_new_tokens", 1))
    if row.get("max_new_tokens") is None:
        guesses.add(f"limit of a completion not given: four times the mean, {limit:.0f} tokens", 0.3)
    if row.get("mean_new_tokens") is None:
        guesses.add(f"mean length not given: {usual_mean(limit):.0f} tokens", UNKNOWN_LENGTH)
    if row.get("sequences_per_step") is None:
        guesses.add(f"completions of a step not given: {USUAL_SEQUENCES:.0f}", 0.6)
    sequences = number(row, "sequences_per_step", USUAL_SEQUENCES)
    lengths = Lengths(min(number(row, "mean_new_tokens", usual_mean(limit)), limit), limit)
    policy = str(row.get("policy") or "on-policy")
    colocated = "on-policy" in policy or "colocated" in policy
    tensor = int(number(row, "generation_tp", smallest_tensor(shape, cluster.gpu)))
    degrees = row.get("train_tp_cp_ep_pp")
    if degrees is not None:
        if not isinstance(degrees, list) or len(degrees) != 4:
            raise DataError(f"train_tp_cp_ep_pp = {degrees!r}: give four numbers")
        tp, cp, ep, pp = (int(each) for each in degrees)
        layout = Layout(cluster.count, tensor=tp, context=cp, experts=ep, pipeline=pp, sharding="optimiser")
    else:
        layout = usual_layout(shape, count_parameters(shape).total, cluster.count)
    scorings = 1 if row.get("old_logprob_seconds") and not row.get("ref_logprob_seconds") else 2
    prompts = number(row, "prompts_per_step", max(1.0, sequences / 16))
    sampling = Sampling(sequences, prompts, number(row, "mean_prompt_tokens", USUAL_PROMPT), lengths)
    return RLStep(sampling, min(tensor, cluster.count), layout, scorings=scorings, colocated=colocated)


def rl_memory(shape: Shape, step: RLStep, cluster: Cluster, factors: Factors, *, offloaded: bool) -> float:
    """The fuller of the two phases: an engine that fills its share of the memory, and training with what is not offloaded."""
    tokens = step.sampling.lengths.limit + step.sampling.prompt_tokens
    work = Training(tokens=tokens, sequence=tokens, precision=MEGATRON)
    terms = training_memory(shape, work, step.layout, factors).by_term()
    kept = {name: size for name, size in terms.items() if not (offloaded and name == "optimiser states")}
    return max(ENGINE_SHARE * cluster.gpu.memory, sum(kept.values()))


def run_row(row: Mapping[str, Any], name: str, hardware: Hardware) -> Row:
    """A whole run: pretraining or fine-tuning on so many tokens, or so many steps of RL. Its figure is GPU hours."""
    (shape, note), gpu = find_shape(str(row["model"])), hardware.find(str(row["gpu"]))
    guesses = Guesses()
    if note:
        guesses.add(note, 0.3)
    hours = row.get("gpu_hours")
    hours = number(row, "gpu_hours") if hours is not None else number(row, "hours") * number(row, "gpus")
    if row.get("tokens") is not None:
        figure = tokens_run(row, shape, Cluster(gpu, int(number(row, "gpus", 2048 if hours > 1e5 else 64))), guesses)
    elif row.get("steps") is not None:
        cluster = Cluster(gpu, int(number(row, "gpus", 64)))
        of_r1 = "r1" in str(row.get("stage") or "").lower()
        usual = {"max_new_tokens": R1_LIMIT, "mean_new_tokens": R1_MEAN} if of_r1 else {}
        if usual and row.get("mean_new_tokens") is None:
            guesses.add(f"lengths of the R1 paper: {R1_MEAN:.0f} tokens on average, {R1_LIMIT:.0f} at most", UNKNOWN_LENGTH)
        drawn = R1_STEPS_OF_ROLLOUTS if of_r1 else 1
        content = {**usual, **row, "sequences_per_step": drawn * number(row, "sequences_per_step", USUAL_SEQUENCES)}
        step, steps = rl_step_of(content, shape, cluster, guesses), number(row, "steps") / drawn
        if of_r1:
            step = of_r1_engine(step, shape, cluster)
        figure = lambda factors: steps * cluster.count * rl_seconds(shape, step, cluster, factors).total / 3600  # noqa: E731
    else:
        raise DataError("neither tokens nor steps: how much work the run was is not said")
    return Row(
        name, "whole run", {"whole_run": figure}, {"whole_run": hours}, further=guesses.deviation, notes=tuple(guesses.notes)
    )


def of_r1_engine(step: RLStep, shape: Shape, cluster: Cluster) -> RLStep:
    """The same step with the generation of R1's authors."""
    sampling = replace(step.sampling, weight_bytes=R1_WEIGHT_BYTES, tokens_per_step=R1_TOKENS_PER_STEP)
    return replace(step, sampling=sampling, tensor=smallest_tensor(shape, cluster.gpu, weight_bytes=R1_WEIGHT_BYTES))


def tokens_run(row: Mapping[str, Any], shape: Shape, cluster: Cluster, guesses: Guesses) -> Callable[[Factors], float]:
    """GPU hours of training on so many tokens, activations kept, experts and pipeline as large models are trained."""
    tokens, sequence = number(row, "tokens"), number(row, "seq_len", PRETRAINING_SEQUENCE)
    layout = usual_layout(shape, count_parameters(shape).total, cluster.count)
    work = Training(tokens=sequence, sequence=sequence, micro_batches=64, activations="keep", logits="plain")
    if row.get("seq_len") is None:
        guesses.add(f"sequences of {sequence:.0f} tokens", 0.05)

    def hours(factors: Factors) -> float:
        seconds = training_seconds(shape, work, layout, cluster, factors, grouped=True).total
        return tokens / (sequence * 64 * layout.data) * seconds * cluster.count / 3600

    return hours


KINDS: dict[str, Callable[[Mapping[str, Any], str, Hardware], Row]] = {
    "training step": training_row,
    "RL step": rl_row,
    "whole run": run_row,
}
