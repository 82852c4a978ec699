"""Answers to what people ask before they rent: the smallest cluster, the fastest for a budget, what it holds, R1's cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cogitate.apps.overview import table
from cogitate.apps.plan.hardware import Hardware
from cogitate.apps.plan.models import find_shape
from cogitate.apps.plan.published.row import Guesses
from cogitate.apps.plan.published.whole_runs import (
    R1_DATA_PROMPTS,
    R1_DATA_SAMPLES,
    R1_MEAN,
    R1_STEPS,
    r1_data_run,
    r1_rl_run,
)
from cogitate.apps.plan.recipe_plan import RecipePlan, figure_text, short
from cogitate.apps.plan.stage_cost import best_layout
from cogitate.apps.plan.work import StageWork
from cogitate.apps.report.words import write_seconds
from cogitate.config import Config, RuntimeConfig
from cogitate.costs.counts import count_parameters
from cogitate.costs.factors import Estimate, Factors, estimate
from cogitate.costs.hardware import GIB, Cluster, Gpu
from cogitate.costs.layout import LARGE, Layout, usual_layout
from cogitate.costs.lengths import UNKNOWN_LENGTH
from cogitate.costs.memory import BFLOAT16_ADAMW, Training, cache_bytes, training_memory
from cogitate.errors import ConfigError

COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)
FP8_BYTES = 1 + 4 / 128**2  # with a float32 scale for each 128 x 128
LENGTHS = (4096, 32768, 131072)
ENGINE_SHARE = 0.9  # of a machine's memory that serving uses


@dataclass(frozen=True, slots=True)
class Rough:
    """A recipe on a cluster, without intervals."""

    cluster: Cluster
    missing: float
    seconds: float

    @property
    def dollars(self) -> float:
        return self.seconds / 3600 * self.cluster.count * self.cluster.gpu.price


def rough(works: Sequence[StageWork], cluster: Cluster, factors: Factors, runtime: RuntimeConfig) -> Rough:
    """All stages one after the other, each in its best layout."""
    parts = [best_layout(work, cluster, factors, runtime) for work in works if work.works]
    return Rough(cluster, max((part[0] for part in parts), default=0.0), sum(part[1] for part in parts))


def smallest(works: Sequence[StageWork], gpu: Gpu, factors: Factors, runtime: RuntimeConfig) -> Rough | None:
    """The smallest power of two of these accelerators on which every stage fits; None where even the most do not hold it."""
    found = (rough(works, Cluster(gpu, count), factors, runtime) for count in COUNTS)
    return next((each for each in found if not each.missing), None)


def smallest_text(works: Sequence[StageWork], gpus: Sequence[Gpu], factors: Factors, runtime: RuntimeConfig) -> str:
    """The smallest of each kind."""
    rows = [["GPU", "smallest number that holds every stage", "time", "USD"]]
    for gpu in gpus:
        found = smallest(works, gpu, factors, runtime)
        if found is None:
            rows.append([gpu.name, f"more than {COUNTS[-1]}", "", ""])
        else:
            rows.append([gpu.name, str(found.cluster.count), write_seconds(found.seconds), short(found.dollars)])
    return "\n".join(table(rows))


def budget_text(
    works: Sequence[StageWork], gpus: Sequence[Gpu], factors: Factors, runtime: RuntimeConfig, dollars: float
) -> str:
    """The fastest clusters that hold every stage and cost at most so much, fastest first."""
    priced = [gpu for gpu in gpus if gpu.price]
    if not priced:
        raise ConfigError("--budget: none of these GPUs has a price; give --price above 0")
    tried = [rough(works, Cluster(gpu, count), factors, runtime) for gpu in priced for count in COUNTS]
    holding = [each for each in tried if not each.missing]
    affordable = sorted((each for each in holding if each.dollars <= dollars), key=lambda each: each.seconds)
    if not affordable:
        cheapest = min(holding, key=lambda each: each.dollars, default=None)
        if cheapest is None:
            return f"no cluster of up to {COUNTS[-1]} of these GPUs holds every stage"
        return f"nothing for {dollars:,.0f} USD; the cheapest is {described(cheapest)}"
    return "\n".join([f"fastest for {dollars:,.0f} USD:", *(described(each) for each in affordable[:5])])


def described(each: Rough) -> str:
    return f"{each.cluster.count} x {each.cluster.gpu.name}: {write_seconds(each.seconds)}, {each.dollars:,.2f} USD"


def twice_as_long(config: Config) -> Config:
    """The same settings with every limit of a completion doubled."""
    changed: dict[str, Any] = {}
    for name in type(config).model_fields:
        section = getattr(config, name)
        limit = getattr(section, "max_new_tokens", None)
        if isinstance(limit, int):
            changed[name] = section.model_copy(update={"max_new_tokens": 2 * limit})
    return config.model_copy(update=changed)


def comparison_text(plan: RecipePlan, longer: RecipePlan) -> str:
    """What changes where completions may be twice as long."""
    rows = [["stage", "time", "twice as long", "factor", "GiB of one", "twice as long"]]
    for before, after in zip(plan.stages, longer.stages, strict=True):
        if before.seconds and after.seconds and before.memory and after.memory:
            times = after.seconds.value / before.seconds.value
            cells = [write_seconds(before.seconds.value), write_seconds(after.seconds.value), f"{times:.2f}"]
            rows.append([before.name, *cells, short(before.memory.value / GIB), short(after.memory.value / GIB)])
    factor = longer.seconds.value / plan.seconds.value if plan.seconds.value else 1.0
    total = [
        "all",
        write_seconds(plan.seconds.value),
        write_seconds(longer.seconds.value),
        f"{factor:.2f}",
        plan.fits,
        longer.fits,
    ]
    return "\n".join(table([*rows, total]))


def holding(model: str, cluster: Cluster, factors: Factors) -> dict[str, Any]:
    """What a cluster can do with a model: serve its weights in 8 and 16 bits, train it."""
    shape, note = find_shape(model)
    parameters = count_parameters(shape).total_with_mtp
    memory = ENGINE_SHARE * cluster.count * cluster.gpu.memory
    serving = {}
    for name, size in (("FP8", FP8_BYTES), ("bfloat16", 2.0)):
        left = memory - size * parameters
        # A latent cache is whole on every accelerator of tensor parallelism; with data-parallel attention it is divided.
        completions = {tokens: max(0, int(left // cache_bytes(shape, tokens))) for tokens in LENGTHS}
        serving[name] = {"weights_gb": size * parameters / 1e9, "holds": left > 0, "completions": completions}
    training = {}
    for name, rank in (("all weights, AdamW", 0), ("LoRA of rank 16, weights in 16 bits", 16)):
        count, needed = least_for_training(model, rank, cluster.gpu, factors)
        training[name] = {"gpus": count, "gib_of_one": needed}
    return {"model": model, "note": note, "parameters": parameters, "serving": serving, "training": training}


def least_for_training(model: str, rank: int, gpu: Gpu, factors: Factors) -> tuple[int | None, float]:
    """The smallest number of accelerators on which a step of one sequence of 4,096 tokens fits, and what it takes there."""
    shape, _ = find_shape(model)
    work = Training(tokens=4096, sequence=4096, lora_rank=rank, ours=True, precision=BFLOAT16_ADAMW)
    for count in (8 * n for n in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128, 256)):
        choices = [Layout(count), usual_layout(shape, LARGE, count)]
        needed = min(training_memory(shape, work, layout, factors).total for layout in choices)
        if needed <= gpu.memory:
            return count, needed / GIB
    return None, needed / GIB


def holding_text(content: Mapping[str, Any], cluster: Cluster) -> str:
    size, memory = content["parameters"] / 1e9, cluster.count * cluster.gpu.memory / 1e9
    lines = [
        f"{content['model']}, {size:,.1f} B parameters with MTP, on {cluster.count} x {cluster.gpu.name} ({memory:,.0f} GB)"
    ]
    lines += [content["note"]] if content["note"] else []
    for name, found in content["serving"].items():
        if found["holds"]:
            cells = ", ".join(f"{count:,} of {tokens:,} tokens" for tokens, count in found["completions"].items())
            lines.append(f"serving in {name}: weights {found['weights_gb']:,.0f} GB; completions at a time: {cells}")
        else:
            lines.append(f"serving in {name}: no, the weights alone are {found['weights_gb']:,.0f} GB")
    for name, found in content["training"].items():
        count = found["gpus"]
        enough = "no number tried is enough" if count is None else f"{count} of them, {found['gib_of_one']:.0f} GiB each"
        holds = count is not None and count <= cluster.count
        lines.append(f"training {name}: {'yes, from ' if holds else 'no, it takes '}{enough}")
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class R1Stage:
    """A row of the paper's table of costs (R1, supplement), and the planner's figure beside it."""

    name: str
    paper: float
    predicted: Estimate
    assumed: str


def r1_cost(hardware: Hardware, factors: Factors) -> list[R1Stage]:
    """What R1 cost, stage by stage, in hours of H800."""
    cluster = Cluster(hardware.find("H800"), 512)
    shape, _ = find_shape("deepseek-v3")
    means = f"completions of {R1_MEAN:,.0f} tokens on average"

    def hours(figure: Callable[[Factors], float]) -> Estimate:
        return estimate(figure, factors, "rl", further=UNKNOWN_LENGTH)

    zero, later = R1_STEPS["r1-zero"], R1_STEPS["r1"]
    drawn = f"{R1_DATA_SAMPLES:.0f} {means} for each of {R1_DATA_PROMPTS:,.0f} prompts"
    return [
        R1Stage("R1-Zero", 101_000, hours(r1_rl_run(shape, cluster, zero)), f"{zero:,.0f} steps of 512, {means}"),
        R1Stage("SFT data", 5_000, hours(r1_data_run(shape, cluster, Guesses())), drawn),
        R1Stage("R1", 41_000, hours(r1_rl_run(shape, cluster, later)), f"two stages of {later / 2:,.0f} steps of 512, {means}"),
    ]


def r1_text(stages: Sequence[R1Stage], price: float) -> str:
    rows = [["stage", "paper, GPU hours", "planner", "factor", "assumed"]]
    for stage in stages:
        factor = stage.predicted.value / stage.paper
        rows.append([stage.name, f"{stage.paper:,.0f}", figure_text(stage.predicted), f"{factor:.2f}", stage.assumed])
    paper, planned = sum(stage.paper for stage in stages), sum(stage.predicted.value for stage in stages)
    rows.append(["all", f"{paper:,.0f}", short(planned), f"{planned / paper:.2f}", ""])
    dollars = f"at {price:.2f} USD an hour: {paper * price:,.0f} USD of the paper, {planned * price:,.0f} of the planner"
    return "\n".join(["R1 on 512 x H800 (R1, supplement)", "", *table(rows), "", dollars])


def gpus_asked(hardware: Hardware, wanted: Cluster | None) -> Iterator[Gpu]:
    """The accelerator that was named, or all of the table."""
    yield from ([wanted.gpu] if wanted is not None else hardware.gpus.values())
