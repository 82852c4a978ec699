"""Which settings of a judge are refused."""

from pathlib import Path
from typing import Any

import pytest

from cogitate.config import JudgeConfig
from cogitate.errors import CheckpointError, ConfigError
from cogitate.rewards.judge.settings import check_judge, judge_files
from cogitate.tokenizer.bpe import Tokenizer

URL = "http://localhost:8000/v1"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rubric": "rhymes"}, "judge.rubric: changes nothing without judge.model"),
        ({"parallel": 9}, "judge.parallel: changes nothing without judge.model"),
        ({"base_url": URL}, "judge.model: give the endpoint's name"),
        ({"base_url": "localhost", "model": "big"}, "must begin with http"),
        ({"base_url": URL, "model": "big", "verdict_at_once": True}, "judge.verdict_at_once: a server cannot be asked so"),
        ({"model": "nowhere"}, "judge.model = 'nowhere': no model directory"),
    ],
)
def test_half_a_judge_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_judge(JudgeConfig(**settings))


def test_a_judge_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        check_judge(JudgeConfig(model=str(tmp_path)))


def test_no_judge_and_a_whole_one_are_accepted(tmp_path: Path, micro_tokenizer: Tokenizer) -> None:
    check_judge(JudgeConfig())
    check_judge(JudgeConfig(base_url=URL, model="big", per_minute=30))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("")
    micro_tokenizer.save(tmp_path)
    own = JudgeConfig(model=str(tmp_path))
    check_judge(own)
    names = {file.name for file in judge_files(own)}
    assert {"config.json", "tokenizer.json"} <= names
    assert "notes.txt" not in names
    with pytest.raises(ConfigError, match=r"judge.seconds_limit: changes nothing without judge.base_url"):
        check_judge(own.model_copy(update={"seconds_limit": 3.0}))


def test_equal_judgements_are_not_asked_for_twice() -> None:
    with pytest.raises(ValueError, match="at temperature 0 equal judgements are equal"):
        JudgeConfig(temperature=0)
    JudgeConfig(temperature=0, judgements=2)


def test_a_recipe_without_a_judge_has_the_ids_it_had() -> None:
    assert JudgeConfig().identity() == {}
    assert JudgeConfig(base_url=URL, model="big", parallel=9).identity() == {"base_url": URL, "model": "big"}
