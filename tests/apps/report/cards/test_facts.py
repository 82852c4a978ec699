"""What the report says of each kind of stage."""

from pathlib import Path

import pytest

from cogitate.apps.report.cards.facts import FACTS, PAGES, method_of
from cogitate.config.methods import METHODS
from cogitate.recipe.recipe import GRAPHS

DOCS = Path(__file__).parents[4] / "docs"
STAGES = {stage.name: stage for graph in ("r1", "r1_pruned_student", "instruct_gpt") for stage in GRAPHS[graph]}


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_of_the_shipped_graphs_has_a_sentence_a_page_and_a_method(name: str) -> None:
    kind = STAGES[name].kind
    facts = FACTS[kind.name]
    assert facts.does.endswith(".")
    assert (DOCS / PAGES.get(name, facts.page)).is_file()
    assert method_of(kind.name, {})
    section = kind.settings or kind.sections[kind.name]  # that of preferences is also read by other kinds
    assert set(facts.settings) <= section.model_fields.keys()


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_told_by_its_title_and_paper(name: str) -> None:
    assert method_of("rl_zero", {"method": name}) == f"{METHODS[name].title} ({METHODS[name].paper})"


def test_a_stage_of_another_kind_has_no_method_that_the_report_knows() -> None:
    assert method_of("somebody_elses", {"method": "grpo"}) == ""
    assert method_of("dpo", {"loss": "conservative_dpo"}) == "conservative dpo (arXiv:2305.18290)"
