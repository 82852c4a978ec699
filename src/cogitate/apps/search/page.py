"""Figures and trees of searches as one HTML file. It loads nothing from anywhere and needs no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from cogitate.apps.report.figures.charts import Series, line_chart
from cogitate.apps.search.command import NAMES
from cogitate.runtime import atomic_write

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
OWN_STYLE = (
    ".tree ul{list-style:none;margin:0;padding-left:1.1rem;border-left:1px solid var(--line)}"
    ".tree li{margin:3px 0}.tree .step{white-space:pre-wrap;overflow-wrap:anywhere}"
    ".tree .chosen>.step,.tree .chosen>details>summary{background:var(--mark);color:var(--mark-ink)}"
    ".tree summary{color:var(--ink);font-size:14.5px}"
    ".tree .figure{font-size:12.5px;color:var(--soft);font-variant-numeric:tabular-nums}"
    ".meter{display:inline-block;width:52px;height:7px;border-radius:4px;background:var(--wash);vertical-align:1px;margin-right:6px}"
    ".meter i{display:block;height:7px;border-radius:4px;background:var(--c0)}"
)
SHOWN = 40  # trees of a page, at most
LOWEST_LINES = ("greedy", "pass@1")  # points, no lines


def write_page(path: Path, content: Mapping[str, Any], trees: Sequence[Mapping[str, Any]]) -> None:
    """Write the page of what `search` or `scale` measured.

    Args:
        content: their JSON. trees: rows of search.evaluate.tree_rows.
    """
    with atomic_write(path) as temporary:
        temporary.write_text(page_of(content, trees), encoding="utf-8")


def page_of(content: Mapping[str, Any], trees: Sequence[Mapping[str, Any]]) -> str:
    style = files("cogitate.apps.report").joinpath("report.css").read_text(encoding="utf-8") + OWN_STYLE
    title = f"Searches of {content['model']}"
    sections = [
        ("Accuracy over tokens", curves(content)),
        ("Every method", methods(content)),
        ("Thinking budgets", budgets(content.get("budgets"))),
        ("Trees", "".join(map(tree, trees[:SHOWN])) + more(len(trees))),
        ("Settings", settings(content)),
    ]
    body = "".join(f"<section><h2>{heading}</h2>{inner}</section>" for heading, inner in sections if inner)
    return "".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{style}</style></head><body>",
            f'<header class="top"><h1>{escape(title)}</h1><p>{content["problems"]} problems. Tokens are means of a problem: ',
            "those that the policy sampled, and those that a scorer read, weighted by parameters.</p>",
            f"</header><main>{body}</main><footer><p>Made by Cogitate {escape(version('cogitate'))}; docs/search.md says ",
            "what each figure is. This file loads nothing from anywhere.</p></footer></body></html>",
        ]
    )


def curves(content: Mapping[str, Any]) -> str:
    """A line for each method that was measured at several n."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in content["methods"]:
        if row["accuracy"] and row["method"] not in LOWEST_LINES:
            tokens = row["tokens"]["value"] if isinstance(row["tokens"], Mapping) else row["tokens"]
            lines.setdefault(NAMES[row["method"]], []).append((tokens, row["accuracy"]["value"]))
    series = [Series(name, [sorted(points)]) for name, points in lines.items() if len(points) > 1]
    if not series:
        return ""
    drawn = line_chart(series, x="tokens", y="right", unit="share", title="Accuracy over tokens")
    return f'<div class="charts"><figure>{drawn}</figure></div>'


def methods(content: Mapping[str, Any]) -> str:
    heads = "".join(
        f"<th>{head}</th>" for head in ("Method", "n", "Right", "Tokens", "Sampled", "Read", "Seconds", "Less the vote")
    )
    rows = ""
    for row in content["methods"]:
        tokens = row["tokens"]["value"] if isinstance(row["tokens"], Mapping) else row["tokens"]
        vote = row.get("against_majority")
        told = f"{signed(vote)}<span class='soft small'> vote of {vote['n']}</span>" if vote else ""
        cells = [
            str(row["n"]), share(row["accuracy"]), f"{tokens:,.0f}", f"{row['policy_tokens']:,.0f}",
            f"{row['scorer_tokens']:,.0f}", f"{row['seconds']:,.1f}", told,
        ]  # fmt: skip
        rows += f"<tr><th>{escape(NAMES[row['method']])}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'


def budgets(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    heads = "".join(f"<th>{head}</th>" for head in ("Share of the natural length", "Thinking tokens", "Right", "In the budget"))
    rows = "".join(
        f"<tr><th>{row['share']:g}</th><td>{row['thinking_tokens']['value']:,.1f}</td><td>{share(row['accuracy'])}</td>"
        f"<td>{100 * row['control']:.1f} %</td></tr>"
        for row in found["points"]
    )
    slope = "none" if found["scaling"] is None else f"{100 * found['scaling']:+.3f} points for one thinking token"
    control = "" if found["control"] is None else f"Control {100 * found['control']:.1f} %, "
    told = f"{control}scaling {slope}, performance {100 * found['performance']:.1f} % (s1's figures)."
    table = f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    return f"<p>{told}</p>{table}"


def share(estimate: Mapping[str, Any] | None) -> str:
    if estimate is None:
        return "–"
    low, high = estimate["ci95"]
    interval = "" if low is None else f'<span class="ci">{100 * low:.1f} to {100 * high:.1f}</span>'
    return f'<span class="value">{100 * estimate["value"]:.1f} %</span>{interval}'


def signed(estimate: Mapping[str, Any]) -> str:
    low, high = estimate["ci95"]
    return f"{100 * estimate['value']:+.1f}" + ("" if low is None else f" ({100 * low:+.1f} to {100 * high:+.1f})")


def tree(row: Mapping[str, Any]) -> str:
    """One problem: what was answered, and below it every step that was tried, each opening what came after it."""
    verdict = {None: "none", 1.0: "right"}.get(row["right"], "wrong")
    children: dict[int, list[Mapping[str, Any]]] = {}
    for node in row["nodes"]:
        children.setdefault(node["parent"], []).append(node)
    chosen = path_of(row)
    inner = branches(0, children, chosen)
    about = (
        f"{escape(NAMES[row['method']])}, n = {row['n']}; answer {escape(str(row['answer']))}, "
        f"gold {escape(str(row['gold']))}; {row['policy_tokens']:,} tokens sampled, {row['scorer_tokens']:,.0f} read"
    )
    return (
        f'<details class="tree"><summary class="stage {verdict}"><span class="verdict">{verdict}</span> '
        f'{escape(str(row["question"]))}</summary><p class="soft small">{about}. The chosen path is marked.</p>'
        f"{inner}</details>"
    )


def branches(parent: int, children: Mapping[int, Sequence[Mapping[str, Any]]], chosen: set[int]) -> str:
    """The steps after a node, as a list; an open one shows those after it."""
    items = ""
    for node in children.get(parent, ()):
        label = f'<span class="figure">{figures(node)}</span> <span class="step">{escape(node["text"].strip())}</span>'
        mark = ' class="chosen"' if node["node"] in chosen else ""
        if node["node"] in children:
            opened = " open" if node["node"] in chosen else ""
            inner = branches(node["node"], children, chosen)
            items += f"<li{mark}><details{opened}><summary>{label}</summary>{inner}</details></li>"
        else:
            items += f"<li{mark}>{label}</li>"
    return f"<ul>{items}</ul>" if items else ""


def figures(node: Mapping[str, Any]) -> str:
    """A bar of the node's value or score, and its numbers."""
    worth = node.get("value", node.get("score", node.get("step_score")))
    bar = "" if worth is None else f'<span class="meter"><i style="width:{100 * worth:.0f}%"></i></span>'
    known = [
        (name, node.get(key), form)
        for name, key, form in (
            ("value", "value", ".2f"), ("visits", "visits", "d"), ("prior", "prior", ".2f"),
            ("share of draws", "share", ".2f"), ("step", "step_score", ".2f"), ("score", "score", ".2f"),
        )
    ]  # fmt: skip
    told = [f"{name} {value:{form}}" for name, value, form in known if value is not None]
    told += [f"answers {escape(node['answer'])}"] if "answer" in node else []
    told += ["rollout"] if node.get("rollout") else []
    return bar + ", ".join(told)


def path_of(row: Mapping[str, Any]) -> set[int]:
    """The numbers of the nodes from the first step to the chosen one."""
    parents = {node["node"]: node["parent"] for node in row["nodes"]}
    found, node = set[int](), row["chosen"]
    while node in parents:
        found.add(node)
        node = parents[node]
    return found


def more(count: int) -> str:
    return f'<p class="soft">{count - SHOWN} more problems are not shown.</p>' if count > SHOWN else ""


def settings(content: Mapping[str, Any]) -> str:
    used = {"scorer": content["scorer"], **content["settings"]}
    rows = "".join(f"<tr><th>{escape(key)}</th><td>{escape(str(value))}</td></tr>" for key, value in used.items())
    return f'<details><summary>What was set</summary><div class="scroll"><table><tbody>{rows}</tbody></table></div></details>'
