"""What is measured of a studio, on a small one."""

import pytest

from benchmarks.speed import studio

pytestmark = [pytest.mark.pages, pytest.mark.timeout(300)]


def test_server_browser_and_memory_are_measured_apart(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("playwright.sync_api", reason="playwright (the extra pages) is not installed")
    monkeypatch.setattr("sys.argv", ["studio", "--items", "30", "--openings", "1", "--decisions", "3"])
    studio.main()
    said = capsys.readouterr().out
    for line in ("server, what it shows first: ", "browser, until the first item: ", "memory of the server: "):
        assert line in said
