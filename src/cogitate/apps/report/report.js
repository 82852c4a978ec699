"use strict";
// The report's conveniences: reading values off a chart, tables that fit, browsing completions. All text goes through textContent.

const byId = (id) => document.getElementById(id);

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

// Charts: a pointer (or the arrow keys) shows every line's value at the nearest step.

function write(value, unit) {
  if (unit === "share") return (100 * value).toFixed(1) + " %";
  if (unit === "tokens") return Math.abs(value) >= 100 ? Math.round(value).toLocaleString("en") : value.toFixed(1);
  if (unit === "seconds") return value.toFixed(2) + " s";
  return value === 0 || (Math.abs(value) >= 0.001 && Math.abs(value) < 1e6) ? String(+value.toPrecision(4)) : value.toExponential(1);
}

function connectChart(svg) {
  const chart = JSON.parse(svg.dataset.chart);
  const box = svg.viewBox.baseVal, [left, right, top, bottom] = chart.margins;
  const steps = [...new Set(chart.series.flatMap(([, points]) => points.map((point) => point[0])))].sort((a, b) => a - b);
  const values = chart.series.map(([name, points]) => [name, new Map(points)]);
  let line = null, readout = null, at = -1;

  function show(index) {
    at = Math.max(0, Math.min(steps.length - 1, index));
    const step = steps[at], [low, high] = chart.frame;
    const x = left + ((step - low) / (high - low)) * (box.width - left - right);
    if (!line) {
      line = document.createElementNS("http://www.w3.org/2000/svg", "line");
      line.setAttribute("class", "pointer");
      line.setAttribute("y1", top);
      line.setAttribute("y2", box.height - bottom);
      svg.append(line);
      readout = make("div", "readout");
      svg.parentElement.append(readout);
    }
    line.setAttribute("x1", x);
    line.setAttribute("x2", x);
    readout.replaceChildren(make("div", "", chart.x + " " + step.toLocaleString("en")));
    for (const [name, points] of values) {
      if (points.has(step)) readout.append(make("div", "", (name ? name + ": " : "") + write(points.get(step), chart.unit)));
    }
    const scale = svg.getBoundingClientRect().width / box.width;
    const offset = svg.getBoundingClientRect().left - svg.parentElement.getBoundingClientRect().left;
    const toLeft = x > box.width * 0.6;
    readout.style.top = svg.getBoundingClientRect().top - svg.parentElement.getBoundingClientRect().top + 6 + "px";
    readout.style.left = toLeft ? "auto" : offset + x * scale + 8 + "px";
    readout.style.right = toLeft ? svg.parentElement.clientWidth - (offset + x * scale) + 8 + "px" : "auto";
  }

  function hide() {
    line?.remove();
    readout?.remove();
    line = readout = null;
    at = -1;
  }

  svg.addEventListener("pointermove", (event) => {
    const frame = svg.getBoundingClientRect(), [low, high] = chart.frame;
    const x = ((event.clientX - frame.left) / frame.width) * box.width;
    const step = low + ((x - left) / (box.width - left - right)) * (high - low);
    let nearest = 0;
    steps.forEach((value, index) => { if (Math.abs(value - step) < Math.abs(steps[nearest] - step)) nearest = index; });
    show(nearest);
  });
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("blur", hide);
  svg.addEventListener("keydown", (event) => {
    if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      show(at < 0 ? steps.length - 1 : at + (event.key === "ArrowRight" ? 1 : -1));
      event.preventDefault();
    }
  });
}

document.querySelectorAll("svg[data-chart]").forEach(connectChart);

// A table that is wider than its place is shown row by row, each cell under its heading, so that nothing is cut off.

function labelCells(table) {
  const labels = [...table.querySelectorAll("thead th")].map((heading) => heading.innerText.replace(/\s+/g, " ").trim());
  for (const row of table.querySelectorAll("tbody tr")) {
    [...row.cells].forEach((cell, index) => { if (cell.tagName === "TD") cell.dataset.label = labels[index] || ""; });
  }
}

function fitTables() {
  for (const box of document.querySelectorAll(".scroll")) {
    box.classList.remove("stacked");
    if (box.clientWidth) box.classList.toggle("stacked", box.scrollWidth > box.clientWidth + 1);
  }
}

document.querySelectorAll(".scroll table").forEach(labelCells);
fitTables();
addEventListener("resize", fitTables);
document.querySelectorAll("details").forEach((details) => details.addEventListener("toggle", fitTables));

// The browser of completions. data.columns: {group, name, label}; data.problems: {task, question, gold};
// data.completions: {column, problem, before, thinking, after, ...}, texts as lists [plain, mark, plain, ...].

const data = JSON.parse(byId("data").textContent);
const PAGE = 15;
const state = { columns: new Set(), filters: {}, sort: "order", shown: PAGE, picked: new Map() };

const cells = new Map(); // "column/problem" -> completions
for (const completion of data.completions) {
  const key = completion.column + "/" + completion.problem;
  if (!cells.has(key)) cells.set(key, []);
  cells.get(key).push(completion);
  completion.text = [completion.before, completion.thinking, completion.after].flat().join("").toLowerCase();
}

function matches(completion) {
  const wanted = state.filters, problem = data.problems[completion.problem];
  return (!wanted.task || problem.task === wanted.task)
    && (!wanted.verdict || completion.verdict === wanted.verdict)
    && (!wanted.habit || completion.habits.includes(wanted.habit))
    && (!wanted.words || completion.text.includes(wanted.words) || problem.question.toLowerCase().includes(wanted.words)
      || (completion.reason || "").toLowerCase().includes(wanted.words));
}

const SORTS = {
  order: () => 0,
  reflections: (a, b) => b.marks - a.marks,
  longest: (a, b) => b.tokens - a.tokens,
  shortest: (a, b) => a.tokens - b.tokens,
  reward: (a, b) => (b.reward ?? -Infinity) - (a.reward ?? -Infinity),
};

// Rows of cells: a problem seen in several chosen columns is one row; others stand side by side by task, each with its question.
function arrange() {
  const columns = [...state.columns].sort((a, b) => a - b), together = [], alone = new Map();
  let matching = 0;
  for (let problem = 0; problem < data.problems.length; problem++) {
    const lists = columns.map((column) => cells.get(column + "/" + problem) || []);
    const good = lists.flat().filter(matches);
    if (!good.length) continue;
    matching += good.length;
    const row = { problem, lists: lists.map(order), best: good.sort(SORTS[state.sort])[0] };
    const task = data.problems[problem].task;
    if (!alone.has(task)) alone.set(task, columns.map(() => []));
    if (lists.filter((list) => list.length).length > 1) together.push(row);
    else alone.get(task)[lists.findIndex((list) => list.length)].push(row);
  }
  const byBest = (a, b) => SORTS[state.sort](a.best, b.best);
  const rows = together.sort(byBest).map((row) => (
    { problem: row.problem, cells: columns.map((column, c) => ({ column, problem: row.problem, list: row.lists[c] })) }
  ));
  const apart = [];
  for (const lists of alone.values()) {
    lists.forEach((list) => list.sort(byBest));
    for (let i = 0; i < Math.max(...lists.map((list) => list.length)); i++) {
      const best = lists.map((list) => list[i]?.best).filter(Boolean).sort(SORTS[state.sort])[0];
      apart.push({ problem: null, place: i, best, cells: columns.map((column, c) => ({ column, problem: lists[c][i]?.problem, list: lists[c][i]?.lists[c] || [] })) });
    }
  }
  apart.sort((a, b) => byBest(a, b) || a.place - b.place);
  return { rows: [...rows, ...apart], matching };
}

function order(list) {
  const good = list.filter(matches).sort(SORTS[state.sort]);
  return [...good, ...list.filter((completion) => !matches(completion))];
}

function asked(index) {
  const problem = data.problems[index], box = make("div", "asked");
  box.append(make("div", "question", problem.question));
  const gold = problem.gold ? " · expected: " + problem.gold : "";
  box.append(make("div", "about", problem.task + gold));
  return box;
}

function fill(parent, pieces) {
  pieces.forEach((piece, index) => { if (piece) parent.append(index % 2 ? make("mark", "", piece) : piece); });
}

function card(cell, withQuestion) {
  if (!cell.list.length) return make("div", "answer empty", data.columns[cell.column].label + ": no sample");
  const key = cell.column + "/" + cell.problem, index = Math.min(state.picked.get(key) || 0, cell.list.length - 1);
  const completion = cell.list[index], box = make("article", "answer " + completion.verdict);
  const where = make("div", "where");
  where.append(make("span", "", data.columns[cell.column].label));
  if (cell.list.length > 1) {
    const pager = make("span", "pager");
    const turn = (by, sign, label, place) => {
      const button = make("button", "", sign);
      button.type = "button";
      button.setAttribute("aria-label", label + " completion of this problem");
      button.addEventListener("click", () => {
        state.picked.set(key, (index + by + cell.list.length) % cell.list.length);
        const fresh = card(cell, withQuestion);
        box.replaceWith(fresh);
        fresh.querySelectorAll(".pager button")[place].focus();
      });
      return button;
    };
    pager.append(turn(-1, "‹", "Previous", 0), " " + (index + 1) + " of " + cell.list.length + " ", turn(1, "›", "Next", 1));
    where.append(pager);
  }
  box.append(where);
  if (withQuestion) box.append(asked(cell.problem));
  box.append(make("div", "verdict", { right: "✓ right", wrong: "✗ wrong", none: "– no verdict" }[completion.verdict]));
  const text = make("div", "text");
  if (completion.open) text.append(make("span", "tag", completion.open));
  else if (completion.before.join("")) fill(text, completion.before);
  if (completion.thinking.join("").trim()) {
    const thinking = make("span", "thinking");
    fill(thinking, completion.thinking);
    text.append(thinking);
  }
  if (completion.close) text.append(make("span", "tag", completion.close));
  fill(text, completion.after);
  box.append(text);
  const facts = make("div", "facts");
  for (const line of completion.facts) facts.append(make("div", "", line));
  box.append(facts);
  return box;
}

function render() {
  const { rows, matching } = arrange(), list = byId("problems");
  list.replaceChildren();
  for (const row of rows.slice(0, state.shown)) {
    const box = make("section", "problem"), side = make("div", "side");
    if (row.problem !== null) box.append(asked(row.problem));
    for (const cell of row.cells) side.append(card(cell, row.problem === null));
    box.append(side);
    list.append(box);
  }
  const same = rows.filter((row) => row.problem !== null).length;
  byId("found").textContent = matching.toLocaleString("en") + (matching === 1 ? " completion" : " completions") + " in the chosen columns"
    + (same ? "; " + same + (same === 1 ? " problem" : " problems") + " answered in more than one of them come first" : "") + ".";
  byId("more").hidden = rows.length <= state.shown;
}

function setColumns(chosen) {
  state.columns = new Set(chosen);
  document.querySelectorAll(".columns button[data-column]").forEach((button) => {
    button.setAttribute("aria-pressed", String(state.columns.has(Number(button.dataset.column))));
  });
}

function refresh() {
  state.shown = PAGE;
  state.picked.clear();
  for (const name of ["task", "verdict", "habit"]) state.filters[name] = byId("by-" + name).value;
  state.filters.words = byId("by-words").value.trim().toLowerCase();
  state.sort = byId("by-sort").value;
  render();
}

if (data.columns.length) {
  document.querySelectorAll(".columns button[data-column]").forEach((button) => {
    button.addEventListener("click", () => {
      const column = Number(button.dataset.column), group = data.columns[column].group;
      const peers = [...data.columns.keys()].filter((other) => data.columns[other].group === group);
      const chosen = new Set(peers.filter((other) => state.columns.has(other)));
      if (!chosen.size) [peers[0], peers.at(-1), column].forEach((other) => chosen.add(other)); // groups share no problems: switch
      else if (chosen.has(column)) chosen.delete(column);
      else chosen.add(column);
      if (chosen.size) setColumns(chosen);
      refresh();
    });
  });
  for (const name of ["task", "verdict", "habit", "sort"]) byId("by-" + name).addEventListener("change", refresh);
  byId("by-words").addEventListener("input", refresh);
  byId("aha").addEventListener("click", () => {
    const found = new Map(); // group of columns -> right completions that reflect
    for (const completion of data.completions) {
      if (completion.verdict !== "right" || !completion.habits.includes("reflection")) continue;
      const group = data.columns[completion.column].group;
      found.set(group, (found.get(group) || 0) + 1);
    }
    const richest = [...found].sort((a, b) => b[1] - a[1])[0]?.[0] ?? data.columns[0].group;
    const columns = [...data.columns.keys()].filter((column) => data.columns[column].group === richest);
    setColumns([columns[0], columns.at(-1)]);
    byId("by-verdict").value = "right";
    byId("by-habit").value = "reflection";
    byId("by-sort").value = "reflections";
    refresh();
  });
  byId("all").addEventListener("click", () => {
    for (const name of ["task", "verdict", "habit", "words"]) byId("by-" + name).value = "";
    byId("by-sort").value = "order";
    refresh();
  });
  byId("more").addEventListener("click", () => { state.shown += PAGE; render(); });
  setColumns(data.chosen);
  refresh();
}
