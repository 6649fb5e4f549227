// The dashboard's socket: say how it is, announce incidents once, let a notice be read.

const NOTICE_MS = 10_000; // NOTICE of screens/session.py
const ACCESS_ENDED = 4403; // that of hub.py
const pill = document.getElementById("connection-status");
const banner = () => document.getElementById("anomaly-banner");
let shownAt = Date.now();
let announced = "";
let notice = { id: "", until: 0 };

function tell(state, text) {
  pill.dataset.state = state;
  pill.textContent = text;
}

function tellAge() {
  const words = { reconnecting: "Reconnecting", offline: "Offline" }[pill.dataset.state];
  if (words) pill.textContent = `${words}, shown is ${Math.round((Date.now() - shownAt) / 1000)} s old`;
}

function announce() {
  const incident = banner().querySelector(".incident");
  const { anomalyId, anomalyType, severity } = incident?.dataset ?? {};
  const key = incident ? `${anomalyId} ${anomalyType} ${severity}` : "";
  if (key === announced) return;
  announced = key;
  if (!incident) return;
  banner().dataset.new = "";
  const text = `${incident.querySelector(".incident-head").textContent}. ${incident.querySelector(".incident-why").textContent}`;
  document.getElementById(severity === "CRITICAL" ? "say-critical" : "say-warning").textContent = text;
}

function closeNotice() {
  const [over, calm] = banner().querySelectorAll(".banner-line");
  if (over?.dataset.notice === undefined) return;
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
  return isBeingRead ? next.dataset.kind !== "calm" : !id || id !== notice.id;
}

const tellLive = () => tell("live", banner().dataset.kind === "ended" ? "Ended" : "Live");

document.addEventListener("htmx:wsOpen", tellLive);
document.addEventListener("htmx:wsClose", ({ detail }) => {
  const ended = detail.event.code === ACCESS_ENDED;
  tell(ended || !navigator.onLine ? "offline" : "reconnecting", "");
  tellAge();
});
document.addEventListener("htmx:oobBeforeSwap", ({ detail }) => {
  if (detail.target === banner()) detail.shouldSwap = mayReplace(detail.target, detail.fragment.firstElementChild);
});
document.addEventListener("htmx:wsAfterMessage", () => {
  shownAt = Date.now();
  tellLive();
  announce();
  showNotice();
});

addEventListener("offline", () => tell("offline", "Offline"));
setInterval(tellAge, 1_000);
announce();
showNotice();
