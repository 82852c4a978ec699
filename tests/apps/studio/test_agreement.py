"""Agreement between annotators against numbers worked by hand."""

from typing import Any

import pytest

from cogitate.apps.studio.agreement import agreement, cohens_kappa, krippendorffs_alpha, similarity


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
    found = agreement(decisions(pairs), {})
    assert found["items"] == 180
    edits = {f"e{number}": {"eva": {"do": "edit", "text": "a b"}, "li": {"do": "edit", "text": "a c"}} for number in range(20)}
    found = agreement({**decisions(pairs), **edits}, dict.fromkeys(edits, "a"))
    assert (found["items"], found["same"]) == (200, 170)
    assert found["pairs"] == [{"annotators": ["eva", "li"], "items": 200, "same": 170, "kappa": 0.7391}]
    assert found["alpha"] == 0.7392
    assert (
        found["alpha_kept"] == 0.6808
    )  # 250 kept, 150 rejected: 1 - 0.15 / (1 - (250*249 + 150*149) / (400*399)) = 1 - 0.15 / 0.469925
    assert (found["edits"], found["same_edits"], found["similarity_of_edits"]) == (20, 0, 0.0)


def test_items_of_one_annotator_do_not_count() -> None:
    found = agreement({"x": {"eva": {"do": "accept"}}, "y": {"eva": {"do": "accept"}, "li": {"do": "reject"}}}, {})
    assert (found["items"], found["same"]) == (1, 0)


def test_figures_that_are_not_defined_are_none() -> None:
    assert agreement({}, {})["alpha"] is None
    assert krippendorffs_alpha([["accept", "accept"]]) is None
    assert cohens_kappa([("accept", "accept")]) is None
    assert cohens_kappa([("accept", "reject"), ("reject", "accept")]) == -1.0


def test_alpha_of_three_annotators_with_gaps() -> None:
    """Units aa, ab, bbb; labels: a 3, b 4, n = 7. Observed: unit ab has 2 ordered pairs of unlike labels, over (2 - 1): 2.
    Expected: 2*3*4/(7 - 1) = 4. Alpha = 1 - 2/4 = 0.5."""
    alpha = krippendorffs_alpha([["a", "a"], ["a", "b"], ["b", "b", "b"]])
    assert alpha == pytest.approx(0.5)


def test_alpha_equals_krippendorffs_published_example() -> None:
    """Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), section C: four observers, twelve units, gaps; nominal
    alpha is 0.743. Unit 12 has one value and does not count."""
    observers = ("1 2 3 3 2 1 4 1 2 . . .", "1 2 3 3 2 2 4 1 2 5 . 3", ". 3 3 3 2 3 4 2 2 5 1 .", "1 2 3 3 2 4 4 1 2 5 1 .")
    units = zip(*(observer.split() for observer in observers), strict=True)
    assert krippendorffs_alpha([[value for value in unit if value != "."] for unit in units]) == pytest.approx(0.743, abs=5e-4)


def test_kappa_equals_a_textbook_example() -> None:
    """Two readers of 50 proposals: both yes 20, both no 15, yes/no 5, no/yes 10. Observed 0.7, expected 0.5."""
    pairs = [("yes", "yes")] * 20 + [("no", "no")] * 15 + [("yes", "no")] * 5 + [("no", "yes")] * 10
    assert cohens_kappa(pairs) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("the sum is 7", "the sum is 7", 1.0),
        ("the sum is 7", "the total is 7", 2 / 3),  # -8 +7 and -8 +7 -sum +total: twice 2 in common, of 2 + 4
        ("the sum is 7", "a sum is 8", 0.0),
        ("sum the is 8", "the sum is 8 ", 0.0),  # nothing was added or removed, and the texts differ
    ],
)
def test_edits_are_alike_by_the_words_that_they_changed(one: str, other: str, alike: float) -> None:
    assert similarity("the sum is 8", one, other) == pytest.approx(alike)
