"""The sockets of a session: each renders for itself what every row brings."""

import json
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.template.loader import render_to_string

from benchmarks.obvious.models import Row

SHOWN_ROWS = 360  # half an hour


class SessionConsumer(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        self.session_id = self.scope["url_route"]["kwargs"]["session_id"]
        await self.channel_layer.group_add(f"session.{self.session_id}", self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(f"session.{self.session_id}", self.channel_name)

    async def forward(self, message: dict[str, Any]) -> None:
        await self.send(await database_sync_to_async(self.render)(message["row_id"]))

    def render(self, row_id: int) -> str:
        raise NotImplementedError


class Dashboard(SessionConsumer):
    def render(self, row_id: int) -> str:
        newest = list(Row.objects.filter(session_id=self.session_id).order_by("-timestamp")[:SHOWN_ROWS])
        points = [(SHOWN_ROWS - place, 100 - 100 * (row.engagement_score or 0)) for place, row in enumerate(newest)]
        return render_to_string("obvious/dashboard.html", {"row": newest[0], "points": points})


class Stream(SessionConsumer):
    def render(self, row_id: int) -> str:
        row = Row.objects.get(id=row_id)
        engagement = {"timestamp": row.timestamp.isoformat(), "engagement_score": row.engagement_score}
        return json.dumps({"type": "engagement:update", "engagement": engagement})
