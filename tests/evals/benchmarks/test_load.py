"""Every benchmark in its published layout, with rows that the test writes; and files that are missing, short or damaged."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from cogitate.errors import ConfigError, DataError
from cogitate.evals.benchmarks.definition import benchmark_names, find_benchmark, find_benchmarks
from cogitate.evals.benchmarks.load import Loaded, load_benchmark, spread, subject_of
from cogitate.evals.benchmarks.published import read_published
from cogitate.evals.benchmarks.readers import code
from cogitate.evals.benchmarks.readers.code import read_tests
from cogitate.evals.benchmarks.readers.table import READERS
from cogitate.rewards.code.grader import grade_code
from cogitate.rewards.kinds import check_fields, has_rules
from tests.evals.benchmarks.hub_server import COMMIT, HubServer
from tests.evals.benchmarks.published_rows import packed_tests, write_all, write_csv, write_lines, write_parquet

ASKED_FOR = (
    "aime24,aime25,math500,gpqa,mmlu_pro,drop,livecodebench,humaneval,mbpp,ifeval,gsm8k,svamp,mawps,cmath,mgsm,ceval,mmlu_stem,"
    "arc,aqua,bbh,countdown,knights,arena_hard,alpaca"
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("benchmarks")
    write_all(root)
    return root


def load(name: str, directory: Path, limit: int | None = None) -> Loaded:
    return load_benchmark(find_benchmark(name), directory, partial=True, limit=limit)


def test_the_table_has_every_name_a_reader_for_each_and_the_paper_s_k() -> None:
    assert set(benchmark_names()) == set(ASKED_FOR.split(","))
    found = find_benchmarks(ASKED_FOR)
    assert all(one.reader in READERS and one.licence and one.source and one.about for one in found)
    of_paper = {one.name: one.k for one in found if one.k_source == "paper"}
    assert of_paper == {"aime24": 64, "gpqa": 64, "math500": 16, "livecodebench": 8}
    assert {row.benchmark for row in read_published()} <= set(benchmark_names())


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    files = [tmp_path / folder / "mine.toml" for folder in ("one", "other")]
    for file in files:
        file.parent.mkdir()
        file.write_text(
            'title = "T"\nabout = "A"\nsource = "S"\nlicence = "L"\nreader = "mawps"\n[[layouts]]\nfiles = ["x.jsonl"]\n'
        )
    with pytest.raises(ConfigError, match=r"one/mine.toml and .*other/mine.toml have the same name, mine"):
        find_benchmarks(",".join(map(str, files)))


@pytest.mark.parametrize("name", ASKED_FOR.split(","))
def test_published_rows_become_problems_that_their_grader_accepts(name: str, directory: Path) -> None:
    loaded = load(name, directory)
    assert loaded.problems
    for problem in loaded.problems:
        if has_rules(problem.kind):
            check_fields(problem.kind, {"gold": problem.gold, "language": problem.language, **problem.fields})
    assert sum(file.rows for file in loaded.files) == loaded.rows
    assert all(len(file.sha256) == 64 and not file.name.startswith("/") for file in loaded.files)


@pytest.mark.parametrize(
    ("name", "kind", "gold", "category", "asked"),
    [
        ("gsm8k", "math", "7", "gsm8k", "Ada has 3 pens"),
        ("math500", "math", "\\frac{1}{2}", "Algebra", "Half of 1?"),
        ("aime24", "math", "025", "aime24", "Find x."),
        ("svamp", "math", "10", "Multiplication", "A train has 5 cars. How many are 2 trains?"),
        ("mawps", "math", "4", "addsub", "2 and 2 are?"),
        ("cmath", "math", "2", "grade 1", "一加一"),
        ("mgsm", "math", "5", "de", "Wie viel"),
        ("mmlu_pro", "choice", "I. option 8", "law", "\nI. option 8"),
        ("ceval", "choice", "B. 乙", "other", "\nB. 乙"),
        ("mmlu_stem", "choice", "D. d", "abstract_algebra", "\nD. d"),
        ("arc", "choice", "A. ice", "arc", "\nC. gold"),
        ("aqua", "choice", "B. 5", "aqua", "\nB. 5"),
        ("bbh", "exact", "True", "boolean_expressions", "What of boolean"),
        ("knights", "logic", {"Ann": True, "Bob": False}, "2 people", "Who is what?"),
    ],
)
def test_what_is_asked_and_what_is_right(
    name: str, kind: str, gold: object, category: str, asked: str, directory: Path
) -> None:
    problem = load(name, directory).problems[0]
    assert (problem.kind, problem.gold, problem.task) == (kind, gold, category)
    assert asked in problem.question


def test_the_right_answer_of_gpqa_has_a_letter_that_only_the_question_decides(directory: Path) -> None:
    (problem,) = load("gpqa", directory).problems
    letter = problem.gold[0]
    assert problem.gold[2:] == " the muon"
    assert f"\n{letter}. the muon" in problem.question
    assert load("gpqa", directory).problems == [problem]


def test_programs_have_their_tests_and_rows_outside_the_split_are_left_out(directory: Path) -> None:
    humaneval, _ = load("humaneval", directory).problems
    assert (humaneval.fields["entry_point"], humaneval.fields["mode"]) == ("double", "function")
    (mbpp,) = load("mbpp", directory).problems
    assert (mbpp.id, mbpp.fields["tests"][1]) == ("mbpp-11", {"args": [5], "expected": 6})
    assert "assert inc(5) == 6" in mbpp.question
    by_id = {problem.id: problem for problem in load("livecodebench", directory).problems}
    assert set(by_id) == {"abc_a", "3000", "abc_2", "abc_3", "abc_4", "abc_5"}  # the days of the paper
    assert by_id["abc_a"].fields["tests"] == [{"input": "3\n", "output": "6\n"}] * 2
    method = by_id["3000"].fields
    assert (method["entry_point"], method["prelude"]) == ("addAll", "leetcode")
    assert method["tests"] == [{"args": [[1, 2], 3], "expected": 6}] * 2


def test_a_program_of_humaneval_finds_what_its_prompt_has_before_the_function(directory: Path) -> None:
    plain, decode = load("humaneval", directory).problems
    assert "prelude" not in plain.fields
    given = {key: decode.fields[key] for key in ("tests", "mode", "entry_point", "prelude")}
    whole = "def decode(x: List[int]):\n    return [n - 5 for n in x]"
    assert grade_code(f"```python\n{whole}\n```", **given, weaker_tests=True).value == "right"
    assert grade_code(f"```python\n{whole.replace('5', '4')}\n```", **given, weaker_tests=True).value == "wrong"


def test_a_pickle_that_holds_anything_but_a_text_runs_nothing(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "was_here",))

    import base64
    import zlib

    with pytest.raises(DataError, match="its tests cannot be read: it names"):
        read_tests(base64.b64encode(zlib.compress(pickle.dumps(Evil()))).decode())
    assert not (tmp_path / "was_here").exists()
    assert read_tests(packed_tests([{"input": "1"}])) == [{"input": "1"}]


def test_drop_has_each_reference_once_and_several_spans_are_one_answer(directory: Path) -> None:
    one, other = load("drop", directory).problems
    assert (one.fields["answers"], other.fields["answers"]) == ([["24"]], [["Ann", "Bob"], ["Ann"]])
    assert one.question.startswith("The Bears scored 3 and 21.\n\n")


def test_a_layout_of_drop_that_hides_which_spans_are_one_answer_is_refused(tmp_path: Path) -> None:
    row = {"passage": "Ann and Bob won.", "question": "Who?", "answers_spans": {"spans": ["Ann", "Bob"], "types": ["span"] * 2}}
    write_parquet(tmp_path / "drop/validation-0.parquet", [row])
    with pytest.raises(DataError, match=r"no problem that can be graded.*get EleutherAI/drop"):
        load("drop", tmp_path)


def test_the_original_file_of_drop_has_passages_with_questions_and_validated_answers(tmp_path: Path) -> None:
    none = {"number": "", "date": {"day": "", "month": "", "year": ""}, "spans": []}
    pairs = [
        {"query_id": "a", "question": "How many?", "answer": {**none, "number": "3"},
         "validated_answers": [{**none, "number": "4"}, {**none, "number": "3"}]},
        {"query_id": "b", "question": "When?", "answer": {**none, "date": {"day": "", "month": "May", "year": "1901"}}},
    ]  # fmt: skip
    (tmp_path / "drop_dataset_dev.json").write_text(json.dumps({"nfl_1": {"passage": "P.", "qa_pairs": pairs}}))
    assert [problem.fields["answers"] for problem in load("drop", tmp_path).problems] == [[["3"], ["4"]], [["May 1901"]]]


@pytest.mark.parametrize("written", ["336^\\circ", "$336^\\circ$", "336^{\\circ}", "$336$", "336°", "336"])
def test_an_answer_of_aime_may_have_dollars_and_degrees(written: str, tmp_path: Path) -> None:
    write_lines(tmp_path / "aime25.jsonl", [{"problem": "Find the angle.", "answer": written}])
    assert load("aime25", tmp_path).problems[0].gold == "336"


def test_rows_that_cannot_be_graded_are_counted_with_their_reason(directory: Path) -> None:
    loaded = load("aime24", directory)
    assert (len(loaded.problems), loaded.faults.count) == (1, 1)
    assert "is no whole number from 0 to 999" in loaded.as_json()["ungradable"]["first"]


def test_a_limit_is_spread_over_the_files_and_says_how_many_there_are(directory: Path) -> None:
    loaded = load("bbh", directory, limit=2)
    assert ([problem.task for problem in loaded.problems], loaded.available) == (["boolean_expressions", "dyck_languages"], 4)
    assert spread(loaded.problems, 5) == loaded.problems


def test_solved_examples_come_from_the_published_training_split(directory: Path) -> None:
    benchmark = find_benchmark("gsm8k")
    examples = load_benchmark(benchmark, directory, partial=True, shots=8).examples
    assert examples[1] == ("gsm8k", "What is 1 + 1?", "1 + 1 = 2\nThe answer is 2.")
    with pytest.raises(ConfigError, match=r"9 solved examples in .*, but 12 are asked for"):
        load_benchmark(benchmark, directory, partial=True, shots=12)
    with pytest.raises(ConfigError, match="aime24: no solved examples are published beside it"):
        load_benchmark(find_benchmark("aime24"), directory, partial=True, shots=2)


def test_each_fault_of_the_data_is_one_line(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"aime24: the rows are not in .*: looked for HuggingFaceH4/aime_2024/data/train-\*\.parquet or"
    ):
        load_benchmark(find_benchmark("aime24"), tmp_path)
    with pytest.raises(DataError, match=r"looked for cais/mmlu/abstract_algebra/test-\*\.parquet and 17 more or mmlu_stem/"):
        load_benchmark(find_benchmark("mmlu_stem"), tmp_path)
    with pytest.raises(DataError, match="2 rows, but GSM8K has 1319: truncated, or a part; --partial-data"):
        load_benchmark(find_benchmark("gsm8k"), directory)
    write_lines(tmp_path / "aime25.jsonl", [{"problem": f"{n}?", "answer": "1"} for n in range(31)])
    with pytest.raises(DataError, match="31 rows, but AIME 2025 has 30: changed, or another split"):
        load("aime25", tmp_path)
    (tmp_path / "aime25.jsonl").write_text('{"problem": "1?", "answer": "1"}\n{"problem": "2?", "ans')
    with pytest.raises(DataError, match=r"aime25\.jsonl, line 2: not JSON"):
        load("aime25", tmp_path)
    broken = tmp_path / "gsm8k/main/test-00000-of-00001.parquet"
    broken.parent.mkdir(parents=True)
    broken.write_bytes((directory / "openai/gsm8k/main/test-00000-of-00001.parquet").read_bytes()[:-40])
    with pytest.raises(DataError, match="truncated or damaged"):
        load("gsm8k", tmp_path)


@pytest.mark.parametrize("at", [12, 40])
def test_a_damaged_gz_is_one_line(at: int, directory: Path, tmp_path: Path) -> None:
    content = bytearray((directory / "data/HumanEval.jsonl.gz").read_bytes())
    content[at : at + 8] = b"\xff" * 8
    (tmp_path / "HumanEval.jsonl.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"HumanEval\.jsonl\.gz: truncated or damaged|HumanEval\.jsonl\.gz, line"):
        load("humaneval", tmp_path)


def test_a_damaged_parquet_file_is_one_line(directory: Path, tmp_path: Path) -> None:
    content = bytearray((directory / "openai/gsm8k/main/test-00000-of-00001.parquet").read_bytes())
    content[len(content) // 4 : -12] = b"\xff" * (len(content) - 12 - len(content) // 4)
    (tmp_path / "gsm8k/main").mkdir(parents=True)
    (tmp_path / "gsm8k/main/test-0.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"test-0\.parquet: truncated or damaged"):
        load("gsm8k", tmp_path)


@pytest.mark.parametrize(
    ("name", "file", "row"),
    [
        ("mbpp", "mbpp.jsonl", {"task_id": "x", "text": "?", "test_list": []}),  # ValueError
        ("bbh", "bbh/t.json", {"input": 3, "target": None}),
        ("arena_hard", "arena-hard-v0.1/question.jsonl", {"question_id": 1, "turns": 7}),  # TypeError
        ("arc", "arc_challenge/test.jsonl", {"question": "?", "choices": {"label": ["A"]}, "answerKey": "A"}),  # KeyError
        ("ifeval", "input_data.jsonl", {"prompt": "?", "instruction_id_list": ["x"], "kwargs": ["x"]}),  # AttributeError
        ("drop", "drop_dataset_dev.json", {"passage": ".", "qa_pairs": [{"question": "?"}]}),  # KeyError
    ],
)
def test_a_row_of_other_types_is_one_line_with_file_and_row(
    name: str, file: str, row: dict[str, object], tmp_path: Path
) -> None:
    write_lines(tmp_path / file, [row])
    with pytest.raises(DataError, match=rf"has no problem that can be graded; the first: .*{Path(file).name}, row 1: "):
        load(name, tmp_path)


def test_tests_of_livecodebench_are_not_unpacked_for_other_days_and_bounded(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = sorted((directory / "livecodebench/code_generation_lite").glob("*.jsonl"))
    row = json.loads(files[0].read_text().splitlines()[0])
    others = [
        {**row, "question_id": "old", "contest_date": "2024-01-01T00:00:00", "private_test_cases": "damaged"},
        {**row, "question_id": "damaged", "private_test_cases": "damaged"},
        {**row, "question_id": "list", "private_test_cases": packed_tests([7])},  # type: ignore[list-item]
        {**row, "question_id": "large", "private_test_cases": packed_tests([{"input": "1" * 9000}])},
    ]
    for number, file in enumerate(files):
        write_lines(tmp_path / "livecodebench" / file.name, others if number == 0 else [row])
    monkeypatch.setattr(code, "MOST_BYTES", 5000)
    loaded = load("livecodebench", tmp_path)
    assert (loaded.rows, loaded.faults.count, len(loaded.problems)) == (8, 3, 1)  # the others are one question
    assert "its tests cannot be read" in loaded.faults.first[0][1]
    assert "truncated, or more than" in loaded.faults.first[2][1]


def test_a_layout_that_is_not_the_benchmark_s_own_says_how_it_differs(tmp_path: Path) -> None:
    write_lines(tmp_path / "zh/mgsm_7lang.jsonl", [{"id": 1, "en": "1 + 1?", "answer": 2}])
    data = load("mgsm", tmp_path).as_json()
    assert (data["layout"], data["differs"]) == ("zh/mgsm_7lang.jsonl", "English and six of the ten other languages")


def test_solved_examples_of_c_eval_are_those_of_a_subject(directory: Path, tmp_path: Path) -> None:
    cells = {"A": "a", "B": "b", "C": "c", "D": "d", "answer": "B"}
    for kind, subjects in (("val", ["accountant"]), ("dev", ["accountant", "physician"])):
        for subject in subjects:
            write_csv(tmp_path / f"{kind}/{subject}_{kind}.csv", [{"id": "0", "question": f"{subject}?", **cells}])
    loaded = load_benchmark(find_benchmark("ceval"), tmp_path, partial=True, shots=1)
    assert [subject for subject, _, _ in loaded.examples] == ["accountant", "physician"]
    assert [file.name for file in loaded.example_files] == ["dev/accountant_dev.csv", "dev/physician_dev.csv"]
    assert subject_of(loaded.problems[0]) == "accountant"


@pytest.fixture
def hub(directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub with the published rows, and a cache of its own."""
    server = HubServer(directory)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    yield server
    server.close()


def test_a_data_set_of_the_hub_is_fetched_with_the_checksums_of_its_files_and_its_commit(
    hub: HubServer, directory: Path
) -> None:
    fetched, local = (load_benchmark(find_benchmark("gsm8k"), place, partial=True, shots=1) for place in (None, directory))
    assert [problem.question for problem in fetched.problems] == [problem.question for problem in local.problems]
    told = fetched.as_json()
    assert (told.pop("commit"), fetched.files[0].rows) == (COMMIT, 2)
    assert told == {key: value for key, value in local.as_json().items() if key != "commit"}


def test_a_data_set_that_the_hub_does_not_have_or_not_any_more_is_one_line(hub: HubServer) -> None:
    benchmark = find_benchmark("math500")
    layout = benchmark.layouts[0]
    gone = benchmark.model_copy(update={"layouts": (layout.model_copy(update={"hub": "nobody/nothing"}),)})
    with pytest.raises(DataError, match=r"math500: the hub cannot give nobody/nothing: .*or give --data DIR") as error:
        load_benchmark(gone, None)
    assert "\n" not in str(error.value)
    moved = benchmark.model_copy(update={"layouts": (layout.model_copy(update={"files": ("moved.jsonl",)}),)})
    with pytest.raises(DataError, match=r"HuggingFaceH4/MATH-500 has no moved\.jsonl any more; give --data DIR"):
        load_benchmark(moved, None)
    with pytest.raises(DataError, match="svamp: the rows are not on the hub as published; get them from"):
        load_benchmark(find_benchmark("svamp"), None)


def test_unknown_names_are_one_line_with_the_nearest_known() -> None:
    with pytest.raises(ConfigError, match="benchmark 'gsm9k' is unknown; did you mean gsm8k"):
        find_benchmarks("math500,gsm9k")
    with pytest.raises(ConfigError, match="math500 stands there twice"):
        find_benchmarks("math500,math500")


def test_a_benchmark_of_one_s_own_is_one_file(tmp_path: Path) -> None:
    table = tmp_path / "mine.toml"
    text = 'title = "Mine"\nabout = "."\nsource = "."\nlicence = "MIT"\nreader = "{}"\n[[layouts]]\nfiles = ["mine.jsonl"]\n'
    table.write_text(text.format("mawps"))
    write_lines(tmp_path / "mine.jsonl", [{"input": "2 and 3 are?", "target": 5}])
    assert load_benchmark(find_benchmark(str(table)), tmp_path).problems[0].gold == "5"
    other = tmp_path / "other.toml"
    other.write_text(text.format("maps"))
    with pytest.raises(ConfigError, match="other: there is no reader 'maps'"):
        load_benchmark(find_benchmark(str(other)), tmp_path)
    other.write_text(text.format("mawps") + 'licenses = "x"\n')
    with pytest.raises(ConfigError, match=r"other\.toml: unknown key .*licenses"):
        find_benchmark(str(other))


def test_a_benchmark_of_one_s_own_cannot_have_the_name_of_one_of_the_package(tmp_path: Path) -> None:
    (tmp_path / "gsm8k.toml").write_text("")
    with pytest.raises(ConfigError, match=r"gsm8k\.toml: gsm8k is a benchmark of this package"):
        find_benchmark(str(tmp_path / "gsm8k.toml"))


SHARED = {
    "gsm8k": 675, "math500": 250, "svamp": 492, "mawps": 1059, "cmath": 281, "mgsm": 966, "humaneval": 79, "mbpp": 255,
    "mmlu_stem": 1523, "arc": 615, "aqua": 114, "bbh": 1530, "countdown": 259, "knights": 152, "ifeval": 255, "arena_hard": 254,
}  # fmt: skip


@pytest.mark.parametrize("name", SHARED)
def test_real_rows_can_all_be_graded(name: str) -> None:
    if "COGITATE_DATA" not in os.environ:
        pytest.skip("COGITATE_DATA is not set: the public data sets are not here")
    loaded = load(name, Path(os.environ["COGITATE_DATA"]))
    assert (len(loaded.problems), loaded.faults.count) == (SHARED[name], 0)
