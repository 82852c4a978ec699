"""Trusted functions: they may use the network and files, and what they answer is kept, so that no question is put twice."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cogitate.answers import Answers
from cogitate.errors import ArtifactError
from cogitate.rewards.workers.answers import digest_of, key_of
from cogitate.rewards.workers.pool import GraderPool
from cogitate.types import PLACE, Ending, Problem
from tests.rewards.workers.test_parts import CODE, PROGRAM, SUM, verdicts

POEM = Problem("1", "poems", "custom", "A haiku?")
ASKS_A_SERVER = """
import sys, urllib.request

def ask(text):
    with urllib.request.urlopen("URL", data=text.encode(), timeout=60) as reply:
        return float(reply.read())

def judge(completion, problem):
    if "raise" in completion:
        raise ConnectionError("no route")
    if "hang" in completion:
        while True:
            pass
    open(__file__ + ".log", "a").write(completion + "\\n")
    return ask(completion) / 1000

def part(completion):
    return ask(completion.text)
"""


class Server:
    """Answers each request with the number of requests so far, so that no two answers are equal."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(handler) -> None:  # noqa: N805 - the name that the library calls; self is the server's
                body = handler.rfile.read(int(handler.headers["Content-Length"])).decode()
                with lock:
                    self.asked.append(body)
                    reply = str(len(self.asked)).encode()
                handler.send_response(200)
                handler.end_headers()
                handler.wfile.write(reply)

            def log_message(handler, format: str, *arguments: object) -> None:  # noqa: N805 - as in the library
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self._thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def file(server: Server, tmp_path: Path) -> Path:
    file = tmp_path / "mine.py"
    file.write_text(ASKS_A_SERVER.replace("URL", server.url))
    return file


def judged(file: Path, answers: Answers | None, texts: list[str], seconds_limit: float = 20) -> dict[str, tuple[str, float]]:
    """(value, score) by the number of each completion."""
    with GraderPool(2, seconds_limit, custom=f"{file}:judge", answers=answers) as pool:
        for number, text in enumerate(texts):
            pool.submit(f"{number}", POEM, text, "bare")
        return {name: (verdict.value, verdict.score) for name, verdict in verdicts(pool, len(texts)).items()}


def test_a_trusted_function_reaches_the_network_and_files_and_a_confined_one_does_not(
    file: Path, tmp_path: Path, server: Server
) -> None:
    with Answers(tmp_path / "answers.jsonl") as answers:
        assert judged(file, answers, ["a poem"]) == {"0": ("wrong", 0.001)}
    assert Path(f"{file}.log").read_text() == "a poem\n"
    assert judged(file, None, ["another poem"]) == {"0": ("none", 0.0)}
    assert server.asked == ["a poem"]


def test_equal_questions_are_put_once_and_a_later_pool_reads_what_was_answered(
    file: Path, tmp_path: Path, server: Server
) -> None:
    texts = [f"poem {number % 3}" for number in range(30)]
    with Answers(tmp_path / "answers.jsonl") as answers:
        first = judged(file, answers, texts)
    assert sorted(server.asked) == ["poem 0", "poem 1", "poem 2"]
    assert len({first[f"{number}"] for number in range(3)}) == 3
    assert all(first[f"{number}"] == first[f"{number % 3}"] for number in range(30))
    with Answers(tmp_path / "answers.jsonl") as answers:
        assert judged(file, answers, texts) == first
        assert judged(file, answers, ["poem 3"]) == {"0": ("wrong", 0.004)}
    assert len(server.asked) == 4


def test_what_a_trusted_function_raises_is_not_kept_and_a_hang_is_no_verdict(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    with Answers(path) as answers:
        found = judged(file, answers, ["raise", "raise", "hang", "hang", "fine"], seconds_limit=0.5)
    assert [found[f"{number}"][0] for number in range(5)] == ["none"] * 4 + ["wrong"]
    assert len(path.read_text().splitlines()) == 1


def test_parts_of_the_reward_are_trusted_too_also_on_programs(file: Path, tmp_path: Path, server: Server) -> None:
    def values() -> dict[str, float]:
        with (
            Answers(tmp_path / "answers.jsonl") as answers,
            GraderPool(2, 20, parts={"mine": f"{file}:part"}, answers=answers) as pool,
        ):
            for number in range(4):
                pool.submit(f"sum {number}", SUM, "42", "bare", Ending(3, "stop"))
            pool.submit("longer", SUM, "42", "bare", Ending(4, "stop"))
            pool.submit("program", CODE, PROGRAM, "r1", Ending(9, "stop"))
            found = verdicts(pool, 6)
        assert {verdict.value for verdict in found.values()} == {"right"}
        return {name: verdict.parts["mine"] for name, verdict in found.items()}

    first = values()
    assert sorted(server.asked) == sorted(["42", "42", PROGRAM])  # what a part is shown differs by its tokens
    assert sorted(set(first.values())) == [1, 2, 3]
    assert values() == first
    assert len(server.asked) == 3


def test_a_question_is_known_by_the_functions_text_and_what_it_is_shown_but_not_by_places_or_times(tmp_path: Path) -> None:
    here, there = tmp_path / "a.py", tmp_path / "b.py"
    here.write_text("def judge(): ...")
    there.write_text("def judge(): ...")
    functions = digest_of({"custom": f"{here}:judge"})
    assert functions == digest_of({"custom": f"{there}:judge"}) != digest_of({"custom": f"{here}:other"})
    there.write_text("def judge(): pass")
    assert functions != digest_of({"custom": f"{there}:judge"})
    shown = {"completion": "x", "fields": {"gold": 1, PLACE: "a.jsonl, line 1"}, "verdict": {"seconds": 0.1}}
    same = {"completion": "x", "fields": {"gold": 1, PLACE: "b.jsonl, line 7"}, "verdict": {"seconds": 0.2}}
    assert key_of(functions, shown) == key_of(functions, same) != key_of(functions, {**shown, "completion": "y"})


def test_a_half_written_line_is_dropped_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    with Answers(path) as answers:
        answers.keep("a", {"value": "right"})
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"key": "b", "ans')
    with Answers(path) as answers:
        assert answers["a"] == {"value": "right"}
        assert "b" not in answers
        answers.keep("c", {"parts": {"mine": 1.0}})
    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == ["a", "c"]
    path.write_bytes(b"not json\n" + whole)
    with pytest.raises(ArtifactError, match=r"answers.jsonl, line 1: damaged"):
        Answers(path)
