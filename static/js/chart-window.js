// What of the chart is shown: five minutes, half an hour, the whole session, or what a mouse is dragged over. A push draws
// half an hour anew in its place, so that focus and reading stay where they are.

import { extentOf } from "./chart-data.js";
import { placeMarks, restoreTicks, writeTicks } from "./chart-labels.js";

const REDRAWN = ["figcaption", ".chart-sheet", ".chart-scale"];
const MS = { "5min": 300_000 };
const AGAIN_MS = 30_000; // the whole of a session is not asked for more often
const LEAST_MS = 60_000; // as much is shown at least
const figure = () => document.getElementById("engagement-chart");
const sheet = () => figure().querySelector(".chart-sheet");
const sourceOf = (wanted) => (wanted === "whole" ? "whole" : "30min");

let range = figure().dataset.range;
let part = null; // two moments, where somebody chose them
let askedAt = Date.now();

// Return which moments are shown; a part that is no longer drawn is given up.
function shown([since, until]) {
  if (part && part[0] < since) part = part[1] - since > LEAST_MS ? [since, part[1]] : null;
  return part ?? [Math.max(since, until - (MS[range] ?? until - since)), until];
}

function show() {
  if (!sheet()) return;
  const [since, until] = extentOf(sheet());
  const [from, to] = shown([since, until]);
  const zoom = (until - since) / (to - from);
  sheet().style.width = `${100 * zoom}%`;
  sheet().style.marginLeft = `${(-100 * (from - since)) / (to - from)}%`;
  figure().toggleAttribute("data-zoomed", zoom > 1);
  if (zoom > 1) writeTicks(sheet(), [since, until], [from, to]);
  else restoreTicks(sheet());
  placeMarks(sheet(), (from - since) / (until - since), (to - since) / (until - since));
  for (const button of figure().querySelectorAll("[name=range]")) {
    button.setAttribute("aria-pressed", String(button.value === range && !part));
  }
}

function redraw(next) {
  for (const piece of REDRAWN) figure().querySelector(piece).replaceWith(next.querySelector(piece));
  figure().toggleAttribute("data-stale", next.hasAttribute("data-stale"));
  figure().dataset.range = next.dataset.range;
  figure().querySelector(".chart-ranges").hidden = next.querySelector(".chart-ranges").hidden;
}

// The fragment that a push brings, in another range. What is no longer wanted when it comes is left.
async function ask() {
  askedAt = Date.now();
  const answer = await fetch(`?range=${sourceOf(range)}`, { headers: { "HX-Request": "true" } }).catch(() => null);
  const text = answer?.ok ? await answer.text() : "";
  const next = new DOMParser().parseFromString(text, "text/html").getElementById("engagement-chart");
  if (next?.dataset.range !== sourceOf(range)) return;
  redraw(next);
  show();
  document.dispatchEvent(new CustomEvent("chart:drawn"));
}

function choose(wanted, moments = null) {
  [range, part] = [wanted, moments];
  if (figure().dataset.range !== sourceOf(range)) ask();
  show();
}

document.addEventListener("chart:dragged", ({ detail: [from, to] }) => to - from >= LEAST_MS && choose(range, [from, to]));
document.addEventListener("dblclick", ({ target }) => target.closest(".chart-window") && choose(range));
document.addEventListener("submit", (event) => {
  if (!event.target.matches(".chart-ranges")) return;
  event.preventDefault();
  choose(event.submitter.value);
});
// A key that goes to what is not shown has it shown.
document.addEventListener("chart:read", ({ detail: at }) => {
  const [from, to] = shown(extentOf(sheet()));
  if (at >= from && at <= to) return;
  const start = at < from ? at : at - (to - from);
  choose(range, [start, start + to - from]);
});
document.addEventListener("htmx:oobBeforeSwap", ({ detail }) => {
  const next = detail.fragment.firstElementChild;
  if (detail.target !== figure() || !sheet() || !next.querySelector(".chart-sheet")) return;
  detail.shouldSwap = false;
  if (sourceOf(range) === next.dataset.range || next.dataset.range === "whole") redraw(next);
  else if (Date.now() - askedAt > AGAIN_MS) ask();
  show();
});
show();
