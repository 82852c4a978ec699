"""cold_start and sft_data from end to end, with models whose completions are written by hand: rows, ledger, counts, resume."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from cogitate import runtime
from cogitate.errors import ConfigError, DataError, Interrupted
from cogitate.recipe.data import candidates
from cogitate.recipe.recipe import R1
from cogitate.recipe.settings import load_recipe
from cogitate.recipe.stage import find
from cogitate.recipe.stages import cold_start_data, rejection_sampling
from cogitate.rewards.sandbox.sandbox import SandboxLevel, detect_level
from cogitate.tasks.files.datasets import load_conversations, read_rows
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.types import Artifact, Problem
from tests.recipe.scripted_backend import Script, ScriptedBackend, stage_context

Made = tuple[Path, dict[str, Any]]  # where a stage worked, and its summary
TASKS = ("tasks.train=arithmetic,logic", "tasks.eval=arithmetic,logic", "tasks.train_problems=40", "evaluate.problems=10")
COLD = (*TASKS, "cold_start.problems=12", "cold_start.samples=3")
SFT = (*TASKS, "sft_data.problems=12", "sft_data.samples=3", "sft_data.per_problem=2")


def last_sum(prompt: str) -> tuple[str, int] | None:
    """The last chain of a prompt, worked, and its result."""
    found = re.findall(r"\d+(?: [+-] \d+)+", prompt)
    if not found:
        return None
    return found[-1], sum(int(sign + number) for sign, number in re.findall(r"([+-]?) ?(\d+)", found[-1]))


def base(prompt: str, seed: int) -> str:
    """Works sums, sometimes wrongly, sometimes on and on; answers general prompts in one way."""
    worked = last_sum(prompt)
    if not prompt.startswith("Question:"):
        return " <think> The user wants help. </think>\nOf course, yes." if seed % 2 else " Hello there, how can I help you?"
    if worked is None:
        return " Tom. The answer is Tom."
    chain, result = worked
    result += seed % 3 == 1
    return f" First {chain} = {result}. The answer is {result}.\n\nQuestion: What is 1 + 1?" + ("…" if seed % 3 == 2 else "")


def zero(prompt: str, seed: int) -> str:
    """Works sums rightly, in tags where its template asks for them; checks itself, and mixes languages, now and then."""
    worked = last_sum(prompt)
    if worked is None:
        return " <think> Order: Tom. </think> <answer> Tom </answer>"
    chain, result = worked
    thinking = f"{'先算 ' if seed % 5 == 0 else 'First we take '}{chain} = {result}."
    thinking += " Let me check. Right." if seed % 2 else ""
    if "<think>" in prompt:
        return f" <think> All right. {thinking} </think> <answer> {result} </answer>"
    return f" {thinking} The answer is {result}."


def dev2(prompt: str, seed: int) -> str:
    worked = last_sum(prompt)
    if worked is None:
        return " <think> Order: Tom. </think>\nThe answer is \\boxed{Tom}."
    chain, result = worked
    return f" <think> {('First', 'So', 'We see')[seed % 3]} {chain} = {result}. </think>\nThe answer is \\boxed{{{result}}}."


def inputs_of(work: Path, tokenizer: Tokenizer, models: Sequence[str]) -> dict[str, Artifact]:
    """Models of which only the tokenizer is read."""
    for name in models:
        (work / name).mkdir(parents=True, exist_ok=True)
        tokenizer.save(work / name)
    return {name: Artifact(name, name, work / name) for name in models}


def cold_start(work: Path, tokenizer: Tokenizer, *settings: str, backend: ScriptedBackend | None = None) -> dict[str, Any]:
    backend = backend or ScriptedBackend(tokenizer, base=base, r1_zero=zero)
    config = load_recipe("tiny", [*COLD, *settings])
    find(R1, "cold_start").check(config, R1)
    inputs = inputs_of(work, tokenizer, ("base", "r1_zero"))
    return cold_start_data.run(config, inputs, work / "out", stage_context("cold_start", work, backend))


def sft_data(
    work: Path,
    tokenizer: Tokenizer,
    *settings: str,
    backend: ScriptedBackend | None = None,
    models: Sequence[str] = ("r1_dev2", "base"),
) -> dict[str, Any]:
    backend = backend or ScriptedBackend(tokenizer, base=base, r1_dev2=dev2)
    config = load_recipe("tiny", [*SFT, *settings])
    find(R1, "sft_data").check(config, R1)
    inputs = inputs_of(work, tokenizer, models)
    return rejection_sampling.run(config, inputs, work / "out", stage_context("sft_data", work, backend))


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [row for _, row in read_rows(path)]


def files_of(work: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (work / "out").iterdir()}


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory, micro_tokenizer: Tokenizer) -> Made:
    work = tmp_path_factory.mktemp("cold")
    return work, cold_start(work, micro_tokenizer)


def test_every_candidate_of_the_cold_start_is_a_row_or_in_the_ledger(cold: Made) -> None:
    work, summary = cold
    rows, ledger, items = (rows_of(work / "out" / name) for name in ("data.parquet", "ledger.jsonl", "items.jsonl"))
    assert len(items) == 3 * 12 * 3
    assert len({item["id"] for item in items}) == len(items)
    assert sorted([row["id"] for row in rows] + [row["id"] for row in ledger]) == sorted(item["id"] for item in items)
    assert {item["id"] for item in items if item["kept"]} == {row["id"] for row in rows}
    assert all(item["rule"] for item in items if not item["kept"])
    assert summary["rows"] == len(rows)
    for name, counts in summary["collectors"].items():
        assert counts["sampled"] == 36 == counts["kept"] + sum(counts["dropped"].values())
        assert counts["kept"] == sum(row["source"] == name for row in rows)


def test_its_rows_are_conversations_that_say_who_wrote_them_at_which_prompt(cold: Made) -> None:
    work, summary = cold
    conversations = load_conversations(work / "out")
    assert {(c.facts["source"], c.facts["model"], c.facts["prompt_name"]) for c in conversations} == {
        ("few_shot", "base", "few_shot_long"), ("direct", "r1_zero", "direct_checked"), ("r1_zero", "r1_zero", "r1_zero"),
    }  # fmt: skip
    for conversation in conversations:
        asked, answered = conversation.messages
        assert (asked.role, answered.role) == ("user", "assistant")
        assert answered.content.startswith("<think> ")
        assert "</think>\nThe answer is \\boxed{" in answered.content or "</think>\n答案是\\boxed{" in answered.content
        assert conversation.facts["verdict"] == "right"
        assert 0 < conversation.facts["thinking_tokens"] < conversation.facts["completion_tokens"]
    assert summary["post_processing"]["kept"] == len(conversations)


def test_its_collectors_report_what_they_saw(cold: Made) -> None:
    _, summary = cold
    collectors = summary["collectors"]
    assert collectors["few_shot"]["dropped"]["wrong answer"] > 0
    assert collectors["r1_zero"]["dropped"].get("mixed language", 0) > 0
    assert collectors["r1_zero"]["kept_reflective"] > 0
    assert collectors["few_shot"]["dropped"].get("truncated") is None  # cut where the next question begins


def test_decisions_by_item_id_change_the_rows(cold: Made, tmp_path: Path, micro_tokenizer: Tokenizer) -> None:
    work, _ = cold
    items = rows_of(work / "out" / "items.jsonl")
    rejected = next(item["id"] for item in items if item["kept"])
    accepted = next(item["id"] for item in items if item["faults"] == ["mixed language"] and item["verdict"] == "right")
    edited = next(item for item in items if item["verdict"] == "wrong" and item["task"] == "arithmetic")
    text = f"<think> I looked it up. </think>\nThe answer is \\boxed{{{edited['gold']}}}."
    review = tmp_path / "review.jsonl"
    lines = [{"id": rejected, "decision": "reject"}, {"id": accepted, "decision": "accept"},
             {"id": edited["id"], "decision": "edit", "text": text}]  # fmt: skip
    review.write_text("\n".join(json.dumps(line) for line in lines))
    summary = cold_start(tmp_path, micro_tokenizer, f"cold_start.review={review}")
    rows = {row["id"]: row["messages"][1]["content"] for row in rows_of(tmp_path / "out" / "data.parquet")}
    assert rejected not in rows
    assert accepted in rows
    assert rows[edited["id"]] == text
    assert summary["post_processing"]["decisions"] == {"accept": 1, "edit": 1, "reject": 1}
    assert summary["post_processing"]["accepted_or_edited_but_wrong"] == 0
    assert find(R1, "cold_start").files(load_recipe("tiny", [*COLD, f"cold_start.review={review}"])) == [review]


def test_reviewed_items_can_be_taken_in_place_of_asking_again(cold: Made, tmp_path: Path, micro_tokenizer: Tokenizer) -> None:
    work, summary = cold
    items = work / "out" / "items.jsonl"
    mute = ScriptedBackend(micro_tokenizer, base=lambda prompt, seed: "no", r1_zero=lambda prompt, seed: "no")
    assert cold_start(tmp_path, micro_tokenizer, f"cold_start.items={items}", backend=mute) == summary
    assert mute.asked == 0
    for name in ("data.parquet", "ledger.jsonl", "items.jsonl"):
        assert (tmp_path / "out" / name).read_bytes() == (work / "out" / name).read_bytes()
    assert find(R1, "cold_start").files(load_recipe("tiny", [*COLD, f"cold_start.items={items}"])) == [items]
    with pytest.raises(DataError, match=r"items\.jsonl: .*line 1: problem .* is no training problem of this run"):
        cold_start(tmp_path, micro_tokenizer, f"cold_start.items={items}", "seed=1")
    with pytest.raises(
        DataError, match=r"ledger\.jsonl: \d+ rows cannot be used: line 1: no item: the key 'completion' is missing"
    ):
        cold_start(tmp_path, micro_tokenizer, f"cold_start.items={work / 'out' / 'ledger.jsonl'}")


def test_a_decision_on_an_unknown_item_and_a_bad_line_are_refused(tmp_path: Path, micro_tokenizer: Tokenizer) -> None:
    review = tmp_path / "review.jsonl"
    review.write_text('{"id": "direct-0123456789ab", "decision": "accept"}')
    with pytest.raises(DataError, match="line 1: there is no item 'direct-0123456789ab'"):
        cold_start(tmp_path, micro_tokenizer, f"cold_start.review={review}")
    review.write_text('{"id": "direct-0123456789ab"}')
    backend = ScriptedBackend(micro_tokenizer, base=base, r1_zero=zero)
    with pytest.raises(DataError, match="line 1: decision must be one of"):
        cold_start(tmp_path, micro_tokenizer, f"cold_start.review={review}", backend=backend)
    assert backend.asked == 0  # refused before any time is spent


def test_models_that_say_nothing_right_are_refused_with_the_rules_that_dropped_all(
    tmp_path: Path, micro_tokenizer: Tokenizer
) -> None:
    mute = ScriptedBackend(micro_tokenizer, base=lambda prompt, seed: "no", r1_zero=lambda prompt, seed: "no")
    with pytest.raises(DataError, match=r"none of 108 candidates can be kept: \{'wrong answer': 108\}"):
        cold_start(tmp_path, micro_tokenizer, backend=mute)


@pytest.fixture(scope="module")
def sft(tmp_path_factory: pytest.TempPathFactory, micro_tokenizer: Tokenizer) -> Made:
    work = tmp_path_factory.mktemp("sft")
    return work, sft_data(work, micro_tokenizer)


def test_every_completion_of_rejection_sampling_is_a_row_or_in_the_ledger(sft: Made) -> None:
    work, summary = sft
    rows, ledger = rows_of(work / "out" / "data.parquet"), rows_of(work / "out" / "ledger.jsonl")
    sampled = summary["reasoning"]["sampled"] + summary["general"]["sampled"]
    assert summary["reasoning"]["sampled"] == 36
    assert len(rows) + len(ledger) == sampled
    assert len({row["id"] for row in [*rows, *ledger]}) == sampled
    assert all(row["rule"] for row in ledger)
    per_problem = [row["problem_id"] for row in rows if row["source"] == "reasoning"]
    assert max(per_problem.count(problem) for problem in per_problem) <= 2
    assert {(row["source"], row["model"]) for row in rows} == {("reasoning", "r1_dev2"), ("general", "base")}
    assert {row["verdict"] for row in rows if row["source"] == "reasoning"} == {"right"}


def test_general_rows_are_at_most_their_share_and_come_from_base_where_it_is_given(
    sft: Made, tmp_path: Path, micro_tokenizer: Tokenizer
) -> None:
    _, summary = sft
    assert 0 < summary["general"]["kept"] <= summary["general"]["wanted"] == -(-summary["reasoning"]["kept"] // 3)
    alone = sft_data(tmp_path, micro_tokenizer, models=("r1_dev2",))
    assert alone["general"]["model"] == "r1_dev2"
    nothing_general = sft_data(tmp_path / "none", micro_tokenizer, "sft_data.general_share=0")
    assert nothing_general["general"]["sampled"] == nothing_general["general"]["kept"] == 0


@pytest.mark.parametrize(
    ("stage", "models"), [(cold_start, {"base": base, "r1_zero": zero}), (sft_data, {"base": base, "r1_dev2": dev2})]
)
def test_a_stage_interrupted_within_chunks_ends_with_the_bytes_of_an_uninterrupted_one(
    stage: Callable[..., dict[str, Any]],
    models: dict[str, Script],
    tmp_path: Path,
    micro_tokenizer: Tokenizer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(candidates, "CHUNK", 9)  # three problems of three samples
    whole = ScriptedBackend(micro_tokenizer, **models)
    expected = stage(tmp_path / "whole", micro_tokenizer, backend=whole)
    calls = 0

    def with_signals(script: Script) -> Script:
        def said(prompt: str, seed: int) -> str:
            nonlocal calls
            calls += 1
            if calls % 13 == 0:
                monkeypatch.setattr(runtime, "_interrupted_by", 15)
            return script(prompt, seed)

        return said

    stops = 0
    while True:
        monkeypatch.setattr(runtime, "_interrupted_by", None)
        parts = ScriptedBackend(micro_tokenizer, **{name: with_signals(script) for name, script in models.items()})
        try:
            summary = stage(tmp_path / "parts", micro_tokenizer, backend=parts)
        except Interrupted:
            stops += 1
            assert stops < 60, "a finished chunk is made again and again"
        else:
            break
    assert stops > 3
    assert summary == expected
    assert files_of(tmp_path / "parts") == files_of(tmp_path / "whole")


def test_a_finished_chunk_is_not_sampled_again(tmp_path: Path, micro_tokenizer: Tokenizer) -> None:
    first = ScriptedBackend(micro_tokenizer, base=base, r1_zero=zero)
    cold_start(tmp_path, micro_tokenizer, backend=first)
    before = files_of(tmp_path)
    again = ScriptedBackend(micro_tokenizer, base=base, r1_zero=zero)
    cold_start(tmp_path, micro_tokenizer, backend=again)
    assert first.asked == 108
    assert again.asked == 0
    assert files_of(tmp_path) == before


def writes_programs(prompt: str, seed: int) -> str:
    """Sums, and programs of more and of less work."""
    if "below n" not in prompt:
        return dev2(prompt, seed)
    body = ("return sum([i for i in range(n)])", "return n * (n - 1) // 2", "return sum(i for i in range(n))")[seed % 3]
    return f" <think> So. </think>\n```python\ndef f(n):\n    {body}\n```"


@pytest.mark.skipif(detect_level() is SandboxLevel.NONE, reason="no isolation on this machine")
def test_of_right_programs_the_one_of_least_work_is_preferred(tmp_path: Path, micro_tokenizer: Tokenizer) -> None:
    fields = {"kind": "code", "mode": "function", "entry_point": "f", "tests": [[[10], 45], [[100], 4950]]}
    problems = tmp_path / "programs.jsonl"
    problems.write_text(json.dumps({"id": "below", "question": "Write f(n), the sum of what is below n.", **fields}))
    backend = ScriptedBackend(micro_tokenizer, r1_dev2=writes_programs)
    data = (f"tasks.train={problems},arithmetic", "sft_data.general_share=0")
    chosen = ("sft_data.samples=6", "sft_data.per_problem=1", "sft_data.prefer=least_work")
    summary = sft_data(tmp_path, micro_tokenizer, *data, *chosen, backend=backend, models=("r1_dev2",))
    rows, ledger = rows_of(tmp_path / "out" / "data.parquet"), rows_of(tmp_path / "out" / "ledger.jsonl")
    (kept,) = (row for row in rows if row["problem_id"] == "below")
    work = [row["instructions"] for row in ledger if "instructions" in row]
    assert "n * (n - 1) // 2" in kept["messages"][1]["content"]
    assert kept["instructions"] < min(work)
    said = summary["least_work"]
    assert said["problems_with_a_choice"] == 1
    assert said["instructions_after"] == kept["instructions"] < said["instructions_before"]
    assert said["problems_without_work"] > 0  # sums with several right completions
    assert len(rows) == summary["reasoning"]["kept"] == len({row["problem_id"] for row in rows})


def test_least_work_is_refused_where_no_work_can_be_counted(tmp_path: Path, micro_tokenizer: Tokenizer) -> None:
    with pytest.raises(ConfigError, match=r'sft_data.prefer = "least_work": no problem of tasks.train = .* asks for a program'):
        sft_data(tmp_path, micro_tokenizer, "sft_data.prefer=least_work")
    with pytest.raises(ConfigError, match=r"in a sandbox of this machine: leave rewards.remote_sandbox out"):
        sft_data(tmp_path, micro_tokenizer, "sft_data.prefer=least_work", "rewards.remote_sandbox=piston:http://localhost:9")


def test_a_model_of_sft_is_asked_for_data_as_sft_showed_it(tmp_path: Path, micro_tokenizer: Tokenizer) -> None:
    inputs = inputs_of(tmp_path, micro_tokenizer, ("r1_dev1",))
    template = "[{{ messages[-1].content }}]"
    (inputs["r1_dev1"].path / "chat_template.jinja").write_text(template)
    backend = ScriptedBackend(micro_tokenizer, r1_dev1=dev2)
    context = stage_context("sft_data", tmp_path, backend)
    writer, _ = rejection_sampling.make_writers(load_recipe("tiny", SFT), inputs, context)
    prompt = writer.prompt_of(Problem("1", "sums", "math", "1 + 1?", gold="2"))
    assert not isinstance(prompt, str)
    assert micro_tokenizer.decode(prompt) == "[1 + 1?]"
