// Words of the chart where a part of it is shown: more times between those that are drawn, and marks that stay inside.

import { clock, fine } from "./display.js";

const MARK_WIDTH = 17; // per cent, those of charts.py
const POLL_WIDTH = 12;
const TICK_REM = 5.5; // what a time needs, and room beside it
const STEPS = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400];
const drawn = new WeakMap(); // the times of the server's

function createTick(at, place, words) {
  const [tick, path, text] = ["svg", "path", "text"].map((name) => document.createElementNS("http://www.w3.org/2000/svg", name));
  tick.setAttribute("x", `${place}%`);
  path.setAttribute("d", "M0 0v4");
  text.setAttribute("y", "1.5em");
  text.textContent = words.format(at);
  tick.append(path, text);
  return tick;
}

// Write the times of a part of the sheet, from one moment to another.
export function writeTicks(sheet, [since, until], [from, to]) {
  const times = sheet.querySelector(".chart-times");
  if (!drawn.has(sheet)) drawn.set(sheet, [...times.children]);
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const most = Math.max(1, sheet.parentElement.clientWidth / (TICK_REM * rem));
  const step = 1_000 * (STEPS.find((seconds) => (to - from) / 1_000 / seconds <= most) ?? STEPS.at(-1));
  const ticks = [];
  const edge = ((to - from) * 0.35) / most; // nearer to it a time would be cut off
  for (let at = Math.ceil((from + edge) / step) * step; at <= to - edge; at += step) {
    ticks.push(createTick(at, (100 * (at - since)) / (until - since), step < 60_000 ? fine : clock));
  }
  times.replaceChildren(...ticks);
}

export function restoreTicks(sheet) {
  if (drawn.has(sheet)) sheet.querySelector(".chart-times").replaceChildren(...drawn.get(sheet));
  drawn.delete(sheet);
}

// Write marks to the left of their start where the right edge of what is shown is near.
export function placeMarks(sheet, from, to) {
  for (const text of sheet.querySelectorAll(".chart-mark text, .chart-mark-break, .chart-mark-poll")) {
    const place = text.closest("svg").x.baseVal.valueInSpecifiedUnits / 100;
    const isPoll = text.classList.contains("chart-mark-poll");
    const isLeftward = (place - from) / (to - from) > 1 - (isPoll ? POLL_WIDTH : MARK_WIDTH) / 100;
    const icon = text.parentElement.querySelector("use");
    const away = icon ? 28 : 6;
    icon?.setAttribute("x", isLeftward ? -22 : 6);
    text.setAttribute("x", isLeftward ? -away : isPoll ? 0 : away);
    text.setAttribute("text-anchor", isLeftward ? "end" : "start");
  }
}
