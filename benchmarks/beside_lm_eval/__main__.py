"""`python -m benchmarks.beside_lm_eval MODEL --data DIR --python ENV/bin/python --rows 50 --out DIR`.

lm-eval needs an environment of its own: `python -m venv ENV && ENV/bin/pip install 'lm-eval[hf,ifeval]==0.4.13'`.
One benchmark after the other: comparison.json holds what is compared so far, and the same command goes on from the completions
that both sides have kept. In the end it prints a table and every row on which the two sides differ, with the reason.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.beside_lm_eval.sides import Rows, complete, original_verdict, our_verdict, run_lm_eval, samples_of
from benchmarks.beside_lm_eval.tasks import COMPARISONS, rows_of, write_tasks
from cogitate.evals.metrics import paired_difference
from cogitate.recipe.run_directory.store import load_given
from cogitate.runtime import write_json


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.beside_lm_eval")
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--python", type=Path, required=True, help="of the environment of lm-eval")
    parser.add_argument("--benchmarks", default=",".join(COMPARISONS))
    parser.add_argument("--rows", type=int, default=50)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    chosen = options.benchmarks.split(",")
    if unknown := [name for name in chosen if name not in COMPARISONS]:
        parser.error(f"--benchmarks {unknown[0]}: is not compared; known are {', '.join(COMPARISONS)}")
    rows = {name: rows_of(COMPARISONS[name], options.data, options.rows) for name in chosen}
    out = options.out.resolve()
    names = write_tasks(rows, out / "tasks")
    kept = out / load_given("MODEL", options.model).id
    found: dict[str, list[dict[str, Any]]] = {}
    for name, task in names.items():
        run_lm_eval(options.python.absolute(), options.model.resolve(), task, out / "tasks", kept)
        found[name] = compare(name, options.model, rows[name], kept)
        write_json(out / "comparison.json", found)
    print("\n".join(lines_of(found)))


def compare(name: str, model: Path, rows: Rows, kept: Path) -> list[dict[str, Any]]:
    """One record for each row: both texts, lm-eval's verdict, ours on each text, and the reason of ours.

    Args:
        kept: where lm-eval has written its samples, and our completions are kept.
    """
    comparison = COMPARISONS[name]
    theirs, ours = samples_of(kept, comparison), complete(model, rows, comparison, kept / "ours.jsonl")
    records = []
    for problem, prompt in rows:
        sample, own = theirs[problem.id], ours[problem.id]
        text = sample["text"]
        right = original_verdict(problem, prompt, text) if sample["right"] is None else sample["right"]
        on_theirs, on_ours = (our_verdict(problem, prompt, one) for one in (text, own))
        records.append(
            {
                "id": problem.id,
                "gold": problem.gold,
                "lm_eval_text": text,
                "our_text": own,
                "same_text": text.strip() == own.strip(),
                "lm_eval": right,
                "lm_eval_extracted": sample["extracted"],
                "ours_on_lm_eval_text": on_theirs.value,
                "ours": on_ours.value,
                "reason": on_theirs.reason,
            }
        )
    return records


def lines_of(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """The table, then every difference."""
    lines = [f"{'benchmark':12} {'rows':>5} {'lm-eval':>8} {'ours':>8}  {'same text':>9}  ours less lm-eval on its texts"]
    for name, records in found.items():
        theirs = [[float(one["lm_eval"])] for one in records]
        judged = [[float(one["ours_on_lm_eval_text"] == "right")] for one in records]
        own = sum(one["ours"] == "right" for one in records)
        difference = paired_difference(judged, theirs)
        same = sum(one["same_text"] for one in records)
        lines.append(
            f"{name:12} {len(records):5} {share(sum(one['lm_eval'] for one in records), records):>8} {share(own, records):>8}  "
            f"{same:4} of {len(records)}  {100 * difference.value:+.1f} ({100 * (difference.low or 0):+.1f} to "
            f"{100 * (difference.high or 0):+.1f})"
        )
    for name, records in found.items():
        lines += [line for one in records if (line := explain(name, one))]
    return lines


def share(count: int, records: Sequence[object]) -> str:
    return f"{100 * count / len(records):.1f}"


def explain(name: str, record: Mapping[str, Any]) -> str:
    """Why a row differs; "" where nothing does."""
    where = f"{name} {record['id']}"
    if record["lm_eval"] != (record["ours_on_lm_eval_text"] == "right"):
        said = "right" if record["lm_eval"] else "wrong"
        extracted = f" (it reads {record['lm_eval_extracted']!r})" if record["lm_eval_extracted"] else ""
        return f"{where}: graders: lm-eval says {said}{extracted}, ours {record['ours_on_lm_eval_text']}: {record['reason']}"
    if not record["same_text"]:
        one, other = record["lm_eval_text"].strip(), record["our_text"].strip()
        place = next(
            (n for n, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), min(len(one), len(other))
        )
        return f"{where}: texts part at character {place}: lm-eval {one[place:][:40]!r}, ours {other[place:][:40]!r}"
    return ""


if __name__ == "__main__":
    main()
