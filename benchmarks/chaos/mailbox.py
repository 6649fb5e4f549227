"""A mail server that takes its time, and now and then nothing."""

import asyncio
import email
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller

from benchmarks.chaos.product import HOST, free_port

FAILS = 0.1  # part of mails that are refused for now
SLOWEST = 0.05  # seconds until a mail is taken


class Mailbox:
    """What it took: to whom, and under which subject."""

    url: str

    def __init__(self, chance: random.Random):
        self.taken: list[tuple[str, str]] = []
        self._chance = chance

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        await asyncio.sleep(self._chance.uniform(0, SLOWEST))
        if self._chance.random() < FAILS:
            return "451 Not now"
        mail = email.message_from_bytes(envelope.content, policy=default)
        self.taken.append((envelope.rcpt_tos[0], mail["subject"]))
        return "250 OK"


@contextmanager
def serve_mail(handler: object) -> Iterator[str]:
    """Yield the address of a mail server, as Apprise writes it, whose mail goes to a handler of aiosmtpd's."""
    logging.getLogger("mail.log").setLevel(logging.WARNING)  # it tells of every command
    port = free_port()
    controller = Controller(handler, hostname=HOST, port=port)
    controller.start()
    try:
        yield f"mailto://{HOST}:{port}?from=live@example.org"
    finally:
        controller.stop()


@contextmanager
def mail_server(seed: int) -> Iterator[Mailbox]:
    """Yield the mailbox of a server that is ended afterwards."""
    mailbox = Mailbox(random.Random(seed))
    with serve_mail(mailbox) as mailbox.url:
        yield mailbox
