"""The workloads of `make bench-peers`: the work, and who takes part in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers import setup
from benchmarks.peers.sides import OWN, Side

CONTEXT = 1024
GROUP = 8
TRL_TYPES = ("float32", "mixed", "bfloat16")  # mixed: float32 weights, products in bfloat16


@dataclass(frozen=True, slots=True)
class Workload:
    """Attributes: cases: name -> what a runner is told with each request; unit: of what is counted per second."""

    name: str
    title: str
    unit: str
    cases: dict[str, dict[str, Any]]
    sides: tuple[Side, ...]


@dataclass(frozen=True, slots=True)
class Scale:
    """How large the workloads are.

    Attributes:
        tiny, smollm2: prompts, completions of each and new tokens of a GRPO step.
        natural: the most new tokens of a completion that ends by itself.
        sequences, new_tokens: of generation.
        sft: rows of a step and their tokens.
        verdicts: mathematical answers and programs.
    """

    tiny: tuple[int, int, int]
    natural: int
    smollm2: tuple[int, int, int]
    sequences: tuple[int, ...]
    new_tokens: int
    sft: tuple[int, int]
    verdicts: tuple[int, int]


FULL = Scale((32, 8, 128), 192, (4, 8, 64), (1, 8, 32, 64), 128, (4, 1024), (400, 200))
QUICK = Scale((2, 8, 12), 16, (1, 8, 6), (1, 8), 8, (2, 256), (20, 10))


def grpo_tiny(scale: Scale) -> Workload:
    model = setup.tiny(trained=False)
    sides = grpo_sides(model, scale.tiny, forced=True, micro=64, own=("float32", "bfloat16"))
    return Workload("grpo_tiny", "GRPO step, 1.4 M parameters, forced length", "generated tokens", {"step": {}}, sides)


def grpo_natural(scale: Scale) -> Workload:
    model = setup.tiny(trained=True)
    shape = (*scale.tiny[:2], scale.natural)
    sides = grpo_sides(model, shape, forced=False, micro=64, own=("float32", "bfloat16"))
    title = "GRPO step, 1.4 M parameters, trained, natural length"
    return Workload("grpo_natural", title, "generated tokens", {"step": {}}, sides)


def grpo_smollm2(scale: Scale) -> Workload:
    sides = grpo_sides(setup.smollm2(), scale.smollm2, forced=True, micro=8, own=("bfloat16",))
    return Workload("grpo_smollm2", "GRPO step, SmolLM2-135M, forced length", "generated tokens", {"step": {}}, sides)


def grpo_sides(model: Path, shape: tuple[int, int, int], *, forced: bool, micro: int, own: tuple[str, ...]) -> tuple[Side, ...]:
    """Ours, and TRL's in all its types.

    Args:
        micro: sequences of a forward and backward pass of TRL, as many as suit it.
    """
    settings = {
        "work": "grpo",
        "model": str(model),
        "prompts": str(setup.prompts_for(model)),
        "prompt_count": shape[0],
        "group": shape[1],
        "new_tokens": shape[2],
        "forced": forced,
        "kl_beta": 0.001,
        "learning_rate": 1e-6,
        "reward": "coin",
        "seed": 0,
    }
    return (
        *(Side(f"{OWN}:{each}", OWN, "ours", {**settings, "dtype": each, "context": CONTEXT}) for each in own),
        *(Side(f"trl:{each}", "trl", "trl", {**settings, "dtype": each, "micro": micro}) for each in TRL_TYPES),
    )


def generation(scale: Scale) -> Workload:
    model = setup.smollm2()
    settings = {
        "work": "generation",
        "model": str(model),
        "prompts": str(setup.prompts_for(model)),
        "dtype": "bfloat16",
        "context": CONTEXT,
        "most": max(scale.sequences),
    }
    sides = (
        Side(OWN, OWN, "ours", settings),
        *(Side(f"{OWN}_w{bits}", OWN, "ours", {**settings, "weight_bits": bits}) for bits in (8, 4)),
        Side(f"{OWN}_w8a8", OWN, "ours", {**settings, "weight_bits": 8, "activation_bits": 8}),
        Side("transformers", "trl", "transformers", settings),
        Side("vllm", "vllm", "vllm", settings),
        Side("llamacpp_f16", "llamacpp", "llamacpp", settings, ("1",), setup.smollm2_f16),
        Side("llamacpp_q4", "llamacpp", "llamacpp", settings, ("1",), setup.smollm2_q4),
    )
    cases = {str(n): {"sequences": n, "new_tokens": scale.new_tokens, "group": GROUP} for n in scale.sequences}
    return Workload("generation", "Generation, SmolLM2-135M, sequences at a time", "generated tokens", cases, sides)


def sft(scale: Scale) -> Workload:
    model = setup.smollm2()
    rows, row_tokens = scale.sft
    settings = {
        "work": "sft",
        "model": str(model),
        "documents": str(setup.sft_documents(model, row_tokens)),
        "rows": rows,
        "row_tokens": row_tokens,
        "learning_rate": 1e-5,
        "seed": 0,
    }
    sides = (
        Side(f"{OWN}:bfloat16", OWN, "ours", {**settings, "dtype": "bfloat16", "micro": rows}),
        *(Side(f"trl:{each}", "trl", "trl", {**settings, "dtype": each, "micro": 1}) for each in TRL_TYPES),
    )
    return Workload("sft", "SFT step, SmolLM2-135M, packed", "trained tokens", {"step": {}}, sides)


def verdicts(scale: Scale) -> Workload:
    settings = {"verdicts": str(setup.verdict_rows())}
    sides = (
        Side(OWN, OWN, "verdicts", {**settings, "work": "ours"}),
        Side("math-verify", OWN, "verdicts", {**settings, "work": "math-verify"}, ("math",)),
        Side("python", OWN, "verdicts", {**settings, "work": "python"}, ("code",)),
    )
    cases = {kind: {"kind": kind, "count": count} for kind, count in zip(("math", "code"), scale.verdicts, strict=True)}
    return Workload("verdicts", "Verdicts", "verdicts", cases, sides)


WORKLOADS: dict[str, Callable[[Scale], Workload]] = {
    "generation": generation,
    "grpo_smollm2": grpo_smollm2,
    "grpo_tiny": grpo_tiny,
    "grpo_natural": grpo_natural,
    "sft": sft,
    "verdicts": verdicts,
}
