"""Other people's clients against a running server, in an environment of their own: `make test-clients` makes it."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.apps.serve.conftest import Client

ROOT = Path(__file__).parents[3]
PYTHON = os.environ.get("COGITATE_API_CLIENTS", str(ROOT / ".venv-api-clients" / "bin" / "python"))


def use(name: str, client: Client, python: str = PYTHON) -> Any:
    program = Path(__file__).parent / "clients" / f"use_{name}.py"
    done = subprocess.run([python, str(program), client.url], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.clients
def test_openai(long_client: Client) -> None:
    got = use("openai", long_client)
    assert got == {
        "models": ["micro"], "same": True, "both_names": True, "reasoning_tokens": [6, 6], "finish": got["finish"],
        "parsed": ["digit"], "back": True, "refused": [[400, "mirostat"], [404, "model"]], "logprobs": 4,
        "response": True, "events": ["response.created", "response.incomplete"],
        "called": ["tool_calls", "add", ["digit"]], "called_same": True, "after": True, "new": [["function_call", "add"]],
    }  # fmt: skip
    assert len(got["finish"]) == 1


@pytest.mark.clients
def test_anthropic(long_client: Client) -> None:
    got = use("anthropic", long_client)
    assert got["events"] == [
        "content_block_delta", "content_block_start", "content_block_stop", "message_delta", "message_start", "message_stop",
    ]  # fmt: skip
    assert (got["blocks"], got["back"]) == (["thinking", "text"], ["thinking", "text"])
    assert (got["same"], got["counted"]) == (True, True)
    assert got["refused"] == "mcp_servers: this server does not support it"
    assert (got["called"], got["called_same"], got["after"]) == (["tool_use", "add", True], True, True)


@pytest.mark.clients
def test_langchain_deepseek(long_client: Client) -> None:
    assert use("langchain_deepseek", long_client) == {"thinks": True, "same": True, "called": ["now"], "reasoning_tokens": 6}
