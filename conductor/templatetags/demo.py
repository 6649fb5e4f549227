"""What the demo says of its own session; on any other page, and where no demo plays, nothing."""

import time
from typing import Any
from uuid import UUID

from django import template
from django.conf import settings

from conductor.local.demo.captions import read_caption

register = template.Library()


@register.inclusion_tag("demo/caption.html")
def demo_caption(session_id: UUID) -> dict[str, Any]:
    return {"session_id": session_id, "text": read_caption(settings.DATA_DIR, str(session_id), time.time())}
