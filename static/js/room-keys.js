// The control room by keys: the arrows go from room to room, letters act on the room that has the focus. For the Tab key all
// rooms are one stop, with what can be pressed in the one that was last gone to.

import { setProjector } from "./projector.js";

const rooms = () => [...document.querySelectorAll("#session-list .room")];
const linkOf = (room) => room?.querySelector("h3 a");
const keys = document.getElementById("room-keys");
const letters = document.getElementById("letter-keys");
let currentId = "";

function rove() {
  const current = document.getElementById(currentId) ?? rooms()[0];
  for (const each of document.querySelectorAll(".room :is(a, button, summary)")) {
    each.tabIndex = each.closest(".room") === current ? 0 : -1;
  }
}

const STEPS = {
  ArrowLeft: (all, room) => all[all.indexOf(room) - 1],
  ArrowRight: (all, room) => all[all.indexOf(room) + 1],
  ArrowUp: (all, room) => nearest(room, all.filter((each) => box(each).bottom <= box(room).top)),
  ArrowDown: (all, room) => nearest(room, all.filter((each) => box(each).top >= box(room).bottom)),
  Home: (all) => all[0],
  End: (all) => all.at(-1),
};

const box = (room) => room.getBoundingClientRect();

// In the next row, which may have other columns: the one whose middle is least far to the side.
function nearest(room, others) {
  const far = (each) => Math.abs(box(each).top - box(room).top);
  const aside = (each) => Math.abs(box(each).left + box(each).width / 2 - box(room).left - box(room).width / 2);
  const row = Math.min(...others.map(far));
  return others.filter((each) => far(each) === row).sort((one, other) => aside(one) - aside(other))[0];
}

function step(event, room) {
  const all = rooms();
  const isWithin = room || event.key === "Home" || event.key === "End";
  const next = isWithin ? STEPS[event.key](all, room) : (all.find((each) => each.id === currentId) ?? all[0]);
  if (!next) return;
  event.preventDefault();
  linkOf(next).focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

const LETTERS = {
  a: (room) => {
    const action = room?.querySelector("[data-primary]:enabled");
    if (action?.checkVisibility()) action.click(); // what nobody sees is not pressed
  },
  p: () => setProjector(!document.documentElement.hasAttribute("data-projector")),
  "?": () => keys.showModal(),
};

document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (keys.open || target.closest("input, textarea, select, [contenteditable]")) return;
  const room = target.closest(".room");
  if (key === "Escape") setProjector(false);
  else if (Object.hasOwn(STEPS, key) && (room || target === document.body)) step(event, room);
  else if (Object.hasOwn(LETTERS, key) && letters.checked && !event.repeat) LETTERS[key](room);
});

document.addEventListener("focusin", ({ target }) => {
  const room = target.closest(".room");
  if (!room) return;
  currentId = room.id;
  rove();
});

// Whoever talks to the machine, or lets a cat on the keys, wants no letter to act: it is kept on this machine.
letters.checked = localStorage.getItem("letter-keys") !== "off";
letters.addEventListener("change", () => localStorage.setItem("letter-keys", letters.checked ? "on" : "off"));

const button = document.getElementById("show-keys");
button.hidden = false;
button.addEventListener("click", () => keys.showModal());
document.addEventListener("htmx:wsAfterMessage", rove);
document.addEventListener("rooms:moved", rove);
rove();
