"""Mathematical answers: is what the completion commits to equal to the reference?

A completion goes one way: `find_answer` finds the place where its answer stands, `read_answer` reads what stands there, and
`grade_math` compares that with the reference. Our own layer reads both sides in full and compares exactly. Where it cannot
read one of them, literal equality counts, then math-verify is asked (library.py), whose "equal" is only believed for texts that
passed our grammar filter. A completion that gives several different answers to a question with one value hedges, and is wrong.
"""

from __future__ import annotations

import re

from cogitate.rewards.answer import Answer, Contract, find_answer, find_boxes, find_statement
from cogitate.rewards.graders.choice import chosen_letter
from cogitate.rewards.graders.exact import foldings, text_candidates
from cogitate.rewards.math.compare import is_undecided, same_answer
from cogitate.rewards.math.library import library_opinion
from cogitate.rewards.math.parser.nodes import Node
from cogitate.rewards.math.reading import Reading, read
from cogitate.rewards.math.statement import read_statement
from cogitate.rewards.verdicts import clip, judged, no_verdict, wrong
from cogitate.types import Verdict

_ALL_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}\.?")
_OPTION = re.compile(r"\(?\s*([A-J])\s*\)?\.?")
_LETTERED = re.compile(r"\(?([A-J])\)\s+(\S.*)", re.DOTALL)  # "(D) Alina"; without a bracket it may be an article or initials
_STYLE = re.compile(
    r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox|operatorname)\b|\\(?:left|right|displaystyle)\b|\\[,;:! ]|[$\s]"
)


def grade_math(prediction: str, gold: str, *, contract: Contract = "r1") -> Verdict:
    """Judge a completion against a reference answer, which may itself hold a box, delimiters or a whole solution."""
    reference = read_gold(gold)
    if not reference.text:
        return no_verdict("the reference answer is empty")
    answer = find_answer(prediction, contract)
    if answer.problem:
        return wrong(answer.problem)
    given = read_answer(answer)
    if answer.alternatives:
        boxes = [read(text) for text in (*answer.alternatives, answer.text)]
        if _is_plural(reference):
            joined = _join(boxes)
            if joined is not None and _equal(reference, joined):
                return judged(True, f"the boxes together equal {clip(reference.text)}", joined.text)
        consistent = all(_equal(given, other) or _equal(reference, other) or _is_part(other, reference) for other in boxes)
        if not consistent:
            return wrong("several different answers are given", given.text)
    equal = not _is_undefined(given) and (_equal(reference, given) or _equal_words(reference, given, answer))
    relation = "equals" if equal else "does not equal"
    why = f": {given.fault}" if given.fault and not equal else ""
    return judged(equal, f"the answer {clip(given.text)!r} {relation} the reference {clip(reference.text)!r}{why}", given.text)


def audit_math(prediction: str, gold: str, *, contract: Contract = "r1") -> dict[str, str | bool] | None:
    """Ask the library about the same two answers; both opinions where they differ or ours is not decided, else None."""
    reference, answer = read_gold(gold), find_answer(prediction, contract)
    if not reference.text or answer.problem:
        return None
    given = read_answer(answer)
    library = library_opinion(_bare(reference.text), _bare(given.text))
    ours: bool | str | None = _equal(reference, given) if reference.trees and given.trees else None
    if ours is False and any(is_undecided(wanted, tree) for wanted in reference.trees for tree in given.trees):
        ours = "not decided"
    if ours != "not decided" and (library is None or ours is None or library == ours):
        return None
    opinion = "no opinion" if library is None else library
    return {"reference": reference.text, "answer": given.text, "ours": ours or False, "library": opinion}


def read_gold(gold: str) -> Reading:
    """The reference: its boxes where it has any, else all of it, else what it states."""
    boxes = find_boxes(gold)
    if boxes:
        joined = _join([read(box, reference=True) for box in boxes])
        return joined if joined is not None else read(boxes[-1], reference=True)
    whole = read(gold.strip(), reference=True)
    if whole.is_value:
        return whole
    announced = find_statement(gold)
    for text in (announced, gold):
        stated = read_statement(text, announced=text is announced, reference=True) if text else whole
        if stated.is_value:
            return stated
    return whole


def read_answer(answer: Answer) -> Reading:
    """What a completion commits to: the marked text as a whole, else the value that its sentence states."""
    if answer.source == "statement":
        return _read_announced(answer)
    whole = read(answer.text)
    if whole.is_value:
        return whole
    if answer.source == "box":  # no sentence, unless it is one: \\boxed{\\text{The answer is 42}}
        words = _ALL_TEXT.fullmatch(answer.text)
        stated = read_statement(words.group(1), announced=False) if words else None
    else:
        stated = read_statement(answer.text, announced=False)
    return stated if stated is not None and stated.trees else whole


def _read_announced(answer: Answer) -> Reading:
    whole = read(answer.text)
    stated = read_statement(answer.text, announced=True, lead=answer.lead)
    return stated if stated.trees or whole.is_value else whole


def _equal(reference: Reading, given: Reading) -> bool:
    """Equal as text, as trees, or in the library's opinion where one of them has no tree."""
    if not reference.text or not given.text:
        return False
    if _folded(reference.text) == _folded(given.text):
        return True
    if reference.trees and given.trees:
        return any(same_answer(wanted, tree) for wanted in reference.trees for tree in given.trees)
    if reference.trees or _is_wordy(reference.text) or _is_wordy(given.text):
        return False  # what we read in the reference we also read in an equal answer
    return library_opinion(_bare(reference.text), _bare(given.text)) is True


def _is_undefined(given: Reading) -> bool:
    return re.search(r"\b(?:NaN|nan|NAN)\b", given.text) is not None


def _folded(text: str) -> str:
    return re.sub(r"(?<!\d) | (?!\d)", "", _STYLE.sub(" ", text).strip()).rstrip(".")


def _bare(text: str) -> str:
    return text.replace("$", "").strip()


def _is_wordy(text: str) -> bool:
    """Words among the formulas: nothing for a library to guess at."""
    plain = re.sub(r"\\[A-Za-z]+", " ", text)
    return re.search(r"[A-Za-z]{3,}|[^\x00-\x7f]", plain) is not None or "\\text" in text


def _equal_words(reference: Reading, given: Reading, answer: Answer) -> bool:
    """References that are words, an option letter, or an option's letter with its text."""
    option = _OPTION.fullmatch(_STYLE.sub("", reference.text))
    if option:
        return chosen_letter(answer.text) == option.group(1)
    lettered = _LETTERED.fullmatch(reference.text)
    if lettered:
        letter, text = lettered.groups()
        return _equal(read(text), given) or _same_words(text, answer) or chosen_letter(answer.text) == letter
    if reference.trees and reference.trees[0].op != "text":
        return False
    return _same_words(reference.text, answer)


def _same_words(wanted: str, answer: Answer) -> bool:
    folded = foldings(wanted)
    return any(foldings(text) & folded for text in text_candidates(answer))


def _is_plural(reference: Reading) -> bool:
    return any(tree.op in ("list", "set", "pm") for tree in reference.trees)


def _join(boxes: list[Reading]) -> Reading | None:
    """Several boxes as one list; equal texts count once."""
    distinct = list({_folded(box.text): box for box in boxes}.values())
    if len(distinct) == 1:
        return distinct[0]
    if not all(box.trees for box in distinct):
        return None
    items: list[Node] = []
    for box in distinct:
        tree = box.trees[0]
        items.extend(tree.args if tree.op == "list" else (tree,))
    return Reading(", ".join(box.text for box in distinct), (Node("list", tuple(items)),))


def _is_part(box: Reading, reference: Reading) -> bool:
    """Whether a box holds one of the several values that are asked for."""
    members = [arg for tree in reference.trees if tree.op in ("list", "set") for arg in tree.args]
    return any(same_answer(member, tree) for member in members for tree in box.trees)
