"""A model of ours that answers questions in a process of its own, as a server would: a judge beside models that are trained.

Lines of JSON go to and fro. The process is `python -m cogitate.engine.answering PARENT_PID`, and dies with its parent.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from cogitate.answers import Answers
from cogitate.endpoint import CACHE_FILE, Question, Usage, key_of
from cogitate.errors import CheckpointError, CogitateError, EndpointError
from cogitate.replies import Reply, kept_reply
from cogitate.runtime import die_with_parent, python_path
from cogitate.types import Message, SamplingParams

ROUND = 64  # questions sent at a time
WAIT = 0.2  # seconds between two calls of on_wait
PREFIX_BYTES = 1 << 28  # of keys and values that are kept: the questions of one asker begin alike


class AnsweringModel:
    """Implements endpoint.Asker. The process is started with the first question that no cache answers.

    Args:
        name: for messages, the section of the settings that name the model.
        cache: a directory that keeps the answers, by the content of the question and of the model's files; "": none.
        dtype, device, threads, max_batch: as in the settings of the runtime.
    """

    def __init__(
        self,
        model: Path,
        name: str,
        *,
        cache: str = "",
        dtype: str = "float32",
        device: str = "cpu",
        threads: int = 0,
        max_batch: int = 64,
    ):
        if not (model / "config.json").is_file():
            raise CheckpointError(f"{name}.model = {str(model)!r}: no model directory, which has a config.json")
        self.model, self.name, self.usage = model, name, Usage()
        self._settings = {"dtype": dtype, "device": device, "threads": threads, "max_batch": max_batch}
        self._cache, self._answers = cache, Answers(Path(cache) / CACHE_FILE) if cache else None
        self._place = f"{digest_of_files(model)} {dtype}" if cache else ""
        self._process: subprocess.Popen[bytes] | None = None
        self._received = bytearray()

    def ask_each(
        self, questions: Sequence[Question], on_wait: Callable[[], None] = lambda: None
    ) -> list[Reply | EndpointError]:
        """As endpoint.Asker's. A question that does not fit the model's context has an error in place of an answer."""
        keys = {question: key_of(self._place, "", question) for question in questions}
        found: dict[Question, Reply | EndpointError] = {}
        if self._answers is not None:
            found = {
                question: kept_reply(self._answers[key], self._cache) for question, key in keys.items() if key in self._answers
            }
        self.usage.from_cache += len(found)
        left = [question for question in keys if question not in found]
        for start in range(0, len(left), ROUND):
            asked = left[start : start + ROUND]
            for question, reply in zip(asked, self._ask(asked, on_wait), strict=True):
                found[question] = reply
                if self._answers is not None and isinstance(reply, Reply):
                    self._answers.keep(keys[question], asdict(reply))
        self.usage.requests += len(left)
        self.usage.count(found.values())
        return [found[question] for question in questions]

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
        if self._answers is not None:
            self._answers.close()

    def __enter__(self) -> AnsweringModel:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _ask(self, questions: Sequence[Question], on_wait: Callable[[], None]) -> list[Reply | EndpointError]:
        process = self._started()
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # then its output ends, which is said below
            process.stdin.write(line_of([asdict(question) for question in questions]))
            process.stdin.flush()
        answers = json.loads(self._line(process, on_wait))
        return [EndpointError(answer["error"]) if "error" in answer else Reply(**answer) for answer in answers]

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "cogitate.engine.answering", str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # an interruption from the terminal is for the parent alone
                env={**os.environ, "PYTHONPATH": python_path()},
            )
            assert self._process.stdin is not None
            self._process.stdin.write(line_of({"model": str(self.model.resolve()), **self._settings}))
        return self._process

    def _line(self, process: subprocess.Popen[bytes], on_wait: Callable[[], None]) -> bytes:
        """The next line of the process."""
        assert process.stdout is not None
        while b"\n" not in self._received:
            on_wait()
            if not select.select([process.stdout], [], [], WAIT)[0]:
                continue
            chunk = os.read(process.stdout.fileno(), 1 << 16)
            if not chunk:
                code = process.wait()
                raise EndpointError(
                    f"{self.name}: the process of {self.model} ended with exit code {code}; see its message above"
                )
            self._received += chunk
        line, _, rest = bytes(self._received).partition(b"\n")
        self._received = bytearray(rest)
        return line


def digest_of_files(model: Path) -> str:
    """SHA-256 of what a model's answers depend on: its settings, tokenizer and weights."""
    digest = hashlib.sha256()
    for file in sorted(model.iterdir()):
        if file.suffix in (".json", ".safetensors", ".jinja"):
            with file.open("rb") as handle:
                digest.update(f"{file.name} {hashlib.file_digest(handle, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def line_of(value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


def main() -> None:
    """The process's end: one line of settings, then lines of questions until standard input closes. A model that cannot be used
    is one line on standard error and exit code 2."""
    die_with_parent(int(sys.argv[1]))
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no reply
    try:
        answer = load(json.loads(requests.readline()))
        for line in requests:
            replies.write(line_of(answer([question_of(row) for row in json.loads(line)])))
            replies.flush()
    except CogitateError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def question_of(row: dict[str, Any]) -> Question:
    messages = tuple(Message(**message) for message in row["messages"])
    return Question(messages, SamplingParams(**row["params"]), row["seed"], row["begins"])


def load(settings: dict[str, Any]) -> Callable[[Sequence[Question]], list[dict[str, Any]]]:
    """The function that answers with the model of these settings."""
    import torch  # here and below, so that the parent need not wait for them

    from cogitate.backend import GenerationRequest
    from cogitate.engine.generator import Engine
    from cogitate.errors import DataError
    from cogitate.model.files.hf import load_model
    from cogitate.runtime import pick_device
    from cogitate.tokenizer.bpe import Tokenizer
    from cogitate.tokenizer.conversation_form import ConversationForm

    if settings["threads"]:
        torch.set_num_threads(settings["threads"])
    directory = Path(settings["model"])
    tokenizer = Tokenizer.load(directory)
    form = ConversationForm.load(directory, tokenizer)
    line_ends = frozenset(token for token in range(tokenizer.vocab_size) if "\n" in tokenizer.decode([token]))
    model = load_model(directory, dtype=getattr(torch, settings["dtype"]), device=pick_device(settings["device"]))
    engine = Engine(
        model, end_id=tokenizer.end_ids, max_batch=settings["max_batch"], tokenizer=tokenizer, prefix_bytes=PREFIX_BYTES
    )

    def request_of(name: str, alike: Sequence[Question]) -> GenerationRequest:
        """Questions that differ in their seeds alone: their prompt is read once."""
        begins = alike[0].begins
        given = tokenizer.encode(form.lead + begins) if begins else []
        return GenerationRequest(
            name,
            (*form.prompt_ids(alike[0].messages), *given),
            alike[0].params,
            tuple(question.seed for question in alike),
            pause_ids=line_ends if begins else frozenset(),
        )

    def answer(questions: Sequence[Question]) -> list[dict[str, Any]]:
        groups: dict[Question, list[Question]] = {}
        for question in questions:
            groups.setdefault(replace(question, seed=0), []).append(question)
        found: dict[Question, dict[str, Any]] = {}
        requests: list[GenerationRequest] = []
        for alike in groups.values():
            request = request_of(str(len(requests)), alike)
            requests.append(request)
            try:
                engine.submit(request)
            except DataError as error:
                found |= {question: {"error": f"{directory}: {error}"} for question in alike}
        asked = list(groups)
        while engine.pending():
            for done in engine.poll():
                number = int(done.request_id)
                text, reason = tokenizer.decode(done.token_ids), done.finish_reason
                if begins := asked[number].begins:
                    text, ended, _ = f"{begins}{text}".partition("\n")
                    reason = "stop" if ended else reason
                reply = Reply(
                    text.strip(), reason, input_tokens=len(requests[number].prompt_ids), output_tokens=len(done.token_ids)
                )
                found[replace(asked[number], seed=done.seed)] = asdict(reply)
        return [found[question] for question in questions]

    return answer


if __name__ == "__main__":
    main()
