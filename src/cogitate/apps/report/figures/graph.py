"""The graph of a recipe's stages as inline SVG: from left to right where there is room, from top to bottom on a phone.

A stage stands one level beyond the last stage that it needs, in the lane of the first one where that is free. An arrow that
passes over stages of its own lane bends around them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from textwrap import wrap
from typing import Literal

State = Literal["made", "shipped", "given", "unfinished", "failed", "to do"]
WORDS: dict[State, str] = {
    "made": "", "shipped": "shipped", "given": "given", "unfinished": "unfinished", "failed": "failed", "to do": "to do",
}  # fmt: skip
MOST_LINES = 3  # of a title
LINE = 13.0


@dataclass(frozen=True, slots=True)
class Node:
    """One stage.

    Attributes:
        name, title: the name is what it is linked by (#stage-NAME).
        needs: names of other nodes.
        is_data: it makes data or reward models, not a model.
        note: beneath the title, e.g. its accuracy.
    """

    name: str
    title: str
    needs: tuple[str, ...]
    is_data: bool
    state: State
    note: str = ""


@dataclass(frozen=True, slots=True)
class Style:
    """Sizes of one direction: `along` from level to level, `across` from lane to lane; a node is `width` by `height`."""

    down: bool
    along: float
    across: float
    width: float
    height: float
    margin: float  # for arrows that bend around the first lane
    letters: int  # of a line of a title

    def place(self, level: float, lane: float) -> tuple[float, float]:
        """The centre of a node."""
        along, across = 4 + self.along * level, self.margin + self.across * lane
        half = (self.width / 2, self.height / 2)
        return (across + half[0], along + half[1]) if self.down else (along + half[0], across + half[1])


ACROSS = Style(down=False, along=130, across=84, width=104, height=58, margin=58, letters=15)
DOWN = Style(down=True, along=76, across=112, width=100, height=56, margin=46, letters=14)


def graph_pictures(nodes: Sequence[Node]) -> str:
    """Both directions; the style sheet shows the one that fits. "" of fewer than two stages."""
    if len(nodes) < 2:
        return ""
    placed = place_nodes(nodes)
    both = (("across", ACROSS), ("down", DOWN))
    return "".join(f'<div class="graph {name}">{picture(nodes, placed, style)}</div>' for name, style in both)


def place_nodes(nodes: Sequence[Node]) -> dict[str, tuple[int, int]]:
    """(level, lane) of each node; `nodes` are in an order where needs come first."""
    placed: dict[str, tuple[int, int]] = {}
    taken: set[tuple[int, int]] = set()
    for node in nodes:
        needs = [placed[need] for need in node.needs if need in placed]
        level = max((level for level, _ in needs), default=-1) + 1
        lane = needs[0][1] if needs else 0
        while (level, lane) in taken:
            lane += 1
        placed[node.name] = level, lane
        taken.add((level, lane))
    return placed


def picture(nodes: Sequence[Node], placed: dict[str, tuple[int, int]], style: Style) -> str:
    arrows = [(need, node.name) for node in nodes for need in node.needs if need in placed]
    if not any(bends(placed, *arrow) and placed[arrow[0]][1] == 0 for arrow in arrows):
        style = replace(style, margin=4.0)
    levels, lanes = max(level for level, _ in placed.values()), max(lane for _, lane in placed.values())
    along, across = 8 + style.along * levels, style.margin + style.across * lanes + 4
    width, height = (across + style.width, along + style.height) if style.down else (along + style.width, across + style.height)
    arrow = "arrow-down" if style.down else "arrow-across"
    marker = (
        f'<defs><marker id="{arrow}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="arrowhead" d="M0 0L8 4L0 8Z"/></marker></defs>'
    )
    edges = "".join(
        f'<path class="edge" marker-end="url(#{arrow})" d="{edge(placed, need, name, style)}"/>' for need, name in arrows
    )
    boxes = "".join(box(node, *style.place(*placed[node.name]), style) for node in nodes)
    told = "; ".join(f"{node.title}{f' from {listed(nodes, node.needs)}' if node.needs else ''}" for node in nodes)
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" style="max-width:{width:g}px">'
        f"<title>The graph of the recipe: {escape(told)}</title>{marker}{edges}{boxes}</svg>"
    )


def listed(nodes: Sequence[Node], needs: Sequence[str]) -> str:
    titles = {node.name: node.title for node in nodes}
    return " and ".join(titles.get(need, need) for need in needs)


def bends(placed: dict[str, tuple[int, int]], need: str, name: str) -> bool:
    """Whether an arrow has to go around a stage of its own lane."""
    (from_level, from_lane), (to_level, to_lane) = placed[need], placed[name]
    return from_lane == to_lane and any(lane == from_lane and from_level < level < to_level for level, lane in placed.values())


def edge(placed: dict[str, tuple[int, int]], need: str, name: str, style: Style) -> str:
    """From the end of one node to the beginning of a later one."""
    (from_level, from_lane), (to_level, to_lane) = placed[need], placed[name]
    depth = (style.height if style.down else style.width) / 2
    start, end = style.place(from_level, from_lane), style.place(to_level, to_lane)
    if bends(placed, need, name):
        side = (style.width if style.down else style.height) / 2
        room = style.margin - 8 if from_lane == 0 else style.across - 2 * side - 4
        bend = side + min(room, 12 + 7 * (to_level - from_level))
        return curve(start, end, style, out=depth * 0.5, side=-side, bend=-bend)
    a, b = along_by(start, depth, style), along_by(end, -depth, style)
    middle = (b[1] - a[1]) / 2 if style.down else (b[0] - a[0]) / 2
    c, d = along_by(a, middle, style), along_by(b, -middle, style)
    return f"M{point(a)}C{point(c)} {point(d)} {point(b)}"


def curve(start: tuple[float, float], end: tuple[float, float], style: Style, *, out: float, side: float, bend: float) -> str:
    """From one node's flank to another's, at a distance of `bend` from their centres."""
    a = across_by(along_by(start, out, style), side, style)
    b = across_by(along_by(end, -out, style), side, style)
    c, d = across_by(along_by(start, out * 2.2, style), bend, style), across_by(along_by(end, -out * 2.2, style), bend, style)
    return f"M{point(a)}C{point(c)} {point(d)} {point(b)}"


def along_by(at: tuple[float, float], by: float, style: Style) -> tuple[float, float]:
    return (at[0], at[1] + by) if style.down else (at[0] + by, at[1])


def across_by(at: tuple[float, float], by: float, style: Style) -> tuple[float, float]:
    return (at[0] + by, at[1]) if style.down else (at[0], at[1] + by)


def point(at: tuple[float, float]) -> str:
    return f"{at[0]:.1f} {at[1]:.1f}"


def box(node: Node, x: float, y: float, style: Style) -> str:
    """The node with its title in lines, linked to what is said of the stage."""
    lines = wrap(node.title, style.letters) or [node.name]
    lines = [*lines[: MOST_LINES - 1], " ".join(lines[MOST_LINES - 1 :])] if len(lines) > MOST_LINES else lines
    note = " · ".join(filter(None, (WORDS[node.state], node.note)))
    rows = [*((line, "name") for line in lines), *([(note, "note")] if note else [])]
    top = y - LINE * len(rows) / 2 + LINE * 0.78
    texts = "".join(
        f'<text class="{kind}" x="{x:.1f}" y="{top + LINE * index:.1f}" text-anchor="middle">{escape(text)}</text>'
        for index, (text, kind) in enumerate(rows)
    )
    kind = f"node {'data' if node.is_data else 'model'} {node.state.replace(' ', '-')}"
    left, upper = x - style.width / 2, y - style.height / 2
    rectangle = f'<rect x="{left:.1f}" y="{upper:.1f}" width="{style.width:g}" height="{style.height:g}" rx="8"/>'
    return f'<a href="#stage-{escape(node.name)}"><g class="{kind}">{rectangle}{texts}</g></a>'
