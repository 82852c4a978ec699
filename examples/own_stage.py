"""A stage of your own in a recipe: `sharp`, base with larger logits, as if it were always asked at a lower temperature.

python examples/own_stage.py [OUT]
"""

import sys

import torch

import cogitate
from cogitate.config import Section
from cogitate.model.files.hf import load_model, save_model
from cogitate.recipe.recipe import GRAPHS, R1_ZERO
from cogitate.recipe.stage import Kind, Stage
from cogitate.tokenizer.bpe import Tokenizer


class SharpConfig(Section):
    factor: float = 2.0  # of all logits


def run(config, inputs, out, context):
    """What every kind of stage is: read only `inputs`, write only `out`."""
    (base,) = inputs.values()
    model = load_model(base.path)
    with torch.no_grad():
        model.norm.weight.mul_(config.section(context.stage, SharpConfig).factor)
    save_model(model, out)
    Tokenizer.load(base.path).save(out)


SHARP = Kind("sharp", __name__, SharpConfig, reads=("{stage}",))  # what can change its result: its own section
GRAPHS["r1_zero_sharp"] = (*R1_ZERO, Stage("sharp", SHARP, needs=("base",), title="Sharpened base"))

out = sys.argv[1] if len(sys.argv) > 1 else "runs/own_stage"
made = cogitate.run("tiny", out=out, only="sharp", graph="r1_zero_sharp", sharp={"factor": 1.5})  # until= measures it, too
print(made.load("sharp").generate("What is 2 + 3?", max_new_tokens=60)[0].text)
