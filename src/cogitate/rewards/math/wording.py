"""Words around a value in a sentence: which announce it, which leave it as it is, and which make another statement of it.

A statement is understood where every part of it is (statement.py). These tables are what is understood.
"""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words that deny what their clause says; "if it were 42" is no statement either.
_DENYING = _words(
    """no not never nobody none nothing neither nor without cannot wrong wrongly incorrect incorrectly false falsely mistaken
    mistakenly except excluding instead rather hardly barely impossible or if anything but unlike opposite versus old
    former previous 不是 并非 不等于 没有 除了"""
)
# Words that leave open what the whole sentence says.
_DOUBTING = _words(
    """doubt doubts doubted doubtful maybe perhaps possibly probably presumably unless whether guess guessed guesses imagine
    pretend deny denies denied disagree hypothetically supposedly unlikely uncertain unsure might lie lies lied joke
    joking kidding assuming 可能 也许 或许 假设 除非 大概"""
)
# Words that make another number of the one beside them.
_TRANSFORMING = _words(
    """twice thrice double doubled doubles doubling triple tripled triples quadrupled half halved halves third thirds quarter
    quarters square squared cube cubed root negative negated opposite reciprocal inverse plus minus times multiple
    factorial successor predecessor complement reverse reversed backwards recurring repeating logarithm sine cosine
    tangent hexadecimal octal binary base modulo squaring rounded ish nd rd th less more fewer greater"""
)
_SECOND_THOUGHTS = _words(
    """no not wrong incorrect mistaken false instead rather oops correction scratch sorry joke joking kidding lie lied
    不是 并非"""
)
_ITS_NAMES = _words("answer answers result it this")
NUMBER_WORDS = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18,
    "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80,
    "ninety": 90,
}  # fmt: skip
_WORD = re.compile(
    r"[a-z\u00c0-\u024f]+(?:['’][a-z]+)?|不是|并非|不等于|没有|除了|可能|也许|或许|假设|除非|大概", re.IGNORECASE
)
_CLAUSE = re.compile(
    r"[,;:.!?…，；：。！？]|\b(?:but|so|then|and|therefore|thus|hence|because|since|which|that|donc|et)\b", re.IGNORECASE
)
_NOT_QUITE = re.compile(r"\b(?:could|can|might|may|not|never|n['’]t|cannot|almost|nearly|hardly)\s*$|n['’]t\s*$", re.IGNORECASE)


def words_of(text: str) -> list[str]:
    """The words of a text, folded; "isn't" is "isn't" and "not"."""
    found = [word.casefold() for word in _WORD.findall(text)]
    return found + ["not" for word in found if word.endswith(("n't", "n’t"))]


def is_plain_lead(lead: str) -> bool:
    """Whether what stands before the value, the announcing verb included, lets it stand: a subject and no doubt or denial."""
    clause = set(words_of(_CLAUSE.split(lead)[-1]))
    if clause & _DENYING or _NOT_QUITE.search(lead) or (clause & _TRANSFORMING and clause & _ITS_NAMES):
        return False
    return not _DOUBTING & set(words_of(lead))


def is_plain_name(name: str) -> bool:
    """Whether words name a quantity: `rank A`, but neither `half of it` nor `not the answer`."""
    words = set(words_of(name))
    return not words & (_DENYING | _DOUBTING | _TRANSFORMING)


# Announcing verbs, and what may stand between them and the value.
_VERBS = r"""(?:leaves?|starts?|begins?|ends?|arrives?|opens?|closes?|finishes|meets?)\s+at|is|are|was|were|be|being|equals?
|equaled|becomes?|became|makes?|made|gives?|gave|gets?|got|gotten|obtains?|obtained|yields?|find|finds|found|have|has
|had|leaves?|left|needs?|needed|costs?|takes?|took|earns?|earned|spends?|spent|pays?|paid|saves?|saved|owes?|owed
|weighs?|weighed|measures?|measured|lasts?|lasted|contains?|contained|holds?|requires?|required|uses?|used|produces?
|produced|receives?|received|sells?|sold|buys?|bought|eats?|ate|drinks?|drank|walks?|walked|runs?|ran|drives?|drove
|travels?|traveled|worked|scores?|scored|wins?|won|loses?|lost|collects?|collected|bakes?|baked|plants?|planted|picks?
|picked|totals?|totaled|remains?|see|conclude|compute|calculate|determine|deduce|means?|charges?|charged|raises?
|raised|reads?|(?:adds?|sums?|comes?|came|amounts?|works?|evaluates?|simplif(?:y|ies)|reduces?|falls?|fell|drops?
|dropped|rises?|rose|grows?|grew|goes|went|increases?|increased|decreases?|decreased|leads?|converges?)\s+(?:up\s+
|out\s+|down\s+|back\s+)?to|(?:it|that|there|he|she)['’]s|answer|est|sont|vaut|reste|donne|aura|font|fait|coûte|(?:il
|elle|on)\s+a|es|son|hay|tiene|queda|cuesta|ist|sind|hat|beträgt|kostet"""
_ADVERBS = r"""exactly|only|just|now|still|then|thus|therefore|simply|also|precisely|actually|indeed|clearly|finally|equal\s+to
|a\s+total\s+of|a\s+sum\s+of|in\s+total|left\s+with|to\s+be|together|altogether|that|approximately|déjà|encore|donc|noch|the\s+value
|the\s+number"""
_CHINESE_VERBS = r"[=是为為]|等于|等於|一共有?|总共有?|共有?|还剩下?|剩下|需要|得到?|还?有"
ANNOUNCING = re.compile(
    rf"(?:(?<![\w\\])(?:{_VERBS})(?![\w'’])|:(?=\s)|：|(?:{_CHINESE_VERBS})(?=[-−\s]*(?:[$\\(]|\d)))"
    rf"(?:\s*[,:]?\s*(?:{_ADVERBS})(?![\w'’]))*\s*:?\s*",
    re.IGNORECASE | re.VERBOSE,
)
LEADING_IN = re.compile(
    r"(?:(?:so|thus|hence|therefore|then|and|finally|also|now|ok|okay|well|yes|since|consequently|indeed|that\s+is|i\.e\.|donc|also"
    r"|所以|因此|答)(?![\w'’])[\s,:，：]*)*",
    re.IGNORECASE,
)
CLAUSE_START = re.compile(
    r"(?:[,;]\s*(?:(?:and|so|then|thus|hence|therefore|or\s+equivalently|i\.e\.,?)\s+)?|[。；，]|:\s+)", re.IGNORECASE
)
VALUE_IS_THE_ANSWER = re.compile(
    r"(?P<value>.{1,300}?)\s+(?:is|are|was|must\s+be|would\s+be|will\s+be|should\s+be)\s+(?:indeed\s+|therefore\s+|thus\s+|then\s+)?"
    r"(?:(?:the|our|my|your)\s+(?:(?:only|final|correct|right|required|desired|exact|total|minimum|maximum|unique|full|sought)\s+)*"
    r"(?:answers?|solutions?|results?|values?|total|sum|number|one|choice|ones)|correct|right)\b(?P<tail>.*)",
    re.IGNORECASE | re.DOTALL,
)


# What may stand behind a value.
TAIL_START = re.compile(
    r"(?P<separator>[,;](?=\s|$)|\s+[—–-]\s|[。；，])|\s+\(|\s*[?？!！]"
    r"|\s+(?:because|since|so|which|that|who|when|where|as|in|for|after|on|at|during|by|from|with|within|before|per|each|every|to|of"
    r"|de|des|à|pour|en|dans|par|d['’]ici|total|altogether|overall|too|left|remaining|now|then|today|again|and|or)(?![\w'’])",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"(?:[\s,;.!。！；，*\"'’”)\]-]|\$|\b(?:as\s+(?:required|desired|claimed|expected|needed|requested|wanted|stated|well)|altogether"
    r"|in\s+(?:total|all|the\s+end|fact|this\s+case|simplest\s+form)|total|overall|too|exactly|indeed|give\s+or\s+take\s+nothing"
    r"|q\.?e\.?d|and\s+(?:we\s+are|i\s+am|that\s+is)\s+(?:done|it|all)|respectively|left(?:\s+over)?|remaining|now|then|today|again"
    r"|(?:each|every|per|a)\s+(?:day|week|month|year|hour|minute|one|person|time|student|child|box|bag|item)|each)\b)*",
    re.IGNORECASE,
)
_CLAUSE_BEHIND = re.compile(
    r"\s*,?\s*(?:so|since|because|which|that|who|as|where|with|making|meaning|giving|leaving|when|while)\b[^\d\\$?？]*",
    re.IGNORECASE,
)
_COMMENT_BEHIND = re.compile(r"\s*[,;]\s*(?:and|for|in|at|on|after|by|to)\s+(?!then\b)[a-z][^\d\\$?？]*", re.IGNORECASE)
_APPROXIMATION = re.compile(
    r"\s*[,;]?\s*\(?(?:i\.?\s?e\.?,?|that\s+is,?|or|≈)?\s*(?:about|approximately|roughly|≈|\\approx)"
    r"\s*\$?[-\d.,]+\$?\)?\s*\.?",
    re.IGNORECASE,
)
_CIRCUMSTANCE = re.compile(
    r"\s*(?:in|for|after|on|at|during|within|before|with|per|each|every|to|of|by|from|à|pour|en|dans|d['’]ici|de|des|par)(?![\w'’])"
    r"(?:[^\d?？$\\]|\$[A-Za-z]\$)*(?:(?:in|for|after|within|during|over|d['’]ici|en|pendant)\s+\d{1,4}\s+"
    r"(?:seconds?|minutes?|hours?|days?|weeks?|months?|years?|jours?|mois|ans?)\b[^\d?？$\\]*)?",
    re.IGNORECASE,
)
_NOT_ANOTHER = re.compile(r"\s*,\s*(?:and\s+)?not\s+\$?-?[\d.,/]*\d\$?[.\s]*", re.IGNORECASE)  # "42, not 41"
_PARENTHESIS = re.compile(r"\s*\(([^()]{0,60})\)")


def is_plain_tail(tail: str, *, value: float | None, measured: bool) -> bool:
    """Whether what stands behind the value lets it stand.

    Args:
        value: of a whole number, which may be repeated in words: "25 (twenty-five)".
        measured: the value has a unit; a circumstance may then follow: "220 dollars in 12 months".
    """
    if _CLOSING.fullmatch(tail) or _APPROXIMATION.fullmatch(tail) or _NOT_ANOTHER.fullmatch(tail):
        return True
    parenthesis = _PARENTHESIS.match(tail)
    if parenthesis and value is not None and number_in_words(parenthesis.group(1)) == value:
        return is_plain_tail(tail[parenthesis.end() :], value=value, measured=measured)
    words = words_of(tail)
    if set(words) & (_DENYING | _DOUBTING | _TRANSFORMING):
        return False
    if not measured and (set(words) & NUMBER_WORDS.keys()) - {"one"}:
        return False
    if _CLAUSE_BEHIND.fullmatch(tail) or _COMMENT_BEHIND.fullmatch(tail):
        return True
    closing = _CLOSING.match(tail)
    if closing and closing.end() and _CLAUSE_BEHIND.fullmatch(tail, closing.end()):
        return True
    return measured and _CIRCUMSTANCE.fullmatch(tail) is not None


def is_plain_sequel(sentence: str) -> bool:
    """Whether a sentence behind the stated one lets it stand: no second thought, no denial, no question, no other answer."""
    words = words_of(sentence)
    return not set(words) & _SECOND_THOUGHTS and words[:1] != ["or"] and "?" not in sentence and "？" not in sentence


def number_in_words(text: str) -> int | None:
    """The number that "twenty-five" or "one hundred and five" names; None for anything else."""
    total, group = 0, 0
    words = [word for word in re.split(r"[\s-]+", text.strip().casefold()) if word and word != "and"]
    for word in words:
        if word in NUMBER_WORDS:
            group += NUMBER_WORDS[word]
        elif word == "hundred":
            group *= 100
        elif word in ("thousand", "million"):
            total, group = total + group * (1000 if word == "thousand" else 10**6), 0
        else:
            return None
    return total + group if words else None
