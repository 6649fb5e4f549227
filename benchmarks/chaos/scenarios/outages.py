"""A server that is frozen, dead, or has no connection left: what is told meanwhile, and how soon all is well again."""

import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
from django.conf import settings

from benchmarks.chaos.cast import close_the_books, new_cookie, new_key
from benchmarks.chaos.figures import Outcome
from benchmarks.chaos.load import Answer, Load, ask_meanwhile, seconds_of
from benchmarks.chaos.processes import send
from benchmarks.chaos.product import Product, postgres_answers, running, wait_for
from conductor.local.addresses import database_url

QUIET_SECONDS = 5.0  # before and between
REDIS_SECONDS = 8.0
POST_SECONDS = 1.0
FROZEN_SECONDS, DEAD_SECONDS = 12.0, 20.0
OUTAGE_SECONDS = 2.0  # in which one is told that the database is away
HEALED_SECONDS = 5.0
SLOW_REQUESTS = 40  # a process has eight connections
HELD_SECONDS = 12.0
POOL_SECONDS = 5.0


def frozen_redis(seed: int, count: int) -> Outcome:
    """Freeze Redis three times: posts go on, and what was not told is made up for."""
    outcome = Outcome("frozen-redis", seed)
    with running() as product:
        load = Load(product.url, new_key("Conference"), seed)
        load.start()
        during: list[Answer] = []
        for _ in range(3):
            time.sleep(QUIET_SECONDS)
            began = time.monotonic()
            with _frozen(product, "redis"):
                time.sleep(REDIS_SECONDS)
            during += load.answers(began, time.monotonic())
        outcome.expect_within(POST_SECONDS, seconds_of(during), "post while Redis is frozen")
        refused = sum(answer.status not in (200, 201, 202) for answer in during)
        outcome.promise(refused == 0, f"{refused} of {len(during)} posts were not taken while Redis was frozen")
        close_the_books(product, load, outcome)
    return outcome


def postgres_down(seed: int, count: int) -> Outcome:
    """Freeze PostgreSQL and all of its processes, then kill it and keep it down; both while `up` cannot help."""
    outcome = Outcome("postgres-down", seed)
    with running() as product:
        load = Load(product.url, new_key("Conference"), seed)
        cookie, is_over = new_cookie(), threading.Event()
        pages = ask_meanwhile(lambda: product.get("/", cookie=cookie), is_over, pause=0.2)
        load.start()
        time.sleep(QUIET_SECONDS)
        began = time.monotonic()
        with _up_frozen(product), _frozen(product, "postmaster", "backend"):
            time.sleep(FROZEN_SECONDS)
        _tell_outage("frozen", began, load, pages, outcome)
        load.await_more(20)
        began = time.monotonic()
        with _up_frozen(product):
            send(product.find("postmaster")[0].pid, signal.SIGKILL)
            time.sleep(DEAD_SECONDS)
        _tell_outage("dead", began, load, pages, outcome)
        load.await_more(20)
        is_over.set()
        close_the_books(product, load, outcome)
    return outcome


def pool(seed: int, count: int) -> Outcome:
    """Send far more slow requests than there are connections: each is answered in time, and afterwards all is well."""
    outcome = Outcome("pool", seed)
    with running() as product:
        load = Load(product.url, new_key("Conference"), seed, writers=2)
        cookie, is_over = new_cookie(), threading.Event()
        load.start()
        load.await_more(20)
        began = time.monotonic()
        with psycopg.connect(database_url(settings.DATA_DIR)) as holder, ThreadPoolExecutor(SLOW_REQUESTS) as asking:
            holder.execute("LOCK TABLE engagement_session IN ACCESS EXCLUSIVE MODE")
            slow = [asking.submit(_ask_for, product, cookie, began + HELD_SECONDS - 5) for _ in range(SLOW_REQUESTS)]
            answers = [answer for future in slow for answer in future.result()]
            outcome.promise(all(answer.status == 503 for answer in answers), "a page had no database and was no 503")
            time.sleep(max(0.0, began + HELD_SECONDS - time.monotonic()))
            during = load.answers(began, time.monotonic())
            holder.rollback()
        healed = wait_for(lambda: product.get("/", cookie=cookie)[0] == 200, 30)
        outcome.expect_within(POOL_SECONDS, seconds_of(answers), "slow page answered after")
        outcome.expect_within(POOL_SECONDS, seconds_of(during), "slow post answered after")
        _tell_healing("pool", healed, outcome)
        is_over.set()
        close_the_books(product, load, outcome)
    return outcome


def _ask_for(product: Product, cookie: str, until: float) -> list[Answer]:
    """Ask for a page again and again."""
    answers = []
    while (at := time.monotonic()) < until:
        status, seconds = product.get("/", cookie=cookie)
        answers.append(Answer(status, at, seconds))
    return answers


@contextmanager
def _frozen(product: Product, *parts: str) -> Iterator[None]:
    pids = [process.pid for part in parts for process in product.find(part)]
    for pid in pids:
        send(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            send(pid, signal.SIGCONT)


@contextmanager
def _up_frozen(product: Product) -> Iterator[None]:
    product.signal_up(signal.SIGSTOP)
    try:
        yield
    finally:
        product.signal_up(signal.SIGCONT)


def _tell_outage(what: str, began: float, load: Load, pages: list[Answer], outcome: Outcome) -> None:
    """Note what was answered since then, and wait until requests are taken again."""
    ended = time.monotonic()
    away = wait_for(postgres_answers, 60)
    back_at = time.monotonic()
    healed = wait_for(lambda: any(answer.status == 202 for answer in load.answers(back_at)), 60)
    during = load.answers(began, ended), [answer for answer in pages if began <= answer.at < ended]
    for whom, answers in zip(("post", "page"), during, strict=True):
        others = sorted({answer.status for answer in answers} - {200, 201, 202, 503})
        outcome.promise(not others, f"{what} PostgreSQL: a {whom} was answered {others} and not 503")
        outcome.expect_within(OUTAGE_SECONDS, seconds_of(answers), f"{what}: {whom} answered after")
        outcome.figures[f"{what}: {whom} told 503"] = sum(answer.status == 503 for answer in answers)
    outcome.figures[f"{what}: it answers again after, s"] = "not in 60 s" if away is None else round(away, 2)
    _tell_healing(what, healed, outcome)


def _tell_healing(what: str, healed: float | None, outcome: Outcome) -> None:
    outcome.figures[f"{what}: healed after, s"] = "not in time" if healed is None else round(healed, 2)
    outcome.promise(healed is not None, f"{what}: nothing was taken afterwards")
    if healed is not None and healed > HEALED_SECONDS:
        outcome.missed.append(f"{what}: healed after {healed:.1f} s, not {HEALED_SECONDS:g} s")
