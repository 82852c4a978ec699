from collections.abc import Sequence

import pytest

from cogitate.errors import ConfigError
from cogitate.recipe.recipe import GRAPHS, get_graph, select
from cogitate.recipe.stage import Kind, Stage

MODEL = Kind("model", "", settings=None, reads=())
DATA = Kind("data", "", settings=None, reads=(), makes="metrics")

R1_LIKE = (
    Stage("base", MODEL),
    Stage("evaluate.base", DATA, ("base",)),
    Stage("r1_zero", MODEL, ("base",)),
    Stage("evaluate.r1_zero", DATA, ("r1_zero",)),
    Stage("data", DATA, ("base", "r1_zero")),
    Stage("dev", MODEL, ("base", "data")),
    Stage("evaluate.dev", DATA, ("dev",)),
    Stage("student", MODEL, ("data",)),
    Stage("evaluate.student", DATA, ("student",)),
)


def names(stages: Sequence[Stage]) -> list[str]:
    return [stage.name for stage in stages]


def test_every_model_of_a_graph_is_followed_by_its_evaluation() -> None:
    assert names(get_graph("r1_zero")) == ["base", "evaluate.base", "r1_zero", "evaluate.r1_zero"]


@pytest.mark.parametrize("name", GRAPHS)
def test_in_every_graph_needs_come_first(name: str) -> None:
    seen: set[str] = set()
    for stage in get_graph(name):
        assert set(stage.needs) <= seen
        seen.add(stage.name)


def test_without_a_choice_everything_runs() -> None:
    assert names(select(R1_LIKE)) == names(R1_LIKE)


def test_until_takes_what_the_stage_is_made_from_and_the_evaluations_of_that() -> None:
    assert names(select(R1_LIKE, until="r1_zero")) == ["base", "evaluate.base", "r1_zero", "evaluate.r1_zero"]


def test_until_an_evaluation_takes_no_other_evaluation() -> None:
    assert names(select(R1_LIKE, until="evaluate.base")) == ["base", "evaluate.base"]
    assert names(select(R1_LIKE, until="evaluate.r1_zero")) == ["base", "r1_zero", "evaluate.r1_zero"]


def test_only_takes_the_stage_and_its_direct_inputs() -> None:
    assert names(select(R1_LIKE, only="dev")) == ["base", "data", "dev"]


def test_nothing_is_made_merely_to_make_what_is_given() -> None:
    assert names(select(R1_LIKE, until="student", given=["data"])) == ["data", "student", "evaluate.student"]
    assert names(select(R1_LIKE, until="dev", given=["data"])) == ["base", "evaluate.base", "data", "dev", "evaluate.dev"]


def test_an_unknown_stage_or_graph_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="r1_zeroo: no such stage in this graph; did you mean r1_zero"):
        select(R1_LIKE, until="r1_zeroo")
    with pytest.raises(ConfigError, match="baze: no such stage"):
        select(R1_LIKE, given=["baze"])
    with pytest.raises(ConfigError, match="did you mean r1_zero"):
        get_graph("r1zero")


def test_only_and_until_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match="exclude each other"):
        select(R1_LIKE, only="dev", until="dev")
