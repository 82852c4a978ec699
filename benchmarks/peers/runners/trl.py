"""TRL's GRPOTrainer and SFTTrainer: a round is one optimiser step, from its request to the end of the step."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from statistics import fmean
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "TRL_EXPERIMENTAL_SILENCE": "1"}

import torch
import transformers
import trl
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer

from benchmarks.peers.runners.channel import Channel
from benchmarks.peers.runners.rewards import REWARDS

MIXED = "mixed"  # float32 weights, products in bfloat16: TRL's default
MOST_STEPS = 10_000  # the bench says when it is enough


def main() -> None:
    channel = Channel()
    settings = channel.settings
    torch.set_num_threads(settings["threads"])
    make = {"grpo": grpo_trainer, "sft": sft_trainer}[settings["work"]]
    steps = Steps(channel)
    with tempfile.TemporaryDirectory() as directory:
        trainer = make(settings, steps, directory)
        trainer.add_callback(steps)
        trainer.train()


class Steps(TrainerCallback):
    """Waits for a request before each step, and answers it after.

    Attributes:
        tokens: those of the current step, counted by whoever sees them.
        rewards: of the completions of the current step.
    """

    def __init__(self, channel: Channel):
        self.channel, self.tokens = channel, 0
        self.rewards: list[float] = []

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        versions = {"trl": trl.__version__, "transformers": transformers.__version__, "torch": torch.__version__}
        self.channel.ready(versions=versions, threads=torch.get_num_threads())
        assert self.channel.next_round() is not None

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.channel.answer(tokens=self.tokens, **({"reward": fmean(self.rewards)} if self.rewards else {}))
        self.tokens, self.rewards = 0, []
        if self.channel.next_round() is None:
            control.should_training_stop = True


def grpo_trainer(settings: dict[str, Any], steps: Steps, directory: str) -> GRPOTrainer:
    prompts = json.loads(Path(settings["prompts"]).read_text())
    model, tokenizer = load(settings)
    for prompt in prompts:
        assert tokenizer(prompt["text"]).input_ids == prompt["ids"], "both sides must read the same tokens"
    batch = settings["prompt_count"] * settings["group"]
    micro = min(settings["micro"], batch)

    reward = REWARDS[settings["reward"]]

    def scored(prompts: list[str], completions: list[str], completion_ids: list[list[int]], **_: Any) -> list[float]:
        steps.tokens += sum(map(len, completion_ids))
        rewards = [reward(ids) for ids in completion_ids]
        steps.rewards += rewards
        return rewards

    config = GRPOConfig(
        output_dir=directory,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=batch // micro,
        num_generations=settings["group"],
        max_completion_length=settings["new_tokens"],
        generation_kwargs={"min_new_tokens": settings["new_tokens"]} if settings["forced"] else None,
        beta=settings["kl_beta"],
        loss_type="grpo",  # as ours: the mean of a completion's tokens, then that of completions
        learning_rate=settings["learning_rate"],
        **common(settings),
    )
    rows = Dataset.from_list([{"prompt": prompt["text"]} for prompt in prompts])
    return GRPOTrainer(model, scored, args=config, train_dataset=rows, processing_class=tokenizer)


def sft_trainer(settings: dict[str, Any], steps: Steps, directory: str) -> SFTTrainer:
    model, tokenizer = load(settings)
    rows = Dataset.from_list([{"input_ids": ids} for ids in json.loads(Path(settings["documents"]).read_text())])
    config = SFTConfig(
        output_dir=directory,
        per_device_train_batch_size=settings["micro"],
        gradient_accumulation_steps=settings["rows"] // settings["micro"],
        packing=True,
        max_length=settings["row_tokens"],
        learning_rate=settings["learning_rate"],
        **common(settings),
    )
    trainer = SFTTrainer(model, args=config, train_dataset=rows, processing_class=tokenizer)
    collate = trainer.data_collator

    def counted(examples: list[Any]) -> Any:
        batch = collate(examples)
        steps.tokens += sum(len(example["input_ids"]) for example in examples)
        return batch

    trainer.data_collator = counted
    return trainer


def common(settings: dict[str, Any]) -> dict[str, Any]:
    """As fast as TRL does them: nothing is computed twice to save memory."""
    return {
        "max_steps": MOST_STEPS,
        "use_cpu": settings.get("use_cpu", True),
        "bf16": settings["dtype"] == MIXED,
        "gradient_checkpointing": False,
        "shuffle_dataset": False,
        "lr_scheduler_type": "constant",
        "report_to": "none",
        "logging_strategy": "no",
        "save_strategy": "no",
        "disable_tqdm": True,
        "adam_beta2": 0.95,  # as ours
        "seed": settings["seed"],
    }


def load(settings: dict[str, Any]) -> tuple[Any, Any]:
    """The model with weights of the asked type, and its tokenizer."""
    dtype = torch.float32 if settings["dtype"] == MIXED else getattr(torch, settings["dtype"])
    model = AutoModelForCausalLM.from_pretrained(settings["model"], dtype=dtype)
    return model, AutoTokenizer.from_pretrained(settings["model"], padding_side="left")


if __name__ == "__main__":
    main()
