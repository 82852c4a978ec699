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


def use(name: str, client: Client) -> Any:
    program = Path(__file__).parent / "clients" / f"use_{name}.py"
    done = subprocess.run([PYTHON, str(program), client.url], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.clients
def test_openai(client: Client) -> None:
    got = use("openai", client)
    assert got == {
        "models": ["micro"], "same": True, "both_names": True, "reasoning_tokens": [6, 6], "finish": got["finish"],
        "parsed": ["digit"], "back": True, "refused": [[400, "mirostat"], [404, "model"]], "logprobs": 4,
        "response": True, "events": ["response.created", "response.incomplete"],
    }  # fmt: skip
    assert len(got["finish"]) == 1


@pytest.mark.clients
def test_anthropic(client: Client) -> None:
    got = use("anthropic", client)
    assert got["events"] == [
        "content_block_delta", "content_block_start", "content_block_stop", "message_delta", "message_start", "message_stop",
    ]  # fmt: skip
    assert (got["blocks"], got["back"]) == (["thinking", "text"], ["thinking", "text"])
    assert (got["same"], got["counted"]) == (True, True)
    assert got["refused"] == "tools: this server does not support it"


@pytest.mark.clients
def test_langchain_deepseek(client: Client) -> None:
    assert use("langchain_deepseek", client) == {"thinks": True, "same": True, "reasoning_tokens": 6}
