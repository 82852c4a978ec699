from cogitate.config import Config, RewardsConfig
from cogitate.config.user_files import user_files


def test_settings_that_name_code_of_the_user_are_listed() -> None:
    assert user_files(Config()) == {}
    rewards = RewardsConfig.model_validate({"custom": "nowhere.py:judge", "parts": {"brevity": {"file": "other.py:brevity"}}})
    named = {"rewards.custom": "nowhere.py:judge", "rewards.parts.brevity.file": "other.py:brevity"}
    assert user_files(Config(rewards=rewards)) == named
