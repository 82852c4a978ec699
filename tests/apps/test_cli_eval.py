"""`cogitate eval` with a model whose answers are known, so that every number of the table is."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from cogitate import cli
from cogitate.apps.score_table import COLUMNS, puzzle_tables, rich_table
from cogitate.recipe.run_directory.store import Identity, seal
from cogitate.tokenizer.bpe import Tokenizer
from tests.apps.memorised_model import BARE_ANSWER, QUESTION, R1_ZERO_ANSWER

GREEDY = ("evaluate.temperature=1e-9", "evaluate.max_new_tokens=40")


@pytest.fixture
def evaluate(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run `cogitate eval ...` to its end: exit code, standard output, standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cogitate", "eval", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return (int(end.value.code or 0), *capfd.readouterr())

    return run


@pytest.fixture
def problems(tmp_path: Path) -> tuple[Path, Path]:
    """The question that the model knows, with its answer and with another one."""
    right, wrong = tmp_path / "right.jsonl", tmp_path / "wrong.jsonl"
    right.write_text(json.dumps({"question": QUESTION, "answer": 2}))
    wrong.write_text(json.dumps({"question": QUESTION, "answer": 3}))
    return right, wrong


def test_every_metric_of_a_known_completion_is_known(
    memorised: Path, problems: tuple[Path, Path], evaluate: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    out, kept = tmp_path / "eval.json", tmp_path / "completions.jsonl"
    code, table, err = evaluate(
        memorised, *GREEDY, "--prompt", "r1_zero", "--tasks", problems[0], "--problems", 1, "--samples", 3, "--out", out,
        "--completions", kept,
    )  # fmt: skip
    assert (code, err) == (0, "")
    result = json.loads(out.read_text())
    assert (result["prompt"], result["contract"], result["tasks_left_out"]) == ("r1_zero", "r1", [])
    assert result["settings"]["evaluate"]["samples"] == 3
    assert result["tasks"].keys() == {"right", "all"}
    tokenizer = Tokenizer.load(memorised)
    values = {name: row["value"] for name, row in result["tasks"]["all"].items() if isinstance(row, dict)}
    assert values == {
        "pass@1": 1.0,
        "score": 1.0,
        "pass@3": 1.0,
        "longest_third": 1.0,
        "thinking_tokens": len(tokenizer.encode("一 and 一 is 二.")),
        "completion_tokens": len(tokenizer.encode(R1_ZERO_ANSWER)) + 1,
        "truncated_share": 0.0,
        "format_rate": 1.0,
        "reflection_rate": 0.0,
        "language_mix_rate": 1.0,
        "no_verdict_share": 0.0,
    }
    assert [json.loads(line)["completion"] for line in kept.read_text().splitlines()] == [R1_ZERO_ANSWER] * 3
    row = next(line.split() for line in table.splitlines() if line.split()[:1] == ["Right"])
    assert row[1:3] == ["1", "100.0"]


def test_a_wrong_answer_counts_against_and_files_are_mixed(
    memorised: Path, problems: tuple[Path, Path], evaluate: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    out = tmp_path / "eval.json"
    tasks = f"{problems[0]},{problems[1]}"
    arguments = ("--prompt", "r1_zero", "--tasks", tasks, "--problems", 2, "--samples", 1, "--out", out)
    assert evaluate(memorised, *GREEDY, *arguments)[0] == 0
    rows = json.loads(out.read_text())["tasks"]
    assert {task: row["pass@1"]["value"] for task, row in rows.items()} == {"right": 1.0, "wrong": 0.0, "all": 0.5}
    assert rows["all"]["problems"] == 2


def test_prompts_that_are_too_long_are_refused_together_or_left_out_and_counted(
    memorised: Path, tmp_path: Path, evaluate: Callable[..., tuple[int, str, str]]
) -> None:
    mine, out = tmp_path / "mine.jsonl", tmp_path / "eval.json"
    questions = (QUESTION, *(f"{'long ' * 400}{number}" for number in range(2)))
    mine.write_text("\n".join(json.dumps({"question": question, "answer": 2}) for question in questions))
    arguments = (memorised, *GREEDY, "--tasks", mine, "--problems", 3, "--samples", 1, "--out", out)
    code, _, err = evaluate(*arguments)
    assert (code, "2 prompts and max_new_tokens = 40 do not fit" in err) == (2, True)
    code, table, _ = evaluate(*arguments, "tasks.too_long=drop")
    assert (code, "2 problems are left out: their prompts are too long" in " ".join(table.split())) == (0, True)
    result = json.loads(out.read_text())
    assert (result["too_long"]["left_out"], result["tasks"]["all"]["problems"]) == (2, 1)


def test_the_question_alone_is_asked_in_the_models_own_template(
    memorised: Path, evaluate: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    (tmp_path / "greeting.jsonl").write_text(json.dumps({"question": "I am Ada.", "answer": "Hello!"}) + "\n")
    kept = tmp_path / "completions.jsonl"
    arguments = ("--tasks", tmp_path / "greeting.jsonl", "--problems", 1, "--samples", 1, "--completions", kept)
    assert evaluate(memorised, *GREEDY, *arguments, "--prompt", "turn")[0] == 0
    assert json.loads(kept.read_text())["completion"] == "<think>a name </think> Hello!"  # the template opens the thinking


@pytest.mark.parametrize(
    ("settings", "asked"), [(None, "chat"), ({}, "turn"), ({"r1.prompt": "turn"}, "turn"), ({"r1.prompt": "chat"}, "chat")]
)
def test_where_no_prompt_is_given_a_stages_model_is_asked_as_it_was_trained_and_others_in_their_chat_template(
    memorised: Path, problems: tuple[Path, Path], evaluate: Callable[..., tuple[int, str, str]], tmp_path: Path,
    settings: dict[str, str] | None, asked: str,
) -> None:  # fmt: skip
    model, out = tmp_path / "run" / "r1", tmp_path / "eval.json"
    shutil.copytree(memorised, model)
    if settings is not None:
        seal(model, Identity("r1", 1, settings, {}, ()), seconds=1.0, summary={})
    arguments = ("--tasks", problems[0], "--problems", 1, "--samples", 1, "--out", out)
    assert evaluate(model, *GREEDY, *arguments)[0] == 0
    assert json.loads(out.read_text())["prompt"] == asked


def test_without_tasks_a_stages_model_is_measured_as_its_run_measures_it(
    memorised: Path, problems: tuple[Path, Path], evaluate: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    model, out = tmp_path / "run" / "r1", tmp_path / "eval.json"
    shutil.copytree(memorised, model)
    seal(model, Identity("r1", 1, {}, {}, ()), seconds=1.0, summary={})
    tasks = {"train": str(problems[1]), "eval": str(problems[0])}
    config = {"graph": "r1", "tasks": tasks, "evaluate": {"max_new_tokens": 37}}
    (model.parent / "config.json").write_text(json.dumps(config))
    assert evaluate(model, "evaluate.temperature=0", "--problems", 1, "--out", out)[::2] == (0, "")
    result = json.loads(out.read_text())
    assert result["tasks"].keys() == {"right", "all"}
    assert result["settings"]["evaluate"]["max_new_tokens"] == 37
    assert evaluate(model, "evaluate.temperature=0", "--tasks", problems[1], "--problems", 1, "--out", out)[0] == 0
    result = json.loads(out.read_text())
    assert result["tasks"].keys() == {"wrong", "all"}
    assert result["settings"]["evaluate"]["max_new_tokens"] == 37  # other tasks, but completions as long as in its run
    assert evaluate(model, *GREEDY, "--tasks", problems[1], "--problems", 1, "--out", out)[0] == 0
    assert json.loads(out.read_text())["settings"]["evaluate"]["max_new_tokens"] == 40


@pytest.mark.parametrize(
    ("prompt", "options", "text", "right"),
    [
        ("bare", (), BARE_ANSWER, True),  # up to where the model goes on with a question of its own
        ("r1_zero", ("--contract", "free"), R1_ZERO_ANSWER, True),
        ("r1_zero", ("--contract", "bare"), R1_ZERO_ANSWER, False),  # takes all of it, tags included, for the answer
    ],
)
def test_prompt_and_contract_are_those_asked_for(
    memorised: Path,
    problems: tuple[Path, Path],
    evaluate: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
    prompt: str,
    options: tuple[str, ...],
    text: str,
    right: bool,
) -> None:
    kept = tmp_path / "completions.jsonl"
    arguments = ("--tasks", problems[0], "--problems", 1, "--samples", 1, "--completions", kept, "--prompt", prompt)
    assert evaluate(memorised, *GREEDY, *arguments, *options)[0] == 0
    (row,) = map(json.loads, kept.read_text().splitlines())
    assert (row["completion"], row["right"]) == (text, right)


def test_a_template_of_ones_own_stands_in_place_of_the_prompts(
    memorised: Path, problems: tuple[Path, Path], evaluate: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    template, out, kept = (tmp_path / name for name in ("prompt.txt", "eval.json", "completions.jsonl"))
    template.write_text("Question: {question}\nAnswer:\n")
    arguments = ("--tasks", problems[0], "--problems", 1, "--samples", 1, "--out", out, "--completions", kept)
    assert evaluate(memorised, *GREEDY, *arguments, "--template-file", template)[0] == 0
    assert json.loads(out.read_text())["prompt"] == "r1_zero_own_template"
    (row,) = map(json.loads, kept.read_text().splitlines())
    assert row["completion"].startswith(f"{BARE_ANSWER}\n\nQuestion:")


def test_two_models_are_measured_on_the_same_problems_and_their_difference_is_paired(
    memorised: Path, problems: tuple[Path, Path], evaluate: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    other, out, kept = tmp_path / "other", tmp_path / "eval.json", tmp_path / "completions.jsonl"
    shutil.copytree(memorised, other)
    tasks = ("--tasks", f"{problems[0]},{problems[1]}", "--problems", 2, "evaluate.max_new_tokens=40", "evaluate.temperature=0")
    code, text, _ = evaluate(memorised, *tasks, "--prompt", "r1_zero", "--against", other, "--out", out, "--completions", kept)
    assert code == 0
    result = json.loads(out.read_text())
    assert result["against"]["model"] == str(other)
    assert result["settings"]["evaluate"]["samples"] == 1  # greedy completions are all equal
    assert {task: (row["value"], row["problems"]) for task, row in result["differences"].items()} == {
        "right": (0.0, 1), "wrong": (0.0, 1), "all": (0.0, 2),
    }  # fmt: skip
    assert "paired by problem" in " ".join(text.split())
    rows = [json.loads(line) for line in kept.read_text().splitlines()]
    assert [row["model"] for row in rows] == [str(memorised)] * 2 + [str(other)] * 2
    assert [row["right"] for row in rows] == [True, False] * 2


def test_a_reward_that_raises_is_said_with_its_share_and_its_first_exception(
    memorised: Path, evaluate: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    reward, tasks, out = tmp_path / "reward.py", tmp_path / "mine.jsonl", tmp_path / "eval.json"
    reward.write_text("def judge(completion, problem):\n    return 0.7 if problem['id'] == 'a' else problem['absent']\n")
    lines = [{"id": name, "question": QUESTION, "kind": "custom"} for name in "ab"]
    tasks.write_text("".join(json.dumps(line) + "\n" for line in lines))
    arguments = (memorised, *GREEDY, "--tasks", tasks, "--problems", 2, "--samples", 1, f"rewards.custom={reward}:judge")
    code, text, _ = evaluate(*arguments, "--out", out)
    assert code == 0
    flat = " ".join(text.split())
    assert "50.0 % of the completions have no verdict and are left out of every mean; the first:" in flat
    assert "raised KeyError: 'absent'" in flat
    assert "mean" in flat
    result = json.loads(out.read_text())
    assert result["no_verdict"]["share"] == 0.5
    assert "mine.jsonl, line 2" in result["no_verdict"]["first"]
    assert result["tasks"]["all"]["pass@1"]["value"] == 1.0
    assert result["tasks"]["all"]["score"]["value"] == pytest.approx(0.7)


def test_a_few_shot_prompt_shows_worked_examples() -> None:
    from cogitate.apps.evaluate import FROM_TEXT
    from cogitate.types import Problem

    prompt = FROM_TEXT["few_shot"].prompt_of(Problem("1", "arithmetic", "math", QUESTION))
    assert isinstance(prompt, str)
    assert prompt.count("Question:") == prompt.count("Answer:") == 3
    assert prompt.endswith(f"Question: {QUESTION}\nAnswer:")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--tasks", "aritmetic"), "did you mean arithmetic?"),
        (("--tasks", "nowhere.jsonl"), "nowhere.jsonl"),
        (("base.steps=3",), "base.steps=3: changes nothing in an evaluation"),
        (("rewards.format=3",), "rewards.format=3: changes nothing in an evaluation"),
        (("evaluate.samples=8",), "evaluate.samples=8: changes nothing in an evaluation"),
        (("evaluate.problems=8",), "(how many: --problems and --samples"),
        (("evaluate.consensus_problems=9",), "evaluate.consensus_problems=9: changes nothing in an evaluation"),
        (("evaluate.further=logic",), "evaluate.further=logic: changes nothing in an evaluation"),
        (("evaluate.general_problems=9",), "evaluate.general_problems=9: changes nothing in an evaluation"),
        (("runtime.lora_rank=4",), "runtime.lora_rank=4: changes nothing in an evaluation"),
        (("runtime.gradient_checkpointing=true",), "runtime.gradient_checkpointing=true: changes nothing"),
        (("rewards.parts.reasoning_steps.weight=3",), "weight=3: changes nothing in an evaluation"),
        (
            ("rewards.custom=judge.py:judge",),
            "rewards.custom = 'judge.py:judge': changes nothing, since no problem of tasks.eval",
        ),
        (("evaluate.sample=3",), "did you mean evaluate.samples?"),
        (("evaluate.top_p=3",), "evaluate.top_p = 3"),
        (("--out", "nowhere/at_all.json"), "there is no directory nowhere"),
        (("--out", "/"), "--out /: a directory; name a file"),
        (("--completions", "/tmp"), "--completions /tmp: a directory; name a file"),
        (("--out", "/proc/eval.json"), "--out /proc/eval.json: /proc cannot be written to"),
        (("--out", "x.json", "--completions", "./x.json"), "the same file; name two"),
        (("evaluate.max_new_tokens=150",), "context"),
        (("--samples", "2", "evaluate.temperature=0"), "at temperature 0 all completions of a problem are the same"),
        (("--against", "nowhere/at_all"), "nowhere/at_all: no such directory"),
        (("--problems", "2"), "2 problems cannot be shared out over 4 tasks"),
        (
            ("--prompt", "r1_zero", "--system", "Think."),
            "--system has no effect with --prompt r1_zero: only a chat template has a place for it",
        ),
        (("--prompt", "bare", "--template-file", "x.txt"), "--template-file has no effect with --prompt bare"),
        (("--prompt", "turn", "--template-file", "x.txt"), "--template-file has no effect with --prompt turn"),
        (("--prompt", "turn", "--benchmarks", "gsm8k"), "--prompt turn has no effect with --benchmarks; leave it out"),
        (("--template-file", "nowhere.txt"), "nowhere.txt: cannot be read"),
    ],
)
def test_what_cannot_be_measured_is_one_line_and_exit_code_2(
    memorised: Path, evaluate: Callable[..., tuple[int, str, str]], arguments: tuple[str, ...], says: str
) -> None:
    code, out, err = evaluate(memorised, *arguments)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert says in err


def measured(value: float) -> dict[str, object]:
    return {"value": value, "ci95": [value / 2, value]}


@pytest.mark.parametrize(("samples", "width", "headings"), [(4, 120, 11), (4, 80, 8), (1, 80, 7)])
def test_the_table_fits_the_terminal_and_leaves_out_what_says_nothing(samples: int, width: int, headings: int) -> None:
    from rich.console import Console

    metrics: dict[str, Any] = {column.metric.format(k=samples): measured(1 / 3) for column in COLUMNS}
    metrics |= {"thinking_tokens": measured(1234.0), "problems": 250, "samples": samples}
    screen = io.StringIO()
    Console(file=screen, width=width).print(rich_table({"word_problems": metrics, "all": metrics}, "title", width))
    lines = screen.getvalue().splitlines()
    (row,) = [line for line in lines if line.strip().startswith("Word problems")]
    assert row.split()[2:6] == ["250", "33.3", "16.7-33.3", "33.3" if samples > 1 else "1,234"]
    assert len(row.split()) - 3 == headings
    assert "…" not in screen.getvalue()


def test_puzzles_add_a_table_by_level_and_one_of_their_steps_and_other_tasks_none() -> None:
    from rich.console import Console

    plain: dict[str, Any] = {"pass@1": measured(0.5), "problems": 9}
    levels = {f"pass@1.level_{n}": {**measured(0.1 * n), "problems": 10 + n} for n in (2, 1, 5)}
    steps = {"tries": measured(2.5), "rejecting_rate": measured(0.25), "step_accuracy": measured(1.0)}
    puzzles = {**plain, **levels, "extrapolation": {**measured(0.5), "problems": 15}, **steps}
    assert puzzle_tables({"arithmetic": plain, "all": plain}) == []
    screen = io.StringIO()
    for table in puzzle_tables({"arithmetic": plain, "long_sums": puzzles, "all": puzzles}):
        Console(file=screen, width=80).print(table)
    text = screen.getvalue()
    lines = text.splitlines()
    heads, *_ = [line for line in lines if "level 1" in line]
    assert heads.split() == ["task", "level", "1", "level", "2", "level", "5", "extrapolation"]
    values = [" ".join(line.split()) for line in lines if line.strip().startswith("Long sums")]
    assert values == ["Long sums 10.0 (11) 20.0 (12) 50.0 (15) 50.0 (15)", "Long sums 2.50 25.0 100.0"]
    assert "5.0-10.0" in text
    assert "1.25-2.50" in text
    assert "Arithmetic" not in text
    assert "…" not in text


def test_ctrl_c_ends_with_130_and_leaves_no_process_behind(memorised: Path) -> None:
    command = [sys.executable, "-c", "from cogitate.cli import main; main()", "eval", str(memorised), "--tasks", "arithmetic"]
    process = subprocess.Popen(
        [*command, "--problems", "3000", "evaluate.max_new_tokens=40"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        deadline = time.monotonic() + 120
        while len(workers := psutil.Process(process.pid).children(recursive=True)) < 2:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out, error) == (130, "", "stopped\n")
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert alive == []
