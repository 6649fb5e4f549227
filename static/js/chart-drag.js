// Drag a mouse over a part of the chart, to have it shown as large as all of it.

import { extentOf } from "./chart-data.js";

const LEAST_PX = 8; // less is a click
const band = Object.assign(document.createElement("div"), { className: "chart-drag" });
let drag = null; // where it began and the moments it went over, while it lasts

const sheet = () => document.querySelector("#engagement-chart .chart-sheet");

function momentAt(clientX) {
  const { left, width } = sheet().getBoundingClientRect();
  const [since, until] = extentOf(sheet());
  return Math.min(until, Math.max(since, since + ((clientX - left) / width) * (until - since)));
}

function follow({ clientX }) {
  if (!drag || Math.abs(clientX - drag.x) < LEAST_PX) return;
  const [since, until] = extentOf(sheet());
  drag.moments = [drag.at, momentAt(clientX)].sort((one, other) => one - other);
  const [from, to] = drag.moments.map((at) => (100 * (at - since)) / (until - since));
  Object.assign(band.style, { left: `${from}%`, width: `${to - from}%` });
  if (band.parentElement !== sheet()) sheet().append(band); // a push may have drawn it anew
}

document.addEventListener("pointerdown", ({ target, clientX, pointerType, button }) => {
  const isDrag = pointerType === "mouse" && button === 0 && target.closest("#engagement-chart .chart-window");
  if (isDrag) drag = { x: clientX, at: momentAt(clientX) };
});
document.addEventListener("pointermove", follow);
document.addEventListener("pointerup", () => {
  const moments = drag?.moments;
  band.remove();
  drag = null;
  if (moments) document.dispatchEvent(new CustomEvent("chart:dragged", { detail: moments }));
});
