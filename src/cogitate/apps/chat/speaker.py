"""A model that is talked to: its engine, and how a conversation becomes its prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from cogitate.config.prompts import QUESTION
from cogitate.engine.generator import Engine
from cogitate.errors import ConfigError, DataError
from cogitate.model.describe import human
from cogitate.model.files.hf import load_model
from cogitate.recipe.asking import check_shown, read_template
from cogitate.runtime import pick_device
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.chat_template import ChatTemplate
from cogitate.tokenizer.prompts import NEXT_QUESTION, R1_ZERO_TEMPLATE, bare_prompt
from cogitate.types import Message

Template = Literal["r1_zero", "bare", "chat"]
WeightType = Literal["float32", "bfloat16"]
DTYPES: dict[WeightType, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(slots=True)
class Speaker:
    """A model, and how it is spoken to.

    Attributes:
        remembers: earlier turns are part of the prompt; the R1-Zero template and the bare question stand alone.
        prompt_of: conversation -> token ids.
        about: the model's family and size, and how it is asked.
        stop: text at which a completion ends.
    """

    engine: Engine
    tokenizer: Tokenizer
    remembers: bool
    prompt_of: Callable[[Sequence[Message]], list[int]]
    about: str
    stop: str | None = None

    @classmethod
    def load(
        cls,
        directory: Path,
        template: Template | None,
        *,
        system: str = "",
        template_file: Path | None = None,
        device: str = "auto",
        dtype: WeightType = "float32",
    ) -> Speaker:
        """
        Args:
            device, dtype: what computes, as `pick_device` takes it, and the type of the weights.

        Raises:
            CheckpointError: a file of the directory cannot be used, or its chat template leaves out the system message.
            ConfigError: a system message or a template has no effect here, or the file is no template.
            DataError: template "chat" is asked for, and the model has none.
        """
        if template_file is not None and (template is not None or system):
            raise ConfigError("--template-file is the whole prompt: leave out --template and --system")
        tokenizer = Tokenizer.load(directory)
        chat_template = ChatTemplate.load(directory)
        if template == "chat" and chat_template is None:
            raise DataError(f"{directory}: the model has no chat template; use --template r1_zero or bare")
        text, stop, name = R1_ZERO_TEMPLATE, None, f"the template {template or 'r1_zero'}"
        if template_file is not None:
            text, name = read_template(template_file), str(template_file)
        elif template == "bare":
            text, stop = bare_prompt(QUESTION), NEXT_QUESTION
        elif chat_template is not None and template != "r1_zero":
            return cls.of_chat_template(directory, tokenizer, chat_template, system, device=device, dtype=dtype)
        else:
            text = tokenizer.tags.exchange(text)
        if system:
            raise ConfigError("--system has no effect here: the model is asked in plain text; use --template-file")

        def prompt_of(messages: Sequence[Message]) -> list[int]:
            return tokenizer.encode_prompt(text.replace(QUESTION, messages[-1].content))

        engine, size = load_engine(directory, tokenizer, device, dtype)
        return cls(engine, tokenizer, False, prompt_of, f"{size}, asked by {name}; each question stands alone", stop)

    @classmethod
    def of_chat_template(
        cls, directory: Path, tokenizer: Tokenizer, template: ChatTemplate, system: str, *, device: str, dtype: WeightType
    ) -> Speaker:
        before = [Message("system", system)] if system else []
        check_shown(template, before, tokenizer.tags.exchange)

        def prompt_of(messages: Sequence[Message]) -> list[int]:
            return template.prompt_ids([*before, *messages], tokenizer)

        engine, size = load_engine(directory, tokenizer, device, dtype)
        return cls(engine, tokenizer, True, prompt_of, f"{size}, asked through its own chat template")


def load_engine(directory: Path, tokenizer: Tokenizer, device: str, dtype: WeightType) -> tuple[Engine, str]:
    """The engine of one conversation, and the model's family and size in words."""
    decoder = load_model(directory, dtype=DTYPES[dtype], device=pick_device(device))
    size = human(sum(weight.numel() for weight in decoder.parameters()))
    engine = Engine(decoder, end_id=tokenizer.end_ids, max_batch=1, tokenizer=tokenizer)
    return engine, f"{decoder.config.model_type}, {size} parameters"
