"""The graph of a recipe's stages as a picture."""

import re

import pytest

from cogitate.apps.report.figures.graph import ACROSS, DOWN, Node, graph_pictures, place_nodes
from cogitate.recipe.recipe import GRAPHS


def nodes_of(name: str) -> list[Node]:
    return [Node(stage.name, stage.title, stage.needs, not stage.makes_model, "made") for stage in GRAPHS[name]]


@pytest.mark.parametrize("name", GRAPHS)
def test_no_two_stages_share_a_place_and_needs_come_before(name: str) -> None:
    nodes = nodes_of(name)
    placed = place_nodes(nodes)
    assert len(set(placed.values())) == len(nodes)
    assert all(placed[need][0] < placed[node.name][0] for node in nodes for need in node.needs)


def test_a_line_of_models_stays_in_its_lane() -> None:
    placed = place_nodes(nodes_of("r1"))
    assert {placed[name][1] for name in ("base", "r1_zero", "cold_start", "r1_dev1", "r1_dev2", "r1_dev3", "r1")} == {0}
    assert {placed[name][1] for name in ("student_base_llama", "student_rl_llama", "r1_distill_llama")} == {1}


@pytest.mark.parametrize("style", [ACROSS, DOWN])
def test_everything_lies_within_the_picture(style: object) -> None:
    page = graph_pictures(nodes_of("r1"))
    drawn = page.split('class="graph down"')[0 if style is ACROSS else 1]
    width, height = map(float, re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)" role', drawn)[0])
    for x, y, w, h in re.findall(r'<rect x="([\d.-]+)" y="([\d.-]+)" width="([\d.]+)" height="([\d.]+)"', drawn):
        assert 0 <= float(x) <= float(x) + float(w) <= width
        assert 0 <= float(y) <= float(y) + float(h) <= height
    for path in re.findall(r'class="edge"[^>]* d="M([^"]+)"', drawn):
        numbers = list(map(float, re.findall(r"-?[\d.]+", path)))
        assert min(numbers) >= 0
        assert max(numbers[0::2]) <= width
        assert max(numbers[1::2]) <= height


def test_arrows_are_as_many_as_needs_and_boxes_link_to_their_stage() -> None:
    page = graph_pictures(nodes_of("r1"))
    assert page.count('class="edge"') == 2 * sum(len(stage.needs) for stage in GRAPHS["r1"])
    assert page.count('href="#stage-r1_dev3"') == 2
    assert "R1-Dev1 from Base and Cold-start data" in page


def test_a_long_title_is_cut_into_lines_and_hostile_text_stays_text() -> None:
    page = graph_pictures(
        [
            Node("a", "<b>& a title of very many words indeed</b>", (), False, "failed", "1 %"),
            Node("b", "B", ("a",), True, "to do"),
        ]
    )
    assert "<b>" not in page
    assert "failed · 1 %" in page
    assert 'class="node data to-do"' in page
    assert graph_pictures([Node("a", "A", (), False, "made")]) == ""
