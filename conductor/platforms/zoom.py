"""Zoom's webhooks: whether Zoom signed them, and what they tell. Pure.

Zoom tells who is there, when a meeting or webinar begins and ends, and, where the account has it, what is written to
everyone. Reactions, hands, microphones and polls it does not tell, so they stay unknown.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from conductor.platforms.told import Act, Told, Unreadable, find, from_milliseconds, from_text, text

OLDEST = timedelta(minutes=5)  # a request that was recorded is worth nothing after it
VALIDATION = "endpoint.url_validation"
TOKEN_LENGTH = 500
# Times of joins and leaves are whole seconds. A leave is at the end of its own, as who came within it was there.
END_OF_SECOND = timedelta(milliseconds=999)
EVERYONE = ("everyone", "to_everyone", "all")
HOST_ENDED = "host ended"


def is_signed(headers: Mapping[str, str], body: bytes, secret: str, now: datetime) -> bool:
    """Tell whether Zoom signed this request with the secret token, just now."""
    stamp, signature = headers.get("x-zm-request-timestamp", ""), headers.get("x-zm-signature", "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 13):
        return False
    # In seconds, as the documents say; some of Zoom's own apps send milliseconds.
    sent_at = from_milliseconds(int(stamp) if len(stamp) == 13 else 1_000 * int(stamp))
    if sent_at is None or abs(now - sent_at) > OLDEST:
        return False
    expected = "v0=" + sign(secret, b"v0:" + stamp.encode() + b":" + body)
    return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace"))


def sign(secret: str, message: bytes) -> str:
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def answer_validation(body: bytes, secret: str) -> dict[str, str] | None:
    """Return what proves to Zoom that we know the secret, if that is what it asks. Raises `Unreadable`."""
    document = _parse(body)
    if document.get("event") != VALIDATION:
        return None
    token = find(document, "payload", "plainToken")
    if not isinstance(token, str) or not 0 < len(token) <= TOKEN_LENGTH or not token.isprintable():
        raise Unreadable("the request for validation has no token")
    return {"plainToken": token, "encryptedToken": sign(secret, token.encode())}


def read(body: bytes) -> list[Told]:
    """Return what a request tells. Raises `Unreadable`."""
    document = _parse(body)
    name = text(document, "event")
    kind, _, what = name.partition(".")
    if kind not in ("meeting", "webinar") or not find(document, "payload", "object"):
        return [Told(name)]
    return [_read(name, what, document)]


def _parse(body: bytes) -> dict[str, object]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise Unreadable("it is not JSON") from None
    if not isinstance(document, dict) or not isinstance(document.get("event"), str):
        raise Unreadable("it has no event")
    return document


def _read(name: str, what: str, document: object) -> Told:
    meeting, told_at = find(document, "payload", "object"), from_milliseconds(find(document, "event_ts"))
    uuid, number = text(meeting, "uuid"), text(meeting, "id")
    if not (uuid and number):
        return Told(name)
    told = Told(name, at=told_at, meeting=f"{number}:{uuid}", title=text(meeting, "topic"))
    match what:
        case "started":
            return replace(told, act=Act.BEGIN, at=from_text(find(meeting, "start_time")) or told_at)
        case "ended":
            return replace(told, act=Act.END, at=from_text(find(meeting, "end_time")) or told_at)
        case "participant_joined":
            return _read_join(told, find(meeting, "participant"))
        case "participant_left":
            return _read_leave(told, find(meeting, "participant"))
        case "chat_message_sent":
            return _read_chat(told, find(meeting, "chat_message"))
    return told


def _read_join(told: Told, participant: object) -> Told:
    at, connection = from_text(find(participant, "join_time")) or told.at, _connection(participant)
    if not connection:
        return told
    person, id_ = _person(participant), f"join {connection} {at}"
    return replace(told, act="join", at=at, person=person, connection=connection, id=id_)


def _read_leave(told: Told, participant: object) -> Told:
    """Read that somebody left; that the host ended it for all is no exit."""
    left_at, connection = from_text(find(participant, "leave_time")), _connection(participant)
    if not connection or HOST_ENDED in text(participant, "leave_reason").lower():
        return told
    at = told.at if left_at is None else left_at + END_OF_SECOND
    person, id_ = _person(participant), f"leave {connection} {at}"
    return replace(told, act="leave", at=at, person=person, connection=connection, id=id_)


def _read_chat(told: Told, message: object) -> Told:
    """Read that something was written to everyone; its text is not looked at."""
    id_, to = text(message, "message_id"), text(message, "recipient_type").lower()
    if not id_ or to not in EVERYONE:
        return told
    at, session = from_text(find(message, "date_time")) or told.at, text(message, "sender_session_id")
    connection = f"user_id {session}" if session else ""
    return replace(
        told, act="chat", at=at, person=_mail(message, "sender_email"), connection=connection, id=f"chat {id_}"
    )


def _connection(participant: object) -> str:
    """Return what names this stay, the same as chat calls its sender where that is told."""
    return _named(participant, "user_id") or _named(participant, "participant_uuid")


def _person(participant: object) -> str:
    """Return what lasts from one stay to the next, if Zoom tells it: who is not logged in has a name and no more.

    By the name two of one name would be one person, who leaves when the second does. So it is not used: such a person
    is a new one at each return.
    """
    return (
        _mail(participant, "email")
        or _named(participant, "id")
        or _named(participant, "registrant_id")
        or _named(participant, "participant_user_id")
    )


def _mail(value: object, name: str) -> str:
    mail = text(value, name).strip().lower()
    return f"mail {mail}" if mail else ""


def _named(value: object, name: str) -> str:
    found = text(value, name).strip()
    return f"{name} {found}" if found else ""
