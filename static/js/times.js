// Write times in the viewer's zone, and how long ago they were; also in what htmx swaps in.

import { clock, formatter } from "./display.js";

const day = formatter({ day: "numeric", month: "short" });
const date = formatter({ year: "numeric", month: "numeric", day: "numeric" });
const sameDay = (a, b) => date.format(a) === date.format(b);

function ago(at, now) {
  const minutes = Math.floor((now - at) / 60_000);
  if (minutes < 0) return "";
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  return minutes < 24 * 60 ? `${Math.floor(minutes / 60)} h ago` : "";
}

function words(element, now) {
  const at = new Date(element.dateTime);
  const dated = "day" in element.dataset || !sameDay(at, now);
  const parts = [dated ? `${day.format(at)}, ${clock.format(at)}` : clock.format(at)];
  if ("ago" in element.dataset) parts.push(ago(at, now));
  return parts.filter(Boolean).join(", ");
}

export function write() {
  const now = new Date();
  for (const element of document.querySelectorAll("time[datetime]")) {
    const text = words(element, now);
    if (element.textContent !== text) element.textContent = text;
  }
  for (const label of document.querySelectorAll("[data-time]")) {
    label.textContent = clock.format(new Date(label.dataset.time));
  }
}

write();
setInterval(write, 10_000);
document.addEventListener("htmx:wsAfterMessage", write);
document.addEventListener("htmx:afterSwap", write);
