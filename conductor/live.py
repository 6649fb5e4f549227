"""How every open screen and stream is told of what changed."""

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

import redis
from channels.layers import get_channel_layer

from anomalies.models import Anomaly
from conductor import carrier
from conductor.payloads import anomaly_payload, row_payload
from conductor.screens.session import render_many
from engagement.models import EngagementRow, Session

PUBLISH_SECONDS = 2.0  # a screen that misses this is wrong until the next row
ASKED_BY_NAME = 20  # sessions; whether of more somebody listens, all that are listened to say sooner

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SessionChange:
    """What happened to one session, in a sweep, at a tick or by a click."""

    session_id: UUID
    row: EngagementRow | None  # the newest row of a sweep
    detected: tuple[Anomaly, ...] = ()  # opened, or worsened, or changed type
    resolved: tuple[Anomaly, ...] = ()
    corrected: tuple[Anomaly, ...] = ()  # told already, now under another name
    acted: tuple[Anomaly, ...] = ()  # with which a person did something


def dashboard_group(session_id: UUID | str) -> str:
    """The group whose members are sent a page whole, a frame for each of its parts."""
    return f"dashboard.{session_id}"


def stream_group(session_id: UUID) -> str:
    """The group whose members are sent JSON."""
    return f"stream.{session_id}"


ROOMS_GROUP = "rooms"  # whose members are sent which sessions changed
NEWS = " news"  # stands behind those of which it is more than a number


def is_news(frame: str) -> bool:
    """Tell whether a message to the lists is of a session that may stand elsewhere since."""
    return frame.endswith(NEWS)


def changed_session(frame: str) -> UUID:
    """Return the session that a message to the lists is of."""
    return UUID(frame.removesuffix(NEWS))


def _list_message(change: SessionChange) -> str:
    is_news = change.row is None or change.detected or change.resolved or change.corrected
    return f"{change.session_id}{NEWS if is_news else ''}"


def redis_channel(group: str) -> str:
    """Return where the members of a group listen: `RedisPubSubChannelLayer`'s own name for it.

    The layer's `group_send` would open a connection for every call from synchronous code, and it cannot say whether
    anybody listens.
    """
    return f"asgi__group__{group}"


def announce(changes: Sequence[SessionChange], now: datetime) -> None:
    """Tell every open screen and stream, after the commit. Without Redis nobody is told, and the log says so.

    Messages go out in the order of the sweeps but at most once: a screen that missed one is mended by the next,
    or by the snapshot that it gets when it reconnects.
    """
    try:
        _publish(changes, now)
    except redis.RedisError:
        log.warning("No screen was told of %d sessions.", len(changes))


def find_watched() -> set[UUID]:
    """Return the sessions whose page is open somewhere; none where Redis cannot say."""
    try:
        groups = _listened_to(dashboard_group("*"))
    except redis.RedisError:
        return set()
    return {UUID(group.removeprefix(dashboard_group(""))) for group in groups}


def _publish(changes: Sequence[SessionChange], now: datetime) -> None:
    watched = _watched(changes)
    if not watched:
        return
    screens = [change.session_id for change in changes if dashboard_group(change.session_id) in watched]
    sessions = list(Session.objects.select_related("event").in_bulk(screens).values())
    frames: dict[str, list[str]] = (
        {dashboard_group(id_): list(parts) for id_, parts in render_many(sessions, now).items()} if sessions else {}
    )
    for change in changes:
        if (stream := stream_group(change.session_id)) in watched:
            frames.setdefault(stream, []).extend(_messages(change))
    if ROOMS_GROUP in watched:
        frames[ROOMS_GROUP] = [_list_message(change) for change in changes]
    with carrier.reach(PUBLISH_SECONDS) as client, client.pipeline(transaction=False) as pipe:
        for group, texts in frames.items():
            message = {"type": "forward", "frames": texts}
            pipe.publish(redis_channel(group), get_channel_layer().serialize(message))
        pipe.execute()


def _messages(change: SessionChange) -> Iterable[str]:
    """Yield the JSON messages of a stream."""
    if change.row is not None:
        yield json.dumps({"type": "engagement:update", "engagement": row_payload(change.row)})
    told = (
        ("detected", change.detected),
        ("updated", change.corrected + change.acted),
        ("resolved", change.resolved),
    )
    for kind, anomalies in told:
        for anomaly in anomalies:
            yield json.dumps({"type": f"anomaly:{kind}", "anomaly": anomaly_payload(anomaly)})


def _watched(changes: Sequence[SessionChange]) -> set[str]:
    """Return those of the groups that are told of these changes to which some process of ours has subscribed.

    Of many changes it may return groups of others, too.
    """
    if len(changes) > ASKED_BY_NAME:
        return _listened_to("*")
    groups = [group(change.session_id) for change in changes for group in (dashboard_group, stream_group)]
    groups.append(ROOMS_GROUP)
    with carrier.reach(PUBLISH_SECONDS) as client:
        counts = client.pubsub_numsub(*map(redis_channel, groups))
    return {group for group, (_, count) in zip(groups, counts, strict=True) if count}


def _listened_to(pattern: str) -> set[str]:
    """Return all groups of this pattern that some process of ours has subscribed to. Raises `redis.RedisError`."""
    with carrier.reach(PUBLISH_SECONDS) as client:
        channels = cast(list[bytes], client.pubsub_channels(redis_channel(pattern)))
    return {channel.decode().removeprefix(redis_channel("")) for channel in channels}
