// Lays out /openapi.json. Text goes in as text, never as markup.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete", "head"];

function element(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function resolve(api, value) {
  if (!value || !value.$ref) return value;
  return value.$ref.split("/").slice(1).reduce((at, key) => at && at[key], api);
}

// A schema as an example of its values: the shape a reader wants to see.
function sample(api, schema, depth) {
  const known = resolve(api, schema);
  if (!known || depth > 6) return null;
  if (known.example !== undefined) return known.example;
  if (known.examples && known.examples.length) return known.examples[0];
  if (known.enum) return known.enum.join("|");
  const choice = known.oneOf || known.anyOf;
  if (choice) return sample(api, choice.find((c) => c.type !== "null") || choice[0], depth + 1);
  if (known.allOf) return Object.assign({}, ...known.allOf.map((part) => sample(api, part, depth + 1)));
  const type = Array.isArray(known.type) ? known.type.find((t) => t !== "null") : known.type;
  if (known.properties || type === "object") {
    const members = Object.entries(known.properties || {});
    return Object.fromEntries(members.map(([name, member]) => [name, sample(api, member, depth + 1)]));
  }
  if (type === "array") return [sample(api, known.items, depth + 1)];
  if (type === "integer" || type === "number") return 0;
  if (type === "boolean") return true;
  return "…";
}

function content(api, holder) {
  return Object.entries((holder && holder.content) || {}).map(([media, body]) => {
    const shown = body.example !== undefined ? body.example : sample(api, body.schema, 0);
    const text = typeof shown === "string" ? shown : JSON.stringify(shown, null, 2);
    return element("div", null, element("p", null, element("code", null, media)), element("pre", null, text));
  });
}

function rows(head, body) {
  if (!body.length) return null;
  const line = (cells, kind) => element("tr", null, ...cells.map((cell) => element(kind, null, cell)));
  return element("table", null, element("thead", null, line(head, "th")), element("tbody", null, ...body.map((cells) => line(cells, "td"))));
}

function operation(api, path, method, described) {
  const parameters = (described.parameters || []).map((p) => resolve(api, p))
    .map((p) => [element("code", null, p.name), p.in, p.required ? "required" : "", p.description || ""]);
  const answers = Object.entries(described.responses || {}).map(([status, answer]) => [status, resolve(api, answer)]);
  const good = answers.filter(([status]) => status < "400");
  const bad = answers.filter(([status]) => status >= "400").map(([status]) => status).join(", ");
  const body = resolve(api, described.requestBody);
  return element("section", { id: described.operationId },
    element("h3", null, element("span", { class: "method" }, method), element("code", null, path)),
    element("p", null, described.summary || ""),
    described.description ? element("p", null, described.description) : null,
    rows(["parameter", "in", "", ""], parameters),
    body ? element("h4", null, "Body") : null,
    ...content(api, body),
    ...good.flatMap(([status, answer]) => [element("h4", null, `${status} ${answer.description || ""}`), ...content(api, answer)]),
    bad ? element("p", null, "Refused with ", bad, " as ", element("a", { href: "/docs/errors" }, "application/problem+json"), ".") : null);
}

function lay(api) {
  const main = document.querySelector("main");
  const nav = document.querySelector("nav");
  main.replaceChildren(element("p", null, api.info.description || ""));
  const all = Object.entries(api.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => [path, method, item[method]]));
  for (const tag of api.tags || []) {
    const mine = all.filter(([, , described]) => (described.tags || [])[0] === tag.name);
    if (!mine.length) continue;
    nav.append(element("h2", null, tag.description || tag.name), element("ul", null, ...mine.map(([path, method, described]) =>
      element("li", null, element("a", { href: `#${described.operationId}` }, `${method.toUpperCase()} ${path}`)))));
    main.append(...mine.map(([path, method, described]) => operation(api, path, method, described)));
  }
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

fetch("/openapi.json")
  .then((answer) => answer.json())
  .then(lay)
  .catch(() => document.querySelector("main").replaceChildren("The document could not be read."));
