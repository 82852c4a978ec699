"""`cogitate serve`: from the command's arguments to a server that runs until it is stopped."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from cogitate.errors import ConfigError
from cogitate.recipe.models import find_model
from cogitate.web.protect import protect
from cogitate.web.rules import Rules
from cogitate.web.serving import address_of, listen, serve_app

OPEN_PATHS = ("/", "/docs", "/health", "/page/")  # need no key

Dtype = Literal["float32", "bfloat16"]
ThinkingNames = Literal["both", "reasoning_content", "reasoning"]


def serve(
    models: Sequence[str],
    *,
    host: str,
    port: int,
    api_key: str | None,
    admin_key: str | None = None,
    reload_from: Sequence[Path] = (),
    names: ThinkingNames = "both",
    dtype: Dtype = "float32",
    device: str = "auto",
    weight_bits: int = 0,
    activation_bits: int = 0,
    cache_bits: int = 0,
    streams: int = 64,
    queue: int = 256,
    cache_gb: float = 2.0,
    prefix_gb: float = 0.25,
    prefill_tokens: int = 64,
    ngram_drafts: int = 0,
    request_seconds: float = 600.0,
    stop_seconds: float = 30.0,
    server_names: Sequence[str] = (),
    origins: Sequence[str] = (),
) -> None:
    """Serve models until SIGINT or SIGTERM. The address is bound first; /health says 503 while the models are read.

    Args:
        models: [NAME=]MODEL, as `find_model` takes them; the name is the directory's where none is given.
        device: as `pick_device` takes it.
        weight_bits, activation_bits, cache_bits: of what is generated from: 8 (weights also 4); 0: as `dtype` says.
        reload_from: directories from which /admin/reload may take weights, beside each model's own.

    Raises:
        CogitateError: an address, a key or a model cannot be used.
    """
    directories = named_models(models)
    if reload_from and admin_key is None:
        raise ConfigError("--reload-from has no effect without --admin-key")
    if admin_key is not None and admin_key == api_key:
        raise ConfigError("--admin-key must be another key than --api-key")
    keys = {name: key for name, key in (("api", api_key), ("admin", admin_key)) if key is not None}
    rules = Rules(host, frozenset(server_names), frozenset(origins), keys, api_key is not None, OPEN_PATHS)
    try:
        from cogitate.apps.serve.app import Served, make_app
        from cogitate.apps.serve.metrics import Metrics
        from cogitate.apps.serve.model import Limits, ServedModel
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("cogitate"):
            raise
        raise ConfigError(f"{error.name} is not installed: pip install 'cogitate[serve]'") from error
    limits = Limits(
        streams, queue, int(cache_gb * 2**30), int(prefix_gb * 2**30), prefill_tokens, request_seconds, ngram_drafts
    )
    metrics = Metrics()
    bits = {"weight_bits": weight_bits, "activation_bits": activation_bits, "cache_bits": cache_bits}

    def load() -> dict[str, ServedModel]:
        read = {
            name: ServedModel(name, directory, limits, metrics, dtype=dtype, device=device, **bits)
            for name, directory in directories.items()
        }
        say(f"ready: {', '.join(read)}")
        return read

    weights = frozenset(path.resolve() for path in reload_from)
    logging.basicConfig(stream=sys.stderr, format="%(message)s")
    served = Served(load, metrics, weights, ("reasoning_content", "reasoning") if names == "both" else (names,))
    bound = listen(host, port)
    say(f"{address_of(bound)} (reading {', '.join(directories)}; Ctrl-C ends)")
    if api_key is None:
        say("no --api-key: every user and program of this machine can ask")
    app = make_app(served, on_failure=lambda: os.kill(os.getpid(), signal.SIGTERM))
    serve_app(protect(app, rules), bound, stop_seconds=stop_seconds)
    if served.failure is not None:
        raise served.failure


def named_models(models: Sequence[str]) -> dict[str, Path]:
    """By name. Raises CogitateError: one is not there, or two have the same name."""
    directories: dict[str, Path] = {}
    for given in models:
        name, sign, model = given.rpartition("=")
        directory = find_model(model)
        name = name if sign else model if not Path(model).exists() else directory.resolve().name
        if name in directories:
            raise ConfigError(f"two models are called {name!r}: give names, e.g. first={models[0]}")
        directories[name] = directory.resolve()
    return directories


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
