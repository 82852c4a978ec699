"""Buckets of rows and blocks."""

from cogitate.engine.steps.regions import bucket


def test_a_bucket_has_room_and_is_two_thirds_full_at_least() -> None:
    assert [bucket(count) for count in (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 17, 24, 25)] == [
        1, 2, 3, 4, 6, 6, 8, 8, 12, 12, 16, 24, 24, 32,
    ]  # fmt: skip
    assert all(count <= bucket(count) < 1.5 * count for count in range(1, 2000))
