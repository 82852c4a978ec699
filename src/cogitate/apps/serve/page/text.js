// What a model wrote, as elements of the page: no raw HTML, no images, nothing from outside.
"use strict";

const markdown = window.markdownit({ html: false, linkify: false, breaks: true }).disable("image");
const MATH = [["\\[", "\\]", true], ["\\(", "\\)", false], ["$$", "$$", true], ["$", "$", false]];

// Formulas are found before Markdown reads their backslashes and underscores.
markdown.inline.ruler.before("escape", "math", (state, silent) => {
  for (const [opens, closes, display] of MATH) {
    if (!state.src.startsWith(opens, state.pos)) continue;
    const from = state.pos + opens.length;
    const to = state.src.indexOf(closes, from);
    if (to <= from || to > state.posMax) continue;
    const tex = state.src.slice(from, to);
    const isMoney = opens === "$" && (/^\s|\s$|\n/.test(tex) || /\d/.test(state.src[to + 1] || ""));
    if (isMoney) continue;
    if (!silent) {
      const token = state.push("math", "span", 0);
      token.content = tex;
      token.meta = { display };
    }
    state.pos = to + closes.length;
    return true;
  }
  return false;
});
markdown.renderer.rules.math = (tokens, index) => {
  const kind = tokens[index].meta.display ? "math display" : "math";
  return `<span class="${kind}">${markdown.utils.escapeHtml(tokens[index].content)}</span>`;
};

const ALLOWED = {
  ALLOWED_TAGS: ["p", "br", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li", "h1", "h2", "h3", "h4", "h5", "h6",
    "hr", "a", "table", "thead", "tbody", "tr", "th", "td", "span"],
  ALLOWED_ATTR: ["href", "class", "start"],
  ALLOWED_URI_REGEXP: /^https?:/i,
  RETURN_DOM_FRAGMENT: true,
};
window.DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName === "A") {
    node.setAttribute("target", "_blank");
    node.setAttribute("rel", "noopener noreferrer");
  }
});

function showText(element, text) {
  element.replaceChildren(window.DOMPurify.sanitize(markdown.render(text), ALLOWED));
  for (const span of element.querySelectorAll("span.math")) {
    window.katex.render(span.textContent, span, {
      displayMode: span.classList.contains("display"), throwOnError: false, trust: false, maxExpand: 200, maxSize: 20,
    });
  }
}
