"""What /metrics shows, under vLLM's names, which dashboards know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from cogitate.apps.serve.drawing.drawing import Drawing
    from cogitate.apps.serve.drawing.engine_loop import EngineLoop

SECONDS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640)
TOKENS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000)
LABEL = ("model_name",)


class Metrics:
    """Of one server; not the process's, so that tests can have several."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._shown: dict[str, tuple[int, int]] = {}  # tokens that were there, and all, as last shown

        def counter(name: str, text: str, labels: tuple[str, ...] = LABEL) -> Counter:
            return Counter(f"vllm:{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...] = SECONDS) -> Histogram:
            return Histogram(f"vllm:{name}", text, LABEL, registry=registry, buckets=buckets)

        self._running = Gauge("vllm:num_requests_running", "Completions being decoded.", LABEL, registry=registry)
        self._waiting = Gauge("vllm:num_requests_waiting", "Completions in the queue.", LABEL, registry=registry)
        self._cache = Gauge(
            "vllm:kv_cache_usage_perc", "Share of the cache that running completions may come to hold.", LABEL,
            registry=registry,
        )  # fmt: skip
        self._prompt = counter("prompt_tokens", "Tokens of prompts.")
        self._generated = counter("generation_tokens", "Tokens of completions.")
        self._success = counter("request_success", "Completions, by why they ended.", (*LABEL, "finished_reason"))
        self._queries = counter("prefix_cache_queries", "Tokens of prompts that were looked for among those kept.")
        self._hits = counter("prefix_cache_hits", "Those that were there.")
        self._first = histogram("time_to_first_token_seconds", "From the request to its first token.")
        self._between = histogram("inter_token_latency_seconds", "Between the steps of a request.")
        self._whole = histogram("e2e_request_latency_seconds", "From the request to its last token.")
        self._queue = histogram("request_queue_time_seconds", "In the queue.")
        self._prefill = histogram("request_prefill_time_seconds", "From the queue to the first token.")
        self._decode = histogram("request_decode_time_seconds", "From the first token to the last.")
        self._prompt_size = histogram("request_prompt_tokens", "Tokens of a prompt.", TOKENS)
        self._size = histogram("request_generation_tokens", "Tokens of a request's completions.", TOKENS)
        self._params_n = histogram("request_params_n", "Completions of a request.", (1, 2, 5, 10, 20))
        self._thinking = Counter(
            "cogitate:thinking_tokens", "Tokens of completions that are thinking.", LABEL, registry=registry
        )

    def note_tokens(self, model: str, seconds: float | None, count: int) -> None:
        """A step of a request. `seconds`: since its last one."""
        self._generated.labels(model).inc(count)
        if seconds is not None:
            self._between.labels(model).observe(seconds)

    def note_request(self, model: str, drawing: Drawing) -> None:
        """A request has ended."""
        times = drawing.times
        self._prompt.labels(model).inc(drawing.prompt_tokens)
        for choice in drawing.choices:
            finish = "stop" if choice.finish == "tool_calls" else choice.finish or "abort"  # as vLLM counts
            self._success.labels(model, finish).inc()
        self._thinking.labels(model).inc(drawing.thinking_tokens)
        self._prompt_size.labels(model).observe(drawing.prompt_tokens)
        self._size.labels(model).observe(drawing.completion_tokens)
        self._params_n.labels(model).observe(len(drawing.choices))
        if times.started is not None:
            self._queue.labels(model).observe(times.started - times.came)
        if times.started is not None and times.first is not None and times.last is not None:
            self._first.labels(model).observe(times.first - times.came)
            self._prefill.labels(model).observe(times.first - times.started)
            self._decode.labels(model).observe(times.last - times.first)
            self._whole.labels(model).observe(times.last - times.came)

    def text(self, loops: Mapping[str, EngineLoop]) -> bytes:
        """All of it, in Prometheus' format. `loops`: by the model's name."""
        for name, loop in loops.items():
            self._running.labels(name).set(loop.load.running)
            self._waiting.labels(name).set(loop.load.waiting)
            self._cache.labels(name).set(loop.load.cache_share)
            shared, read = loop.engine.prompt_tokens_shared, loop.engine.prompt_tokens_prefilled
            shared_before, all_before = self._shown.get(name, (0, 0))
            self._hits.labels(name).inc(shared - shared_before)
            self._queries.labels(name).inc(shared + read - all_before)
            self._shown[name] = shared, shared + read
        return generate_latest(self._registry)
