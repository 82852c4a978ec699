"""Further clients of other people, in two environments: `make test-more-clients` makes them."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.apps.serve import test_clients
from tests.apps.serve.conftest import Client

ROOT = Path(__file__).parents[3]
PYTHON = os.environ.get("COGITATE_MORE_CLIENTS", str(ROOT / ".venv-more-clients" / "bin" / "python"))
INSTRUCTOR = os.environ.get("COGITATE_INSTRUCTOR", str(ROOT / ".venv-instructor" / "bin" / "python"))


@pytest.mark.more_clients
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("litellm", {"same": True, "thinks": True, "reasoning_tokens": 6, "called": ["add", ["digit"]]}),
        ("langchain_openai", {"same": True, "reasoning_tokens": 6, "called": ["now"], "parsed": [True, True]}),
        ("pydantic_ai", {"parts": ["TextPart", "ThinkingPart"], "same": True, "parsed": True}),
        ("instructor", {"TOOLS": [True, True], "JSON_SCHEMA": [True, True]}),
        ("llm", {"same": True}),
    ],
)
def test_another_client(name: str, expected: Any, long_client: Client) -> None:
    assert test_clients.use(name, long_client, INSTRUCTOR if name == "instructor" else PYTHON) == expected
