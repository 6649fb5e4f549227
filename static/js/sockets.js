// What every page with a socket does: come back soon, leave when access ended, show nothing of a heartbeat, make of it
// what a push brings; and know by itself how old it is.

import { morph } from "./morph.js";

const ACCESS_ENDED = 4403; // that of hub.py
const HEARTBEAT_MS = 10_000; // how often hub.py says something
const SILENT_MS = 2.5 * HEARTBEAT_MS; // a socket that says nothing for so long leads nowhere
const CONNECT_MS = 8_000; // nor does one that has not opened by then
const LONGEST_WAIT_MS = 8_000; // htmx's own waits grow to a minute
const STATES = { live: "Live", reconnecting: "Reconnecting", offline: "Offline" };

const main = document.querySelector("main");
const pill = document.getElementById("connection-status");
let socket, reconnect;
let triedAt = Date.now();
let heardAt = Date.now(); // the page itself was news

// Full jitter: a thousand pages that lost one server do not all come back in the same moment.
htmx.config.wsReconnectDelay = (retries) => Math.random() * Math.min(LONGEST_WAIT_MS, 1_000 * 2 ** retries);

htmx.createWebSocket = (url) => {
  triedAt = Date.now();
  socket = new WebSocket(url, []);
  return socket;
};

// A live region says what changes in it: the words of a state, and not each second of an age.
function tell(state) {
  pill.dataset.state = state;
  const words = (state === "live" && pill.dataset.room) || STATES[state];
  if (pill.firstElementChild.textContent !== words) pill.firstElementChild.textContent = words;
  tellAge();
}

function tellAge() {
  const age = Date.now() - heardAt;
  const isLive = pill.dataset.state === "live";
  pill.lastElementChild.textContent = isLive || pill.dataset.state === "connecting" ? "" : `, shown is ${Math.round(age / 1000)} s old`;
  main.toggleAttribute("data-stale", age > SILENT_MS);
}

// Whoever sleeps wakes with an old socket, and behind some networks one that is cut is never closed.
function renew() {
  tell(navigator.onLine ? "reconnecting" : "offline");
  if (!reconnect) return;
  socket.onclose = null; // its end is no news, and would begin another
  socket.close();
  reconnect();
}

function look() {
  const isSilent = socket?.readyState === WebSocket.OPEN && Date.now() - heardAt > SILENT_MS && Date.now() - triedAt > SILENT_MS;
  const isStuck = socket?.readyState === WebSocket.CONNECTING && Date.now() - triedAt > CONNECT_MS;
  if (isSilent || isStuck) renew();
  tellAge();
}

document.addEventListener("htmx:wsBeforeMessage", (message) => {
  heardAt = Date.now();
  if (message.detail.message.startsWith("{")) {
    message.preventDefault();
    tell("live");
  }
});
// Behind the other scripts, which may keep a part as it is.
document.addEventListener("htmx:oobBeforeSwap", ({ detail }) => {
  if (detail.shouldSwap) morph(detail.target, detail.fragment.firstElementChild);
  detail.shouldSwap = false;
});
document.addEventListener("htmx:wsAfterMessage", () => tell("live"));
document.addEventListener("htmx:wsOpen", ({ detail }) => {
  reconnect = detail.socketWrapper.reconnect;
});
document.addEventListener("htmx:wsClose", ({ detail }) => {
  const isOver = detail.event.code === ACCESS_ENDED;
  tell(isOver || !navigator.onLine ? "offline" : "reconnecting");
  // To the login page, or to the page that says it is not theirs.
  if (isOver) location.reload();
});

addEventListener("offline", () => tell("offline"));
addEventListener("online", renew);
setInterval(look, 1_000);
