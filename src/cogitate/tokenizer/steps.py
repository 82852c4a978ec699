"""Where the steps of a completion end: in its own form, token by token, so that reading and sampling agree.

A step ends with a token that ends a sentence, a line or a paragraph, once it has any text. The number of a list ends none: one
of at most two digits at the beginning of a step or a line, or "1." after a colon. After the thinking there are no more ends:
what closes it and the answer are the last step. Whether a token ends a step depends on what stands before it alone; in the form
`sentences` a decimal number is therefore cut at its point. Texts full of decimals are read by lines.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Literal, get_args

from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.thinking_budget import token_bytes

StepForm = Literal["sentences", "lines", "paragraphs"]
FORMS: tuple[StepForm, ...] = get_args(StepForm)
_ENDS: dict[StepForm, re.Pattern[str]] = {
    "sentences": re.compile(r"""(?:[.!?;。！？；]["')\]]*|\n)\s*$"""),
    "lines": re.compile(r"\n\s*$"),
    "paragraphs": re.compile(r"\n[^\S\n]*\n\s*$"),
}
_LIST_NUMBER = re.compile(r"(?:(?:^|\n)\s*\d{1,2}|[:：]\s*1)\.\s*$")
LONGEST = 200  # characters before a token that are looked at


class StepReader:
    """The steps of the completions of one model.

    Attributes:
        pause_ids: the tokens that may end a step: all others do not.
    """

    def __init__(self, tokenizer: Tokenizer, form: StepForm = "sentences"):
        """
        Args:
            tokenizer: with the tags that the model thinks in.
        """
        self.tokenizer, self.form = tokenizer, form
        self._texts = [piece.decode("utf-8", "replace") for piece in token_bytes(tokenizer, tokenizer.vocab_size)]
        self._closes = tokenizer.tags.thinking[1]
        ending = re.compile(r"\n") if form != "sentences" else re.compile(r"[.!?;\n。！？；]")
        self.pause_ids = frozenset(token for token, text in enumerate(self._texts) if ending.search(text))

    def ends_step(self, step_ids: Sequence[int]) -> bool:
        """Whether a step of these tokens, in a thinking that is not closed, ends with the last of them."""
        if not step_ids or step_ids[-1] not in self.pause_ids:
            return False
        text = self.text(step_ids)[-LONGEST:]
        if self._closes in text or not text.strip() or not _ENDS[self.form].search(text):
            return False
        return not _LIST_NUMBER.search(text)

    def ends(self, completion_ids: Sequence[int]) -> tuple[int, ...]:
        """After how many tokens each step of a completion ends; the last one ends with the completion. A rest without text, an
        end token or spaces, belongs to the step before it."""
        found: list[int] = []
        start = 0
        for place, token in enumerate(completion_ids, 1):
            if token not in self.pause_ids:
                continue
            if self.ends_step(completion_ids[start:place]) and not self.closes(completion_ids[:place]):
                found.append(place)
                start = place
        if not found or self.text(completion_ids[start:]).strip():
            return (*found, len(completion_ids)) if completion_ids else ()
        return (*found[:-1], len(completion_ids))

    def closes(self, completion_ids: Sequence[int]) -> bool:
        """Whether the thinking of a completion is closed."""
        return self._closes in self.text(completion_ids)

    def text(self, token_ids: Sequence[int]) -> str:
        """As the model writes it; tokens that hold a part of a character alone are shown as U+FFFD."""
        return self.tokenizer.decode(token_ids)

    def pieces(self, completion_ids: Sequence[int], ends: Sequence[int]) -> list[str]:
        """The text of each step, in R1's tags; together they are the completion's."""
        starts = (0, *ends[:-1])
        whole = [self.text(completion_ids[:end]) for end in (*starts, *ends[-1:])]
        return [self.tokenizer.tags.exchange(after[len(before) :]) for before, after in itertools.pairwise(whole)]
