"""What the page of an event's channels shows: each with how its last deliveries went."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from conductor.models import Channel, ChannelQuerySet, Message

MOST_SHOWN = 10  # deliveries of a channel
AWAITED = timedelta(seconds=30)  # a test that is under way for longer is shown without being waited for


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message of a channel, and how it went."""

    message: Message
    state: str  # delivered, waiting, failing or given-up


@dataclass(frozen=True, slots=True)
class ChannelCard:
    """A channel as the page shows it."""

    channel: Channel
    state: str  # fine, failing, paused or untried
    deliveries: Sequence[Delivery]


@dataclass(frozen=True, slots=True)
class ChannelsScreen:
    cards: Sequence[ChannelCard]
    is_awaiting: bool  # a test is under way, so the page looks again


def show_channels(channels: ChannelQuerySet, now: datetime) -> ChannelsScreen:
    """Return the channels of an event with their last deliveries; two queries, and two for each channel."""
    cards = [_card(channel) for channel in channels]
    tests = [each.message for card in cards for each in card.deliveries if each.message.type == Message.Type.TEST]
    is_awaiting = any(
        test.done_at is None and not _was_tried(test) and now - test.created_at < AWAITED for test in tests
    )
    return ChannelsScreen(cards, is_awaiting)


def _card(channel: Channel) -> ChannelCard:
    found = channel.messages.prefetch_related("tries").select_related("session").order_by("-id")[:MOST_SHOWN]
    deliveries = [Delivery(message, _state(message)) for message in found]
    return ChannelCard(channel, _channel_state(channel, deliveries), deliveries)


def _channel_state(channel: Channel, deliveries: Sequence[Delivery]) -> str:
    if channel.paused_at is not None:
        return "paused"
    if channel.failures:
        return "failing"
    return "fine" if any(each.state == "delivered" for each in deliveries) else "untried"


def _state(message: Message) -> str:
    if message.given_up:
        return "given-up"
    if message.done_at is not None:
        return "delivered"
    return "failing" if _was_tried(message) else "waiting"


def _was_tried(message: Message) -> bool:
    return any(attempt.milliseconds is not None for attempt in message.tries.all())
