/**
 * The beacon: tells a conductor that a tab is there, whether its page is seen, and that somebody reacts or writes.
 *
 * A report says how it is, not what has changed, and is sent again until it arrives: so whatever is lost, the next one
 * puts right. Nothing is stored; who this is, is a random number in this tab's memory.
 */

const SEEN = 20e3, UNSEEN = 45e3; // milliseconds from one sign of life to the next
const SOON = 500; // how long reactions and messages are gathered
const FIRST_PAUSE = 1e3, LONGEST_PAUSE = 15e3, LONG_PAUSE = 12e4; // after failures; and after more than thirty
const MOST = 50; // reactions and messages of one report

/** Return a beacon that reports to the conductor at `url`; see index.d.ts. */
export function connect({ token, url, consent = true }) {
  const address = new URL(`/api/v1/beacon/${token}`, url).href;
  const person = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  let agrees = consent, number = 0, activities = 0, waiting = [];
  let timer, failures = 0, notBefore = 0, isSending = false, isStale = false, isAway = false, isOver = false;

  const isPrivate = () => !agrees || navigator.globalPrivacyControl === true;
  const look = () => (isPrivate() ? "here" : document.visibilityState === "visible" ? "focus" : "blur");

  function write(state) {
    const events = (isPrivate() ? [] : waiting.slice(0, MOST)).map(([number, type, at]) => (
      { number, type, seconds_ago: Math.min(Math.max(Date.now() - at, 0) / 1e3, 86400) }));
    return JSON.stringify({ person, number: ++number, state, events });
  }

  function wake(delay) {
    clearTimeout(timer);
    if (!isOver && !isAway) timer = setTimeout(report, delay);
  }

  function beat() {
    wake((look() === "focus" ? SEEN : UNSEEN) * (0.9 + Math.random() / 5));
  }

  async function report() {
    if (isOver || isAway || document.prerendering) return; // who is not there yet has seen nothing
    if (isSending) {
      isStale = true;
      return;
    }
    const pause = notBefore - performance.now();
    if (pause > 0) return wake(pause); // as the server asked for
    isSending = true;
    isStale = false;
    clearTimeout(timer);
    const told = waiting.slice(0, MOST);
    let answer;
    try {
      // Text, as a browser sends that to another origin without asking first.
      answer = await fetch(address, {
        method: "POST", body: write(look()), keepalive: true, credentials: "omit", cache: "no-store",
        signal: AbortSignal.timeout?.(LONGEST_PAUSE),
      });
    } catch {} // nobody was reached, or may tell us what they said
    isSending = false;
    if (answer?.ok) {
      failures = 0;
      waiting = waiting.filter((each) => !told.includes(each));
      isStale || waiting.length ? wake(SOON) : beat();
    } else if (answer && answer.status < 500 && answer.status !== 429) {
      stop(); // it will be refused as often as it is sent
    } else {
      notBefore = performance.now() + Math.min(1e3 * answer?.headers.get("Retry-After") || 0, LONG_PAUSE);
      const pause = ++failures > 30 ? LONG_PAUSE : Math.min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE);
      wake(pause * (0.5 + Math.random() / 2));
    }
  }

  function add(type, count = 1) {
    if (isOver || isPrivate()) return;
    while (count-- > 0 && waiting.length < 4 * MOST) waiting.push([++activities, type, Date.now()]);
    if (!isSending && !failures) wake(SOON);
  }

  function goAway() {
    if (isOver || isAway) return;
    clearTimeout(timer);
    isAway = true;
    if (document.prerendering) return;
    const body = write("left");
    navigator.sendBeacon?.(address, body) || fetch(address, { method: "POST", body, keepalive: true }).catch(() => {});
    waiting = [];
  }

  function comeBack() {
    isAway = false;
    report();
  }

  const heard = [
    [document, "visibilitychange", () => isPrivate() || report()], [document, "prerenderingchange", report],
    [window, "pagehide", goAway], [window, "online", report],
    [window, "pageshow", (event) => event.persisted && comeBack()],
  ];

  function stop() {
    clearTimeout(timer);
    isOver = true;
    waiting = [];
    heard.forEach(([target, name, react]) => target.removeEventListener(name, react));
  }

  heard.forEach(([target, name, react]) => target.addEventListener(name, react));
  report();

  return {
    chat: (count) => add("chat", count),
    reaction: (count) => add("reaction", count),
    consent(isGiven) {
      agrees = isGiven;
      if (isPrivate()) waiting = [];
      report();
    },
    leave() {
      goAway();
      stop();
    },
  };
}
