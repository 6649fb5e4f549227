"""No more at once than can be worked on: who comes while it is full is told so at once, and holds nothing."""

from conductor.api.problems import PREFIX, Problem
from conductor.outages import COME_BACK
from conductor.requests import Application, Receive, Scope, Send, send_answer

MAX_POSTS = 100  # what REST calls do at once; they share eight connections to the database

FULL = "The server is sent more than it can take just now. Nothing was stored; send it again."


async def refuse(send: Send) -> None:
    """Answer 503."""
    await send_answer(Problem(503, FULL, headers=COME_BACK).answer(), send)


def without_crowds(application: Application, most: int = MAX_POSTS) -> Application:
    """Return the HTTP application that works on so many REST posts at once, and on pages, health and metrics always."""
    number = 0

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal number
        if scope["method"] != "POST" or not scope["path"].startswith(PREFIX):
            await application(scope, receive, send)
            return
        if number >= most:
            await refuse(send)
            return
        number += 1
        try:
            await application(scope, receive, send)
        finally:
            number -= 1

    return wrapped
