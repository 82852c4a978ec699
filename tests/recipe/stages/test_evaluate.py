"""Which prompt, format and contract each model of the whole recipe is measured with."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cogitate.backend import Generator
from cogitate.config import Config, StageRow
from cogitate.errors import ConfigError, DataError
from cogitate.evals.forwarding import ForwardingGenerator
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.progress import NullProgress
from cogitate.recipe.recipe import R1, get_graph, graph_of
from cogitate.recipe.settings import load_recipe, make_config
from cogitate.recipe.stage import StageContext, find
from cogitate.recipe.stages.evaluate import askings, files, further_models, general_asking, general_problems, run
from cogitate.runtime import MetricsLog
from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.prompts import R1_INSTRUCTION, instructed, r1_prompt, r1_zero_prompt
from cogitate.train.rollouts import Prompt
from cogitate.types import Artifact, Completion, Message, Problem

QUESTION = Problem("1", "sums", "math", "How many is 1+1?", gold="2")
WRITING = Problem("2", "general", "general", "Write a line about a cat.")
THREE = ["r1_zero_template", "few_shot", "bare_question"]
CHAT = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"


@pytest.fixture
def directory(tmp_path: Path, micro_tokenizer: Tokenizer) -> Path:
    micro_tokenizer.save(tmp_path)
    return tmp_path


def config_of(*overrides: str) -> Config:
    return load_recipe("tiny", ["graph=r1", *overrides])


def text_of(prompt: Prompt, tokenizer: Tokenizer) -> str:
    return prompt if isinstance(prompt, str) else tokenizer.decode(prompt)


def test_twelve_models_are_measured_each_as_it_was_trained(directory: Path) -> None:
    tokenizer = Tokenizer.load(directory)
    config = config_of()
    found = {stage.name: askings(config, R1, stage.name, directory, tokenizer) for stage in R1 if stage.makes_model}
    assert len(found) == 12
    for name, asked in found.items():
        if name in ("base", "student_base_llama", "student_base_qwen"):
            assert [(a.name, a.contract) for a in asked] == [(name, "free") for name in THREE]
            continue
        (asking,) = asked
        zero = name in ("r1_zero", "student_rl_llama", "student_rl_qwen")
        expected = ("r1_zero", "think_answer", "r1") if zero else ("r1", "think_text", "r1")
        assert (asking.name, asking.format, asking.contract) == expected, name
        template = r1_zero_prompt if zero else r1_prompt
        assert text_of(asking.prompt_of(QUESTION), tokenizer) == template(QUESTION.question)


@pytest.mark.parametrize(
    ("name", "asked"), [("base", "conversation"), ("r1_zero", "conversation"), ("r1_dev1", "r1"), ("r1", "r1")]
)
def test_general_prompts_are_put_as_a_plain_turn_to_every_model(directory: Path, name: str, asked: str) -> None:
    tokenizer = Tokenizer.load(directory)
    asking = general_asking(config_of(), R1, name, directory, tokenizer)
    assert (asking.name, asking.stop) == (asked, "\nUser:" if asked == "conversation" else None)
    assert text_of(asking.prompt_of(WRITING), tokenizer) == r1_prompt(WRITING.question)


def test_models_with_a_template_of_their_own_are_asked_through_it_where_they_were_trained_through_it(directory: Path) -> None:
    (directory / "chat_template.jinja").write_text(CHAT)
    tokenizer = Tokenizer.load(directory)
    config = config_of("r1_zero.prompt=chat", "r1_dev2.prompt=chat", "r1.prompt=chat")
    assert [a.name for a in askings(config, R1, "base", directory, tokenizer)] == [*THREE, "chat"]
    assert [a.name for a in askings(config, R1, "student_base_llama", directory, tokenizer)] == THREE
    for name, format in (("r1_zero", "think_answer"), ("r1_dev2", "think_text"), ("r1", "think_text")):
        (asking,) = askings(config, R1, name, directory, tokenizer)
        assert (asking.name, asking.format, asking.contract) == ("chat", format, "r1")
    (dev1,) = askings(config, R1, "r1_dev1", directory, tokenizer)
    assert text_of(dev1.prompt_of(QUESTION), tokenizer) == f"[user]{QUESTION.question}[assistant]"
    (dev2,) = askings(config, R1, "r1_dev2", directory, tokenizer)
    asked = text_of(dev2.prompt_of(QUESTION), tokenizer)
    assert asked == f"[user]{instructed(QUESTION.question, R1_INSTRUCTION)}[assistant]"
    assert Message("user", WRITING.question).content in text_of(
        general_asking(config, R1, "r1", directory, tokenizer).prompt_of(WRITING), tokenizer
    )


EXAMPLE = {"question": "2+2?", "thinking": "2 + 2 = 4", "answer": "4"}


def test_a_base_is_also_scored_at_the_prompt_that_shows_its_rl_the_form_and_at_its_chat_template(directory: Path) -> None:
    tokenizer = Tokenizer.load(directory)
    config = make_config({"graph": "r1", "r1_zero": {"worked_examples": [EXAMPLE], "open_thinking": True}})
    base, (zero,) = (askings(config, R1, name, directory, tokenizer) for name in ("base", "r1_zero"))
    assert [asking.name for asking in base] == [*THREE, "r1_zero_1_examples_opened"]
    assert (zero.name, zero.format, zero.contract) == ("r1_zero_1_examples_opened", "think_answer", "r1")
    assert zero.prompt_of(QUESTION) == base[-1].prompt_of(QUESTION)
    asked = text_of(zero.prompt_of(QUESTION), tokenizer)
    assert asked.endswith(f"<answer> 4 </answer>User: {QUESTION.question}\nAssistant: <think>")
    (directory / "chat_template.jinja").write_text(CHAT)
    names = [asking.name for asking in askings(config, R1, "base", directory, tokenizer)]
    assert names == [*THREE, "chat", "r1_zero_1_examples_opened"]
    assert [asking.name for asking in askings(config, R1, "student_base_llama", directory, tokenizer)] == THREE


def test_a_base_is_scored_at_the_prompts_of_every_rl_that_starts_from_it(directory: Path) -> None:
    tokenizer = Tokenizer.load(directory)
    rows = [StageRow(name=name, kind="rl_zero", needs=("base",)) for name in ("a", "b", "c", "d", "e")]
    shown = {"a": [EXAMPLE], "b": [{**EXAMPLE, "question": "3+1?"}], "c": [EXAMPLE], "d": []}
    shown["e"] = shown["b"]
    table = {"graph": "own", "stages": [row.model_dump() for row in rows], "inputs": {"base": "given"}}
    config = make_config({**table, **{name: {"worked_examples": examples} for name, examples in shown.items()}})
    names = [asking.name for asking in askings(config, graph_of(config), "base", directory, tokenizer)]
    assert names == [*THREE, "r1_zero_1_examples", "r1_zero_1_examples_b"]


def test_in_any_graph_a_model_is_asked_as_its_own_stage_trained_it(directory: Path) -> None:
    tokenizer = Tokenizer.load(directory)
    rows = [
        StageRow(name="early_rl", kind="reasoning_rl", needs=("base",)),
        StageRow(name="sft", kind="fine_tune", needs=("early_rl", "talk")),
        StageRow(name="zero", kind="rl_zero", needs=("sft",)),
        StageRow(name="dpo", kind="dpo", needs=("zero", "pairs")),
    ]
    given = {"base": "given", "talk": "given", "pairs": "given"}
    config = make_config({"graph": "own", "stages": [row.model_dump() for row in rows], "inputs": given})
    graph = graph_of(config)
    formats = {row.name: [a.format for a in askings(config, graph, row.name, directory, tokenizer)] for row in rows}
    assert formats == {"early_rl": ["think_text"], "sft": ["think_text"], "zero": ["think_answer"], "dpo": ["think_text"]}
    assert [a.name for a in askings(config, graph, "base", directory, tokenizer)] == THREE


def test_further_problems_are_for_all_models_of_a_graph_without_the_usual_three(tmp_path: Path) -> None:
    config = make_config({"graph": "r1_zero", "evaluate": {"further": "logic"}})
    assert further_models(config, graph_of(config)) == ["base", "r1_zero"]
    config = make_config({"graph": "r1", "evaluate": {"further": "logic"}})
    assert further_models(config, graph_of(config)) == ["base", "r1_zero", "r1"]


def test_models_are_asked_and_read_as_their_rl_has_it_and_the_base_is_too(directory: Path) -> None:
    (directory / "chat_template.jinja").write_text(CHAT)
    tokenizer = Tokenizer.load(directory)
    tags = ["<reasoning>", "</reasoning>"]
    config = make_config(
        {
            "graph": "r1",
            "r1_zero": {"template": "Q: {question}", "thinking_tags": tags},
            "r1": {"prompt": "chat", "system_prompt": "Think.", "worked_examples": [EXAMPLE]},
        }
    )
    base, (zero,), (last,) = (askings(config, R1, name, directory, tokenizer) for name in ("base", "r1_zero", "r1"))
    assert [asking.name for asking in base] == [*THREE, "chat", "r1_zero_own_template_own_tags"]
    assert (zero.name, zero.tags.thinking) == ("r1_zero_own_template_own_tags", tuple(tags))
    assert (base[-1].tags, base[0].tags.thinking[0]) == (zero.tags, "<think>")
    assert zero.prompt_of(QUESTION) == base[-1].prompt_of(QUESTION) == f"Q: {QUESTION.question}"
    assert general_asking(config, R1, "r1_zero", directory, tokenizer).tags == zero.tags
    assert last.name == "chat_system_1_examples"
    assert text_of(last.prompt_of(QUESTION), tokenizer).startswith("[system]Think.[user]2+2?")


def test_further_problems_get_columns_beside_the_table_and_only_for_the_models_named(digit_model: Path, tmp_path: Path) -> None:
    paths = {name: tmp_path / f"{name}.jsonl" for name in ("mine", "other")}
    for name, path in paths.items():
        rows = [{"question": f"Say a number, {name} {n}.", "answer": "7", "kind": "exact"} for n in range(8)]
        path.write_text("\n".join(map(json.dumps, rows)))
    config = make_config(
        {
            "graph": "r1",
            "tasks": {"train": "arithmetic", "eval": str(paths["mine"])},
            "evaluate": {"problems": 5, "samples": 2, "max_new_tokens": 3, "further": str(paths["other"]),
                         "further_problems": 3, "further_models": "r1"},
            "rewards": {"workers": 1},
        }
    )  # fmt: skip
    results = {}
    for model in ("r1_dev1", "r1"):
        out, backend = tmp_path / model, LocalBackend(config)
        for folder in (out, tmp_path / "checkpoint"):
            folder.mkdir(exist_ok=True)
        context = StageContext(
            f"evaluate.{model}", R1, backend, MetricsLog(out / "metrics.jsonl"), tmp_path / "checkpoint", NullProgress()
        )
        run(config, {model: Artifact(model, "", digit_model)}, out, context)
        backend.close()
        results[model] = json.loads((out / "evaluation.json").read_text())
    assert results["r1_dev1"].keys() == {"mine", "all"}
    assert results["r1"].keys() == {"mine", "all", "other"}
    assert (results["r1"]["all"]["problems"], results["r1"]["other"]["problems"]) == (5, 3)
    rows = [json.loads(line) for line in (tmp_path / "r1" / "completions.jsonl").read_text().splitlines()]
    assert Counter(row["task"] for row in rows) == {"mine": 10, "other": 6}
    wrong = config.model_copy(update={"evaluate": config.evaluate.model_copy(update={"further_models": "r1_one"})})
    with pytest.raises(ConfigError, match=r"evaluate\.further_models: no model here is called r1_one; models are base"):
        find(get_graph("r1"), "evaluate.base").check(wrong, get_graph("r1"))


def test_what_was_drawn_before_a_kill_is_not_drawn_again(digit_model: Path, tmp_path: Path) -> None:
    config = make_config(
        {
            "graph": "r1",
            "tasks": {"train": "arithmetic", "eval": "arithmetic"},
            "evaluate": {"problems": 6, "samples": 2, "max_new_tokens": 3},
            "runtime": {"max_batch": 2},
            "rewards": {"workers": 1},
        }
    )

    class Drawing(ForwardingGenerator):
        """Counts completions, and fails where the next one would be too many."""

        def poll(self) -> list[Completion]:
            found = super().poll()
            drawn.extend(completion.seed for completion in found)
            if len(drawn) > most:
                raise KeyboardInterrupt
            return found

    class Backend(LocalBackend):
        def generator(self, model: Path) -> Generator:  # type: ignore[override]
            return Drawing(super().generator(model))

    def evaluate(name: str) -> dict[str, bytes]:
        out, checkpoint, backend = tmp_path / name, tmp_path / f"{name}-checkpoint", Backend(config)
        for folder in (out, checkpoint):
            folder.mkdir(exist_ok=True)
        metrics = MetricsLog(out / "metrics.jsonl")
        try:
            run(
                config, {"r1": Artifact("r1", "", digit_model)}, out,
                StageContext("evaluate.r1", R1, backend, metrics, checkpoint, NullProgress()),
            )  # fmt: skip
        finally:
            backend.close()
        return {path.name: path.read_bytes() for path in sorted(out.iterdir())}

    drawn, most = list[int](), 1000
    whole = evaluate("whole")
    every = sorted(drawn)
    drawn, most = [], 5
    with pytest.raises(KeyboardInterrupt):
        evaluate("killed")
    assert 0 < len(drawn) < len(every)
    most = 1000
    assert evaluate("killed") == whole
    assert len(drawn) <= len(every) + 2  # the batch under way at the kill


def test_problems_that_are_too_long_at_any_prompt_are_left_out_at_all_of_them_and_counted(
    digit_model: Path, tmp_path: Path
) -> None:
    rows = [{"question": f"{'Say a number. ' * times}", "answer": "7", "kind": "exact"} for times in (1, 2, 60, 70)]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))

    def evaluate(*settings: str) -> dict[str, Any]:
        evaluation = ["evaluate.problems=4", "evaluate.samples=2", "evaluate.max_new_tokens=3", "rewards.workers=1"]
        config = config_of(f"tasks.eval={tmp_path / 'mine.jsonl'}", "tasks.train=arithmetic", *evaluation, *settings)
        backend, out = LocalBackend(config), tmp_path / f"out{len(settings)}"
        out.mkdir()
        context = StageContext("evaluate.r1", R1, backend, MetricsLog(out / "metrics.jsonl"), tmp_path, NullProgress())
        try:
            return run(config, {"r1": Artifact("r1", "", digit_model)}, out, context)
        finally:
            backend.close()

    with pytest.raises(
        DataError, match=r"2 prompts and max_new_tokens = 3 do not fit .*line 3: \d+ tokens; .*line 4: \d+ tokens"
    ):
        evaluate()
    summary = evaluate("tasks.too_long=drop")
    assert summary["too_long"]["left_out"] == 2
    assert "mine.jsonl, line 3" in summary["too_long"]["first"]
    assert json.loads((tmp_path / "out1" / "evaluation.json").read_text())["all"]["problems"] == 2


def test_general_prompts_come_from_the_evaluation_split_and_are_the_same_for_every_seed() -> None:
    asked = general_problems(config_of("evaluate.general_problems=30"))
    assert len(asked) == 30
    assert {p.kind for p in asked} == {"general", "safety"}
    assert asked == general_problems(config_of("evaluate.general_problems=30", "seed=7"))
    assert general_problems(config_of("evaluate.general_problems=0")) == []


def test_a_file_of_general_prompts_is_read_where_they_are_asked() -> None:
    stage = find(get_graph("r1"), "evaluate.r1")
    settings = ("tasks.general=general,mine.jsonl", "evaluate.general_problems=5")
    assert files(config_of(*settings), stage) == [Path("mine.jsonl")]
    assert files(config_of(*settings, "evaluate.general_problems=0"), stage) == []


def test_general_prompts_without_a_true_score_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"no problem of tasks\.general = 'arithmetic' has a true score"):
        general_problems(config_of("evaluate.general_problems=5", "tasks.general=arithmetic"))
