"""Database engine: django-timescaledb where the server has the extension, plain PostgreSQL where it has not."""

from timescale.db.backends.postgresql.base import DatabaseWrapper as TimescaleWrapper


class DatabaseWrapper(TimescaleWrapper):
    """To be completed."""
