"""Which program is taken from an answer."""

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
