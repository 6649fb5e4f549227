"""Simulate one session: raw events, the rows made of them, and the labels. Pure."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from anomalies.bench.corpus import Label, LabelledSession
from anomalies.bench.simulation.conversation import Conversation
from anomalies.bench.simulation.crowd import Crowd
from anomalies.bench.simulation.faults import break_rows
from anomalies.bench.simulation.rates import play_rates
from anomalies.bench.simulation.script import WARM_UP_SECONDS, Script, draw_script
from anomalies.bench.simulation.voices import Voices, draw_mood
from anomalies.bench.simulation.wide import WIDE, as_platforms_send, draw_emits
from engagement.readings import OPTIONAL, Reading
from engagement.signs import SWITCHES
from engagement.windows import RawEvent, Windows

MAKERS = ("people", "rates")  # a crowd of persons, who leave raw events; rates that are counted, who leave rows only
FIRST_DAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
EMITTED = {
    "activity": {"join", "leave", "chat", "reaction", "poll_vote", "focus", "blur"},
    "actors": {"join", "leave", "chat", "reaction", "poll_vote"},
    "connections": {"join", "leave"},
    "chat": {"chat"},
    "connected": {"join", "leave", "chat", "reaction", "poll_vote"},
}
SIGNS = {*SWITCHES, "question_asked", "question_vote"}
EMITTED |= {"everything": EMITTED["activity"] | SIGNS, "signs": EMITTED["actors"] | SIGNS}
STARTLED_SECONDS = 60  # people turn to and fro faster so long after something began or ended
VOTE_SECONDS = 30.0  # who votes does so about so long after the poll opened ...
VOTE_HAZARD = 1.2 / 22  # ... each second with this chance at first, times the share that the poll is drawn to get
CLOSING_SECONDS = 110  # after the planned end people leave as if each stayed for so long on the average


def simulate(
    seed: int,
    kind: str | None = None,
    audience: int | None = None,
    *,
    index: int = 0,
    emits: str | None = None,
    quiet: bool = False,
    maker: str = "people",
    wide: bool = False,
) -> LabelledSession:
    """Return session `index` of the series that `seed` names: the same arguments give the same session.

    `kind` is one of KINDS and `emits` one of EMITS (what the platform can tell); None draws them, and the
    audience. `quiet` leaves out the incidents; what only looks like one stays. `maker` is one of MAKERS. `wide`
    varies more: rooms, shapes and lengths of incidents, and how good the rates are.
    """
    number = MAKERS.index(maker)
    rng = np.random.default_rng([seed, index, number] if number or wide else [seed, index])
    if wide:
        script = draw_script(rng, kind, audience, emits or draw_emits(rng), quiet, WIDE)
    else:
        script = draw_script(rng, kind, audience, emits, quiet)
    name, starts_at = f"{'r' if number else 's'}{seed}-{index:05}", FIRST_DAY + timedelta(hours=2 * index)
    session = (enact_rates if number else enact)(rng, script, name, starts_at)
    return replace(session, rows=as_platforms_send(rng, session.rows)) if wide else session


def enact(
    rng: np.random.Generator, script: Script, name: str, starts_at: datetime, faulty: bool = True
) -> LabelledSession:
    """Play a script; `faulty` adds the glitches and gaps of a platform's own rows."""
    events = _play(rng, script, name, starts_at)
    last_row_at = _last_row_at(script, starts_at)
    windows = Windows(sends_all=True)
    windows.add(events)
    rows = [_as_told(script, row) for row in windows.finish(last_row_at) if row.timestamp <= last_row_at]
    if not script.tells_signs:
        rows = [replace(row, **dict.fromkeys(OPTIONAL)) for row in rows]  # type: ignore[arg-type]
    return _label(rng, script, LabelledSession(name, rows, [], starts_at, events=events), faulty)


def enact_rates(rng: np.random.Generator, script: Script, name: str, starts_at: datetime) -> LabelledSession:
    """Play a script by rates, without people and so without raw events."""
    rows = [_as_told(script, row) for row in play_rates(rng, script, starts_at)]
    return _label(rng, script, LabelledSession(name, rows, [], starts_at), faulty=True)


def _last_row_at(script: Script, starts_at: datetime) -> datetime:
    return starts_at + timedelta(seconds=(script.seconds + script.overtime) // 5 * 5)


def _label(rng: np.random.Generator, script: Script, played: LabelledSession, faulty: bool) -> LabelledSession:
    """Return the session with its plan and its labels, and with the faults of a platform's rows."""
    starts_at, rows = played.starts_at or FIRST_DAY, played.rows
    labels = _labels(script, starts_at, _last_row_at(script, starts_at))
    if faulty:
        rows, faults = break_rows(rng, rows, [(label.start, label.end) for label in labels if label.type])
        labels += [Label(None, start, end, why) for start, end, why in faults]
    return replace(
        played,
        kind=script.kind.name,
        audience=script.audience,
        emits=script.emits,
        ends_at=starts_at + timedelta(seconds=script.seconds),
        breaks=tuple((_at(starts_at, pause.start), _at(starts_at, pause.end)) for pause in script.breaks),
        rows=rows,
        labels=sorted(labels, key=lambda label: (label.start, label.end, label.type or "", label.why)),
    )


def _play(rng: np.random.Generator, script: Script, name: str, starts_at: datetime) -> list[RawEvent]:
    total = script.seconds + script.overtime
    crowd = Crowd(rng, script)
    mood = draw_mood(rng, script, total)
    voices = Voices(rng, script, mood)
    conversation = Conversation(rng.spawn(1)[0], script, crowd, mood) if script.tells_signs else None
    turns = {int(turn) for stretch in script.stretches + script.breaks for turn in (stretch.start, stretch.end)}
    startled_until = -1
    for second in range(total):
        if second in turns:
            startled_until = second + STARTLED_SECONDS
        here = int(crowd.present.sum())
        crowd.act(second, voices.count_chats(second, here), "chat")
        crowd.act(second, voices.count_reactions(second, here), "reaction")
        _poll(crowd, script, second)
        if conversation is not None:
            conversation.go_on(second)
        crowd.look(second, mood.active[second], startled=second < startled_until)
        _come_and_go(crowd, script, second)
    return _raw_events(rng, script, crowd, name, starts_at)


def _poll(crowd: Crowd, script: Script, second: int) -> None:
    for number, (opens, closes, share) in enumerate(script.polls, 1):
        if second == opens:
            crowd.voted[:] = False
            crowd.events.append((1000 * second, "poll_opened", number))
        if opens < second < closes:
            crowd.vote(second, share * VOTE_HAZARD * float(np.exp(-(second - opens) / VOTE_SECONDS)))
        if second == closes:
            crowd.events.append((1000 * second, "poll_closed", number))


def _come_and_go(crowd: Crowd, script: Script, second: int) -> None:
    for stretch in script.stretches:
        if stretch.exits and stretch.start <= second < stretch.start + stretch.exit_seconds:
            crowd.exit(second, stretch)
    crowd.go(second, script.churn / 60, script.reconnecting)
    if second >= script.seconds:
        hurry = min(1.0, (second - script.seconds) / 30 + 0.4)
        crowd.go(second, hurry / CLOSING_SECONDS, 0.0)
    crowd.come(second)


def _raw_events(
    rng: np.random.Generator, script: Script, crowd: Crowd, name: str, starts_at: datetime
) -> list[RawEvent]:
    """Write down what the platform can tell, in time order, without what got lost."""
    emitted = EMITTED[script.emits]
    lost = [stretch for stretch in script.stretches if stretch.lost]
    events: list[RawEvent] = []
    for number, (moment, what, who) in enumerate(sorted(crowd.events)):
        is_poll = what in ("poll_opened", "poll_closed")
        if not is_poll and what not in emitted:
            continue
        if what in ("chat", "reaction") and any(
            s.start <= moment / 1000 < s.end and rng.random() < s.lost for s in lost
        ):
            continue
        poll = f"p{who}" if is_poll else None
        if what == "poll_vote":
            poll = f"p{sum(opens * 1000 <= moment for opens, _, _ in script.polls)}"
        events.append(
            RawEvent(
                type=what,
                timestamp=starts_at + timedelta(milliseconds=moment),
                user=None if is_poll else f"u{who + 1}",
                id=f"{name}-{number}",
                poll=poll,
            )
        )
    return events


def _labels(script: Script, starts_at: datetime, last_row_at: datetime) -> list[Label]:
    labels = []
    for stretch in script.stretches + script.breaks:
        start = stretch.start or 60.0  # dead from the start: from the first full window on
        end = stretch.end + (stretch.fall if stretch.why == "spike" else 0)
        snr = None if stretch.snr is None else round(stretch.snr, 2)
        labels.append(Label(stretch.type, _at(starts_at, start), _at(starts_at, end), stretch.why, snr))
    labels += [
        Label(None, _at(starts_at, closes), _at(starts_at, closes + 60), "poll closing")
        for _, closes, _ in script.polls
    ]
    first = min((stretch.start for stretch in script.incidents), default=WARM_UP_SECONDS)
    if first >= WARM_UP_SECONDS:
        labels.append(Label(None, starts_at, _at(starts_at, WARM_UP_SECONDS), "warm-up"))
    labels.append(Label(None, _at(starts_at, script.seconds), last_row_at, "planned end"))
    return labels


def _as_told(script: Script, row: Reading) -> Reading:
    """Return the row as platforms send it: shares to four places, so that files stay small, and no more than signals.

    Where only connections are known, all who are there count as active.
    """
    votes, left, talk = row.poll_participation, row.user_leave_rate, row.talk_share
    return replace(
        row,
        active_users=row.total_users if script.emits == "connected" else row.active_users,
        chat_count=None,
        reaction_count=None,
        leave_count=None,
        poll_age_seconds=None,
        poll_participation=None if votes is None else round(votes, 4),
        user_leave_rate=None if left is None else round(left, 4),
        talk_share=None if talk is None else round(talk, 4),
    )


def _at(starts_at: datetime, second: float) -> datetime:
    return starts_at + timedelta(seconds=round(second))
