"""docs/python.md against `import cogitate`: its example runs, and every name is on it."""

import re
from pathlib import Path

import pytest

import cogitate

PAGE = (Path(__file__).parents[1] / "docs" / "python.md").read_text(encoding="utf-8")


def test_every_name_is_documented() -> None:
    documented = {name.partition(".")[0] for name in re.findall(r"^::: cogitate\.([\w.]+)$", PAGE, re.MULTILINE)}
    assert documented == set(cogitate.__all__)


@pytest.mark.slow
def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    exec(code, {})
    assert capsys.readouterr().out.splitlines()[0].startswith("[")
