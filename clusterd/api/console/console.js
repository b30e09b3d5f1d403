"use strict";
// One page, live: nodes, votes, groups with wanted beside actual, and the last events. It only reads.
// Everything from the cluster goes into the page by textContent, so a name can never become markup.

const EVENTS_SHOWN_MAX = 60;
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 5000;
const SILENCE_MAX_MS = 8000;
const COLOURS = {
  online: "good", up: "good", failed: "bad", down: "bad", unknown: "bad", offline: "", initializing: "busy",
  pending: "busy", "partial-online": "busy", "online-pending": "busy", "offline-pending": "busy", joining: "busy",
  paused: "busy",
};

const byId = (id) => document.getElementById(id);
let token = tokenFromAddress() || sessionStorage.getItem("token") || "";
let lastSequence = 0;
let otherDoors = [];

function tokenFromAddress() {
  const found = new URLSearchParams(location.hash.slice(1)).get("token");
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
  byId("notices").hidden = status.notices.length === 0;
  fill(byId("notices").firstElementChild, status.notices.map((each) => make("li", "", each)));
  fill(byId("groups"), status.groups.length ? status.groups.map(groupCard) : [make("p", "quiet", "No groups yet.")]);
  fill(byId("nodes"), status.nodes.map((each) => nodeCard(each, status.as_of.node)));
  const { as_of: asOf } = status;
  byId("freshness").textContent =
    `As ${asOf.node} sees it, revision ${asOf.revision}, ${asOf.age_ms} ms old. clusterd ${cluster.version}.`;
  otherDoors = status.nodes.filter((each) => each.name !== asOf.node && each.api_address);
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
    const { gone, total, failed } = node.drain;
    card.append(make("p", "quiet", `drain ${node.drain.state}: ${gone} of ${total} groups have left`));
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
  while (token) {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), SILENCE_MAX_MS);
    try {
      const headers = { Authorization: `Bearer ${token}` };
      if (lastSequence) headers["Last-Event-ID"] = String(lastSequence);
      const response = await fetch("/v1/stream", { headers, signal: silence.signal, cache: "no-store" });
      if (response.status === 401) return askForToken("That token was not accepted.");
      if (!response.ok) throw new Error(`status ${response.status}`);
      sessionStorage.setItem("token", token);
      byId("door").hidden = true;
      byId("board").hidden = false;
      showLink("live", "good");
      waitMs = RETRY_MIN_MS;
      await readParts(response.body, (kind, data) => {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENCE_MAX_MS);
        receive(kind, data);
      });
    } catch (error) {
      console.warn("the stream ended:", error);
    } finally {
      clearTimeout(timer);
    }
    showLink(doorsText(), "bad");
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
  return others ? `this node does not answer · others: ${others}` : "this node does not answer";
}

function askForToken(refusal) {
  token = "";
  sessionStorage.removeItem("token");
  byId("board").hidden = true;
  byId("door").hidden = false;
  byId("refusal").textContent = refusal;
  showLink("", "");
  byId("token").focus();
}

byId("door").addEventListener("submit", (event) => {
  event.preventDefault();
  token = byId("token").value.trim();
  byId("token").value = "";
  follow();
});

if (token) follow();
else askForToken("");
