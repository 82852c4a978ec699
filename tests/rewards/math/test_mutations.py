from __future__ import annotations

import pytest

from cogitate.rewards.math.answer import grade_math
from tests.rewards.math.mutations import corpus


def test_rewritten_answers_keep_their_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    rows = corpus()
    equal, unequal = [row for row in rows if row[2]], [row for row in rows if not row[2]]
    assert len(equal) > 800
    assert len(unequal) > 600
    verdicts = {row: grade_math("<think>x</think>\\boxed{" + row[1] + "}", row[0]).value for row in rows}
    missed = [row for row in equal if verdicts[row] != "right"]
    fooled = [row for row in unequal if verdicts[row] == "right"]
    with capsys.disabled():
        print(
            f"\nmutation corpus: {len(missed)} of {len(equal)} equal forms missed ({len(missed) / len(equal):.2%}), "
            f"{len(fooled)} of {len(unequal)} unequal forms passed ({len(fooled) / len(unequal):.2%})"
        )
    assert fooled == []
    assert len(missed) <= 0.01 * len(equal), missed
