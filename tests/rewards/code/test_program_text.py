"""Which program is taken from an answer."""

import pytest

from cogitate.rewards.code.program_text import extract_program


def test_the_last_python_block_is_the_program() -> None:
    answer = "```python\nfirst = 1\n```\ntext\n```py\nsecond = 2\n```\n```\noutput 3\n```\n```bash\nls\n```"
    assert extract_program(answer) == "second = 2\n"


def test_a_block_without_a_label_is_taken_where_no_other_is_python() -> None:
    assert extract_program("```\nx = 1\n```") == "x = 1\n"
    assert extract_program("~~~python\nx = 1\n~~~") == "x = 1\n"


def test_an_indented_block_loses_its_indentation() -> None:
    assert extract_program("1. So:\n   ```python\n   def f():\n       return 1\n   ```") == "def f():\n    return 1\n"


def test_fences_may_share_their_lines_with_words_and_code() -> None:
    assert extract_program("Answer: ```python\nx = 1\ny = 2```") == "x = 1\ny = 2\n"
    assert extract_program("```python\nx = `1`\n```") == "x = `1`\n"
    assert extract_program("use ```x``` here\n```py\ny\n```") == "y\n"


def test_a_program_is_taken_as_it_stands() -> None:
    program = "x = '''a  \n   \n\x0bb\u2028c'''\r\nif x:\r\n\tpass"
    assert extract_program(f"```python\n{program}\n```") == program + "\n"


def test_an_answer_without_fences_counts_where_it_is_python() -> None:
    assert extract_program("def f(x):\n    return x\n") == "def f(x):\n    return x\n"
    assert extract_program("I would use a loop for this.") is None
    assert extract_program("") is None


F = "def f(x):\n    return 4 * x"


@pytest.mark.parametrize(
    "answer",
    [
        f"{F}\n```",
        f" {F}\n```\n",  # behind </think> and a space
        f"{F}\n```\nThis multiplies by four.",
        f"{F}```\nDone",
        f"python\n{F}\n```",
        f"python3\n{F}\n~~~",
        f"\n\n{F}\n````\nSome words, `f(1)` is 4.",
        f"{F}\n```\nIt prints:\n```\n4\n```",
        f"{F}\n```\n4\n",
        f"{F}\n```\nExample: `f(1)`\n",
    ],
)
def test_a_program_whose_fence_the_prompt_opened_ends_at_the_first_fence(answer: str) -> None:
    assert (extract_program(answer) or "").strip() == F


@pytest.mark.parametrize(
    ("answer", "program"),
    [
        (f"Answer\n```\n{F}\n```", F),
        (f"Answer: yes\n```\n{F}\n```", F),
        (f"Answer\n```\n{F}", F),
        (f"x = 5\n```\n{F}\n```", F),  # a block that is a program is the program
        (f"f(1)\n```python\n{F}\n```", F),
        ("I would use a loop.\n```", ""),
        ("some words\n```\nmore words", "more words"),
        ("42\n```\n", ""),
        ("```\n4\n```", "4"),
        (f"{F}\n```python\ng = 1\n```", "g = 1"),
    ],
)
def test_words_before_a_fence_are_no_program(answer: str, program: str) -> None:
    assert (extract_program(answer) or "").strip() == program


def test_blanks_before_an_unfenced_program_do_not_matter() -> None:
    assert extract_program(f" {F}") == F
    assert extract_program("\n    x = 1\n    y = 2\n") == "\nx = 1\ny = 2\n"
    assert extract_program(" I would use a loop.") is None
