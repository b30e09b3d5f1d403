"use strict";
// One page, live: nodes, votes, groups with wanted beside actual, and the last events. It only reads.
// Everything from the cluster goes into the page by textContent, so a name can never become markup.

const EVENTS_SHOWN_MAX = 60;
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 5000;
const SILENCE_MAX_MS = 5000; // the status comes every two seconds at least
const CODE_EVERY_MS = 240000; // a code for the way to another node lives for ten minutes
const OTHER_WITHIN_MS = 2000;
const COLOURS = {
  online: "good", up: "good", failed: "bad", down: "bad", unknown: "bad", offline: "", initializing: "busy",
  pending: "busy", "partial-online": "busy", "online-pending": "busy", "offline-pending": "busy", joining: "busy",
  paused: "busy",
};

const byId = (id) => document.getElementById(id);
let session = sessionStorage.getItem("session") || "";
let lastSequence = 0;
let lastStatus = null;
let heardAt = 0; // of this page's own clock: when the node said something last
let otherDoors = [];
let wayOut = { code: "", madeAt: 0 }; // lets this page in at another node when its own is gone

function codeFromAddress() {
  const found = new URLSearchParams(location.hash.slice(1)).get("code");
  if (found) history.replaceState(null, "", location.pathname);
  return found;
}

function make(tag, classes, text) {
  const element = document.createElement(tag);
  if (classes) element.className = classes;
  if (text !== undefined && text !== null) element.textContent = text;
  return element;
}

function fill(parent, children) {
  parent.replaceChildren(...children);
}

function badge(state, more = []) {
  return make("span", `badge ${COLOURS[state] || ""}`, [state, ...more].join(", "));
}

// ---- what is shown ----

function showStatus(status) {
  const { quorum, cluster } = status;
  byId("cluster").textContent = cluster.name || "clusterd";
  document.title = `${status.healthy ? "" : "! "}${cluster.name || "clusterd"}`;
  const badgeOfQuorum = byId("quorum");
  badgeOfQuorum.className = `badge ${quorum.quorate ? "good" : "bad"}`;
  badgeOfQuorum.textContent = `${quorum.quorate ? "quorate" : "no quorum"} · ${quorum.have} of ${quorum.votes} votes`;
  byId("leader").textContent = quorum.leader ? `leader ${quorum.leader}, term ${quorum.term}` : "no leader";
  byId("problems").hidden = status.problems.length === 0;
  fill(byId("problems").firstElementChild, status.problems.map((each) => make("li", "", each)));
  byId("warnings").hidden = status.warnings.length === 0;
  fill(byId("warnings").firstElementChild, status.warnings.map((each) => make("li", "", each)));
  byId("notices").hidden = status.notices.length === 0;
  fill(byId("notices").firstElementChild, status.notices.map((each) => make("li", "", each)));
  fill(byId("groups"), status.groups.length ? status.groups.map(groupCard) : [make("p", "quiet", "No groups yet.")]);
  fill(byId("nodes"), status.nodes.map((each) => nodeCard(each, status.as_of.node)));
  const { as_of: asOf } = status;
  lastStatus = status;
  showAge();
  otherDoors = status.nodes.filter((each) => each.name !== asOf.node && each.api_address);
}

function showAge() {
  if (!lastStatus) return;
  const { as_of: asOf, cluster } = lastStatus;
  const silentMs = performance.now() - heardAt;
  byId("freshness").textContent =
    `As ${asOf.node} sees it, revision ${asOf.revision}, ${rough(Math.round(asOf.age_ms + silentMs))} old. ` +
    `clusterd ${cluster.version}.`;
  const isOld = silentMs > SILENCE_MAX_MS;
  byId("board").classList.toggle("old", isOld);
  if (isOld) {
    document.title = `? ${cluster.name || "clusterd"}`;
    byId("quorum").className = "badge";
    showLink(`${asOf.node} has not answered for ${rough(Math.round(silentMs))}: what is shown is old${doorsText()}`, "bad");
  }
}

function groupCard(group) {
  const card = make("article", group.settled ? COLOURS[group.state] : COLOURS[group.state] || "busy");
  const top = make("div", "row");
  top.append(make("h3", "", group.name), badge(group.state, group.status), make("span", "quiet", `wanted ${group.wanted}`));
  const where = group.owner ? `on ${group.owner} · generation ${group.generation}` : "on no node";
  top.append(make("span", "push quiet", `${where}${group.since ? ` · since ${clock(group.since)}` : ""}`));
  card.append(top, make("p", "", group.because));
  if (group.waits_since) card.append(make("p", "quiet", `waits since ${clock(group.waits_since)}`));
  if (group.move) card.append(make("p", "quiet", moveText(group.move)));
  if (group.next_action) card.append(make("p", "quiet", `next: ${nextText(group.next_action)}`));
  if (group.maintenance) card.append(make("p", "quiet", maintenanceText(group.maintenance)));
  if (group.resources.length) {
    const list = make("ul", "resources");
    list.append(...group.resources.map(resourceRow));
    card.append(list);
  }
  return card;
}

function nextText({ what, at, in_ms: inMs }) {
  if (!at) return what;
  return `${what} ${inMs > 0 ? `in ${rough(inMs)}` : "now"}`;
}

function moveText(move) {
  const how = move.queued ? "waits in the queue" : move.under_way ? "under way" : "asked for";
  return `move to ${move.target || "the best node"}: ${how}, since ${clock(move.since)}`;
}

function maintenanceText(found) {
  const reason = found.reason ? ` (${found.reason})` : "";
  const state = found.in_force ? "in force" : `waits for the end of what is under way: ${found.waits_for}`;
  return `hands off: ${found.scope} is in maintenance${reason}, asked for by ${found.by} at ${clock(found.since)}; ${state}`;
}

function resourceRow(resource) {
  const row = make("li");
  const state = make("span");
  state.append(badge(resource.state, resource.status));
  const { used, limit } = resource.restarts;
  const facts = [resource.type];
  if (resource.pid) facts.push(`pid ${resource.pid}`);
  if (used) facts.push(`${used} of ${limit} restarts used`);
  if (resource.state !== "online" && resource.because) facts.push(resource.because);
  row.append(
    make("span", "name", resource.name),
    state,
    make("span", "quiet", `wanted ${resource.wanted}`),
    make("span", "quiet facts", facts.join(" · ")),
  );
  return row;
}

function nodeCard(node, self) {
  const colour = node.status.length ? "busy" : COLOURS[node.state];
  const card = make("article", colour);
  const top = make("div", "row");
  top.append(make("h3", "", node.name), badge(node.state, node.status));
  if (node.is_leader) top.append(make("span", "badge", "leader"));
  card.append(top);
  const heard = node.name === self ? "this node" : heardText(node.heartbeat_age_ms);
  card.append(make("p", "quiet", `${node.vote ? "votes" : "no vote"} · ${heard}`));
  card.append(make("p", "", node.groups.length ? `runs ${node.groups.join(", ")}` : "runs no group"));
  if (node.state !== "up" || node.status.length) card.append(make("p", "quiet", node.because));
  if (node.drain) {
    const { failed } = node.drain;
    card.append(make("p", "quiet", node.drain.text));
    card.append(...failed.map((each) => make("p", "quiet", `could not leave: ${each.group}: ${each.reason}`)));
  }
  if (node.quarantined_until) card.append(make("p", "quiet", `quarantined until ${clock(node.quarantined_until)}`));
  if (node.maintenance) card.append(make("p", "quiet", maintenanceText(node.maintenance)));
  return card;
}

function heardText(ageMs) {
  return ageMs === null ? "never heard" : `heard ${rough(ageMs)} ago`;
}

function showEvent(event) {
  lastSequence = Math.max(lastSequence, event.sequence);
  const line = make("li");
  const where = [event.node, event.group, event.resource].filter(Boolean).join(" · ");
  const text = make("span", "");
  text.append(make("span", event.level, event.message));
  if (event.count > 1) text.append(make("span", "quiet", ` ${event.count}× since ${clock(event.first_time)}`));
  if (event.because) text.append(make("span", "quiet", ` (${event.because})`));
  const time = make("time", "", clock(event.time));
  time.dateTime = event.time;
  line.append(time, make("span", "quiet", where), text);
  const list = byId("events");
  list.prepend(line);
  while (list.children.length > EVENTS_SHOWN_MAX) list.lastElementChild.remove();
}

function clock(text) {
  if (!text) return "–";
  const moment = new Date(text);
  const time = moment.toLocaleTimeString([], { hour12: false });
  return moment.toDateString() === new Date().toDateString() ? time : `${moment.toLocaleDateString()} ${time}`;
}

function rough(ms) {
  if (ms < 1000) return `${ms} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.round(ms / 60000)} min`;
}

// ---- the stream ----

async function follow() {
  let waitMs = RETRY_MIN_MS;
  while (session) {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), SILENCE_MAX_MS);
    try {
      const headers = { Authorization: `Bearer ${session}` };
      if (lastSequence) headers["Last-Event-ID"] = String(lastSequence);
      const response = await fetch("/v1/stream", { headers, signal: silence.signal, cache: "no-store" });
      if (response.status === 401) return askForToken("This page's time is up.");
      if (!response.ok) throw new Error(`status ${response.status}`);
      byId("door").hidden = true;
      byId("board").hidden = false;
      showLink("live", "good");
      waitMs = RETRY_MIN_MS;
      await readParts(response.body, (kind, data) => {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENCE_MAX_MS);
        heardAt = performance.now();
        receive(kind, data);
        keepAWayOut();
      });
    } catch (error) {
      console.warn("the stream ended:", error);
    } finally {
      clearTimeout(timer);
    }
    showAge();
    if (performance.now() - heardAt > SILENCE_MAX_MS && (await goElsewhere())) return;
    await new Promise((done) => setTimeout(done, waitMs));
    waitMs = Math.min(RETRY_MAX_MS, waitMs * 2);
  }
}

function receive(kind, data) {
  const document = JSON.parse(data);
  if (kind === "status") showStatus(document);
  else if (kind === "event") showEvent(document);
}

async function readParts(body, take) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    let end;
    while ((end = text.indexOf("\n\n")) >= 0) {
      const part = Object.fromEntries(text.slice(0, end).split("\n").map(splitLine));
      text = text.slice(end + 2);
      if (part.data) take(part.event, part.data);
    }
  }
}

function splitLine(line) {
  const at = line.indexOf(": ");
  return [line.slice(0, at), line.slice(at + 2)];
}

function showLink(text, colour) {
  byId("link").className = `badge ${colour}`;
  byId("link").textContent = text;
}

function doorsText() {
  const others = otherDoors.map((each) => `${each.name} at ${each.api_address}`).join(", ");
  return others ? ` · others: ${others}` : "";
}

// ---- another node, when this one is gone ----

function keepAWayOut() {
  if (wayOut.madeAt && performance.now() - wayOut.madeAt < CODE_EVERY_MS) return;
  wayOut.madeAt = performance.now();
  fetch("/v1/console-code", { headers: { Authorization: `Bearer ${session}` }, cache: "no-store" })
    .then((response) => response.json())
    .then(({ code }) => { wayOut.code = code || wayOut.code; })
    .catch(() => { wayOut.madeAt = 0; });
}

async function goElsewhere() {
  if (!wayOut.code) return false;
  for (const { api_address: address } of otherDoors) {
    const there = `${location.protocol}//${address}`;
    try {
      await fetch(`${there}/icon.svg`, {
        mode: "no-cors", cache: "no-store", signal: AbortSignal.timeout(OTHER_WITHIN_MS),
      });
    } catch {
      continue; // it does not answer either
    }
    location.replace(`${there}/#code=${wayOut.code}`);
    return true;
  }
  return false;
}

// ---- the door ----

async function enter(path, headers, body) {
  const response = await fetch(path, { method: body ? "POST" : "GET", headers, body, cache: "no-store" });
  return response.ok ? response.json() : {};
}

async function enterWithCode(code) {
  const found = await enter("/console/session", { "Content-Type": "application/json" }, JSON.stringify({ code }));
  session = found.session || "";
  if (!session) return askForToken("The address was used before, or is too old: clusterctl console gives a new one.");
  sessionStorage.setItem("session", session);
  follow();
}

async function enterWithToken(token) {
  const { code } = await enter("/v1/console-code", { Authorization: `Bearer ${token}` });
  return code ? enterWithCode(code) : askForToken("That token was not accepted.");
}

function askForToken(refusal) {
  session = "";
  sessionStorage.removeItem("session");
  byId("board").hidden = true;
  byId("door").hidden = false;
  byId("refusal").textContent = refusal;
  showLink("", "");
  byId("token").focus();
}

byId("door").addEventListener("submit", (event) => {
  event.preventDefault();
  const token = byId("token").value.trim();
  byId("token").value = "";
  enterWithToken(token).catch(() => askForToken("This node does not answer."));
});

setInterval(showAge, 1000);
const code = codeFromAddress();
if (code) enterWithCode(code).catch(() => askForToken("This node does not answer."));
else if (session) follow();
else askForToken("");
