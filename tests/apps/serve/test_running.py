"""Several models, keys, new weights and the end of a server."""

import dataclasses
import http.client
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cogitate.apps.serve.command import OPEN_PATHS, named_models, serve
from cogitate.errors import CogitateError, ConfigError
from cogitate.model.files.hf import save_model
from cogitate.model.transformer import Transformer
from cogitate.web.rules import Rules
from tests.apps.serve.conftest import LIMITS, Client, start, wait_until
from tests.web.served import ask

KEYS = {"api": "a-key-for-asking", "admin": "a-key-for-the-admin"}
RULES = Rules(keys=KEYS, key_required=True, open_paths=OPEN_PATHS)
BODY = {"model": "a", "messages": [{"role": "user", "content": "Say a number."}], "seed": 1, "max_tokens": 20}


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {KEYS[name]}"}


@pytest.fixture(scope="module")
def two_models(
    thinking_model: Path, make_micro_model: Callable[..., Transformer], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    """Models a and b, of other weights; a may be given the weights of a third."""
    directories = {}
    for number, name in enumerate(("a", "b", "c")):
        directories[name] = tmp_path_factory.mktemp("models") / name
        shutil.copytree(thinking_model, directories[name])
        save_model(make_micro_model(number), directories[name])
    work, running = start({name: directories[name] for name in "ab"}, rules=RULES)
    work.weights = frozenset({directories["c"]})
    with running as url:
        wait_until(lambda: work.models is not None)
        yield Client(url, work)


def said(client: Client, **settings: object) -> str:
    status, _, text = ask(client.url, "/v1/chat/completions", BODY | settings, headers=bearer("api"))
    assert status == 200, text
    return str(json.loads(text)["choices"][0]["message"]["reasoning"])


def test_each_model_answers_by_its_name(two_models: Client) -> None:
    listed = json.loads(ask(two_models.url, "/v1/models", headers=bearer("api"))[2])["data"]
    assert [model["id"] for model in listed] == ["a", "b"]
    assert said(two_models, model="a") != said(two_models, model="b")


def test_all_but_health_needs_the_key(two_models: Client) -> None:
    paths = ("/health", "/v1/models", "/metrics", "/openapi.json", "/version")
    assert [ask(two_models.url, path)[0] for path in paths] == [200, 401, 401, 401, 401]
    assert ask(two_models.url, "/v1/chat/completions", BODY)[0] == 401


def test_weights_are_reloaded_by_the_admin_alone_and_only_from_named_directories(two_models: Client) -> None:
    (third,) = two_models.served.weights

    def reload(directory: Path | None, key: str) -> tuple[int, str]:
        body = {"model": "a"} | ({} if directory is None else {"directory": str(directory)})
        status, _, text = ask(two_models.url, "/admin/reload", body, headers=bearer(key))
        return status, text

    before = said(two_models)
    assert reload(third, "api")[0] == 403
    status, text = reload(third.parent, "admin")
    assert status == 400
    assert str(third.parent) not in text
    assert said(two_models) == before
    assert reload(third, "admin") == (200, '{"model":"a","version":1}')
    assert said(two_models) != before
    assert reload(None, "admin")[0] == 200


def test_a_stream_goes_on_while_weights_are_reloaded(two_models: Client) -> None:
    place = two_models.url.removeprefix("http://")
    connection = http.client.HTTPConnection(place, timeout=60)
    body = BODY | {"stream": True, "max_tokens": 90, "ignore_eos": True}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json", **bearer("api")})
    response = connection.getresponse()
    response.read(1)
    assert ask(two_models.url, "/admin/reload", {"model": "a"}, headers=bearer("admin"))[0] == 200
    text = response.read().decode()
    connection.close()
    assert text.rstrip().endswith("data: [DONE]")
    assert '"finish_reason":"length"' in text


def test_names_of_models(thinking_model: Path) -> None:
    assert named_models([f"x={thinking_model}", str(thinking_model)]) == {"x": thinking_model, "micro": thinking_model}
    with pytest.raises(ConfigError, match=r"two models are called 'micro': give names, e\.g\. first="):
        named_models([str(thinking_model), str(thinking_model)])


def test_settings_without_effect_and_open_addresses_are_refused(thinking_model: Path) -> None:
    def refused(match: str, **settings: object) -> None:
        given = {"host": "127.0.0.1", "port": 0, "api_key": None} | settings
        with pytest.raises(CogitateError, match=match):
            serve([str(thinking_model)], **given)  # type: ignore[arg-type]  # one wrong at a time

    refused("other machines could ask without a key", host="0.0.0.0")
    refused("--reload-from has no effect without --admin-key", reload_from=[thinking_model])
    refused("--admin-key must be another key than --api-key", api_key="x" * 20, admin_key="x" * 20)


def test_a_model_that_cannot_be_read_ends_the_server(tmp_path: Path, thinking_model: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(thinking_model, broken)
    next(broken.glob("model*.safetensors")).write_bytes(b"nothing")
    with pytest.raises(CogitateError, match=r"model.*\.safetensors"):
        serve([str(broken)], host="127.0.0.1", port=0, api_key=None)


def test_a_failure_of_the_engine_is_answered_and_the_server_goes_on(
    two_models: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> None:
        monkeypatch.undo()
        raise RuntimeError("/secret")

    monkeypatch.setattr(two_models.model.engine, "poll", fails)
    status, _, text = ask(two_models.url, "/v1/chat/completions", BODY, headers=bearer("api"))
    assert (status, "/secret" in text, "/secret" in caplog.text) == (500, False, True)
    assert said(two_models)


def test_a_request_that_takes_too_long_ends_without_a_finish_reason(thinking_model: Path) -> None:
    work, running = start({"micro": thinking_model}, dataclasses.replace(LIMITS, seconds=0.0))
    with running as url:
        wait_until(lambda: work.models is not None)
        client = Client(url, work)
        body = {"model": "micro", "messages": [{"role": "user", "content": "1"}]}
        status, answer = client.post("/v1/chat/completions", body)
        assert (status, answer["error"]["message"]) == (504, "not complete after 0 seconds")
        *_, (name, last) = client.events("/v1/chat/completions", body)
        assert (name, last["error"]["message"]) == ("error", "not complete after 0 seconds")
