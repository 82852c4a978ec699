"""Settings that several stages read: tasks, rewards, evaluation, the machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from cogitate.config.parts import RewardPartConfig, check_parts, parts_field
from cogitate.config.section import Section, in_identity_unless_default, not_in_identity

SAME = "train"  # as tasks.eval


class TasksConfig(Section):
    """Where problems come from: names of built-in tasks, gym:NAME of reasoning-gym, or paths of JSON Lines files."""

    train: str = "arithmetic,word_problems,code,logic,choice"
    eval: str = "arithmetic,word_problems,code,logic,choice"  # or "train": what train names
    train_problems: int = Field(4000, ge=1)  # size of the pool drawn from built-in generators
    eval_seed: int = 0  # of the built-in evaluation problems: the same ones for every seed of a run
    general: str = "general,safety"  # prompts judged by reward models and, in evaluation, by their true scores
    gym: dict[str, dict[str, Any]] = Field(default_factory=dict)  # settings of reasoning-gym's tasks: gym.chain_sum.min_terms
    skip_code_without_sandbox: bool = False  # go on without the code task where model-written code cannot be isolated
    # Of a file named in both train and eval, this share is for evaluation alone: split by number-masked template, near copies
    # left out of training.
    held_out_share: float = in_identity_unless_default(0.0, ge=0, lt=1)
    # Prompts that with max_new_tokens exceed the model's context: refuse the stage, or leave them out and say how many.
    too_long: Literal["refuse", "drop"] = in_identity_unless_default("refuse")

    @model_validator(mode="before")
    @classmethod
    def _train_names_the_same(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and given.get("eval") == SAME:
            return {**given, "eval": given.get("train", cls.model_fields["train"].default)}
        return given


class TokenizerConfig(Section):
    vocab_size: int = Field(1536, ge=300)
    corpus_documents: int = Field(20_000, ge=1)


class EndpointConfig(Section):
    """One model of an OpenAI-compatible server, and how it is asked."""

    base_url: str = ""  # e.g. http://localhost:8000/v1
    model: str = ""  # the endpoint's name of its model
    api_key_variable: str = not_in_identity("OPENAI_API_KEY")  # environment variable that holds the key, if one is wanted
    seconds_limit: float = not_in_identity(60.0, gt=0)  # for one answer
    parallel: int = not_in_identity(4, ge=1)  # questions asked at the same time
    attempts: int = not_in_identity(
        4, ge=1
    )  # at one question, where the fault may pass; the first pause is a second, then doubled
    per_minute: float = not_in_identity(0.0, ge=0)  # requests at most; 0: no limit
    cache: str = not_in_identity("")  # a directory that keeps the answers, so that no question is put twice
    input_price: float = not_in_identity(0.0, ge=0)  # of a million tokens of questions, for the cost that is shown
    output_price: float = not_in_identity(0.0, ge=0)  # of a million tokens of answers


class TeacherConfig(EndpointConfig):
    """Who writes the cold start's few-shot and direct answers: our own models, or any OpenAI-compatible endpoint.

    Without a base_url, base (few-shot) and R1-Zero (direct).
    """


class JudgeConfig(EndpointConfig):
    """A model that judges where no rule decides: one behind base_url, or without one the model directory `model`."""

    base_url: str = in_identity_unless_default("")
    model: str = in_identity_unless_default("")  # the endpoint's name of its model, or a directory; empty: there is no judge
    judgements: int = in_identity_unless_default(4, ge=2, multiple_of=2)  # of one thing; of a pair half with positions swapped
    rubric: str = in_identity_unless_default("")  # what a good answer is, in place of rewards/judge/prompts.py's
    temperature: float = in_identity_unless_default(0.7, ge=0)
    max_new_tokens: int = in_identity_unless_default(512, ge=1)
    # A model directory has to begin with the line of the verdict, without a reason: for one too weak to end with it.
    verdict_at_once: bool = in_identity_unless_default(False)

    @model_validator(mode="after")
    def _judgements_can_differ(self) -> JudgeConfig:
        if self.temperature == 0 and self.judgements != 2:
            raise ValueError("at temperature 0 equal judgements are equal: set judgements to 2, one for each order of a pair")
        return self


class RewardsConfig(Section):
    accuracy: float = 1.0  # weights of the parts
    format: float = 1.0
    language: float = 0.0
    # What the language part is of a thinking that has no words, formulas alone; 1: they belong to every language.
    language_without_words: float = in_identity_unless_default(0.0, ge=0, le=1)
    parts: dict[str, RewardPartConfig] = parts_field()  # further parts of RL's reward, by name
    custom: str = ""  # "file.py:function": the grader of problems of kind custom
    unsafe_local: bool = False  # run model-written code without isolation
    allowed_packages: str = in_identity_unless_default("")  # installed packages that programs may import, e.g. "numpy,sympy"
    remote_sandbox: str = not_in_identity("")  # run programs there: sandbox_fusion:http://HOST:PORT or piston:http://HOST:PORT
    workers: int = not_in_identity(2, ge=1)
    seconds_limit: float = Field(5.0, gt=0)  # hard limit of one verdict

    @field_validator("parts")
    @classmethod
    def _parts_that_count(cls, parts: dict[str, RewardPartConfig]) -> dict[str, RewardPartConfig]:
        """Without those of weight 0, which is how a recipe leaves out a part of the one that it extends."""
        check_parts(parts)
        return {name: part for name, part in parts.items() if part.weight}


class EvaluateConfig(Section):
    problems: int = Field(250, ge=1)
    samples: int = Field(4, ge=1)
    general_problems: int = Field(0, ge=0)  # prompts of tasks.general beside them, for helpfulness and safety
    # More problems (as tasks.eval names them), each task in a column of its own and not in "all".
    further: str = in_identity_unless_default("")
    further_problems: int = in_identity_unless_default(100, ge=1)  # of each of them
    further_models: str = in_identity_unless_default("base,r1_zero,r1")  # they are put to; by default all where one is missing
    consensus_problems: int = Field(0, ge=0)
    consensus_samples: int = Field(16, ge=1)
    temperature: float = Field(0.6, ge=0)  # 0: the most likely token each time
    top_p: float = Field(0.95, gt=0, le=1)
    max_new_tokens: int = Field(192, ge=1)
    # Of each completion, which thinks at most and at least so many tokens; -1: no limit (tokenizer/thinking_budget.py).
    thinking_budget: int = in_identity_unless_default(-1, ge=-1)
    closing_phrase: str = in_identity_unless_default("")  # what is said where the thinking is closed at its limit
    min_thinking: int = in_identity_unless_default(0, ge=0)  # by "Wait" in place of the end of the thinking
    waits: int = in_identity_unless_default(1, ge=1)  # at most, for min_thinking

    @property
    def budgets_thinking(self) -> bool:
        return self.thinking_budget >= 0 or self.min_thinking > 0

    @model_validator(mode="after")
    def _thinking_can_be_meant(self) -> EvaluateConfig:
        for key in ("thinking_budget", "min_thinking"):
            if getattr(self, key) >= self.max_new_tokens:
                raise ValueError(f"{key} = {getattr(self, key)}: must be below max_new_tokens = {self.max_new_tokens}")
        if 0 <= self.thinking_budget < self.min_thinking:
            raise ValueError(f"min_thinking = {self.min_thinking} is more than thinking_budget = {self.thinking_budget}")
        if self.closing_phrase and self.thinking_budget < 0:
            raise ValueError("closing_phrase changes nothing without thinking_budget")
        if self.waits != 1 and not self.min_thinking:
            raise ValueError("waits changes nothing without min_thinking")
        return self

    @field_validator("temperature")
    @classmethod
    def _greedy_completions_are_all_equal(cls, value: float, info: ValidationInfo) -> float:
        if value == 0 and info.data.get("samples", 1) > 1:
            raise ValueError("at temperature 0 all completions of a problem are the same; set samples to 1")
        if value == 0 and info.data.get("consensus_problems"):
            raise ValueError("at temperature 0 there is nothing to vote on; set consensus_problems to 0")
        return value


class RuntimeConfig(Section):
    backend: Literal["local", "ray"] = not_in_identity("local")  # ray: generators are processes of a cluster, see [cluster]
    device: str = "auto"  # auto (cuda where there is one, else cpu), cpu, cuda or cuda:N
    # bfloat16: weights of 16 bits, float32 masters in the optimiser. Recipes may say auto: what the machine is faster in.
    dtype: Literal["float32", "bfloat16"] = "float32"
    gradient_checkpointing: bool = not_in_identity(False)  # each forward pass twice; RL of large models always
    # 0: all weights are trained; else adapters of this rank in SFT, DPO and RL.
    lora_rank: int = in_identity_unless_default(0, ge=0)
    lora_alpha: float = in_identity_unless_default(16.0, gt=0)
    threads: int = Field(0, ge=0)  # 0: as many as there are cores
    max_batch: int = Field(256, ge=1)  # completions decoded at the same time
    speculative: bool = not_in_identity(False)  # drafts by the MTP block: the same completions in fewer steps
    # Tokens drafted for a completion in a step, at most, by looking its last ones up in its text and its siblings': the same
    # completions in fewer steps; 0: none.
    ngram_drafts: int = not_in_identity(0, ge=0, le=15)
    # Of the weights that are generated from: 8 or 4, in groups of 32 (engine/bits/groups.py); 0: as dtype says. Learning is not
    # touched.
    weight_bits: Literal[0, 8, 4] = in_identity_unless_default(0)
    # Of what these weights are multiplied with: 8, rounded for each product, which then is of whole numbers; 0: as dtype says.
    activation_bits: Literal[0, 8] = in_identity_unless_default(0)
    # Of keys and values of earlier tokens while completions are generated: 8, each with a scale; 0: as dtype says.
    cache_bits: Literal[0, 8] = in_identity_unless_default(0)
    # MiB kept of what has been read, for prompts that begin alike: the same completions with less to read. Not with drafts.
    prefix_cache: int = not_in_identity(0, ge=0)
    captured_steps: bool = not_in_identity(False)  # with CUDA: steps of decoding are graphs, which the host launches as one

    @model_validator(mode="after")
    def _prefixes_and_drafts_are_apart(self) -> RuntimeConfig:
        if self.prefix_cache and self.speculative:
            raise ValueError("prefix_cache has no effect with speculative=true: set one of them")
        if self.ngram_drafts and self.speculative:
            raise ValueError(
                "ngram_drafts has no effect with speculative=true, whose drafts are the MTP block's: set one of them"
            )
        return self

    @model_validator(mode="after")
    def _fewer_bits_have_kernels(self) -> RuntimeConfig:
        for key in ("weight_bits", "activation_bits", "cache_bits"):
            if getattr(self, key) and self.device.startswith("cuda"):
                raise ValueError(f"{key} has kernels for the CPU alone: set device=cpu, or {key}=0")
        if self.activation_bits and not self.weight_bits:
            raise ValueError("activation_bits has no effect with weight_bits=0: set weight_bits=8 or 4, or activation_bits=0")
        return self

    @field_validator("device")
    @classmethod
    def _device_is_known(cls, name: str) -> str:
        if fault := device_fault(name):
            raise ValueError(fault)
        return name


def device_fault(name: str) -> str:
    """Why this is no device's name; "" where it is one."""
    known = re.fullmatch(r"auto|cpu|cuda(:\d+)?", name)
    return "" if known else "no such device; there are auto, cpu, cuda and cuda:N, e.g. cuda:0"
