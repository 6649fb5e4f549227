// What every page with a socket does: come back soon, leave when access ended, show nothing of a heartbeat, keep the
// focus where it was.

const ACCESS_ENDED = 4403; // that of hub.py
const LONGEST_WAIT_MS = 8_000; // htmx's own waits grow to a minute

// Full jitter: a thousand pages that lost one server do not all come back in the same moment.
htmx.config.wsReconnectDelay = (retries) => Math.random() * Math.min(LONGEST_WAIT_MS, 1_000 * 2 ** retries);

let focusedId = "";
document.addEventListener("htmx:wsBeforeMessage", (message) => {
  if (message.detail.message.startsWith("{")) message.preventDefault();
  else focusedId = document.activeElement?.id ?? "";
});
document.addEventListener("htmx:wsAfterMessage", () => {
  const isLost = focusedId && document.activeElement === document.body;
  if (isLost) document.getElementById(focusedId)?.focus({ preventScroll: true });
});
document.addEventListener("htmx:wsClose", ({ detail }) => {
  // To the login page, or to the page that says it is not theirs.
  if (detail.event.code === ACCESS_ENDED) location.reload();
});
