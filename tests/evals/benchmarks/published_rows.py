"""Benchmarks in the layouts in which they are published, with rows of our own: what a user's directory looks like."""

from __future__ import annotations

import base64
import csv
import gzip
import json
import pickle
import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cogitate.evals.benchmarks.definition import find_benchmark


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def write_csv(path: Path, rows: list[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def packed_tests(tests: list[dict[str, str]]) -> str:
    """As LiveCodeBench packs private tests."""
    return base64.b64encode(zlib.compress(pickle.dumps(json.dumps(tests)))).decode()


def write_all(root: Path) -> None:
    """Every benchmark, in the layout that its first entry of the table names, one to three rows each."""
    write_parquet(
        root / "openai/gsm8k/main/test-00000-of-00001.parquet",
        [{"question": "Ada has 3 pens and buys 4. How many?", "answer": "3 + 4 = <<3+4=7>>7\n#### 7"},
         {"question": "1,000 and 200 are?", "answer": "So 1,200\n#### 1,200"}],
    )  # fmt: skip
    write_parquet(
        root / "openai/gsm8k/main/train-00000-of-00001.parquet",
        [{"question": f"What is {n} + 1?", "answer": f"{n} + 1 = <<{n}+1={n + 1}>>{n + 1}\n#### {n + 1}"} for n in range(9)],
    )  # fmt: skip
    write_lines(
        root / "HuggingFaceH4/MATH-500/test.jsonl",
        [{"problem": "Half of 1?", "solution": "It is \\boxed{\\frac12}.", "answer": "\\frac{1}{2}", "subject": "Algebra",
          "level": 1, "unique_id": "test/algebra/1.json"}],
    )  # fmt: skip
    write_parquet(
        root / "HuggingFaceH4/aime_2024/data/train-00000-of-00001.parquet",
        [{"id": 60, "problem": "Find x.", "solution": "", "answer": "025", "url": "", "year": "2024"},
         {"id": 61, "problem": "Find y.", "solution": "", "answer": "x + 1", "url": "", "year": "2024"}],
    )  # fmt: skip
    write_lines(root / "math-ai/aime25/test.jsonl", [{"problem": "Find z.", "answer": "70", "id": "0"}])
    (root / "SVAMP.json").write_text(
        json.dumps([{"ID": "chal-1", "Body": "A train has 5 cars", "Question": "How many are 2 trains?", "Equation": "5*2",
                     "Answer": 10.0, "Type": "Multiplication"}])
    )  # fmt: skip
    write_lines(root / "mawps/test.jsonl", [{"input": "2 and 2 are?", "target": 4.0, "type": "addsub"}])
    write_lines(
        root / "datasets/cmath_dev.jsonl", [{"grade": 1, "input": "一加一等于多少？", "golden": "2", "reasoning_step": 1}]
    )
    for language, question in (("de", "Wie viel ist 2 + 3?"), ("zh", "二加三等于多少？")):
        path = root / f"juletxara/mgsm/mgsm_{language}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{question}\t5\n", encoding="utf-8")
    options = [f"option {n}" for n in range(9)]
    write_parquet(
        root / "TIGER-Lab/MMLU-Pro/data/test-00000-of-00001.parquet",
        [{"question_id": 70, "question": "Which?", "options": [*options, "N/A"], "answer": "I", "answer_index": 8,
          "cot_content": "", "category": "law", "src": ""}],
    )  # fmt: skip
    write_csv(
        root / "Idavidrein/gpqa/gpqa_diamond.csv",
        [{"Record ID": "rec1", "Question": "Which particle?", "Correct Answer": "the muon", "Incorrect Answer 1": "the pion",
          "Incorrect Answer 2": "the kaon", "Incorrect Answer 3": "the tau", "High-level domain": "Physics"}],
    )  # fmt: skip
    write_csv(
        root / "val/accountant_val.csv",
        [{"id": "0", "question": "哪一个？", "A": "甲", "B": "乙", "C": "丙", "D": "丁", "answer": "B"}],
    )
    for pattern in find_benchmark("mmlu_stem").layouts[0].files:
        subject = pattern.partition("/")[0]
        write_parquet(
            root / f"cais/mmlu/{subject}/test-00000-of-00001.parquet",
            [{"question": f"Which of {subject}?", "subject": subject, "choices": ["a", "b", "c", "d"], "answer": 3}],
        )
    write_parquet(
        root / "allenai/ai2_arc/ARC-Challenge/test-00000-of-00001.parquet",
        [{"id": "NYSEDREGENTS_1", "question": "Which is water?", "choices": {"text": ["ice", "iron", "gold"],
          "label": ["1", "2", "3"]}, "answerKey": "1"}],
    )  # fmt: skip
    write_lines(
        root / "aqua/test.json",
        [{"question": "x = 2 + 3?", "options": ["A)4", "B)5", "C)6", "D)7", "E)8"], "rationale": "2 + 3 = 5", "correct": "B"}],
    )
    write_lines(
        root / "data/HumanEval.jsonl.gz",
        [{"task_id": "HumanEval/0", "prompt": 'def double(x):\n    """Twice x."""\n', "entry_point": "double",
          "canonical_solution": "    return 2 * x\n",
          "test": "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(-1) == -2\n"},
         {"task_id": "HumanEval/50", "entry_point": "decode", "canonical_solution": "    return [n - 5 for n in x]\n",
          "prompt": "from typing import List\n\n\ndef encode(x: List[int]):\n    return [n + 5 for n in x]\n\n\n"
                    'def decode(x: List[int]):\n    """Undo encode."""\n',
          "test": "def check(candidate):\n    assert candidate(encode([1, 2])) == [1, 2]\n"}],
    )  # fmt: skip
    write_lines(
        root / "mbpp.jsonl",
        [{"task_id": number, "text": "Write a function that adds one.", "code": "def inc(x):\n    return x + 1",
          "test_setup_code": "", "test_list": ["assert inc(1) == 2", "assert inc(5) == 6"]} for number in (2, 11, 511)],
    )  # fmt: skip
    stdin = [{"input": "3\n", "output": "6\n", "testtype": "stdin"}]
    call = [{"input": "[1, 2]\n3", "output": "6", "testtype": "functional"}]
    rows = [
        {"question_id": "abc_a", "question_content": "Double the number.", "starter_code": "", "platform": "atcoder",
         "contest_date": "2024-10-01T00:00:00", "difficulty": "easy", "public_test_cases": json.dumps(stdin),
         "private_test_cases": packed_tests(stdin), "metadata": "{}"},
        {"question_id": "3000", "question_content": "Add all.", "platform": "leetcode", "contest_date": "2024-11-02T00:00:00",
         "starter_code": "class Solution:\n    def addAll(self, nums: List[int], more: int) -> int:\n        ",
         "difficulty": "hard", "public_test_cases": json.dumps(call), "private_test_cases": packed_tests(call),
         "metadata": json.dumps({"func_name": "addAll"})},
        {"question_id": "old", "question_content": "Old.", "starter_code": "", "platform": "atcoder",
         "contest_date": "2024-01-01T00:00:00", "difficulty": "easy", "public_test_cases": json.dumps(stdin),
         "private_test_cases": packed_tests(stdin), "metadata": "{}"},
    ]  # fmt: skip
    write_lines(root / "livecodebench/code_generation_lite/test.jsonl", rows)
    for number in (2, 3, 4, 5):
        path = root / f"livecodebench/code_generation_lite/test{number}.jsonl"
        write_lines(path, [{**rows[0], "question_id": f"abc_{number}"}])
    spans = {"number": "", "date": {"day": "", "month": "", "year": ""}}
    write_parquet(
        root / "EleutherAI/drop/data/validation-00000-of-00001.parquet",
        [{"section_id": "s", "query_id": "q1", "passage": "The Bears scored 3 and 21.", "question": "How many in all?",
          "answer": {**spans, "number": "24", "spans": []},
          "validated_answers": {"number": ["24"], "date": [spans["date"]], "spans": [[]]}},
         {"section_id": "s", "query_id": "q2", "passage": "Ann and Bob won.", "question": "Who won?",
          "answer": {**spans, "spans": ["Ann", "Bob"]},
          "validated_answers": {"number": ["", ""], "date": [spans["date"]] * 2, "spans": [["Ann", "Bob"], ["Ann"]]}}],
    )  # fmt: skip
    write_lines(
        root / "google/IFEval/ifeval_input_data.jsonl",
        [{"key": 1000, "prompt": "Write without commas.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}],
    )
    for task, target in (("boolean_expressions", "True"), ("date_understanding", "(B)"), ("object_counting", "7"),
                         ("dyck_languages", "] )")):  # fmt: skip
        path = root / f"bbh/{task}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"canary": "x", "examples": [{"input": f"What of {task}?", "target": target}]}))
    write_lines(root / "post_train/data/processed/test.jsonl", [{"nums": [3, 4, 5], "target": 35}])
    for people in (2, 3):
        write_lines(
            root / f"K-and-K/knights-and-knaves/test/people{people}_num100.jsonl",
            [{"quiz": "Who is what?", "names": ["Ann", "Bob", "Cyd"][:people], "solution": [True, False, True][:people],
              "index": 0}],
        )  # fmt: skip
    write_lines(
        root / "arena-hard-v0.1/question.jsonl",
        [{"question_id": "u1", "category": "arena-hard-v0.1", "cluster": "x", "turns": [{"content": "Say hello."}]}],
    )
    write_lines(root / "arena-hard-v0.1/baseline.jsonl", [{"id": "u1", "output": "Hello!"}])
    path = root / "tatsu-lab/alpaca_eval/alpaca_eval_gpt4_baseline.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps([{"instruction": "Name a colour.", "output": "Red.", "generator": "g", "dataset": "vicuna"}]))
