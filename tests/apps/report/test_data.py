"""What the pages of a report read of a run."""

from cogitate.apps.report.data import beside_their_whole


def test_a_part_of_a_measure_stands_after_the_measure_and_its_other_parts() -> None:
    found = ["pass@1", "tries", "step_accuracy", "step_accuracy.equation", "no_verdict_share", "step_accuracy.claim"]
    wanted = ["pass@1", "tries", "step_accuracy", "step_accuracy.equation", "step_accuracy.claim", "no_verdict_share"]
    assert beside_their_whole(found) == wanted
