// Rooms keep their places while somebody points at one or is at its keys: what a card tells changes, where it stands does not.
// The new order comes when they leave or rest.

import { keepingSelection, morph } from "./morph.js";

const STILL_MS = 15_000; // who has moved nothing for so long only left the mouse there

const list = () => document.getElementById("session-list");
const ids = (element) => [...element.querySelectorAll(".room")].map((room) => room.id);
const waiting = document.getElementById("rooms-to-come"); // hidden: cards of rooms that have no place yet, told of meanwhile
let next; // the list that waits
let movedAt = 0;
let at = "";

function isInUse() {
  const isAtOne = list().querySelector(".room:hover") || list().contains(document.activeElement);
  return Boolean(isAtOne) && Date.now() - movedAt < STILL_MS;
}

function keepPlaces(fresh) {
  next = fresh;
  const shown = new Set(ids(list()));
  waiting.replaceChildren();
  for (const room of [...next.querySelectorAll(".room")]) {
    if (shown.has(room.id)) morph(document.getElementById(room.id), room.cloneNode(true));
    else waiting.append(room.cloneNode(true));
  }
  htmx.process(waiting);
}

// Every card that is on the page is newer than the one in the list that waited.
function moveRooms() {
  const focusedId = document.activeElement?.id;
  keepingSelection(() => {
    for (const room of [...next.querySelectorAll(".room")]) room.replaceWith(document.getElementById(room.id) ?? room);
    list().replaceWith(next);
  });
  htmx.process(next);
  next = undefined;
  waiting.replaceChildren();
  if (focusedId) document.getElementById(focusedId)?.focus({ preventScroll: true });
  document.dispatchEvent(new Event("rooms:moved"));
}

function look() {
  if (next && !isInUse()) moveRooms();
}

document.addEventListener("htmx:oobBeforeSwap", ({ detail }) => {
  if (detail.target !== list()) return;
  const fresh = detail.fragment.firstElementChild;
  next = undefined;
  detail.shouldSwap = ids(fresh).join() === ids(list()).join() || !isInUse();
  if (detail.shouldSwap) waiting.replaceChildren();
  else keepPlaces(fresh);
});

// A page that changes under a mouse that lies still sends moves as well, to the same place.
document.addEventListener("pointermove", ({ clientX, clientY }) => {
  const here = `${clientX} ${clientY}`;
  if (here !== at) movedAt = Date.now();
  at = here;
});
document.addEventListener("keydown", () => (movedAt = Date.now()));
document.addEventListener("pointerdown", () => (movedAt = Date.now()));
document.addEventListener("pointerover", look);
document.addEventListener("focusout", () => setTimeout(look)); // after the focus has come to where it goes
document.documentElement.addEventListener("pointerleave", look);
setInterval(look, 1_000);
