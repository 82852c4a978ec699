"""The readers by name. A reader gets one published row and gives the rows of ours that it is: none, one or several.

A row of ours is what `tasks.files.rows` reads; beside it `category` divides results, `worked` is the answer that a solved
example shows, and `date` is what `between` looks at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from cogitate.evals.benchmarks.files import PublishedRow
from cogitate.evals.benchmarks.readers import choice, code, language, maths
from cogitate.evals.benchmarks.readers.maths import Own

Reader = Callable[[PublishedRow], Iterator[Own]]

READERS: Mapping[str, Reader] = {
    reader.__name__: reader
    for reader in (
        maths.gsm8k, maths.math, maths.aime, maths.svamp, maths.mawps, maths.cmath, maths.mgsm,
        choice.mmlu_pro, choice.gpqa, choice.ceval, choice.mmlu, choice.arc, choice.aqua,
        code.humaneval, code.mbpp, code.mbpp_prompts, code.livecodebench,
        language.drop, language.ifeval, language.bbh, language.countdown, language.knights,
        language.arena_hard, language.alpaca,
    )
}  # fmt: skip
