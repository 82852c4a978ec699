"""How an RL stage asks: the settings that say what a model is shown before it answers, and in which tags it thinks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from cogitate.config.section import Section, in_identity_unless_default

QUESTION = "{question}"  # where a template's question goes; every other brace is text


class WorkedExample(Section):
    """A solved problem, shown as an earlier turn in the stage's form: <think> thinking </think>, then <answer> answer </answer>
    for R1-Zero, the answer as a summary for later stages."""

    question: str = Field(min_length=1)
    thinking: str = Field(min_length=1)
    answer: str = Field(min_length=1)


class PromptConfig(Section):
    """How problems are asked. General prompts, which no rule judges, are asked as they are: without template and examples."""

    # chat: asked through the model's own chat template. turn, of fine-tuned models: the question alone, as SFT showed it.
    prompt: Literal["plain", "chat", "turn"] = in_identity_unless_default("plain")
    # With prompt plain the text of the whole prompt, with prompt chat that of the user's turn; "": the stage's own.
    template: str = in_identity_unless_default("")
    system_prompt: str = in_identity_unless_default("")  # with prompt chat; a problem's own system message stands in its place
    worked_examples: tuple[WorkedExample, ...] = in_identity_unless_default(())  # earlier turns before the question
    # What opens and closes the thinking, and the answer: ["<reasoning>", "</reasoning>"]; (): those of the model's directory,
    # R1's where it names none.
    thinking_tags: tuple[str, ...] = in_identity_unless_default(())
    answer_tags: tuple[str, ...] = in_identity_unless_default(())

    @field_validator("template")
    @classmethod
    def _template_has_one_question(cls, template: str, info: ValidationInfo) -> str:
        if template and info.data.get("prompt") == "turn":
            raise ValueError("has no effect with prompt turn, which shows the question alone; set prompt to plain or chat")
        if template and (fault := template_fault(template)):
            raise ValueError(fault)
        return template

    @field_validator("system_prompt")
    @classmethod
    def _system_prompt_has_a_place(cls, system_prompt: str, info: ValidationInfo) -> str:
        if system_prompt and info.data.get("prompt") in ("plain", "turn"):
            raise ValueError(
                f"has no effect with prompt {info.data['prompt']}, which has no system message; set prompt to chat, or prompt "
                "to plain and write it into template"
            )
        return system_prompt

    @field_validator("worked_examples")
    @classmethod
    def _examples_are_shown(cls, examples: tuple[WorkedExample, ...], info: ValidationInfo) -> tuple[WorkedExample, ...]:
        if examples and info.data.get("prompt") == "turn":
            raise ValueError("have no effect with prompt turn, which shows the question alone; set prompt to plain or chat")
        return examples

    @field_validator("thinking_tags", "answer_tags")
    @classmethod
    def _one_opens_and_one_closes(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        if len(tags) not in (0, 2):
            raise ValueError('write two of them, what opens and what closes: ["<reasoning>", "</reasoning>"]')
        return tags


def template_fault(template: str) -> str:
    """Why a text is no template, one sentence; "" where it is one."""
    count = template.count(QUESTION)
    return "" if count == 1 else f"a template needs {QUESTION} exactly once, where the question goes; it has it {count} times"
