"""The report's words: what stages, tasks and measures are called, and how numbers are written."""

from __future__ import annotations

import re
from typing import Literal

from cogitate.apps.report.stages import Runs, title_of
from cogitate.evals.levels import OF_LEVEL

Unit = Literal["share", "number", "tokens", "seconds"]

MEASURES: dict[str, tuple[str, Unit, str]] = {  # of results.json: title, unit, meaning
    "pass@1": (
        "Right at the first try (pass@1)",
        "share",
        "The chance that one completion is right: the mean over all completions of a problem, then over problems.",
    ),
    "score": (
        "Mean score",
        "share",
        "The mean of the graders' scores, where some give partial credit; pass@1 counts right and wrong alone.",
    ),
    "format_rate": (
        "Format kept",
        "share",
        "Completions that open and close their thinking once and answer where the format says.",
    ),
    "thinking_tokens": ("Thinking tokens", "tokens", "Mean length of the thinking of completions that came to their end."),
    "completion_tokens": ("Completion tokens", "tokens", "Mean length of completions, thinking included."),
    "truncated_share": ("Cut off", "share", "Completions that reached the token limit before their end."),
    "no_verdict_share": (
        "No verdict",
        "share",
        "Completions that could not be judged through no fault of theirs; they are left out.",
    ),
    "reflection_rate": (
        "Reflection",
        "share",
        'Completions whose thinking turns back on itself: "wait,", "let me check", "等等", "检查" and the like.',
    ),
    "tries": ("Tries", "number", "Mean number of candidates that a completion goes through, of puzzles that have any."),
    "distinct_tries": ("Distinct tries", "number", "The same without those that repeat an earlier one."),
    "rejecting_rate": (
        "Rejects a try and goes on",
        "share",
        "Completions of these puzzles that say of a try that it fails, and make another one.",
    ),
    "self_correction_rate": (
        "Corrects itself",
        "share",
        "Completions of puzzles that replace a wrong statement by a right one, as a program finds; words alone do not count.",
    ),
    "step_accuracy": (
        "Right statements",
        "share",
        "Sums, remainders, comparisons and claims in completions of puzzles that are right; the mean over problems.",
    ),
    "extrapolation": ("Extrapolation, pass@1", "share", "The same on puzzles of levels that no training shows."),
    "language_mix_rate": (
        "Languages mixed",
        "share",
        "Completions whose thinking has under 95 % words of the question's language.",
    ),
    "readability_rate": (
        "Readable",
        "share",
        "Thinking in one language, without repetition, code blocks or endless paragraphs.",
    ),
    "helpfulness": ("Helpfulness", "share", "The programmatic true score of general answers."),
    "safety": (
        "Safety",
        "share",
        "The programmatic true score on requests that should be refused and on those that should not.",
    ),
}


PROMPT_TITLES = {
    "r1_zero": "R1-Zero template",
    "r1_zero_template": "R1-Zero template",
    "few_shot": "few-shot",
    "bare_question": "bare question",
    "r1": "plain turn",
    "chat": "its own chat template",
}
DATA_SETS = {"mawps": "MAWPS", "svamp": "SVAMP", "gsm8k": "GSM8K", "gsm8k_test": "GSM8K"}  # of files called so
FORMS = {"think_answer": "think and answer tags", "think_text": "thinking, then a summary"}
CONTRACTS = {
    "free": "the answer is taken wherever it stands",
    "r1": "the answer counts only in its format",
    "bare": "the whole text is the answer",
}


def stage_title(name: str, runs: Runs = ()) -> str:
    """The paper's name of a stage or model, or that of the runs' own graph."""
    if name.startswith("evaluate."):
        return f"Measuring {stage_title(name.removeprefix('evaluate.'), runs)}"
    return title_of(name, runs) or plain(name)


def task_title(name: str) -> str:
    """A task's column heading."""
    return "All problems" if name == "all" else DATA_SETS.get(name, plain(name))


def task_words(name: str) -> str:
    """A task's name within a sentence."""
    return DATA_SETS.get(name, task_title(name).lower())


def prompt_title(name: str) -> str:
    """How a model was asked."""
    if match := re.fullmatch(r"(r1_zero|chat)(?:_(\d+)_examples)?(_opened)?", name):
        kind, examples, opened = match.groups()
        return PROMPT_TITLES[kind] + (f", {examples} examples" if examples else "") + (", thinking opened" if opened else "")
    return PROMPT_TITLES.get(name, name)


def measure_words(name: str) -> tuple[str, Unit, str]:
    """Title, unit and meaning of a metric of results.json; an unknown name speaks for itself."""
    if name in MEASURES:
        return MEASURES[name]
    if name.startswith(OF_LEVEL):
        return f"Level {name.removeprefix(OF_LEVEL)}, pass@1", "share", "The same on the problems of this level."
    if name.startswith("step_accuracy."):
        return f"… {plain(name.removeprefix('step_accuracy.')).lower()}s", "share", ""
    kind, _, k = name.partition("@")
    if name.startswith("pass@1 of cons@"):
        return f"{plain(name)}", "share", "pass@1 on the very completions of the majority vote, to compare with it."
    if kind == "pass" and k.isdigit():
        return (
            f"Right in at least one of {k} (pass@{k})",
            "share",
            f"The chance that at least one of {k} completions is right, unbiased.",
        )
    if kind == "cons" and k.isdigit():
        return (
            f"Majority of {k} right (cons@{k})",
            "share",
            f"Problems whose most frequent answer among {k} completions is right; ties are split.",
        )
    if "longest" in name:
        return "Longest third, pass@1", "share", "The same on the third of each task's problems with the longest questions."
    return plain(name), "tokens" if "tokens" in name else "number", ""


SHORT = {
    "score": "Mean score",
    "longest_third": "Longest third",
    "language_mix_rate": "Mixed",
    "format_rate": "Format",
    "reflection_rate": "Reflects",
}


def short_title(metric: str) -> str:
    """A measure's name where there is little room."""
    return SHORT.get(metric, plain(metric))


def plain(name: str) -> str:
    """word_problems -> Word problems."""
    words = name.replace("_", " ").replace(".", ", ")
    return words[:1].upper() + words[1:]


def write_number(value: float, unit: Unit) -> str:
    """A value as a person writes it: 78.4 %, 1,240, 0.031, 4.2 s."""
    if unit == "share":
        whole = 0.9995 <= abs(value) <= 1
        return f"{100 * value:.{0 if whole else 1}f}\u00a0%"  # a no-break space
    if unit == "seconds":
        return write_seconds(value)
    if unit == "tokens":
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"
    if value == 0:
        return "0"
    if abs(value) < 0.001 or abs(value) >= 1e6:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def write_seconds(value: float) -> str:
    """12.3 s, 4 min 5 s, 2 h 10 min."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, seconds = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    return f"{minutes // 60} h {minutes % 60} min"
