"""A mail server that takes its time, and now and then nothing."""

import asyncio
import email
import logging
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller

FAILS = 0.1  # part of mails that are refused for now
SLOWEST = 0.05  # seconds until a mail is taken


class Mailbox:
    """What it took: to whom, and under which subject."""

    def __init__(self, chance: random.Random, port: int):
        self.url = f"mailto://127.0.0.1:{port}?from=live@example.org"
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
def mail_server(seed: int) -> Iterator[Mailbox]:
    """Yield the mailbox of a server that is ended afterwards."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    mailbox = Mailbox(random.Random(seed), port)
    logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd tells of every command
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()
