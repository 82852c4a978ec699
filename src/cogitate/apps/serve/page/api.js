// The API as /openapi.json describes it: each path with the fields of its body.
"use strict";

const at = (id) => document.getElementById(id);
let schemas = {};

function make(tag, text, ...inner) {
  const element = document.createElement(tag);
  if (text) element.textContent = text;
  element.append(...inner);
  return element;
}

const named = (schema) => (schema.$ref ? schema.$ref.split("/").pop() : "");
const found = (schema) => (schema.$ref ? schemas[named(schema)] : schema);

function typeOf(schema) {
  if (schema.$ref) return named(schema);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const several = schema.anyOf || schema.oneOf;
  if (several) return several.map(typeOf).filter((type) => type !== "null").join(" | ");
  if (schema.type === "array") return `list of ${typeOf(schema.items || {})}`;
  return schema.type || "anything";
}

function boundsOf(schema) {
  const each = [schema, ...(schema.anyOf || [])];
  const names = { minimum: "at least", exclusiveMinimum: "more than", maximum: "at most", exclusiveMaximum: "less than",
    maxLength: "characters, at most", maxItems: "items, at most", maxProperties: "entries, at most" };
  return each.flatMap((one) => Object.entries(names).filter(([key]) => one[key] !== undefined).map(([key, words]) => `${words} ${one[key]}`)).join(", ");
}

function namesIn(schema) {
  const inner = [schema.items, ...(schema.anyOf || []), ...(schema.oneOf || [])].filter(Boolean);
  return schema.$ref ? [named(schema)] : inner.flatMap(namesIn);
}

// The fields of a schema, and below them those of the schemas that they name, each once.
function fieldsOf(name, seen) {
  const schema = schemas[name];
  if (!schema || seen.has(name)) return [];
  seen.add(name);
  const required = new Set(schema.required || []);
  const rows = Object.entries(schema.properties || {}).map(([field, about]) =>
    make("tr", "", make("th", field), make("td", typeOf(about)), make("td", [required.has(field) && "required", boundsOf(about)].filter(Boolean).join(", "))));
  const head = make("thead", "", make("tr", "", make("th", "field"), make("th", "type"), make("th", "what is allowed")));
  for (const cell of head.querySelectorAll("th")) cell.scope = "col";
  for (const row of rows) row.firstChild.scope = "row";
  const table = make("table", "", make("caption", name), head, make("tbody", "", ...rows));
  const about = schema.description ? [make("p", schema.description)] : [];
  const scrolls = make("div", "", table);
  scrolls.className = "fields";
  scrolls.tabIndex = 0;
  scrolls.setAttribute("role", "region");
  scrolls.setAttribute("aria-label", `Fields of ${name}`);
  return [...about, scrolls, ...Object.values(schema.properties || {}).flatMap(namesIn).flatMap((inner) => fieldsOf(inner, seen))];
}

function operation(path, method, about) {
  const body = ((((about.requestBody || {}).content || {})["application/json"] || {}).schema) || {};
  const summary = make("summary", "", make("code", `${method.toUpperCase()} ${path}`));
  const text = about.description ? [make("p", about.description)] : [];
  return make("details", "", summary, ...text, ...namesIn(body).flatMap((name) => fieldsOf(name, new Set())));
}

async function show() {
  const key = sessionStorage.getItem("cogitate.key");
  let response;
  try {
    response = await fetch("/openapi.json", { headers: key ? { Authorization: `Bearer ${key}` } : {} });
  } catch {
    at("status").textContent = "The server cannot be reached.";
    return;
  }
  at("key").hidden = response.status !== 401;
  if (!response.ok) {
    at("status").textContent = response.status === 401 ? "This needs a key." : "The description cannot be read.";
    return;
  }
  const api = await response.json();
  schemas = (api.components || {}).schemas || {};
  at("paths").replaceChildren(...Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, about]) => operation(path, method, about))));
  at("status").textContent = `${api.info.title} ${api.info.version}`;
}

at("key").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("cogitate.key", at("api_key").value);
  at("api_key").value = "";
  show();
});
show();
