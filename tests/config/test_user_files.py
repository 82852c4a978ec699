from pathlib import Path

import pytest

from cogitate.config import Config, EvaluateConfig, RewardsConfig, TasksConfig
from cogitate.config.user_files import check_functions, user_files
from cogitate.errors import ConfigError


def test_settings_that_name_code_of_the_user_are_listed() -> None:
    assert user_files(Config()) == []
    rewards = RewardsConfig.model_validate({"custom": "nowhere.py:judge", "parts": {"brevity": {"file": "other.py:brevity"}}})
    of_rewards = [("rewards.custom", "nowhere.py:judge"), ("rewards.parts.brevity.file", "other.py:brevity")]
    assert user_files(Config(rewards=rewards)) == of_rewards
    tasks = TasksConfig(train="logic, a.py:sums,b.py:sums", eval="mine.jsonl", general="c.py:chats")
    of_tasks = [("tasks.train", "a.py:sums"), ("tasks.train", "b.py:sums"), ("tasks.general", "c.py:chats")]
    further = EvaluateConfig(further="a.py:sums")
    assert user_files(Config(tasks=tasks, rewards=rewards, evaluate=further)) == [
        *of_rewards, *of_tasks, ("evaluate.further", "a.py:sums"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("def juge(completion, problem):\n    return 1.0\n", "has no function judge"),
        ("print('judge')\n", "has no function judge"),
        ("x = 1\ndef judge(:\n", "line 2: "),
    ],
)
def test_a_function_that_a_file_cannot_have_is_refused_unrun(tmp_path: Path, source: str, says: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(source)
    with pytest.raises(ConfigError, match=f"^rewards.custom = .*mine.py.*{says}"):
        check_functions(Config(rewards=RewardsConfig(custom=f"{file}:judge")))
    with pytest.raises(ConfigError, match="there is no file"):
        check_functions(Config(rewards=RewardsConfig(custom=f"{tmp_path}/none.py:judge")))


@pytest.mark.parametrize(
    "source",
    [
        "def judge(completion, problem):\n    return 1.0\n",
        "judge = lambda completion, problem: 1.0\n",
        "from elsewhere import scorer as judge\n",
        "from elsewhere import *\n",
        "if True:\n    class judge: ...\n",
    ],
)
def test_a_function_may_be_bound_in_any_way(tmp_path: Path, source: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(source)
    check_functions(Config(rewards=RewardsConfig(custom=f"{file}:judge")))
