"""A demonstration as a row of data: a conversation in TRL's form, its facts named as those of the other data stages."""

from pathlib import Path

from cogitate.recipe.data import candidates
from cogitate.recipe.data.annotators import Judged
from cogitate.recipe.stages.instruct_gpt.demonstrations import conversation
from cogitate.tasks.files.datasets import load_conversations, write_rows
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.types import Problem

GREETING = Problem("1", "general", "general", "Hello!")
ANSWER = Judged(GREETING, "Hello, how are you?", "Hello, how are you?", tokens=7, cut=False)


def test_a_demonstration_is_read_back_as_a_conversation_with_its_facts(tmp_path: Path) -> None:
    write_rows(tmp_path / "data.parquet", [conversation(ANSWER, 0.81234, "base")])
    (found,) = load_conversations(tmp_path / "data.parquet")
    assert [(message.role, message.content) for message in found.messages] == [
        ("user", "Hello!"), ("assistant", "Hello, how are you?"),
    ]  # fmt: skip
    assert (found.facts["prompt_name"], found.facts["judged"], found.facts["completion_tokens"]) == ("r1", 0.8123, 7)


def test_its_columns_are_named_as_those_of_the_other_data_stages(micro_tokenizer: Tokenizer) -> None:
    other = candidates.Candidate("x", GREETING, "general", "r1_dev2", "r1", "r1", "Hello.", "stop", 3, "none", "no rule", None)
    shared = candidates.data_row(other, "Hello.", micro_tokenizer).keys()
    assert conversation(ANSWER, 0.8, "base").keys() - shared == {"judged"}
    assert "prompt" not in conversation(ANSWER, 0.8, "base")
