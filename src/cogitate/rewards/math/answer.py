"""Mathematical answers: is what the completion commits to equal to the reference?

Our own layer reads both sides in full and compares exactly. Where it cannot read one of them, literal equality counts, then
math-verify is asked (library.py), whose "equal" is only believed for texts that passed our grammar filter. A completion
that gives several different answers to a question with one value hedges, and is wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cogitate.rewards.answer import Answer, Contract, find_answer, find_boxes, find_statement, strip_markdown
from cogitate.rewards.graders.choice import chosen_letter
from cogitate.rewards.graders.exact import foldings, text_candidates
from cogitate.rewards.math.compare import same_answer
from cogitate.rewards.math.library import library_opinion
from cogitate.rewards.math.parser.nodes import QUALIFYING_WORDS, RELATIONS, Node
from cogitate.rewards.math.parser.syntax import parse
from cogitate.rewards.math.parser.tokens import NotMathError
from cogitate.rewards.math.statement import find_value
from cogitate.rewards.verdicts import clip, judged, no_verdict, wrong
from cogitate.types import Verdict

_DECIMAL_COMMA = re.compile(r"\s*\$?\s*[-+]?\d+,(\d+)\s*\$?\s*")
_EUROPEAN = re.compile(r"\s*\$?\s*[-+]?\d{1,3}(?:\.\d{3})+,\d\d?\s*\$?\s*")  # 1.234,50
_THOUSANDS = re.compile(r"\s*\$?\s*[-+]?\d{1,3}(?:,\d{3})+\s*\$?\s*")
LONG_REFERENCE = 100  # characters; a longer reference that is no formula is a solution, not an answer in words
_NAMED = re.compile(r"([^=0-9,;<>~!≠^+*/-][^=0-9,;<>~!≠]{0,79})=([^=<>~]+)")
_ALL_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}\.?")
_RELATION_NAMES = frozenset(RELATIONS) | {"neg", "lnot", "nexists", "notin", "pm", "mp"}
_OPTION = re.compile(r"\(?\s*([A-J])\s*\)?\.?")
_LETTERED = re.compile(r"\(?([A-J])\)\s+(\S.*)", re.DOTALL)  # "(D) Alina"; without a bracket it may be an article or initials
_STYLE = re.compile(
    r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox|operatorname)\b|\\(?:left|right|displaystyle)\b|\\[,;:! ]|[$\s]"
)


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer as text and, where we can read it, as trees (more than one where the text is ambiguous: 1,22)."""

    text: str
    trees: tuple[Node, ...]
    fault: str = ""


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
    """Ask the library about the same two answers; both opinions where they differ, None where they agree or it has none."""
    reference, answer = read_gold(gold), find_answer(prediction, contract)
    if not reference.text or answer.problem:
        return None
    given = read_answer(answer)
    library = library_opinion(_bare(reference.text), _bare(given.text))
    ours = _equal(reference, given) if reference.trees and given.trees else None
    if library is None or ours is None or library == ours:
        return None
    return {"reference": reference.text, "answer": given.text, "ours": ours, "library": library}


def read(text: str, *, least_decimals: int = 1) -> Reading:
    """Parse one answer; a comma between digits may be a decimal comma where `least_decimals` digits follow it."""
    text = strip_markdown(text)
    trees: list[Node] = []
    fault = ""
    try:
        trees.append(parse(text))
    except NotMathError as error:
        fault = str(error)
        trees.extend(_named_value(text))
    comma = _DECIMAL_COMMA.fullmatch(text)
    if comma and len(comma.group(1)) >= least_decimals and not _THOUSANDS.fullmatch(text):
        trees.append(parse(text.replace(",", ".")))
    if _EUROPEAN.fullmatch(text):
        trees.append(parse(text.replace(".", "").replace(",", ".")))
    return Reading(text, tuple(trees), fault)


def _named_value(text: str) -> list[Node]:
    """`rank A = 2`: the value of something whose name we do not read, where the name holds no number and no doubt."""
    named = _NAMED.fullmatch(text)
    if named is None or not _is_readable_name(named.group(1)):
        return []
    try:
        return [parse(named.group(2))]
    except NotMathError:
        return []


def _is_readable_name(name: str) -> bool:
    words = set(re.findall(r"[a-z']+", name.casefold()))
    whole = name.count("(") == name.count(")") and name.count("[") == name.count("]") and name.count("|") % 2 == 0
    return whole and re.search(r"[\w)\]}|']\s*$", name) is not None and not words & (QUALIFYING_WORDS | _RELATION_NAMES)


def read_gold(gold: str) -> Reading:
    """The reference: its boxes where it has any, else all of it, else what it announces."""
    boxes = find_boxes(gold)
    if boxes:
        joined = _join([read(box) for box in boxes])
        return joined if joined is not None else read(boxes[-1])
    whole = read(gold.strip(), least_decimals=2)  # 3,7 is a list of two values
    if whole.trees and whole.trees[0].op != "text":
        return whole
    stated = find_statement(gold)
    for text in (stated, find_value(stated, announced=True) if stated else None, find_value(gold, announced=False)):
        if text and (found := read(text)).trees and (stated or len(gold) > LONG_REFERENCE):
            return found
    return whole


def read_answer(answer: Answer) -> Reading:
    """What a completion commits to: the marked text as a whole, else (not in a box) the value its sentence states."""
    whole = read(answer.text)
    if answer.source == "box" and whole.trees and whole.trees[0].op == "text":
        return _announced_in_box(answer.text) or whole
    if answer.source == "box" or (whole.trees and whole.trees[0].op != "text"):
        return whole
    announced = answer.source == "statement"
    text = answer.text
    if answer.source in ("answer tag", "text"):
        stated = find_statement(answer.text)
        announced, text = stated is not None, stated or answer.text
        if stated and read(stated).trees:
            return read(stated)
    value = find_value(text, announced=announced)
    if value is None and answer.source == "statement":
        value = find_value(answer.region, announced=False)
    return read(value) if value is not None else whole


def _announced_in_box(text: str) -> Reading | None:
    """`\\boxed{\\text{The answer is 42}}`."""
    words = _ALL_TEXT.fullmatch(text)
    stated = find_statement(words.group(1)) if words else None
    value = find_value(stated, announced=True) if stated else None
    return read(value) if value else None


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
