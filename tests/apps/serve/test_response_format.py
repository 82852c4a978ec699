"""Answers that follow a schema, from a model of random weights."""

import json
from typing import Any

from tests.apps.serve.conftest import Client

SCHEMA = {
    "type": "object",
    "properties": {"digit": {"type": "integer", "minimum": 0, "maximum": 9}, "even": {"type": "boolean"}},
    "required": ["digit", "even"],
    "additionalProperties": False,
}


def following(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "number", "schema": schema, "strict": True}}


def test_the_answer_follows_the_schema_and_the_thinking_is_free(client: Client) -> None:
    for seed in range(3):
        settings: dict[str, Any] = {
            "seed": seed,
            "response_format": following(SCHEMA),
            "thinking_token_budget": 5,
            "max_tokens": 60,
        }
        answer = client.chat(**settings)
        (choice,) = answer["choices"]
        said = json.loads(choice["message"]["content"])
        assert (sorted(said), choice["finish_reason"]) == (["digit", "even"], "stop")
        assert answer["usage"]["completion_tokens_details"]["reasoning_tokens"] == 5
        assert client.chat(**settings, n=2)["choices"][0] == choice


def test_without_thinking_the_answer_follows_at_once(client: Client) -> None:
    answer = client.chat(response_format=following(SCHEMA), reasoning_effort="none", max_tokens=60)
    assert sorted(json.loads(answer["choices"][0]["message"]["content"])) == ["digit", "even"]


def test_an_object_begins_like_one(client: Client) -> None:
    settings: dict[str, Any] = {"response_format": {"type": "json_object"}, "reasoning_effort": "none"}
    assert client.chat(**settings)["choices"][0]["message"]["content"].startswith("{")


def test_schemas_that_cannot_be_followed_are_refused(client: Client) -> None:
    deep: dict[str, Any] = {}
    for _ in range(40):
        deep = {"type": "object", "properties": {"a": deep}}
    for schema, message in (
        ({"type": "nonsense"}, "Invalid type: nonsense"),
        ({"enum": ["x" * 70_000]}, "the schema has"),
        (deep, "the schema has more than 32 levels"),
    ):
        assert client.refused(response_format=following(schema)).startswith(f"400 response_format: {message}")
    assert "go together" in client.refused(response_format={"type": "json_schema"})
    assert "not together with" in client.refused(response_format={"type": "json_object"}, ignore_eos=True)
    assert client.refused(response_format={"type": "grammar"}).startswith("400 response_format.type: input should be")
