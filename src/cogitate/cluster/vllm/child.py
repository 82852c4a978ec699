"""vLLM's engine as a process that is asked by lines of JSON. It runs in vLLM's own Python environment, where Cogitate is not.

Each line of standard input is an order, {"do": ..., ...}; each is answered by one line on what was standard output when the
process started: {...}, or {"error": text}. vLLM itself then writes to standard error. Nothing is pickled, and no other
process takes part: the engine is in this one.

    start    model, version, dtype, max_context, max_batch, eos, without: operations of vLLM's that torch computes instead
             -> {"vllm": version}
    load     model, version: other weights of the same shape -> {"version": of the weights that sample from now on}
    submit   requests: [id, prompt_ids, temperature, top_p, max_new_tokens, seed, stop_ids] of each -> {}
    step     seconds: decode until something has finished or the time is over -> {"done": completions}
    partial  ids -> {"tokens": {id: tokens so far}}
    abort    ids -> {"done": completions}

A completion is [id, token_ids, logprobs, reason, stopped_by, versions]: [version, number of tokens] of each run of tokens, as
vLLM itself says.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from typing import Any

PR_SET_PDEATHSIG = 1  # of prctl(2)
TOKENS_OF_STEP = 8192  # of prompts that are read together, at most, or one prompt
Answer = dict[str, Any]
Completion = list[Any]


def main() -> None:
    parent = int(sys.argv[1])
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the process that started this one has died")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    served = Served()
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = getattr(served, order.pop("do"))(**order)
        except Exception as error:  # noqa: BLE001 - the parent raises it
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


class Served:
    """The engine, and what it has sampled so far of each request."""

    def start(
        self, model: str, version: int, dtype: str, max_context: int, max_batch: int, eos: list[int], without: list[str]
    ) -> Answer:
        from vllm import EngineArgs, SamplingParams, __version__
        from vllm.v1.engine.llm_engine import LLMEngine

        self._params, self._stops = SamplingParams, list(eos)
        self._outputs: dict[str, Any] = {}
        self._engine = LLMEngine.from_engine_args(
            EngineArgs(  # prompts are read whole: vLLM 0.32 fails where it reads part of one that has a seed on a processor
                model=model, dtype=dtype, max_model_len=max_context, max_num_seqs=max_batch, enforce_eager=True,
                enable_prefix_caching=True, logprobs_mode="processed_logprobs", skip_tokenizer_init=True, seed=0,
                disable_log_stats=True, trust_remote_code=False, generation_config="vllm",
                enable_chunked_prefill=False, max_num_batched_tokens=max(max_context, TOKENS_OF_STEP),
                compilation_config={"custom_ops": [f"-{name}" for name in without]},
            )
        )  # fmt: skip
        self._engine.set_weight_version(str(version))
        return {"vllm": __version__}

    def load(self, model: str, version: int) -> Answer:
        self._engine.apply_model(forget_experts)
        self._engine.collective_rpc("reload_weights", kwargs={"weights_path": model})
        if not self._engine.reset_prefix_cache():
            raise RuntimeError("the prefix cache still holds keys and values of the old weights")
        self._engine.set_weight_version(str(version))
        return {"version": int(self._engine.get_weight_version())}

    def submit(self, requests: list[list[Any]]) -> Answer:
        for name, prompt_ids, temperature, top_p, max_new_tokens, seed, stop_ids in requests:
            params = self._params(
                temperature=temperature, top_p=top_p, max_tokens=max_new_tokens, seed=seed, logprobs=0, ignore_eos=True,
                stop_token_ids=[*self._stops, *stop_ids], detokenize=False,
            )  # fmt: skip
            self._engine.add_request(name, {"prompt_token_ids": prompt_ids}, params)
        return {}

    def step(self, seconds: float) -> Answer:
        until, done = time.monotonic() + seconds, list[Completion]()
        while self._engine.has_unfinished_requests() and not done and time.monotonic() < until:
            done += self._taken(self._engine.step())
        return {"done": done}

    def partial(self, ids: list[str]) -> Answer:
        return {"tokens": {name: list(self._outputs[name].token_ids) for name in ids if name in self._outputs}}

    def abort(self, ids: list[str]) -> Answer:
        found = [completion(name, self._outputs.pop(name)) for name in ids if name in self._outputs]
        self._engine.abort_request(ids)
        self._taken(self._engine.step())
        return {"done": found}

    def _taken(self, outputs: list[Any]) -> list[Completion]:
        done = []
        for output in outputs:
            self._outputs[output.request_id] = output.outputs[0]
            if output.finished:
                done.append(completion(output.request_id, self._outputs.pop(output.request_id)))
        return done


def forget_experts(model: Any) -> None:
    """Have new weights of experts brought into the order of the kernel for processors, and padded, as the first ones were.

    vLLM 0.32 does this only where it makes the kernel; with one that it has, it would multiply by weights in another order.
    """
    for module in model.modules():
        method: Any = getattr(module, "quant_method", None)
        if getattr(method, "moe_kernel", None) is not None:
            method.moe_kernel = None


def completion(name: str, output: Any) -> Completion:
    logprobs = [each[token].logprob for token, each in zip(output.token_ids, output.logprobs, strict=True)]
    versions = [[int(span.version), span.end - span.start] for span in output.weight_versions or []]
    return [name, list(output.token_ids), logprobs, output.finish_reason, output.stop_reason, versions]


if __name__ == "__main__":
    main()
