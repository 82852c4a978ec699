"""Measured: what a run that has been made says about lengths, steps and numbers of completions, stage by stage."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cogitate.config import Config
from cogitate.errors import ConfigError, DataError
from cogitate.json_lines import read_log

Row = Mapping[str, Any]
USUAL = Path(__file__).with_name("usual.json")  # [{"recipe", "tasks", "figures"}]
LEAST_PROMPT_TOKENS = 10.0
LONGEST_OF_BATCH = 0.97  # share of pairs that are shorter than the longest of some thirty, to which the others are padded
REASONING = "completion_tokens.reasoning"  # of completions that rules judge


@dataclass(frozen=True, slots=True)
class Measured:
    """Stage -> figure -> number.

    Figures: steps, and `steps of NAME` where a stage trains several models; completion_tokens, the mean of all completions;
    completions, of each step of RL, else of the whole stage; tokens_generated, where nothing else is known of them;
    prompt_tokens; updated_share, of completions' tokens those that are learnt from, and most_updated_share, of the step with
    most of them; mixed_tokens and mixed_reasoning_tokens, of completions in steps that models judge in part; of conversations
    row_tokens and row_predicted, of one and of these the assistant's; of an evaluation general_completions and general_tokens,
    of those of general prompts, and judged_tokens, of the others; of preferences their pairs and labels,
    pair_completion_tokens and text_tokens, of a completion without and with its prompt, padding, of the longest of a batch over
    the mean.

    Attributes:
        has_counts: a plan of this very run takes the numbers of completions, too; another plan takes its settings' numbers.
        note: what a reader must know of where they come from.
    """

    figures: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    has_counts: bool = False
    note: str = ""

    def of(self, stage: str, figure: str) -> float | None:
        return self.figures.get(stage, {}).get(figure)

    def count(self, stage: str, figure: str) -> float | None:
        """A figure that settings decide where the plan is not of this very run."""
        return self.of(stage, figure) if self.has_counts else None


def usual_measured(config: Config) -> Measured:
    """Where nothing else is said: what a run of a shipped recipe has measured, of recipes with its tasks and its shipped base.
    Nothing of others."""
    own = () if "base" in config.inputs else json.loads(USUAL.read_text(encoding="utf-8"))
    found = next((each for each in own if each["tasks"] == config.tasks.train), None)
    return Measured(found["figures"], note=f"lengths as a run of {found['recipe']} had them") if found else Measured()


def read_measured(run: Path, *, option: str = "--like", has_counts: bool = False) -> Measured:
    """The figures of each stage of a run directory.

    Raises:
        ConfigError: it is none, or holds no metrics yet.
        DataError: a file of it is damaged.
    """
    logs = sorted(run.glob("*/metrics.jsonl"))
    talks = {log: conversation_figures(log.parent) for log in logs}
    # A prompt of RL is a question as conversations have it, with a template around it.
    asked = [own["row_tokens"] - own["row_predicted"] for own in talks.values() if own]
    least = max(LEAST_PROMPT_TOKENS, min(asked, default=0.0))
    found = {
        log.parent.name: figures_at(log, least) | talks[log] | evaluation_figures(log.parent) | preference_figures(log.parent)
        for log in logs
    }
    if not found:
        raise ConfigError(f"{option} {run}: holds no STAGE/metrics.jsonl; give the directory of a run that has been made")
    return Measured(found, has_counts)


def figures_at(log: Path, least_prompt: float) -> dict[str, float]:
    """Of a stage's log. Raises DataError where its numbers are none."""
    rows = read_log(log)
    try:
        return figures_of(rows, least_prompt)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError) as error:
        raise DataError(f"{log}: its figures cannot be used: {error}") from error


def figures_of(rows: Sequence[Row], least_prompt: float = LEAST_PROMPT_TOKENS) -> dict[str, float]:
    """Of metrics.jsonl: a stage of RL has tokens_generated and completion_tokens, one that collects has sampled. Prompts of RL
    have `least_prompt` tokens or more."""
    figures = {"steps": float(len(rows))} if rows else {}
    figures |= {
        f"steps of {name}": float(count) for name, count in Counter(row["model"] for row in rows if "model" in row).items()
    }
    told = told_of(rows)
    counts = [completions_of(row) for row in told]
    if not told:
        tokens = sum(row["tokens_generated"] for row in rows if is_number(row.get("tokens_generated")))
        return figures | ({"tokens_generated": float(tokens)} if tokens else {})
    known = [count for count in counts if count is not None]
    weights = known if len(known) == len(told) else [1.0] * len(told)
    tokens = sum(weight * row["completion_tokens"] for weight, row in zip(weights, told, strict=True))
    figures["completion_tokens"] = tokens / sum(weights)
    if len(known) == len(told):
        in_steps = all("tokens_generated" in row for row in told)
        figures["completions"] = sum(known) / (len(told) if in_steps else 1)
    trained = [row for row in told if is_number(row.get("tokens_trained"))]
    return figures | learnt_figures(trained, least_prompt) | mixed_figures(trained)


def told_of(rows: Sequence[Row]) -> list[Row]:
    """The rows that are about completions."""
    return [row for row in rows if is_number(row.get("completion_tokens")) and row["completion_tokens"] > 0]


def completions_of(row: Row) -> float | None:
    """How many completions a row is about."""
    if is_number(row.get("sampled")):
        return float(row["sampled"])
    return row["tokens_generated"] / row["completion_tokens"] if is_number(row.get("tokens_generated")) else None


def learnt_figures(rows: Sequence[Row], least_prompt: float) -> dict[str, float]:
    """Prompt tokens and the shares of completions' tokens that are learnt from, of steps of RL: tokens_trained counts the
    prompt of each completion in a group that is not dead.

    Groups that are not dead may be longer or shorter than others, so that the prompts found are a guess.
    """
    if not rows or not all(is_number(row.get("tokens_generated")) for row in rows):
        return {}
    trained = sum(row["tokens_trained"] for row in rows)
    completions = [row["tokens_generated"] / row["completion_tokens"] for row in rows]
    alive = [count * (1 - float(row.get("dead_groups", 0.0))) for count, row in zip(completions, rows, strict=True)]
    generated_alive = sum(count * row["completion_tokens"] for count, row in zip(alive, rows, strict=True))
    prompt = max(least_prompt, (trained - generated_alive) / max(1.0, sum(alive)))
    generated = [row["tokens_generated"] for row in rows]
    learnt = [max(0.0, row["tokens_trained"] - count * prompt) for count, row in zip(alive, rows, strict=True)]
    if not sum(generated):
        return {"prompt_tokens": prompt}
    most = max(part / whole for part, whole in zip(learnt, generated, strict=True) if whole)
    return {
        "prompt_tokens": prompt,
        "updated_share": min(1.0, sum(learnt) / sum(generated)),
        "most_updated_share": min(1.0, most),
    }


def mixed_figures(rows: Sequence[Row]) -> dict[str, float]:
    """Mean tokens of all completions, and of those that rules judge, over the steps that have both these and general ones."""
    both = [row for row in rows if is_number(row.get(REASONING)) and row[REASONING] != row["completion_tokens"]]
    if not both:
        return {}
    return {
        "mixed_tokens": sum(row["completion_tokens"] for row in both) / len(both),
        "mixed_reasoning_tokens": sum(row[REASONING] for row in both) / len(both),
    }


def evaluation_figures(stage: Path) -> dict[str, float]:
    """Of every completion that a stage keeps: an evaluation, a probe, many draws of a few prompts. Those of general prompts are
    counted apart, too: they are asked by themselves, and most of them are short."""
    rows = [row for name in ("completions.jsonl", "votes.jsonl", "draws.jsonl") for row in read_log(stage / name)]
    rows = [row for row in rows if is_number(row.get("tokens"))]
    if not rows:
        return {}
    figures = {"completions": float(len(rows)), "completion_tokens": mean_tokens(rows)}
    general = [row for row in rows if "helpfulness" in row]
    if 0 < len(general) < len(rows):
        figures |= {"general_completions": float(len(general)), "general_tokens": mean_tokens(general)}
        figures["judged_tokens"] = mean_tokens([row for row in rows if "helpfulness" not in row])
    return figures


def mean_tokens(rows: Sequence[Row]) -> float:
    return sum(float(row["tokens"]) for row in rows) / len(rows)


def conversation_figures(stage: Path) -> dict[str, float]:
    """Of conversations that a stage has made: mean tokens of one, and what the assistant says of these."""
    table = stage / "data.parquet"
    if not table.is_file():
        return {}
    from pyarrow.parquet import read_table

    from cogitate.tokenizer.bpe import Tokenizer

    try:
        rows = read_table(table, columns=["messages", "completion_tokens"]).to_pylist()
        tokenizers = sorted(stage.parent.glob("*/tokenizer.json"))  # of any model of the run: they are nearly the same
        if not rows or not tokenizers:
            return {}
        tokenizer = Tokenizer.load(tokenizers[0].parent)
        said = sum(int(row["completion_tokens"]) for row in rows)
        asked = sum(len(tokenizer.encode(str(turn["content"]))) for row in rows for turn in row["messages"][:-1])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{table}: the conversations are damaged: {error}") from error
    return {"row_tokens": (said + asked) / len(rows), "row_predicted": float(said) / len(rows)}


def preference_figures(stage: Path) -> dict[str, float]:
    """Of preferences: how many completions were drawn, how many pairs and labels there are, and how long their texts."""
    counts_file, pairs_file, labels_file = (stage / name for name in ("counts.json", "preferences.parquet", "safety.parquet"))
    figures: dict[str, float] = {}
    try:
        if counts_file.is_file():
            counts = json.loads(counts_file.read_text(encoding="utf-8"))
            labels = counts.get("labels", {})
            drawn = counts["pairs"].get("candidates", 0)  # none where pairs are given
            drawn += labels.get("prompts", 0) + labels.get("harmful_completions_asked_again", 0)
            figures |= {"completions": float(drawn)} if drawn else {}
        if labels_file.is_file():
            figures["labels"] = float(rows_in(labels_file))
        # Texts are counted by the tokenizer of any model of the stage or else of the run: they are nearly the same.
        tokenizers = (*stage.glob("*/tokenizer.json"), *sorted(stage.parent.glob("*/tokenizer.json")))
        if pairs_file.is_file():
            figures["pairs"] = float(rows_in(pairs_file))
            figures |= text_lengths(pairs_file, tokenizers[0].parent) if tokenizers else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{stage}: the record of its preferences is damaged: {error}") from error
    return figures


def rows_in(table: Path) -> int:
    from pyarrow.parquet import ParquetFile

    return int(ParquetFile(table).metadata.num_rows)


def text_lengths(pairs: Path, model: Path) -> dict[str, float]:
    """Mean tokens of completions, and of texts with their prompts."""
    from pyarrow.parquet import read_table

    from cogitate.tokenizer.bpe import Tokenizer

    tokenizer, table = Tokenizer.load(model), read_table(pairs)
    columns = {
        name: [len(tokenizer.encode(str(text))) for text in table[name].to_pylist()]
        for name in ("chosen", "rejected", "prompt")
    }
    completion = (sum(columns["chosen"]) + sum(columns["rejected"])) / max(1, 2 * table.num_rows)
    sizes = [sum(lengths) for lengths in zip(*columns.values(), strict=True)]
    long = sorted(sizes)[int(LONGEST_OF_BATCH * len(sizes))] if sizes else 0
    return {
        "pair_completion_tokens": completion,
        "text_tokens": completion + sum(columns["prompt"]) / max(1, table.num_rows),
        "padding": long * len(sizes) / max(1, sum(sizes)),
    }


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
