"""Whatever a model writes, the code grader answers, in bounded time, and never by an exception."""

import contextlib
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cogitate.rewards.code.compare import printable, same_output, shorten
from cogitate.rewards.code.forms import read_function_test, read_stdin_test
from cogitate.rewards.code.grader import grade_code
from cogitate.rewards.code.outcome import BadTestsError
from cogitate.rewards.code.program_text import extract_program
from cogitate.rewards.sandbox.limits import Limits
from cogitate.rewards.sandbox.sandbox import SandboxLevel, detect_level

fences = ["```", "```python\n", "~~~", "\n", "\t", "\0", "\ud800"]
pieces = st.sampled_from([*fences, "def f(x):\n", "    return x", "import os\n", "f(1)", "'''", "(((", "x = "])
answers = st.text(max_size=60) | st.lists(pieces, max_size=12).map("".join)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["args", "kwargs", "expected", "input", "output", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(text=answers)
def test_extraction_never_fails_and_takes_only_what_is_there(text: str) -> None:
    program = extract_program(text)
    if program is not None:
        words = text.replace("`", " ").replace("~", " ").split()
        assert set(program.replace("`", " ").replace("~", " ").split()) <= set(words)


@settings(deadline=None)
@given(test=json_values)
def test_a_test_is_read_or_refused(test: object) -> None:
    for read in (read_function_test, read_stdin_test):
        with contextlib.suppress(BadTestsError):
            assert read(test) == read(test)


@settings(deadline=None)
@given(text=st.text(max_size=80), other=st.text(max_size=80))
def test_output_equals_itself_and_comparison_is_symmetric_for_plain_words(text: str, other: str) -> None:
    assert same_output(text, text)
    assert same_output(text, text + " \n\n")
    if "." not in text + other:
        assert same_output(text, other) == same_output(other, text)


@settings(deadline=None)
@given(value=json_values, text=st.text())
def test_reasons_are_short_and_printable(value: object, text: str) -> None:
    assert len(shorten(value)) < 20_000
    assert printable(text).isprintable()


@pytest.mark.skipif(detect_level() is SandboxLevel.NONE, reason="no isolation on this machine")
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(answer=answers, test=json_values)
def test_grading_anything_ends_in_a_verdict(answer: str, test: object) -> None:
    started = time.monotonic()
    verdict = grade_code(answer, entry_point="f", tests=[test], limits=Limits(cpu_seconds=1, wall_seconds=2))
    assert verdict.value in ("right", "wrong", "none")
    assert verdict.reason.isprintable()
    assert time.monotonic() - started < 90
