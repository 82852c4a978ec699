"""Verifiable instructions (IFEval, arXiv:2311.07911): does a response keep each of the instructions it was given?

The 25 instruction types of the paper, named `group:name` with their arguments as in the data set. All of them must be kept;
the share of kept ones is offered as partial credit. Keywords are taken literally, never as patterns. Sentences and words are
counted by our own rules, so a count at the very edge may differ from NLTK's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cogitate.errors import DataError
from cogitate.rewards.answer import Contract, answer_text
from cogitate.rewards.language import detect_language, language_share
from cogitate.rewards.verdicts import no_verdict, right, wrong
from cogitate.types import Verdict

Check = Callable[[str, Mapping[str, Any]], bool]


def grade_ifeval(
    prediction: str,
    instruction_ids: Sequence[str],
    arguments: Sequence[Mapping[str, Any]],
    *,
    contract: Contract = "r1",
    partial: bool = False,
) -> Verdict:
    """Judge a response by its instructions; the thinking is not looked at.

    Args:
        instruction_ids: e.g. "length_constraints:number_words".
        arguments: one mapping for each instruction; None values count as absent.
        partial: score the share of kept instructions instead of all or nothing.

    Raises:
        DataError: an instruction we do not know, or arguments it does not have.
    """
    if not instruction_ids or len(instruction_ids) != len(arguments):
        raise DataError(f"{len(instruction_ids)} instructions with {len(arguments)} sets of arguments")
    response = answer_text(prediction, contract).strip()
    if not response:
        return wrong("the response is empty")
    broken = []
    for name, given in zip(instruction_ids, arguments, strict=True):
        kept = follows(response, name, given)
        if kept is None:
            return no_verdict(f"{name} cannot be checked here: pip install 'cogitate[language]'")
        if not kept:
            broken.append(name)
    if not broken:
        return right(f"keeps all {len(instruction_ids)} instructions", response)
    share = 1 - len(broken) / len(instruction_ids)
    return wrong(f"breaks {', '.join(broken)}", response, score=share if partial else 0.0)


def follows(response: str, name: str, arguments: Mapping[str, Any]) -> bool | None:
    """Whether a response keeps one instruction; None where a package is missing that would tell."""
    given = {key: stripped(value) for key, value in arguments.items() if value is not None}
    if name == "language:response_language":
        found = detect_language(response, str(given.get("language", "")))
        return None if found is None else found == given.get("language")
    check = CHECKS.get(name)
    if check is None:
        raise DataError(f"instruction {name!r} is unknown; known are {', '.join(CHECKS)}, language:response_language")
    try:
        return check(response, given)
    except KeyError as error:
        raise DataError(f"instruction {name} needs the argument {error.args[0]!r}") from error


def stripped(argument: Any) -> Any:
    """An argument without white space around its words, as the paper's own code takes it."""
    if isinstance(argument, list | tuple):
        return [stripped(item) for item in argument]
    return (argument.strip() or argument) if isinstance(argument, str) else argument


def compare(count: int, relation: str, wanted: int) -> bool:
    """`count` stands in a relation ("at least", "less than", "at most", "more than", "exactly") to `wanted`."""
    match relation:
        case "at least":
            return count >= wanted
        case "less than":
            return count < wanted
        case "at most":
            return count <= wanted
        case "more than":
            return count > wanted
        case "exactly":
            return count == wanted
    raise DataError(f"the relation {relation!r} is unknown")


def sentences(text: str) -> list[str]:
    """Sentences by their closing marks; abbreviations, initials, decimals and list numbers close none."""
    text = re.sub(r"\b(?:Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|No|Jr|Sr|approx|dept|est)\.", lambda m: m.group()[:-1], text)
    text = re.sub(r"(?m)^\s*(?:\d+\.|[-*•]|#+)\s+", "", text)
    text = re.sub(r"\b([A-Z])\.(?=\s?\w)", r"\1", text)
    pieces = re.split(r"(?<=[.!?])[\"'”’)\]*_]*\s+|(?<=[。！？])|\n{2,}", text)
    return [piece for piece in pieces if re.search(r"\w", piece)]


# Checks, in the order of the paper's table


def _keywords(response: str, given: Mapping[str, Any]) -> bool:
    return all(re.search(re.escape(str(word)), response, re.IGNORECASE) for word in given["keywords"])


def _keyword_frequency(response: str, given: Mapping[str, Any]) -> bool:
    count = len(re.findall(re.escape(str(given["keyword"])), response, re.IGNORECASE))
    return compare(count, given["relation"], given["frequency"])


def _forbidden_words(response: str, given: Mapping[str, Any]) -> bool:
    return not any(re.search(rf"\b{re.escape(str(word))}\b", response, re.IGNORECASE) for word in given["forbidden_words"])


def _letter_frequency(response: str, given: Mapping[str, Any]) -> bool:
    return compare(response.casefold().count(str(given["letter"]).casefold()), given["let_relation"], given["let_frequency"])


def _paragraphs(response: str, given: Mapping[str, Any]) -> bool:
    """Paragraphs between `***`; empty ones only at the ends."""
    parts = [part.strip() for part in re.split(r"\s?\*\*\*\s?", response)]
    if any(not part for part in parts[1:-1]):
        return False
    wanted: int = given["num_paragraphs"]
    return sum(bool(part) for part in parts) == wanted


def _words(response: str, given: Mapping[str, Any]) -> bool:
    return compare(len(re.findall(r"\w+", response)), given["relation"], given["num_words"])


def _sentences(response: str, given: Mapping[str, Any]) -> bool:
    return compare(len(sentences(response)), given["relation"], given["num_sentences"])


def _nth_paragraph_first_word(response: str, given: Mapping[str, Any]) -> bool:
    parts = [part.strip() for part in re.split(r"\n\s*\n", response) if part.strip()]
    index = int(given["nth_paragraph"]) - 1
    if len(parts) != given["num_paragraphs"] or not 0 <= index < len(parts):
        return False
    first = re.match(r"[\W_]*([\w’'-]+)", parts[index])
    return first is not None and first.group(1).casefold() == str(given["first_word"]).casefold()


def _postscript(response: str, given: Mapping[str, Any]) -> bool:
    """The marker, wherever in a line it begins a word."""
    marker = str(given["postscript_marker"])
    letters = r"\s?".join(re.escape(letter) + r"\." for letter in re.findall(r"[A-Za-z]", marker)[:-1])
    return re.search(rf"(?i)(?<![^\W_]){letters}\s?{re.escape(marker.rstrip('.')[-1])}\b", response) is not None


def _placeholders(response: str, given: Mapping[str, Any]) -> bool:
    least: int = given["num_placeholders"]
    return len(re.findall(r"\[[^\[\]\n]*\]", response)) >= least


def _bullets(response: str, given: Mapping[str, Any]) -> bool:
    """Lines that begin with one star, or with a dash: by the benchmark's own check a rule of dashes is one, too."""
    wanted: int = given["num_bullets"]
    return sum(len(re.findall(rf"(?m)^\s*{mark}.*$", response)) for mark in (r"\*[^*]", "-")) == wanted


def _title(response: str, given: Mapping[str, Any]) -> bool:
    return any(title.strip() for title in re.findall(r"<<([^\n<>]+)>>", response))


def _constrained_response(response: str, given: Mapping[str, Any]) -> bool:
    return any(phrase in response for phrase in ("My answer is yes.", "My answer is no.", "My answer is maybe."))


def _highlights(response: str, given: Mapping[str, Any]) -> bool:
    spans = re.findall(r"\*\*([^\n*]+)\*\*|(?<!\*)\*([^\n*]+)\*(?!\*)", response)
    least: int = given["num_highlights"]
    return sum(bool((double or single).strip()) for double, single in spans) >= least


def _sections(response: str, given: Mapping[str, Any]) -> bool:
    marker = re.escape(str(given["section_spliter"]))
    least: int = given["num_sections"]
    return len(re.findall(rf"(?<![^\W_]){marker}\s?\d+", response)) >= least


def _json(response: str, given: Mapping[str, Any]) -> bool:
    text = re.sub(r"^```(?:json)?\s*|\s*```$", "", response.strip(), flags=re.IGNORECASE)
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _repeat_prompt(response: str, given: Mapping[str, Any]) -> bool:
    return response.casefold().startswith(str(given["prompt_to_repeat"]).strip().casefold())


def _two_responses(response: str, given: Mapping[str, Any]) -> bool:
    parts = [part.strip() for part in re.split(r"(?<!\*)\*{6}(?!\*)", response)]
    if any(not part for part in parts[1:-1]):
        return False
    filled = [part for part in parts if part]
    return len(filled) == 2 and filled[0] != filled[1]


def _all_capitals(response: str, given: Mapping[str, Any]) -> bool:
    return response.isupper() and _is_english(response)


def _all_lowercase(response: str, given: Mapping[str, Any]) -> bool:
    return response.islower() and _is_english(response)


def _is_english(response: str) -> bool:
    share = language_share(response.lower(), "en")
    return share is not None and share >= 0.8


def _capital_words(response: str, given: Mapping[str, Any]) -> bool:
    count = sum(word.isupper() for word in re.findall(r"\w+(?:[-'’]\w+)*", response))
    return compare(count, given["capital_relation"], given["capital_frequency"])


def _end_phrase(response: str, given: Mapping[str, Any]) -> bool:
    return response.strip().strip('"').casefold().endswith(str(given["end_phrase"]).strip().casefold())


def _quotation(response: str, given: Mapping[str, Any]) -> bool:
    return len(response) > 1 and response.startswith('"') and response.endswith('"')


def _no_comma(response: str, given: Mapping[str, Any]) -> bool:
    return "," not in response


CHECKS: dict[str, Check] = {
    "keywords:existence": _keywords,
    "keywords:frequency": _keyword_frequency,
    "keywords:forbidden_words": _forbidden_words,
    "keywords:letter_frequency": _letter_frequency,
    "length_constraints:number_paragraphs": _paragraphs,
    "length_constraints:number_words": _words,
    "length_constraints:number_sentences": _sentences,
    "length_constraints:nth_paragraph_first_word": _nth_paragraph_first_word,
    "detectable_content:postscript": _postscript,
    "detectable_content:number_placeholders": _placeholders,
    "detectable_format:number_bullet_lists": _bullets,
    "detectable_format:title": _title,
    "detectable_format:constrained_response": _constrained_response,
    "detectable_format:number_highlighted_sections": _highlights,
    "detectable_format:multiple_sections": _sections,
    "detectable_format:json_format": _json,
    "combination:repeat_prompt": _repeat_prompt,
    "combination:two_responses": _two_responses,
    "change_case:english_capital": _all_capitals,
    "change_case:english_lowercase": _all_lowercase,
    "change_case:capital_word_frequency": _capital_words,
    "startend:end_checker": _end_phrase,
    "startend:quotation": _quotation,
    "punctuation:no_comma": _no_comma,
}
