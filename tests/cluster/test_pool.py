"""Deaths of generators as Ray tells them, without a Ray: what is replaced, what is counted, what is asked of a dead one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cogitate.config import ClusterConfig, Config, RuntimeConfig
from cogitate.errors import ClusterError

if TYPE_CHECKING:
    from cogitate.cluster.pool import GeneratorPool

pytestmark = pytest.mark.cluster


class Asked:
    """Stands for Ray's handle of an actor, of its class, or of one of its methods: it keeps nothing."""

    def __getattr__(self, name: str) -> Asked:
        return Asked()

    def __call__(self, *arguments: Any, **options: Any) -> Asked:
        return Asked()


@pytest.fixture
def make_pool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., GeneratorPool]:
    """A pool whose processes are none; `ray.get` is what each test makes of it."""
    import ray

    from cogitate.cluster.pool import GeneratorPool

    def make(check_alive: Callable[[], None] = lambda: None, **settings: Any) -> GeneratorPool:
        config = Config(runtime=RuntimeConfig(backend="ray"), cluster=ClusterConfig(**settings))
        return GeneratorPool(config, logs=tmp_path, directory=tmp_path, say=lambda line: None, check_alive=check_alive)

    for name in ("remote", "kill", "put"):
        monkeypatch.setattr(ray, name, lambda *arguments: Asked())
    monkeypatch.setattr(ray, "wait", lambda calls, **options: (calls, []))
    return make


def raises(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    import ray

    def get(call: Any) -> Any:
        raise error

    monkeypatch.setattr(ray, "get", get)


def test_a_generator_killed_for_memory_or_with_its_node_is_replaced_and_its_death_is_told(
    make_pool: Callable[..., GeneratorPool], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import ray

    pool = make_pool()
    for error in (ray.exceptions.OutOfMemoryError("no memory left"), ray.exceptions.NodeDiedError("the node is gone")):
        raises(monkeypatch, error)
        pool.wait(0)
    rows = [json.loads(line) for line in (tmp_path / "deaths.jsonl").read_text().splitlines()]
    assert [row["cause"] for row in rows] == ["no memory left", "the node is gone"]
    assert not pool.members[0].idle


def test_generators_that_die_together_are_one_loss(
    make_pool: Callable[..., GeneratorPool], monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    pool = make_pool(generators=7, deaths_limit=1)
    raises(monkeypatch, ray.exceptions.ActorDiedError())
    pool.wait(0)
    with pytest.raises(ClusterError, match="2 times in a row generators have died without a completion in between"):
        pool.wait(0)


def test_nothing_is_asked_of_a_ray_that_has_died(
    make_pool: Callable[..., GeneratorPool], monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    said: list[str] = []

    def check_alive() -> None:
        if said:
            raise ClusterError(said[0])

    pool = make_pool(check_alive)
    (member,) = pool.members
    said.append("raylet of our Ray has died")
    for name in ("put", "kill", "wait"):
        monkeypatch.setattr(ray, name, lambda *arguments, **options: pytest.fail("a dead Ray was asked"))
    for ask in (
        lambda: pool.put(b""),
        lambda: pool.wait(0),
        lambda: pool.tell(member, "drop", "name"),
        lambda: pool.ask(member, "x"),
    ):
        with pytest.raises(ClusterError, match="raylet of our Ray has died"):
            ask()
    member.call = None
    with pytest.raises(ClusterError, match="raylet of our Ray has died"):
        pool.begin(member, None)  # type: ignore[arg-type]
    pool.close()
