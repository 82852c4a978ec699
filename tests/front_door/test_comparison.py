from pathlib import Path

import cogitate
from tests.apps.synthetic_run import write_run


def test_runs_and_directories_are_compared(tmp_path: Path) -> None:
    one, two = write_run(tmp_path / "one"), write_run(tmp_path / "two", seed=1)
    text = cogitate.compare(cogitate.Run(one), two).text()
    assert str(one) in text
    assert "r1_zero" in text
