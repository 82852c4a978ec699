"""Settings of the laptop's backend."""

import pytest

from cogitate.config import Config, RuntimeConfig
from cogitate.recipe.local_backend import LocalBackend
from cogitate.recipe.run_directory.store import SHIPPED


@pytest.mark.parametrize("asked", [False, True])
def test_generators_draft_where_the_setting_asks_for_it(asked: bool) -> None:
    config = Config(runtime=RuntimeConfig(speculative=asked))
    assert (LocalBackend(config).generator(SHIPPED / "base").speculation is not None) == asked


@pytest.mark.parametrize("asked", [0, 5])
def test_generators_draft_by_lookup_where_the_setting_asks_for_it(asked: int) -> None:
    lookup = LocalBackend(Config(runtime=RuntimeConfig(ngram_drafts=asked))).generator(SHIPPED / "base").lookup
    assert (lookup.most if lookup is not None else 0) == asked
    assert RuntimeConfig(ngram_drafts=asked).identity() == RuntimeConfig().identity()


def test_two_kinds_of_drafts_are_refused() -> None:
    with pytest.raises(ValueError, match="ngram_drafts has no effect with speculative=true"):
        RuntimeConfig(ngram_drafts=3, speculative=True)


def test_drafts_change_no_completion_and_so_no_artifact_id() -> None:
    assert RuntimeConfig(speculative=True).identity() == RuntimeConfig(speculative=False).identity()


def test_generators_keep_prefixes_where_the_setting_asks_for_it() -> None:
    backend = LocalBackend(Config(runtime=RuntimeConfig(prefix_cache=3)))
    prefixes = backend.generator(SHIPPED / "base").prefixes
    assert prefixes is not None
    assert prefixes.max_bytes == 3 << 20
    assert RuntimeConfig(prefix_cache=3).identity() == RuntimeConfig().identity()


def test_prefixes_and_drafts_together_are_refused() -> None:
    with pytest.raises(ValueError, match="prefix_cache has no effect with speculative=true"):
        RuntimeConfig(prefix_cache=3, speculative=True)
