from cogitate.config import Config, RewardsConfig
from cogitate.config.user_files import user_files


def test_settings_that_name_code_of_the_user_are_listed() -> None:
    assert user_files(Config()) == {}
    assert user_files(Config(rewards=RewardsConfig(custom="nowhere.py:judge"))) == {"rewards.custom": "nowhere.py:judge"}
