// How the viewer wants to see times: in the zone and with the hours that they chose, else as their browser has it.

const { zone, clock: cycle } = document.body.dataset;
const own = Intl.DateTimeFormat().resolvedOptions().timeZone;

const hours = { hour: "2-digit", minute: "2-digit", hourCycle: cycle === "12" ? "h12" : "h23" };

export function formatter(options) {
  try {
    return new Intl.DateTimeFormat(undefined, { ...options, timeZone: zone || undefined });
  } catch {
    return new Intl.DateTimeFormat(undefined, options); // a zone that this browser does not know
  }
}

export const clock = formatter(hours);
export const fine = formatter({ ...hours, second: "2-digit" });

// Forms that are asked for from here on begin with the browser's zone; see zones.py.
const cookie = `zone=${encodeURIComponent(own)}`;
if (own && !document.cookie.split("; ").includes(cookie)) {
  document.cookie = `${cookie}; path=/; max-age=31536000; samesite=lax${location.protocol === "https:" ? "; secure" : ""}`;
}
