"""The doors and the baton: what needs both apps, or speaks a protocol."""

from conductor.celery import app as celery_app

__all__ = ["celery_app"]
