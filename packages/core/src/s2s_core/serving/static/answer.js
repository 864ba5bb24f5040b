// What an answer looks like. Everything is put in as text, never as markup.

/** An element with content: strings become text. */
export function element(tag, attributes = {}, ...content) {
  const made = document.createElement(tag);
  Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
  made.append(...content);
  return made;
}

/** Show a JSON answer: its text or label, tables of what it knows besides, and all of it folded away. */
export function show(answer) {
  const parts = [];
  const said = answer.label ?? answer.text;
  for (const text of answer.texts ?? (said === undefined ? [] : [said])) {
    parts.push(element("p", { class: "said" }, text || "(nothing)"));
  }
  if (answer.probabilities) parts.push(probabilities(answer.probabilities));
  if (answer.total) parts.push(table([answer.total]));
  for (const key of ["words", "lines", "nbest"]) {
    if (answer[key]?.length) parts.push(table(answer[key]));
  }
  parts.push(element("details", {}, element("summary", {}, "JSON"), element("pre", {}, JSON.stringify(answer, null, 2))));
  return parts;
}

function probabilities(shares) {
  const rows = Object.entries(shares).sort((a, b) => b[1] - a[1]).slice(0, 10).map(([label, share]) =>
    element("tr", {}, element("th", { scope: "row" }, label),
      element("td", {}, element("meter", { value: share, "aria-label": label })), element("td", {}, share.toFixed(4))));
  return element("table", {}, element("tbody", {}, ...rows));
}

function table(rows) {
  const plain = (value) => ["string", "number", "boolean"].includes(typeof value);
  const keys = Object.keys(rows[0]).filter((key) => plain(rows[0][key]));
  const shown = (value) => (typeof value === "number" ? String(Math.round(value * 1e4) / 1e4) : String(value ?? ""));
  const head = keys.map((key) => element("th", { scope: "col" }, key.replaceAll("_", " ")));
  const body = rows.map((row) => element("tr", {}, ...keys.map((key) => element("td", {}, shown(row[key])))));
  return element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body));
}
