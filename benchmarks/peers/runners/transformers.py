"""Generation by `transformers`: sampling at temperature 1 from the whole vocabulary, a group's prompt given once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM

from benchmarks.peers.runners.channel import Channel, prompts_of_round, serve


def main() -> None:
    channel = Channel()
    settings = channel.settings
    torch.set_num_threads(settings["threads"])
    prompts = [prompt["ids"] for prompt in json.loads(Path(settings["prompts"]).read_text())]
    model = AutoModelForCausalLM.from_pretrained(settings["model"], dtype=getattr(torch, settings["dtype"])).eval()
    pad = model.generation_config.pad_token_id or 0
    model.generation_config.eos_token_id = None  # every completion is as long as asked for

    @torch.inference_mode()
    def run(number: int, case: Mapping[str, Any]) -> dict[str, float]:
        group, count = min(case["group"], case["sequences"]), case["sequences"]
        chosen = prompts_of_round(prompts, number, count // group)
        longest = max(map(len, chosen))
        ids = torch.tensor([[pad] * (longest - len(prompt)) + prompt for prompt in chosen])
        mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in chosen])
        new = case["new_tokens"]
        out = model.generate(
            ids, attention_mask=mask, do_sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=new,
            num_return_sequences=group, pad_token_id=pad,
        )  # fmt: skip
        assert out.shape == (count, longest + new), out.shape
        return {"tokens": count * new}

    versions = {"transformers": transformers.__version__, "torch": torch.__version__}
    channel.ready(versions=versions, threads=torch.get_num_threads())
    serve(channel, run)


if __name__ == "__main__":
    main()
