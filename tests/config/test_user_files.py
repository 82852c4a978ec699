from cogitate.config import Config, EvaluateConfig, RewardsConfig, TasksConfig
from cogitate.config.user_files import user_files


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
