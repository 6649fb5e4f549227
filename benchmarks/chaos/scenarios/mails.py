"""Senders that are killed while they send mail: every mail arrives, and hardly one comes twice."""

from benchmarks.chaos.figures import Outcome
from benchmarks.chaos.mailbox import mail_server
from benchmarks.chaos.product import running
from benchmarks.chaos.told import kill_mailers

TWICE = 0.01  # of a kill


def mails(seed: int, count: int) -> Outcome:
    """Kill senders so many times on the servers of a running product, whose own sender goes on beside them."""
    outcome = Outcome("mails", seed)
    with mail_server(seed) as mailbox, running({"CONDUCTOR_MAIL_URL": mailbox.url}):
        twice = kill_mailers(seed, count, outcome, mailbox)
    if twice > TWICE * count:  # what lies between a server's yes and our note of it depends on the machine
        outcome.missed.append(f"{twice} mails came twice, not {TWICE * count:g}")
    return outcome
