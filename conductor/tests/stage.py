"""An organizer with sessions in every state that a page can show, made the way the product makes them."""

from datetime import UTC, datetime, timedelta
from functools import cache

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User

from anomalies.models import Anomaly
from engagement.ingest import record_rows
from engagement.models import EngagementRow, Event, Role, Session
from engagement.readings import Reading

PASSWORD = "correct horse"
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
NOW = START + timedelta(hours=1)


@cache
def hashed_password(hasher: str) -> str:
    """Return the hash of everybody's password by the hasher of the settings, which may take a third of a second."""
    return make_password(PASSWORD)


def organizer(name: str = "organizer", event: Event | None = None, role: Role = Role.ORGANIZER) -> User:
    user = User.objects.create(username=name, password=hashed_password(settings.PASSWORD_HASHERS[0]))
    (event or Event.objects.create(name=f"Event of {name}")).memberships.create(user=user, role=role)
    return user


def live_session(event: Event, title: str = "Keynote", rows: int = 24, **fields) -> Session:
    """Return a session with so many healthy rows, 5 s apart, as the detector leaves it."""
    session = Session.objects.create(event=event, title=title, **fields)
    record_rows(session.id, [reading(place) for place in range(rows)], NOW)
    newest = EngagementRow.objects.for_session(session).last()
    session.refresh_from_db()
    session.detector_state = Session.DetectorState.WATCHING
    session.judged_until, session.heard_at = newest and newest.timestamp, NOW
    session.save()
    return session


def reading(place: int, **signals) -> Reading:
    healthy = {
        "chat_msgs_per_min": 12.0,
        "poll_participation": 0.5,
        "active_users": 40,
        "total_users": 50,
        "reactions_per_min": 4.0,
        "user_leave_rate": 0.0,
    }
    return Reading(START + timedelta(seconds=5 * place), **{**healthy, **signals})


def incident(session: Session, severity: str = "CRITICAL", seconds: int = 60, **fields) -> Anomaly:
    """Return an incident that opened so many seconds after the start."""
    evidence = {"observed": 2.0, "expected": 14.0, "change": -0.86, "z": 6.1, "moved": True}
    return Anomaly.objects.create(
        **{
            "session": session,
            "event": session.event,
            "timestamp": START + timedelta(seconds=seconds),
            "anomaly_type": Anomaly.Type.SUDDEN_DROP,
            "severity": severity,
            "anomaly_score": 0.9,
            "current_engagement": 0.31,
            "expected_engagement": 0.74,
            "deviation": 0.58,
            "description": "Chat fell from 14 to 2 a minute.",
            "metadata": {
                "signals": {"chat_msgs_per_min": evidence},
                "moved": ["chat_msgs_per_min"],
                "advice": "Ask the room a question.",
            },
            **fields,
        }
    )
