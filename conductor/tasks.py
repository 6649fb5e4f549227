"""Celery tasks: read the clock, call the pipeline."""

from celery import shared_task
from django.utils.timezone import now

from conductor import pipeline


@shared_task(acks_late=True, ignore_result=True)
def advance_partition(partition: int) -> None:
    """Judge the new rows of every session in one partition."""
    pipeline.advance(partition, now())


@shared_task(acks_late=True, ignore_result=True)
def tick() -> None:
    """Do what no row does: heal lost wake-ups, notice silence, end sessions that fell silent long ago."""
    pipeline.tick(now())
