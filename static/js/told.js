// Tell whoever has the page open and looks elsewhere: a count in the title, a mark on the icon, and, where they asked for
// it, a sound and a notification for what is critical. It watches the page, whoever changes it.

const title = document.title;
const icon = document.querySelector("link[rel=icon]");
const plainIcon = icon.href;
const boxes = [...document.querySelectorAll("[data-tell]")];
const known = new Map(); // the worst that each incident was, as far as it was told
const MARKED = `data:image/svg+xml,${encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="8" fill="crimson"/><path d="M7 3h2l-.3 6H7.3zM7 11h2v2H7z" fill="white"/></svg>',
)}`;
let sound;

const key = (box) => `told ${box.dataset.user} ${box.dataset.tell}`;
const wants = (what) => boxes.some((box) => box.dataset.tell === what && box.checked);

function remember(box) {
  try {
    localStorage.setItem(key(box), box.checked ? "1" : "");
  } catch {
    // A browser that keeps nothing forgets it with the page.
  }
}

function recall(box) {
  try {
    box.checked = localStorage.getItem(key(box)) === "1";
  } catch {
    box.checked = false;
  }
}

// A browser lets a page sound only after a click, and this box is one.
async function ring() {
  sound ??= new AudioContext();
  await sound.resume();
  for (const [place, pitch] of [660, 880].entries()) {
    const [tone, volume, at] = [sound.createOscillator(), sound.createGain(), sound.currentTime + 0.2 * place];
    tone.frequency.value = pitch;
    volume.gain.setValueAtTime(0.2, at);
    volume.gain.exponentialRampToValueAtTime(0.001, at + 0.18);
    tone.connect(volume).connect(sound.destination);
    tone.start(at);
    tone.stop(at + 0.2);
  }
  document.documentElement.dataset.rung = Number(document.documentElement.dataset.rung ?? 0) + 1;
}

function notify(incident) {
  if (!("Notification" in window) || Notification.permission !== "granted") return;
  const room = incident.closest(".room")?.querySelector("h3").textContent ?? title.split(" · ")[0];
  const words = (incident.querySelector(".incident-why") ?? incident).textContent.trim();
  try {
    const shown = new Notification(`Critical: ${room}`, { body: words, tag: incident.dataset.anomalyId });
    shown.addEventListener("click", () => window.focus());
  } catch {
    // A phone's browser allows none to a page: there the title, the sound and the banner have to do.
  }
}

function look(isFirst) {
  const incidents = [...document.querySelectorAll("[data-anomaly-id]")];
  const count = new Set(incidents.map((each) => each.dataset.anomalyId)).size;
  const wanted = count ? `(${count}) ${title}` : title;
  if (document.title !== wanted) document.title = wanted;
  const drawn = count ? MARKED : plainIcon;
  if (icon.href !== drawn) icon.href = drawn;
  for (const incident of incidents) {
    const { anomalyId, severity } = incident.dataset;
    const isNews = severity === "CRITICAL" && known.get(anomalyId) !== "CRITICAL";
    known.set(anomalyId, severity);
    if (!isNews || isFirst) continue;
    if (wants("sound")) ring();
    if (wants("notification")) notify(incident);
  }
}

for (const box of boxes) {
  recall(box);
  box.closest("[hidden]")?.removeAttribute("hidden");
  box.addEventListener("change", async () => {
    if (box.checked && box.dataset.tell === "notification" && "Notification" in window) {
      box.checked = (await Notification.requestPermission()) === "granted";
    }
    if (box.checked && box.dataset.tell === "sound") ring();
    remember(box);
  });
}

look(true);
let isAwaited = false;
new MutationObserver(() => {
  if (isAwaited) return;
  isAwaited = true;
  queueMicrotask(() => {
    isAwaited = false;
    look(false);
  });
}).observe(document.querySelector("main"), { subtree: true, childList: true, attributes: true, attributeFilter: ["data-severity"] });
