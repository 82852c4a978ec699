"""Agreement between annotators against numbers worked by hand."""

from typing import Any

import pytest

from cogitate.apps.studio.agreement import agreement, cohens_kappa, krippendorffs_alpha


def decisions(pairs: list[tuple[str, str]]) -> dict[str, dict[str, Any]]:
    return {f"i{number}": {"eva": {"do": first}, "li": {"do": second}} for number, (first, second) in enumerate(pairs)}


def test_figures_of_two_hundred_items_equal_those_worked_by_hand() -> None:
    """eva and li: 90 times both accept, 60 both reject, 20 both edit, 20 accept/reject, 10 reject/accept.

    Cohen: observed 170/200 = 0.85. eva accepts 110, rejects 70, edits 20; li accepts 100, rejects 80, edits 20. Expected:
    (110*100 + 70*80 + 20*20) / 200^2 = 17000/40000 = 0.425. Kappa = (0.85 - 0.425) / (1 - 0.425) = 0.425/0.575 = 0.7391.
    Krippendorff: of 400 labels 210 accept, 150 reject, 40 edit. Disagreement observed: 30 of 200 pairs = 0.15; expected:
    1 - (210*209 + 150*149 + 40*39) / (400*399) = 1 - 67800/159600 = 0.575188. Alpha = 1 - 0.15/0.575188 = 0.7392.
    """
    pairs = (
        [("accept", "accept")] * 90 + [("reject", "reject")] * 60 + [("accept", "reject")] * 20 + [("reject", "accept")] * 10
    )
    found = agreement(decisions(pairs))
    assert found["items"] == 180
    edits = {f"e{number}": {"eva": {"do": "edit", "text": "a b"}, "li": {"do": "edit", "text": "a c"}} for number in range(20)}
    found = agreement({**decisions(pairs), **edits})
    assert (found["items"], found["same"]) == (200, 170)
    assert found["pairs"] == [{"annotators": ["eva", "li"], "items": 200, "same": 170, "kappa": 0.7391}]
    assert found["alpha"] == 0.7392
    assert (found["edits_by_several"], found["similarity_of_edits"]) == (20, 0.6667)


def test_items_of_one_annotator_do_not_count() -> None:
    found = agreement({"x": {"eva": {"do": "accept"}}, "y": {"eva": {"do": "accept"}, "li": {"do": "reject"}}})
    assert (found["items"], found["same"]) == (1, 0)


def test_figures_that_are_not_defined_are_none() -> None:
    assert agreement({})["alpha"] is None
    assert krippendorffs_alpha([["accept", "accept"]]) is None
    assert cohens_kappa([("accept", "accept")]) is None
    assert cohens_kappa([("accept", "reject"), ("reject", "accept")]) == -1.0


def test_alpha_of_three_annotators_with_gaps() -> None:
    """Units aa, ab, bbb; labels: a 3, b 4, n = 7. Observed: unit ab has 2 ordered pairs of unlike labels, over (2 - 1): 2.
    Expected: 2*3*4/(7 - 1) = 4. Alpha = 1 - 2/4 = 0.5."""
    alpha = krippendorffs_alpha([["a", "a"], ["a", "b"], ["b", "b", "b"]])
    assert alpha == pytest.approx(0.5)
