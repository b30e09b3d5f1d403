// Runs the console's script without a browser: a page of stubs, a node that says its status once and is silent then.
"use strict";
const fs = require("fs");
const vm = require("vm");

const told = JSON.parse(process.argv[3]);
const happened = { asked: [], shown: [] };
const elements = new Map();

function element() {
  const classes = new Set();
  const found = {
    textContent: "", className: "", hidden: false, children: [], value: "", dateTime: "",
    classList: { toggle: (name, on) => (on ? classes.add(name) : classes.delete(name)), has: (name) => classes.has(name) },
    append(...more) { this.children.push(...more); },
    prepend(...more) { this.children.unshift(...more); },
    replaceChildren(...more) { this.children = more; },
    addEventListener() {}, focus() {}, remove() {},
    get lastElementChild() { return this.children.at(-1); },
  };
  found.firstElementChild = { replaceChildren() {} };
  return found;
}

const byId = (id) => elements.get(id) || elements.set(id, element()).get(id);

async function fetch(path, { headers = {}, body } = {}) {
  happened.asked.push(path);
  if (path === "/console/session") return answer({ session: `session of ${JSON.parse(body).code}` });
  if (path === "/v1/console-code") return answer({ code: "way-out" });
  if (path === "/v1/stream") {
    if (happened.asked.filter((each) => each === path).length > 1) throw new Error("refused");
    happened.authorization = headers.Authorization;
    return { ok: true, status: 200, body: new Blob([`event: status\ndata: ${JSON.stringify(told)}\n\n`]).stream() };
  }
  if (path.startsWith("http://127.0.0.1:7402/")) return {};
  throw new Error("nobody answers");
}

function answer(document) {
  return { ok: true, status: 200, json: async () => document };
}

const stored = new Map();
const context = {
  console: { warn() {} }, fetch, performance, setTimeout, clearTimeout, setInterval, AbortController, AbortSignal,
  URLSearchParams, TextDecoderStream, Date, JSON, Math, Object, Promise, String, Boolean, Error,
  document: { getElementById: byId, createElement: element, title: "" },
  sessionStorage: { getItem: (key) => stored.get(key) ?? null, setItem: (key, value) => stored.set(key, value),
    removeItem: (key) => stored.delete(key) },
  history: { replaceState: (state, title, path) => { happened.address = path; } },
  location: { hash: "#code=first", pathname: "/", protocol: "http:", replace: (where) => {
    happened.left = where;
    happened.board = byId("board").classList.has("old");
    happened.link = byId("link").textContent;
    happened.freshness = byId("freshness").textContent;
    happened.title = context.document.title;
    happened.stored = stored.get("session");
    process.stdout.write(JSON.stringify(happened));
    process.exit(0);
  } },
};
const script = fs.readFileSync(process.argv[2], "utf8")
  .replace(/const SILENCE_MAX_MS = \d+/, "const SILENCE_MAX_MS = 300")
  .replace("setInterval(showAge, 1000)", "setInterval(showAge, 20)");
vm.runInNewContext(script, context);
