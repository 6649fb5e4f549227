// @ts-check
/**
 * A client of the Engagement Conductor for servers, in one file and without dependencies; Node 18, Deno or Bun.
 *
 * Events and rows are gathered and sent in batches. What cannot be sent is sent again, after as long as the server asks
 * for; each event has an id and each row a timestamp, so that nothing counts twice. A browser uses the beacon instead: a
 * key opens an event, and belongs into no page.
 *
 * @typedef {"join"|"leave"|"chat"|"reaction"|"poll_opened"|"poll_vote"|"poll_closed"|"focus"|"blur"|"hand_raised"
 *   |"hand_lowered"|"mic_on"|"mic_off"|"camera_on"|"camera_off"|"talk_started"|"talk_stopped"|"question_asked"
 *   |"question_vote"} EventType
 * @typedef {{ chat_msgs_per_min?: number|null, poll_participation?: number|null, active_users?: number|null,
 *   total_users?: number|null, reactions_per_min?: number|null, user_leave_rate?: number|null, chatters?: number|null,
 *   hands_raised?: number|null, mics_on?: number|null, cameras_on?: number|null, talk_share?: number|null,
 *   speakers?: number|null, questions_per_min?: number|null, question_votes_per_min?: number|null, at?: Date }} Signals
 * @typedef {{ user?: string, at?: Date, id?: string, poll?: string }} EventOptions
 * @typedef {Record<string, any>} Item
 */

const BATCH = 1000; // items of one request; the server takes 5,000
const MOST_WAITING = 100_000; // with more than that the oldest are dropped, and it is said
const FLUSH_MILLISECONDS = 1000;
const TIMEOUT_MILLISECONDS = 30_000;
const FIRST_PAUSE = 500, LONGEST_PAUSE = 30_000;
const TRY_AGAIN = [408, 429, 500, 502, 503, 504];

/** The server understood, and said no; `status` and `problem` (RFC 9457) say why. */
export class Refused extends Error {
  /** @param {number} status @param {any} problem */
  constructor(status, problem) {
    super(`${status}: ${problem?.detail ?? "no reason was given"}`);
    this.status = status;
    this.problem = problem;
  }
}

/** Nobody answered, or only to say that it is not now possible, for as long as was waited. */
export class Unreachable extends Error {}

/** A connection to a conductor, with the key of an event. */
export class Conductor {
  #url;
  #key;
  #patience;
  #onDropped;
  /** @type {Record<string, Item[]>} */
  #waiting = { "/events": [], "/signals": [] };
  /** @type {Promise<void>} */
  #sending = Promise.resolve();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {string} url such as https://live.example.org
   * @param {string} key
   * @param {{ patienceSeconds?: number, onDropped?: (item: Item, why: string) => void }} [options] `onDropped` is told of
   *   each item that the server will never take
   */
  constructor(url, key, { patienceSeconds = 120, onDropped } = {}) {
    this.#url = `${url.replace(/\/+$/, "")}/api/v1`;
    this.#key = key;
    this.#patience = patienceSeconds * 1000;
    this.#onDropped = onDropped ?? ((item, why) => console.warn("engagement-conductor: dropped", item, why));
  }

  /**
   * Return the session of this name of yours; it is made where there is none.
   * @param {string} title
   * @param {{ external_id?: string, starts_at?: string, ends_at?: string, lateness_seconds?: number,
   *   breaks?: { starts_at: string, ends_at: string }[] }} [plan]
   */
  async session(title, plan = {}) {
    return new Session(this, (await this.call("POST", "/sessions", { title, ...plan })).id);
  }

  /**
   * Return what any call below /api/v1 answers. Throws `Refused` or `Unreachable`.
   * @param {string} method @param {string} path @param {unknown} [body] @returns {Promise<any>}
   */
  async call(method, path, body) {
    const until = performance.now() + this.#patience;
    for (let pause = FIRST_PAUSE; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      let why, wait = 0;
      try {
        const answer = await fetch(this.#url + path, {
          method,
          headers: { Authorization: `Bearer ${this.#key}`, "Content-Type": "application/json" },
          body: body === undefined ? undefined : JSON.stringify(body),
          signal: AbortSignal.timeout(TIMEOUT_MILLISECONDS),
        });
        const text = await answer.text();
        if (answer.ok) return text ? JSON.parse(text) : {};
        const problem = read(text);
        if (!TRY_AGAIN.includes(answer.status)) throw new Refused(answer.status, problem);
        why = `${answer.status}: ${problem.detail}`;
        wait = milliseconds(answer.headers.get("Retry-After") ?? "");
      } catch (error) {
        if (error instanceof Refused) throw error;
        why = String(error);
      }
      wait = Math.max(wait, pause * (0.5 + Math.random() / 2));
      if (performance.now() + wait > until) throw new Unreachable(why);
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  /** Return when all that was told before is sent. Throws `Refused` or `Unreachable`; what waits is kept then. */
  flush() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const work = this.#sending.then(async () => {
      for (const path of Object.keys(this.#waiting)) {
        while (this.#waiting[path].length) await this.#post(path, this.#waiting[path].slice(0, BATCH));
      }
    });
    this.#sending = work.catch(() => {});
    return work;
  }

  /** @param {string} path @param {Item} item */
  add(path, item) {
    JSON.stringify(item); // throws here, to whoever told it: nothing behind it would ever be sent
    const waiting = this.#waiting[path];
    waiting.push(item);
    const oldest = waiting.length > MOST_WAITING ? waiting.shift() : undefined;
    if (oldest) this.#onDropped(oldest, "more waits than is kept");
    if (waiting.length === BATCH) this.#flushLater(0);
    else this.#timer ?? this.#flushLater(FLUSH_MILLISECONDS);
  }

  /** @param {number} delay */
  #flushLater(delay) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flush().catch((error) => {
      console.warn(`engagement-conductor: not sent, and kept for the next time: ${error.message}`);
      this.#timer ?? this.#flushLater(LONGEST_PAUSE);
    }), delay);
  }

  /**
   * Send a batch, and take it from what waits. It is taken whole or not at all, but for what is named.
   * @param {string} path @param {Item[]} batch
   */
  async #post(path, batch) {
    /** @type {Map<number, string>} */
    const refused = new Map();
    try {
      await this.call("POST", path, batch);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      for (const { pointer = "", detail } of error.problem.errors ?? []) {
        const place = pointer.split("/")[1];
        if (/^\d+$/.test(place)) refused.set(Number(place), detail);
      }
      if (error.status !== 422 || !refused.size) throw error;
    }
    const sent = new Set(batch);
    const again = refused.size ? batch.filter((_, place) => !refused.has(place)) : [];
    this.#waiting[path] = [...again, ...this.#waiting[path].filter((item) => !sent.has(item))];
    refused.forEach((why, place) => this.#onDropped(batch[place], why));
  }
}

/** A session, of which it is told by `event`, or by `signals`: whichever comes first. */
export class Session {
  /** @param {Conductor} conductor @param {string} id */
  constructor(conductor, id) {
    this.conductor = conductor;
    this.id = id;
  }

  /**
   * Tell of one thing that happened, now or `at` a moment; `id` is your own of it, if you have one.
   * @param {EventType} type @param {EventOptions} [options]
   */
  event(type, { user, at = new Date(), id = crypto.randomUUID(), poll } = {}) {
    this.conductor.add("/events", { session_id: this.id, type, timestamp: at.toISOString(), user, id, poll });
  }

  /** Tell of one row that you measured yourself. @param {Signals} signals */
  signals({ at = new Date(), ...signals }) {
    this.conductor.add("/signals", { session_id: this.id, timestamp: at.toISOString(), ...signals });
  }

  /** Return the newest hundred incidents, newest first. @returns {Promise<any[]>} */
  async anomalies() {
    return (await this.conductor.call("GET", `/sessions/${this.id}/anomalies`)).items;
  }

  /** Return how it went. @returns {Promise<any>} */
  report() {
    return this.conductor.call("GET", `/sessions/${this.id}/report`);
  }

  /** Send what waits, and end the session: it takes nothing after. */
  async end() {
    await this.conductor.flush();
    await this.conductor.call("POST", `/sessions/${this.id}/end`, {});
  }
}

/** @param {string} text */
function read(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}

/** Read a Retry-After header, which holds seconds or a date; 0 where it holds neither. @param {string} text */
function milliseconds(text) {
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? 0 : Math.max(0, at - Date.now());
}
