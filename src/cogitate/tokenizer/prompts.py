"""The prompts a model can be asked with. Each is defined once and used by training, evaluation, grading and chat."""

from __future__ import annotations

from collections.abc import Sequence

from cogitate.types import Message

# After the template of DeepSeek-R1-Zero (arXiv:2501.12948, table 1), in our words: same structure, same tags.
R1_ZERO_TEMPLATE = (
    "A conversation between User and Assistant. The user asks a question and the assistant answers it. "
    "The assistant first thinks about it and then gives the answer. The thinking stands in <think> </think> and the answer in "
    "<answer> </answer>: <think> thinking </think> <answer> answer </answer>.\n"
    "User: {question}\nAssistant:"
)


NEXT_QUESTION = "\n\nQuestion:"  # where a base model that was asked a bare question goes on with another one
NEXT_TURN = "\nUser:"  # where a model that was asked as User goes on with the user's next turn


def r1_zero_prompt(question: str) -> str:
    """The R1-Zero template around a question; the completion starts right after `Assistant:`."""
    return R1_ZERO_TEMPLATE.replace("{question}", question)


def in_tags(thinking: str, answer: str) -> str:
    """An answer in the form that R1-Zero's template asks for."""
    return f"<think> {thinking} </think> <answer> {answer} </answer>"


def with_summary(thinking: str, answer: str) -> str:
    """An answer in R1's form."""
    return f"<think> {thinking} </think>\n{answer}"


R1_TEMPLATE = "User: {question}\nAssistant:"


def r1_prompt(question: str) -> str:
    """The form of R1 and of all fine-tuned models: a plain turn; the completion is ` <think> ... </think>` and a summary."""
    return R1_TEMPLATE.replace("{question}", question)


def turns_as_text(turns: Sequence[Message]) -> str:
    """A conversation that ends with the user's turn as the question of a plain prompt, which puts `User:` before it and
    `Assistant:` after it: a single turn as it is, a system prompt above, earlier turns in the same form."""
    names = {"user": "User: ", "assistant": "Assistant: "}
    text = "\n".join(names[turn.role] + turn.content.strip() for turn in turns if turn.role != "system")
    system = [turn.content for turn in turns if turn.role == "system"]
    return turns[0].content if len(turns) == 1 else "\n\n".join([*system, text.removeprefix(names["user"])])


def bare_prompt(question: str) -> str:
    """A question and nothing else, as a base model meets it in text."""
    return f"Question: {question}\nAnswer:"


def few_shot_prompt(question: str, examples: Sequence[tuple[str, str]]) -> str:
    """Solved examples (question, worked answer) before the question."""
    shown = "".join(f"Question: {asked}\nAnswer: {worked}\n\n" for asked, worked in examples)
    return f"{shown}{bare_prompt(question)}"


R1_ZERO_INSTRUCTION = (
    "First think about it, then give the answer. Write your thinking in <think> </think> and the answer in "
    "<answer> </answer>: <think> thinking </think> <answer> answer </answer>."
)
R1_INSTRUCTION = "Please reason step by step, and put your final answer within \\boxed{}."  # as R1's model card recommends


R1_ZERO_TURN = "{question}\n\n" + R1_ZERO_INSTRUCTION
R1_TURN = "{question}\n\n" + R1_INSTRUCTION


def instructed(question: str, instruction: str) -> str:
    """A user's message to a model with a chat template: the question, and the form its answer is looked for in."""
    return f"{question}\n\n{instruction}"
