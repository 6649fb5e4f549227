"""One request a row: look the key up, insert the row, enqueue its task."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.urls import path
from ninja import NinjaAPI, Schema
from ninja.security import HttpBearer

from benchmarks.obvious.models import Key, Row
from benchmarks.obvious.tasks import judge
from engagement.readings import Reading
from engagement.scoring import find_score


class Signals(Schema):
    timestamp: datetime
    chat_msgs_per_min: float | None = None
    poll_participation: float | None = None
    active_users: int | None = None
    total_users: int | None = None
    reactions_per_min: float | None = None
    user_leave_rate: float | None = None


class BearerKey(HttpBearer):
    def authenticate(self, request: HttpRequest, token: str) -> Any:
        return Key.objects.filter(secret=token).first()


api = NinjaAPI(auth=BearerKey(), docs_url=None)


@api.post("/sessions/{session_id}/signals", response={202: dict[str, int]})
def post_signals(request: HttpRequest, session_id: UUID, body: Signals) -> tuple[int, dict[str, int]]:
    fields = body.dict()
    row = Row.objects.create(session_id=session_id, engagement_score=find_score(Reading(**fields)), **fields)
    judge.delay(row.id)
    return 202, {"accepted": 1, "duplicates": 0, "late": 0}


urlpatterns = [path("api/v1/", api.urls)]
