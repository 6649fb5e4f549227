// The dashboard: announce incidents once, let a notice be read, call a room live only while it is.

import { morph } from "./morph.js";
import { write } from "./times.js";

const NOTICE_MS = 10_000; // NOTICE of screens/session.py
const banner = () => document.getElementById("anomaly-banner");
let announced = new Set();
let notice = { id: "", until: 0 };
let held = null; // the banner that came while a notice was read: no later push brings it again

// What is connected may still have nothing to say.
function tellRoom() {
  const pill = document.getElementById("connection-status");
  pill.dataset.room = { ended: "Ended", waiting: "Not begun", silent: "No data" }[banner().dataset.kind] ?? "";
}

// Also one that opens beside another and is folded away; what has been told of once is not told of again.
function announce() {
  const incidents = [...banner().querySelectorAll("[data-anomaly-id]")];
  const keys = incidents.map(({ dataset: { anomalyId, anomalyType, severity } }) => `${anomalyId} ${anomalyType} ${severity}`);
  const news = incidents.filter((_, place) => !announced.has(keys[place]));
  announced = new Set(keys);
  if (incidents.length && news.includes(incidents[0])) banner().dataset.new = "";
  for (const severity of ["WARNING", "CRITICAL"]) {
    const said = news.filter(({ dataset }) => dataset.severity === severity).map(words);
    if (said.length) document.getElementById(`say-${severity.toLowerCase()}`).textContent = said.join(" ");
  }
}

function words(incident) {
  return `${incident.querySelector(".incident-head").textContent}. ${incident.querySelector(".incident-why").textContent}`;
}

function closeNotice() {
  const [over, calm] = banner().querySelectorAll(".banner-line");
  if (over?.dataset.notice === undefined) return;
  if (held) {
    morph(banner(), held);
    return write();
  }
  over.remove();
  calm.hidden = false;
  banner().dataset.kind = "calm";
}

function showNotice() {
  const id = banner().querySelector("[data-notice]")?.dataset.notice;
  if (!id || id === notice.id) return;
  notice = { id, until: Date.now() + NOTICE_MS };
  setTimeout(closeNotice, NOTICE_MS);
}

// That an incident is over is read for ten seconds, once, however fast the pushes come.
function mayReplace(shown, next) {
  const isBeingRead = shown.dataset.kind === "resolved" && Date.now() < notice.until;
  const id = next.querySelector("[data-notice]")?.dataset.notice;
  held = isBeingRead && next.dataset.kind === "calm" ? next : null;
  return isBeingRead ? !held : !id || id !== notice.id;
}

document.addEventListener("htmx:oobBeforeSwap", ({ detail }) => {
  if (detail.target === banner()) detail.shouldSwap = mayReplace(detail.target, detail.fragment.firstElementChild);
});
document.addEventListener("htmx:wsAfterMessage", () => {
  tellRoom();
  announce();
  showNotice();
});

tellRoom();
announce();
showNotice();
