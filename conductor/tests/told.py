"""What the members of a group are told."""

import redis
from channels.layers import get_channel_layer
from django.conf import settings


class Told:
    """The frames that reach a subscriber of one group, read from Redis as the channel layer would."""

    def __init__(self, group: str):
        self.pubsub = redis.Redis.from_url(settings.REDIS_URL).pubsub()
        self.pubsub.subscribe(f"asgi__group__{group}")
        assert self.pubsub.get_message(timeout=5)["type"] == "subscribe"

    def frames(self) -> list[str]:
        """Return the frames of the next message, [] where there is none."""
        message = self.pubsub.get_message(timeout=0.2)
        return [] if message is None else get_channel_layer().deserialize(message["data"])["frames"]
