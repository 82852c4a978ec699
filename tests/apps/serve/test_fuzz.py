"""Requests that nobody thought of, made from the server's own description by schemathesis: `make test-clients` installs it.

COGITATE_FUZZ_SECONDS says how long: 15 seconds where it is not set, 900 before a release.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.apps.serve.conftest import Client, wait_until
from tests.apps.serve.test_clients import PYTHON
from tests.web.served import ask

SECONDS = int(os.environ.get("COGITATE_FUZZ_SECONDS", "15"))


def name_model(schema: Any) -> None:
    """Let every body ask for the model that is there; others get no further than its name."""
    if isinstance(schema, dict):
        for key, inner in schema.items():
            if key == "model" and isinstance(inner, dict) and inner.get("type") == "string":
                inner["const"] = "micro"
            name_model(inner)
    elif isinstance(schema, list):
        for inner in schema:
            name_model(inner)


@pytest.mark.clients
@pytest.mark.timeout(SECONDS + 300)
def test_no_request_is_answered_with_a_fault_of_the_server(client: Client, tmp_path: Path) -> None:
    description = json.loads(ask(client.url, "/openapi.json")[2])
    name_model(description)
    (tmp_path / "openapi.json").write_text(json.dumps(description))
    command = [
        PYTHON, "-m", "schemathesis.cli", "fuzz", "openapi.json", "--url", client.url, "--checks", "not_a_server_error",
        "--max-time", str(SECONDS), "--request-timeout", "60", "--warnings", "off", "--no-color",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    wait_until(lambda: not client.model.loop.load.running and not client.model.loop.load.waiting)
    assert ask(client.url, "/health")[0] == 200
    assert client.chat()["choices"]
