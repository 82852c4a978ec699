import pytest

from cogitate.errors import ConfigError
from cogitate.web.rules import Rules, host_allowed, is_loopback

KEY = {"api": "sixteen-chars-at-least"}


def test_an_address_that_others_reach_needs_a_key() -> None:
    with pytest.raises(ConfigError, match=r"host 0\.0\.0\.0: other machines could ask without a key; give a key"):
        Rules(host="0.0.0.0")
    Rules(host="0.0.0.0", keys=KEY, key_required=True)


def test_a_short_key_is_good_for_this_machine_alone() -> None:
    Rules(keys={"api": "short"}, key_required=True)
    with pytest.raises(ConfigError, match="the key of 'api' has 5 characters: at least 16 where others can ask"):
        Rules(host="192.168.1.2", keys={"api": "short"}, key_required=True)


@pytest.mark.parametrize("key", ["", "two words and more of them", "schl\u00fcssel-schl\u00fcssel"])
def test_a_key_that_cannot_be_sent_is_refused(key: str) -> None:
    with pytest.raises(ConfigError, match="the key of 'api' must be printable ASCII without spaces"):
        Rules(keys={"api": key})


@pytest.mark.parametrize("origin", ["*", "https://x.example/", "x.example", "ftp://x.example", "null"])
def test_an_origin_that_is_none_is_refused(origin: str) -> None:
    with pytest.raises(ConfigError, match="must be like https://chat"):
        Rules(origins=frozenset({origin}))


def test_where_others_can_ask_any_address_is_a_host_but_only_known_names() -> None:
    rules = Rules(host="0.0.0.0", names=frozenset({"Box.example"}), keys=KEY, key_required=True)
    hosts = ["10.0.0.7:8000", "[fe80::1]:8000", "box.example", "evil.example"]
    assert [host_allowed(host, rules) for host in hosts] == [True, True, True, False]
    assert not host_allowed("10.0.0.7", Rules())


def test_loopback_addresses() -> None:
    hosts = ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "0.0.0.0", "10.1.1.1", "example.org"]
    assert [is_loopback(host) for host in hosts] == [True, True, True, True, True, False, False, False]


def test_keys_are_not_shown() -> None:
    assert KEY["api"] not in repr(Rules(keys=KEY))
