// Read the chart: with a mouse or a finger, and with the keys, which a screen reader tells. A push leaves it where it is.

import { readChart } from "./chart-data.js";
import { fine as clock } from "./display.js";

const MINUTE = 12; // rows
const find = (name) => document.querySelector(`#engagement-chart .chart-${name}`);
const cross = document.createElement("div");
cross.className = "chart-cross";

let chart; // what is drawn, once somebody reads it
let moment = null; // that is read

const asScore = (value) => value.toFixed(2).replace(/^0/, "");
const nearest = (x, places) => places.reduce((best, each) => (Math.abs(each - x) < Math.abs(best - x) ? each : best), places[0]);

function words({ score, expected: [low, high], people, spans }) {
  const found = [score === undefined ? "no score" : `score ${asScore(score)}`];
  if (low !== null && high !== null) found.push(`expected ${asScore(low)} to ${asScore(high)}`);
  if (people !== null && people !== undefined) found.push(`${people} ${people === 1 ? "person" : "people"}`);
  return [...found, ...spans.map(({ what }) => what)].join(", ");
}

function leave() {
  moment = null;
  cross.remove();
  const line = find("reading");
  line?.setAttribute("aria-live", "off");
  if (line) line.textContent = "Point at the chart, or read it with the arrow keys.";
}

// How it is heard: a key's reading is told, a pointer's would never end.
function read(x, isTold) {
  const sheet = find("sheet");
  const found = chart.at(x);
  moment = chart.momentOf(x);
  cross.style.left = `${(100 * x) / chart.seconds}%`;
  cross.style.setProperty("--down", `${100 * chart.plotShare * (1 - (found.score ?? 0))}%`);
  cross.toggleAttribute("data-score", found.score !== undefined);
  if (cross.parentElement !== sheet) sheet.append(cross);
  const line = find("reading");
  line.setAttribute("aria-live", isTold ? "polite" : "off");
  const time = Object.assign(document.createElement("b"), { textContent: clock.format(moment) });
  const text = ` ${words(found)}`;
  if (line.textContent !== time.textContent + text) line.replaceChildren(time, text);
  if (isTold) sheet.dispatchEvent(new CustomEvent("chart:read", { bubbles: true, detail: moment }));
}

// What is drawn now is read anew, at the same moment as long as it is there.
function redraw() {
  chart = undefined;
  const picture = find("picture");
  if (!picture) return;
  for (const [name, value] of [["tabindex", "0"], ["role", "application"], ["aria-roledescription", "chart"],
    ["aria-label", "Engagement chart: left and right read it, up and down go to incidents, polls and breaks, Escape leaves"]]) {
    picture.setAttribute(name, value);
  }
  if (moment === null) return leave();
  chart = readChart(find("sheet"));
  const x = chart.placeOf(moment);
  if (x < 0 || !chart.places.length) return leave();
  read(nearest(x, chart.places), document.activeElement === picture && find("reading").ariaLive === "polite");
}

function point({ target, clientX, pointerType }) {
  const sheet = target.closest?.(".chart-window") && find("sheet");
  if (!sheet) return pointerType === "mouse" && moment !== null && document.activeElement !== find("picture") ? leave() : undefined;
  chart ??= readChart(sheet);
  const { left, width } = sheet.getBoundingClientRect();
  if (chart.places.length) read(nearest(((clientX - left) / width) * chart.seconds, chart.places), false);
}

function goTo(key, isFar) {
  const { places, starts } = chart;
  const x = moment === null ? places.at(-1) : nearest(chart.placeOf(moment), places);
  const step = (isFar ? MINUTE : 1) * (key === "ArrowLeft" ? -1 : 1);
  const atStart = (start) => start !== undefined ? (places.find((each) => each >= Math.floor(start)) ?? places.at(-1)) : x;
  if (key === "ArrowLeft" || key === "ArrowRight") return places[Math.min(places.length - 1, Math.max(0, places.indexOf(x) + step))];
  if (key === "Home") return places[0];
  if (key === "End") return places.at(-1);
  const marks = starts.map(atStart);
  return key.endsWith("Up") ? (marks.findLast((mark) => mark < x) ?? x) : (marks.find((mark) => mark > x) ?? x);
}

document.addEventListener("pointermove", point);
document.addEventListener("pointerdown", point);
document.addEventListener("keydown", (event) => {
  if (event.target !== find("picture") || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "Escape") {
    leave();
    return event.target.blur();
  }
  if (!/^(Arrow(Left|Right|Up|Down)|Home|End|Page(Up|Down))$/.test(event.key)) return;
  event.preventDefault();
  chart ??= readChart(find("sheet"));
  if (chart.places.length) read(goTo(event.key, event.shiftKey), true);
});
document.addEventListener("htmx:wsAfterMessage", redraw);
document.addEventListener("chart:drawn", redraw);
redraw();
