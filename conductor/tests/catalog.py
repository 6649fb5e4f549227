"""What PostgreSQL's catalog says of a table, in words that two servers can be compared by."""

from psycopg import Connection

COLUMNS = """
    SELECT column_name, data_type, character_maximum_length, is_nullable, column_default
    FROM information_schema.columns WHERE table_schema = 'public' AND table_name = %s ORDER BY column_name
"""
CONSTRAINTS = """
    SELECT conname, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE conrelid = %s::regclass AND contype <> 'n' ORDER BY conname
"""  # PostgreSQL 18 lists NOT NULL here too; COLUMNS has it on every version
INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = %s ORDER BY indexname"


def describe_table(database: Connection, table: str) -> dict[str, list[tuple]]:
    """Return the columns, constraints and indexes of a table."""
    parts = {"columns": COLUMNS, "constraints": CONSTRAINTS, "indexes": INDEXES}
    return {part: database.execute(query, [table]).fetchall() for part, query in parts.items()}
