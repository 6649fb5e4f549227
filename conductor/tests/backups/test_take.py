"""Taking a backup: every table, in an order that can be loaded, as of one moment."""

import psycopg
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection

from conductor.backups import take
from conductor.backups.form import open_backup
from conductor.backups.take import CannotBackUp, take_backup
from conductor.local import addresses
from conductor.tests.databases import ask, manage, plain_database, refusal
from engagement.models import EngagementRow, Event

pytestmark = pytest.mark.django_db(transaction=True)

COLUMNS = """
    SELECT table_name, column_name FROM information_schema.columns
    JOIN information_schema.tables USING (table_schema, table_name)
    WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name <> 'django_migrations'
"""
REFERENCES = """
    SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint
    WHERE contype = 'f' AND conrelid <> confrelid
"""


def query(statement: str) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_backup_has_every_column_of_every_table(tmp_path):
    manifest = take_backup(tmp_path / "a.zip")

    there = {(table.name, column) for table in manifest.tables for column in table.columns}
    assert there == set(query(COLUMNS))
    assert {"engagement", "anomalies", "engagement_event_organizers", "auth_group_permissions"} <= {t for t, _ in there}


def test_tables_come_after_those_that_they_refer_to(tmp_path):
    names = [table.name for table in take_backup(tmp_path / "a.zip").tables]

    references = query(REFERENCES)
    assert len(references) > 10
    assert all(names.index(referred) < names.index(table) for table, referred in references)


def test_backup_counts_what_it_has(tmp_path, session):
    manifest = take_backup(tmp_path / "a.zip")

    counts = {table.name: table.rows for table in manifest.tables}
    assert (counts["engagement"], counts["engagement_session"], counts["anomalies"]) == (24, 1, 0)
    with open_backup(tmp_path / "a.zip") as (archive, read):
        assert read == manifest
        assert archive.read("engagement.copy").count(b"\n") == 24


def test_numbering_is_kept_where_the_newest_were_deleted(tmp_path):
    newest = User.objects.create_user("gone").pk
    User.objects.all().delete()

    (users,) = (table for table in take_backup(tmp_path / "a.zip").tables if table.name == "auth_user")

    assert users.sequence.model_dump() == {"column": "id", "last_value": newest, "is_called": True}


def test_what_comes_while_it_is_taken_is_not_in_it(tmp_path, session, monkeypatch):
    copy_table, others = take._copy_table, []
    database = addresses.database_url(settings.DATA_DIR, connection.settings_dict["NAME"])

    def copy_while_others_write(cursor, archive, model):
        with psycopg.connect(database) as other:
            others.append(other.execute("UPDATE engagement_event SET name = name || '!'").rowcount)
            other.execute("DELETE FROM engagement WHERE session_id = %s", [session.id])
        return copy_table(cursor, archive, model)

    monkeypatch.setattr(take, "_copy_table", copy_while_others_write)
    take_backup(tmp_path / "a.zip")

    with open_backup(tmp_path / "a.zip") as (archive, manifest):
        assert b"Spring summit\t" in archive.read("engagement_event.copy")
        assert archive.read("engagement.copy").count(b"\n") == 24
    assert others == [1] * len(manifest.tables)
    assert Event.objects.get().name == "Spring summit" + "!" * len(manifest.tables)
    assert not EngagementRow.objects.exists()


def test_backup_is_for_its_owner_only_and_takes_no_name_that_is_taken(tmp_path):
    take_backup(tmp_path / "a.zip")
    before = (tmp_path / "a.zip").read_bytes()

    with pytest.raises(CannotBackUp, match=r"a\.zip is there already"):
        take_backup(tmp_path / "a.zip")

    assert (tmp_path / "a.zip").stat().st_mode & 0o777 == 0o600
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]


def test_backup_that_fails_leaves_no_file(tmp_path):
    query("CREATE ROLE reader; GRANT SELECT ON django_migrations, django_content_type TO reader")
    try:
        query("SET ROLE reader")
        with pytest.raises(CannotBackUp, match="The database says: permission denied for"):
            take_backup(tmp_path / "a.zip")
    finally:
        query("RESET ROLE; DROP OWNED BY reader; DROP ROLE reader")
    assert list(tmp_path.iterdir()) == []


def test_backup_into_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(CannotBackUp, match="No such file or directory"):
        take_backup(tmp_path / "nowhere" / "a.zip")


def test_tables_that_are_not_ours_are_named(tmp_path, caplog):
    query("CREATE TABLE guests (id int)")
    try:
        take_backup(tmp_path / "a.zip")
    finally:
        query("DROP TABLE guests")
    assert [record.getMessage() for record in caplog.records] == [
        "Tables that are not ours are not in the backup: guests."
    ]


def test_database_without_tables_or_of_another_release_is_refused(tmp_path):
    with plain_database() as url:
        assert refusal(url, "backup", tmp_path / "a.zip") == "The database holds nothing yet."
        manage(url, "migrate", "engagement", "0001")
        ask(
            url,
            "INSERT INTO django_migrations (app, name, applied) VALUES ('engagement', '0099_mood', now()) RETURNING 1",
        )
        assert refusal(url, "backup", tmp_path / "a.zip") == (
            "The database is one of another release (engagement.0099_mood): take the backup with that."
        )
    assert list(tmp_path.iterdir()) == []
