"""Our end of vLLM's process: a Generator like our engine, which lives in a generator's process of the cluster.

What differs from our engine: the last bits of log-probabilities depend on which completions are decoded together, so that two
runs are not equal to the bit, and a completion that was stopped goes on with draws of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from weakref import finalize

from cogitate.backend import GenerationRequest
from cogitate.cluster.deaths import ending_of
from cogitate.cluster.vllm.environment import CHILD, operations_without, variables_for
from cogitate.cluster.weights import StaleWeightsError
from cogitate.config import ClusterConfig, RuntimeConfig
from cogitate.errors import ConfigError
from cogitate.runtime import derive_seed
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.types import Completion, FinishReason

SECONDS_OF_A_POLL = 0.5
SEED_BITS = (1 << 63) - 1  # of vLLM's seeds


class EngineDiedError(RuntimeError):
    """vLLM's process has ended; the message says how."""


class VLLMEngine:
    """Implements backend.Generator.

    Args:
        model: a model directory, which is needed no longer when this returns.
        version: of its weights.
        command: what starts the process, before its parent's number.
    """

    def __init__(
        self, model: Path, version: int, runtime: RuntimeConfig, settings: ClusterConfig, command: Sequence[str] | None = None
    ):
        config = json.loads((model / "config.json").read_text(encoding="utf-8"))
        self.max_context, self.version = int(config["max_position_embeddings"]), version
        self._process = subprocess.Popen(
            [*(command or (settings.vllm_python, "-P", str(CHILD))), str(os.getpid())],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=variables_for(config, threads=settings.generator_cpus, kv_cache=settings.kv_cache),
        )  # fmt: skip
        finalize(self, end, self._process)
        self._requests: dict[str, tuple[GenerationRequest, int]] = {}  # by vLLM's name of a completion, with its seed
        self._tokenizer_ends = sorted(Tokenizer.load(model).end_ids)
        try:
            self._ask(
                "start", model=str(model), version=version, dtype=runtime.dtype, max_context=self.max_context,
                max_batch=runtime.max_batch, eos=self._tokenizer_ends, without=operations_without(config),
            )  # fmt: skip
        except RuntimeError as error:
            if isinstance(error, EngineDiedError):
                raise
            raise ConfigError(f"vLLM does not start with the model: {error}") from None

    def submit(self, request: GenerationRequest) -> None:
        assert request.thinking is None, "the driver refuses budgets"
        orders = []
        for seed in request.seeds:
            name = f"{request.id}/{seed}"
            self._requests[name] = request, seed
            # Continued, it must not repeat the draws of its beginning.
            drawn = derive_seed(seed, len(request.given_ids)) if request.given_ids else seed
            params, stops = request.params, sorted(request.pause_ids)
            orders.append(
                [
                    name,
                    list(request.context_ids),
                    params.temperature,
                    params.top_p,
                    params.max_new_tokens,
                    drawn & SEED_BITS,
                    stops,
                ]
            )
        self._ask("submit", requests=orders)

    def pending(self) -> int:
        return len(self._requests)

    def poll(self) -> list[Completion]:
        return [self._completion(*each) for each in self._ask("step", seconds=SECONDS_OF_A_POLL)["done"]]

    def partial(self, request_id: str, *, start: int = 0) -> dict[int, list[int]]:
        names = [name for name, (request, _) in self._requests.items() if request.id == request_id]
        return {self._requests[name][1]: ids[start:] for name, ids in self._ask("partial", ids=names)["tokens"].items()}

    def abort(self, request_ids: Sequence[str]) -> list[Completion]:
        names = [name for name, (request, _) in self._requests.items() if request.id in request_ids]
        sampled = {each[0]: each for each in self._ask("abort", ids=names)["done"]} if names else {}
        stopped = []
        for name in names:
            _, ids, logprobs, *_ = sampled.get(name, (name, [], []))
            versions = [[self.version, len(ids)]] if ids else []
            stopped.append(self._completion(name, ids, logprobs, "abort", None, versions))
        return stopped

    def free_weights(self) -> None:
        """vLLM keeps them until others come."""

    def load_weights(self, path: Path, version: int) -> None:
        """Raises StaleWeightsError where vLLM does not say that it has them."""
        self.version = int(self._ask("load", model=str(path), version=version)["version"])
        if self.version != version:
            raise StaleWeightsError(f"vLLM was sent weights of version {version}, and has version {self.version}")

    def _completion(
        self, name: str, ids: list[int], logprobs: list[float], reason: str, stopped_by: int | None, versions: list[list[int]]
    ) -> Completion:
        request, seed = self._requests.pop(name)
        if ids and versions != [[self.version, len(ids)]]:
            raise StaleWeightsError(f"vLLM has sampled {len(ids)} tokens by weights {versions}, not of version {self.version}")
        finish: FinishReason = "abort" if reason == "abort" else "length" if reason == "length" else "stop"
        if finish == "stop" and stopped_by in request.pause_ids and stopped_by not in self._tokenizer_ends:
            finish = "pause"
        return Completion(request.id, tuple(ids), tuple(logprobs), finish, ((self.version, len(ids)),), seed)

    def _ask(self, do: str, **order: Any) -> dict[str, Any]:
        """The answer to an order.

        Raises:
            EngineDiedError: the process has ended.
            RuntimeError: vLLM has refused.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = ""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({"do": do, **order}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            raise EngineDiedError(f"vLLM's process has ended: {ending_of(-code if code < 0 else code << 8)}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"vLLM: {answer['error']}")
        return answer


def end(process: subprocess.Popen[str]) -> None:
    """End vLLM's process with its pipes."""
    process.kill()
    process.communicate()
