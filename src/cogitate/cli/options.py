"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

RunDirectory = Annotated[Path, typer.Argument(metavar="DIR", help="A run, stage or model directory.")]
Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="A model directory, e.g. runs/quick/r1_zero; base: the shipped one; OWNER/NAME of the hub."
    ),
]
Template = Literal["r1_zero", "bare", "chat"]
EvaluationPrompt = Literal["r1_zero", "few_shot", "bare", "chat", "turn"]
Dtype = Literal["bfloat16", "float16", "float32"]
Contract = Literal["r1", "bare", "free"]
SystemMessage = Annotated[str, typer.Option(metavar="TEXT", help="A system message, where a chat template is asked.")]
TemplateFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A text with {question} in it, in place of the prompt's own.")
]
Quantisation = Literal["f16", "q8_0", "q4_0"]
Recipe = Annotated[str, typer.Argument(metavar="RECIPE", help="A shipped recipe's name (quick) or the path of a TOML file.")]
Settings = Annotated[
    list[str] | None,
    typer.Argument(metavar="SECTION.KEY=VALUE", help="Settings, e.g. r1_zero.steps=60 tasks.train=mine.jsonl"),
]
