"""What is known of a room, and the row of every 5 s that follows from its events in time order. Pure."""

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from engagement.moments import from_microseconds
from engagement.people import CAMERA, HAND, MIC, VOICE, Person
from engagement.polls import Polls
from engagement.readings import Reading
from engagement.signs import SWITCHES, Signs
from engagement.slots import ROW, SECOND, SLOTS, WINDOW, Slots, move_on, new_slots, row_end, take_out

EVENT_TYPES = (
    "poll_opened", "leave", "join", "blur", "focus", "chat", "reaction", "poll_vote", "poll_closed",
    *SWITCHES, "question_asked", "question_vote",
)  # fmt: skip
TALK = ("talk_started", "talk_stopped")
GRACE_SECONDS = 120.0
MAX_SILENCE_SECONDS = 30 * 60  # a longer one is told by its first half hour: two far-off events make no endless rows

GRACE = round(GRACE_SECONDS * SECOND)
MAX_SILENCE = MAX_SILENCE_SECONDS * SECOND

# When the source is gone and not the audience; see `Room`.
PACE_MINUTES = 3
LIVELY = 12  # events in the quietest of these minutes: one a row
MISSED_TO_WAIT = 8
MISSED_TO_BE_GONE = 20

# Of one moment: a leave before a join (a reconnect, the person is here), a poll's votes before its close.
RANK = {name: rank for rank, name in enumerate(EVENT_TYPES)}

# An event as it is sorted: moment (µs since 1970), rank of its type, user, poll; empty where there is none.
RankedEvent = tuple[int, int, str, str]


@dataclass(slots=True)
class Room:
    """The counts of one session: `advance` takes events in time order, slot by slot, and gives the rows.

    A row costs what happened in its 5 s, however many people are here: each event changes counters and the one
    person it tells of. So what must be stored between rows is this small value, and the people that changed.

    **Unknown until seen.** A platform that never sends chat looks like a room in which nobody writes. Taking its
    silence for 0 would call every webinar that reports connections only dead from the start. So chat, reactions
    and activity are None until the first of their kind in the session came (or where `sends_all` is set), and
    from then on silence is 0; what few platforms tell is None until then with `sends_all` as well. The counts of
    5 s are what came in, and so 0 before as well: whoever learns what is usual here would otherwise begin at the
    moment of a message, and take every room for one that falls silent.

    **No data is not no engagement.** A room's pace is the number of events of any kind (people who come, go, look
    away, write; but not who talks, as a single voice that begins and ends many times a minute is no audience) in the
    quietest of its last three minutes. At `LIVELY` and above, silence has a meaning: once
    `MISSED_TO_WAIT` events are missing, the chance that nobody did anything is one in 3,000, so `patience` ends
    and rows wait for the next event. If that comes before `MISSED_TO_BE_GONE` are missing, the rows of the silence
    are given: the audience was quiet. If it comes later the source was gone, as even a fifth of the usual pace would
    have shown itself by then (one silence in 50 would not): the silence has no rows, nor has the minute after it,
    whose windows would hold what nobody saw. A room with a lower pace can truly fall silent: its rows go on, whatever
    it takes. All of it follows from the events alone, so a recording gives the same rows at any speed.
    """

    grace: int = GRACE
    sends_all: bool = False
    next: int | None = None  # the end of the next row
    heard: int = 0  # the newest event that was taken
    whole_from: int = 0  # rows that end before it are not given
    present: int = 0
    focused: int = 0  # who looks, of those who are present
    has_joins: bool = False
    has_focus: bool = False
    has_chats: bool = False
    has_reactions: bool = False
    has_actors: bool = False
    has_chatters: bool = False
    has_questions: bool = False
    has_question_votes: bool = False
    # The last minute by slots of 5 s, newest last. A reconnect takes its leave out of the slot in which it was,
    # and who acts again moves from one slot to another.
    chats: Slots = field(default_factory=new_slots)
    reactions: Slots = field(default_factory=new_slots)
    leaves: Slots = field(default_factory=new_slots)
    actors: Slots = field(default_factory=new_slots)  # but for who talks now: see `_take_sign`
    chatters: Slots = field(default_factory=new_slots)
    questions: Slots = field(default_factory=new_slots)
    question_votes: Slots = field(default_factory=new_slots)
    events: Slots = field(default_factory=lambda: new_slots() * PACE_MINUTES)
    pace: int = 0
    polls: Polls = field(default_factory=Polls)
    signs: Signs = field(default_factory=Signs)

    @classmethod
    def unpack(cls, packed: Mapping[str, Any]) -> "Room":
        return cls(**{**packed, "polls": Polls.unpack(packed["polls"]), "signs": Signs(**packed["signs"])})

    def pack(self) -> dict[str, Any]:
        """Return what `unpack` takes, as values that JSON has."""
        # `asdict` would copy every number by itself, and what is packed is written out at once.
        packed = {each.name: getattr(self, each.name) for each in fields(self)}
        return packed | {
            "polls": self.polls.pack(),
            "signs": {each.name: getattr(self.signs, each.name) for each in fields(Signs)},
        }

    @property
    def patience(self) -> int | None:
        """How long (µs) after an event silence is taken for silence; None: for ever."""
        return MISSED_TO_WAIT * WINDOW // self.pace if self.pace >= LIVELY else None

    def advance(
        self,
        entries: Sequence[RankedEvent],
        people: MutableMapping[str, Person],
        until: int,
        is_over: bool = False,
        most: int | None = None,
    ) -> list[Reading]:
        """Take the events of the slots that end by `until` and return their rows, `most` at most.

        `entries` are sorted and hold all since `next` began; `people` holds all whom they name that were known
        before. `is_over` says that nothing will ever follow.
        """
        rows: list[Reading] = []
        place = 0
        while most is None or len(rows) < most:
            first = entries[place][0] if place < len(entries) else None
            if self.next is None:
                if first is None:
                    break
                self.next = row_end(first)
            if self.next > until:
                break
            if first is None or first >= self.next:
                silent_until = until if first is None else first // ROW * ROW
                if self._is_lost(silent_until):
                    if first is None:
                        break
                    self._skip_to(row_end(first))
                    continue
                if first is None and not is_over and self._is_waiting():
                    break
            self._begin_slot()
            while place < len(entries) and entries[place][0] < self.next:
                self._take(entries[place], people)
                place += 1
            self.signs.end_slot(self.next)
            if self.events[-1]:
                self.pace = min(sum(self.events[start : start + SLOTS]) for start in range(0, len(self.events), SLOTS))
            if self.next >= self.whole_from:
                rows.append(self._row(self.next))
            self.next += ROW
        return rows

    def _is_waiting(self) -> bool:
        assert self.next is not None
        return self.patience is not None and self.next > self.heard + self.patience

    def _is_lost(self, silent_until: int) -> bool:
        """Tell whether the next row is not given, as nobody was there to tell what happened."""
        assert self.next is not None
        if self.next - self.heard > MAX_SILENCE:
            return True
        return self._is_waiting() and silent_until - self.heard > MISSED_TO_BE_GONE * WINDOW // self.pace

    def _skip_to(self, end: int) -> None:
        assert self.next is not None
        if self.next - self.heard <= MAX_SILENCE:
            self.whole_from = end - ROW + WINDOW
        gap = min(SLOTS, (end - self.next) // ROW)
        for slots in self._slots:
            move_on(slots, gap)
        self.signs.skip(gap)
        self.next = end

    def _begin_slot(self) -> None:
        assert self.next is not None
        for slots in (*self._slots, self.events):
            move_on(slots, 1)
        self.signs.begin_slot(self.next - ROW)

    @property
    def _slots(self) -> tuple[Slots, ...]:
        return (
            self.chats, self.reactions, self.leaves, self.actors, self.chatters, self.questions, self.question_votes,
        )  # fmt: skip

    def _take(self, entry: RankedEvent, people: MutableMapping[str, Person]) -> None:
        moment, rank, user, poll = entry
        person = people.setdefault(user, Person()) if user else None
        self.heard = moment
        kind = EVENT_TYPES[rank]
        self.events[-1] += kind not in TALK
        match kind:
            case "join" if person:
                self._join(moment, person)
            case "leave" if person:
                self._leave(moment, person)
            case "focus" | "blur" if person:
                self._look(person, kind == "focus")
            case "chat":
                self.has_chats = True
                self.chats[-1] += 1
                self._act(moment, person)
                self._chat(moment, person)
            case "reaction":
                self.has_reactions = True
                self.reactions[-1] += 1
                self._act(moment, person)
            case "poll_vote":
                self.polls.vote(person, poll)
                self._act(moment, person)
            case "poll_opened":
                self.polls.open(moment, poll, self.present)
            case "poll_closed":
                self.polls.close(poll)
            case "question_asked":
                self.has_questions = True
                self.questions[-1] += 1
                self._act(moment, person)
            case "question_vote":
                self.has_question_votes = True
                self.question_votes[-1] += 1
                self._act(moment, person)
            case _ if person and kind in SWITCHES:
                self._take_sign(moment, person, kind)

    def _join(self, moment: int, person: Person) -> None:
        self.has_joins = True
        if not person.is_present:
            self.polls.welcome(person)
            self.present += 1
            self.focused += person.is_focused
            person.is_present = True
        if person.left_at is not None:
            if moment - person.left_at <= self.grace:
                self._take_out(self.leaves, person.left_at)
            person.left_at = None
            self.signs.welcome(moment, self._end, person)
            self._listen(person)

    def _leave(self, moment: int, person: Person) -> None:
        was_talking = person.is_talking
        self.signs.dismiss(moment, self._end, person)
        # Only who is here can leave: a doubled leave, or one whose join was never seen, is no exit.
        if not person.is_present:
            if was_talking:
                self._count_actor(moment, person)
            return
        self.present -= 1
        self.focused -= person.is_focused
        self.leaves[-1] += 1
        if person.acted_at is not None:
            self._take_out(self.actors, person.acted_at)
        person.is_present = person.is_focused = False
        person.left_at, person.acted_at = moment, None

    def _look(self, person: Person, is_focused: bool) -> None:
        self.has_focus = True
        if person.is_present:
            self.focused += is_focused - person.is_focused
        person.is_focused = is_focused

    def _act(self, moment: int, person: Person | None) -> None:
        self.has_actors = True
        if person is not None and not person.is_talking:
            self._count_actor(moment, person)

    def _count_actor(self, moment: int, person: Person) -> None:
        if self.has_focus:  # nobody asks who acts where it is known who looks
            return
        if person.acted_at is not None:
            self._take_out(self.actors, person.acted_at)
        self.actors[-1] += 1
        person.acted_at = moment

    def _chat(self, moment: int, person: Person | None) -> None:
        if person is None:
            return
        self.has_chatters = True
        if person.chatted_at is not None:
            self._take_out(self.chatters, person.chatted_at)
        self.chatters[-1] += 1
        person.chatted_at = moment

    def _take_sign(self, moment: int, person: Person, kind: str) -> None:
        """Take what a person shows. To raise a hand is to do something, and so is to talk, for as long as it lasts.

        A voice alone does not make it known who does anything: where nothing else is told, all would be idle who
        listen to a lecture. Devices are switched on by platforms as people join, which is nothing that they do.
        """
        was_talking = person.is_talking
        sign, is_on = SWITCHES[kind]
        self.signs.turn(moment, self._end, person, sign, is_on)
        if kind == "mic_off" and VOICE in person.signs:
            self.signs.turn(moment, self._end, person, VOICE, False)
        if kind == "hand_raised":
            self._act(moment, person)
        if was_talking and not person.is_talking:
            self._count_actor(moment, person)
        self._listen(person)

    def _listen(self, person: Person) -> None:
        """Count who talks among the voices, and not among those who did something some time ago as well."""
        if person.is_talking and person.acted_at is not None:
            self._take_out(self.actors, person.acted_at)
            person.acted_at = None

    def _take_out(self, slots: Slots, moment: int) -> None:
        take_out(slots, moment, self._end)

    @property
    def _end(self) -> int:
        """The end of the slot whose events are taken."""
        assert self.next is not None
        return self.next

    def _row(self, end: int) -> Reading:
        knows_chats, knows_reactions = self.has_chats or self.sends_all, self.has_reactions or self.sends_all
        left = sum(self.leaves)
        shown = self.signs.shown
        active: int | None = self.focused if self.has_focus else sum(self.actors) + self.signs.voices
        if not (self.has_focus or self.has_actors or self.sends_all):
            active = None
        elif self.has_joins:
            active = min(active or 0, self.present)
        participation = self.polls.participation if self.has_joins else None
        poll_age = None if participation is None else self.polls.age(end)
        return Reading(
            timestamp=from_microseconds(end),
            chat_msgs_per_min=float(sum(self.chats)) if knows_chats else None,
            poll_participation=participation,
            active_users=active,
            total_users=self.present if self.has_joins else None,
            reactions_per_min=float(sum(self.reactions)) if knows_reactions else None,
            user_leave_rate=(left / (self.present + left) if left else 0.0) if self.has_joins else None,
            chatters=sum(self.chatters) if self.has_chatters else None,
            hands_raised=shown.get(HAND),
            mics_on=shown.get(MIC),
            cameras_on=shown.get(CAMERA),
            talk_share=sum(self.signs.speech) / WINDOW if VOICE in shown else None,
            speakers=self.signs.speakers if VOICE in shown else None,
            questions_per_min=float(sum(self.questions)) if self.has_questions else None,
            question_votes_per_min=float(sum(self.question_votes)) if self.has_question_votes else None,
            chat_count=self.chats[-1],
            reaction_count=self.reactions[-1],
            leave_count=self.leaves[-1],
            poll_age_seconds=None if poll_age is None else poll_age / SECOND,
        )
