"""A model whose chat template opens the thinking (`<think>` ends the prompt): measured, trained and talked to through it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken

from cogitate import cli
from cogitate.errors import ConfigError
from cogitate.model.files.hf import save_model
from cogitate.model.transformer import Transformer
from cogitate.recipe.asking import check_thinks
from cogitate.tokenizer.bpe import Tokenizer, train_tokenizer
from cogitate.tokenizer.chat_template import ChatTemplate
from cogitate.tokenizer.prompts import R1_INSTRUCTION, R1_ZERO_INSTRUCTION, instructed
from cogitate.types import Message
from tests.apps.memorised_model import CHAT_TEMPLATE, QUESTION, learn_by_heart

SAID = {
    QUESTION: "a sum </think> It is 2.",
    instructed(QUESTION, R1_INSTRUCTION): "one and one </think> The answer is \\boxed{2}.",
    instructed(QUESTION, R1_ZERO_INSTRUCTION): "one and one </think> <answer> 2 </answer>",
}
AS_OFTEN = (instructed(QUESTION, R1_ZERO_INSTRUCTION), "one and one </think> <answer> 3 </answer>")


@pytest.fixture(scope="module")
def reasoner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("reasoner")
    tokenizer = train_tokenizer([asked + said for asked, said in SAID.items()] * 30, 420)
    tags = ("<|user|>", "<|assistant|>", "<|turn|>", "<think>", "</think>")  # as in R1's tokenizer, thinking has tokens
    tokenizer.inner.add_tokens([AddedToken(text, special="|" in text, normalized=False) for text in tags])
    tokenizer.settings["chat_template"] = CHAT_TEMPLATE
    tokenizer.settings["eos_token"] = "<|turn|>"
    tokenizer.save(directory)
    tokenizer, template = Tokenizer.load(directory), ChatTemplate.load(directory)
    assert template is not None
    pairs = []
    for asked, said in (*SAID.items(), AS_OFTEN):
        before, _, after = said.partition("</think>")
        reply = [*tokenizer.encode(before), tokenizer.control_ids["</think>"], *tokenizer.encode(after)]
        pairs.append((template.prompt_ids([Message("user", asked)], tokenizer), [*reply, tokenizer.end_id]))
        assert pairs[-1][0][-2:][0] == tokenizer.control_ids["<think>"]
    model: Transformer = learn_by_heart(pairs, tokenizer.vocab_size, branches=2, max_position_embeddings=400)
    save_model(model, directory)
    return directory


@pytest.fixture
def cogitate(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command to its end: its standard output."""

    def run(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["cogitate", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capfd.readouterr()
        assert not end.value.code, err
        return out

    return run


@pytest.fixture
def problem(tmp_path: Path) -> Path:
    (tmp_path / "sum.jsonl").write_text(json.dumps({"question": QUESTION, "answer": 2}))
    return tmp_path / "sum.jsonl"


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_evaluation_judges_the_completion_with_the_thinking_that_the_prompt_opened(
    reasoner: Path, problem: Path, cogitate: Callable[..., str], tmp_path: Path
) -> None:
    options = ("--prompt", "chat", "--tasks", problem, "--problems", 1, "--samples", 1, "evaluate.temperature=1e-9")
    files = ("--out", tmp_path / "eval.json", "--completions", tmp_path / "all.jsonl")
    cogitate("eval", reasoner, *options, *files, "evaluate.max_new_tokens=60")
    (row,) = rows(tmp_path / "all.jsonl")
    assert row["completion"] == "<think>" + SAID[instructed(QUESTION, R1_INSTRUCTION)]
    assert (row["right"], row["extracted"], row["finished"]) == (True, "2", True)
    measured = json.loads((tmp_path / "eval.json").read_text())["tasks"]["all"]
    assert measured["format_rate"]["value"] == 1.0
    assert measured["thinking_tokens"]["value"] == len(Tokenizer.load(reasoner).encode("one and one"))


def test_thinking_that_is_cut_off_holds_no_answer(
    reasoner: Path, problem: Path, cogitate: Callable[..., str], tmp_path: Path
) -> None:
    """Without its `<think>` the text would be taken for the answer: "one and one"."""
    options = ("--prompt", "chat", "--tasks", problem, "--problems", 1, "--samples", 1, "evaluate.temperature=1e-9")
    cogitate("eval", reasoner, *options, "--completions", tmp_path / "all.jsonl", "evaluate.max_new_tokens=2")
    (row,) = rows(tmp_path / "all.jsonl")
    assert (row["right"], row["finished"], row["thinking_tokens"]) == (False, False, None)
    assert "thinking is never closed" in row["reason"]


def test_an_evaluation_keeps_to_its_thinking_budget_and_marks_what_it_set(
    reasoner: Path, problem: Path, cogitate: Callable[..., str], tmp_path: Path
) -> None:
    options = ("--prompt", "chat", "--tasks", problem, "--problems", 1, "--samples", 1, "evaluate.temperature=1e-9")
    files = ("--out", tmp_path / "eval.json", "--completions", tmp_path / "all.jsonl")
    cogitate("eval", reasoner, *options, *files, "evaluate.max_new_tokens=60", "evaluate.thinking_budget=1")
    (row,) = rows(tmp_path / "all.jsonl")
    tokenizer = Tokenizer.load(reasoner)
    first = tokenizer.decode(tokenizer.encode("one and one")[:1])
    assert row["completion"].startswith(f"<think>{first}</think>")
    assert row["set_tokens"] == 1
    assert json.loads((tmp_path / "eval.json").read_text())["settings"]["evaluate"]["thinking_budget"] == 1
    cogitate("eval", reasoner, *options, *files, "evaluate.max_new_tokens=60", "evaluate.min_thinking=20", "evaluate.waits=2")
    (row,) = rows(tmp_path / "all.jsonl")
    assert row["completion"].count(" Wait") == 2
    assert row["set_tokens"] == 2 * len(tokenizer.encode(" Wait"))


def test_chat_closes_the_thinking_at_its_budget(reasoner: Path, cogitate: Callable[..., str]) -> None:
    options = ("--prompt", QUESTION, "--temperature", 0, "--max-new-tokens", 60)
    assert cogitate("chat", reasoner, *options) == SAID[QUESTION] + "\n"
    assert cogitate("chat", reasoner, *options, "--thinking-budget", 40) == SAID[QUESTION] + "\n"
    assert cogitate("chat", reasoner, *options, "--thinking-budget", 0).startswith("</think>")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("eval", "base", "--prompt", "bare", "evaluate.thinking_budget=9"), "no effect with --prompt bare"),
        (("eval", "base", "evaluate.thinking_budget=192"), "must be below max_new_tokens"),
        (("chat", "base", "--template", "bare", "--prompt", "x", "--thinking-budget", "9"), "no effect with --template bare"),
        (("chat", "base", "--prompt", "x", "--thinking-budget", "30", "--max-new-tokens", "30"), "leaves none of 30 tokens"),
    ],
)
def test_a_thinking_budget_that_changes_nothing_is_refused(
    arguments: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["cogitate", *arguments])
    with pytest.raises(SystemExit, match="2"):
        cli.main()
    assert message in capfd.readouterr().err


def test_a_model_that_does_not_know_thinking_gets_no_budget(reasoner: Path, tmp_path: Path) -> None:
    plain = train_tokenizer(["one two three"] * 3, 280)
    with pytest.raises(ConfigError, match="would change nothing"):
        check_thinks(tmp_path, plain, "User: question")
    check_thinks(tmp_path, plain, "Think in <think> </think>.")
    check_thinks(reasoner, Tokenizer.load(reasoner), "User: question")


def test_r1_zero_trains_and_is_measured_through_the_template(
    reasoner: Path, problem: Path, cogitate: Callable[..., str], tmp_path: Path
) -> None:
    """It keeps the form always, and is right half the time: groups whose rewards differ."""
    others = tmp_path / "others.jsonl"
    others.write_text("\n".join(json.dumps({"question": f"{QUESTION} {n}", "answer": 2, "id": str(n)}) for n in range(2)))
    out = tmp_path / "run"
    settings = ("r1_zero.prompt=chat", f"tasks.train={problem}", f"tasks.eval={others}", "runtime.threads=1")
    cogitate(
        "run", "tiny", "--only", "r1_zero", f"inputs.base={reasoner}", "--out", out, *settings, "r1_zero.steps=3",
        "r1_zero.prompts_per_step=1", "r1_zero.group_size=12", "r1_zero.max_new_tokens=40", "r1_zero.learning_rate=1e-6",
        "r1_zero.transcripts_every=1",
    )  # fmt: skip
    steps = rows(out / "r1_zero" / "metrics.jsonl")
    assert all(step["reward.format"] > 0.9 for step in steps)
    assert 0.2 < sum(step["accuracy"] for step in steps) / len(steps) < 0.8
    assert all(step["gradient_norm"] > 0 for step in steps)
    texts = [row["completion"] for row in rows(out / "r1_zero" / "transcripts.jsonl")]
    assert texts
    assert all(text.startswith("<think>") for text in texts)
    cogitate(
        "run", "tiny", "--only", "evaluate.r1_zero", f"inputs.r1_zero={reasoner}", "--out", tmp_path / "measured", *settings,
        "evaluate.samples=1", "evaluate.max_new_tokens=40",
    )  # fmt: skip
    manifest = json.loads((tmp_path / "measured" / "evaluate.r1_zero" / "manifest.json").read_text())
    assert manifest["summary"]["prompt"] == "chat"
    assert manifest["settings"]["r1_zero.prompt"] == "chat"


def test_a_model_without_a_template_says_so(
    cogitate: Callable[..., str],
    tmp_path: Path,
    problem: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["cogitate", "eval", "base", "--prompt", "chat", "--tasks", str(problem)])
    with pytest.raises(SystemExit, match="2"):
        cli.main()
    assert "the model has no chat template" in capfd.readouterr().err


def test_chat_opens_the_thinking_and_answers_after_it(reasoner: Path, cogitate: Callable[..., str]) -> None:
    assert cogitate("chat", reasoner, "--prompt", QUESTION, "--temperature", 0) == f"{SAID[QUESTION]}\n"
