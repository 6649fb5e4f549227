// What every page with a socket does: come back soon, leave when access ended, show nothing of a heartbeat.

const ACCESS_ENDED = 4403; // that of hub.py
const LONGEST_WAIT_MS = 8_000; // htmx's own waits grow to a minute

// Full jitter: a thousand pages that lost one server do not all come back in the same moment.
htmx.config.wsReconnectDelay = (retries) => Math.random() * Math.min(LONGEST_WAIT_MS, 1_000 * 2 ** retries);

document.addEventListener("htmx:wsBeforeMessage", (message) => {
  if (message.detail.message.startsWith("{")) message.preventDefault();
});
document.addEventListener("htmx:wsClose", ({ detail }) => {
  // To the login page, or to the page that says it is not theirs.
  if (detail.event.code === ACCESS_ENDED) location.reload();
});
