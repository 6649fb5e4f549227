"""The file of a backup: whatever is wrong with one is said before any database is asked."""

import hashlib
import random
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from conductor.backups.form import MANIFEST, CannotRestore, Manifest, Table, member_of, open_backup, release

ROWS = {
    "engagement_event": b"1\tSpring school\n2\tAutumn school\n",
    "engagement": b"".join(b"%d\n" % n for n in range(99)),
}


def write(path: Path, rows: dict[str, bytes] = ROWS, members: dict[str, bytes] = ROWS, **fields: object) -> Path:
    """Write a backup that says it has these rows, and has these members."""
    tables = [
        Table(name=name, columns=["id"], rows=text.count(b"\n"), sha256=hashlib.sha256(text).hexdigest(), sequence=None)
        for name, text in rows.items()
    ]
    facts = {"format": 1, "version": release(), "taken_at": "2026-03-02T09:00:00Z", "migrations": []} | fields
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(member_of(name), text)
        archive.writestr(MANIFEST, Manifest.model_construct(**facts, tables=tables).model_dump_json(warnings=False))
    return path


def read(path: Path) -> tuple[Manifest, dict[str, bytes]]:
    with open_backup(path) as (archive, manifest):
        return manifest, {table.name: archive.read(member_of(table.name)) for table in manifest.tables}


def test_whole_backup_is_read(tmp_path):
    manifest, rows = read(write(tmp_path / "a.zip"))

    assert rows == ROWS
    assert (manifest.rows, manifest.version) == (101, "0.1.0")


def test_every_single_damage_is_noticed_or_harmless(tmp_path):
    whole = write(tmp_path / "a.zip")
    read_whole, content = read(whole), whole.read_bytes()
    random_places = random.Random(1)
    noticed = 0
    for place in range(0, len(content), 5):
        damaged = bytearray(content)
        damaged[place] ^= 1 << random_places.randrange(8)
        whole.write_bytes(damaged)
        try:
            assert read(whole) == read_whole  # a date or the like, which nobody reads
        except CannotRestore:
            noticed += 1
    assert noticed > len(content) / 5 / 2


def test_every_cut_is_noticed(tmp_path):
    path = write(tmp_path / "a.zip")
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(CannotRestore, match="cut short: its end is missing"):
            read(path)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"members": {}}, "damaged: the table engagement_event cannot be read"),
        ({"members": ROWS | {"engagement": b"1\n"}}, "damaged: the table engagement is not what the backup had"),
        ({"format": 2, "version": "9.0"}, r"made by release 9\.0, in a form that this one, 0\.1\.0, cannot read"),
        ({"taken_at": "yesterday"}, r"no backup of this product, or its manifest\.json is damaged"),
        (
            {"version": "9.0", "migrations": [("auth", "0001_initial"), ("engagement", "0099_mood")]},
            r"by release 9\.0, and this one, 0\.1\.0, does not know its migrations engagement\.0099_mood: restore it",
        ),
    ],
)
def test_backup_that_cannot_be_used_is_refused_with_the_reason(tmp_path, changes, sentence):
    with pytest.raises(CannotRestore, match=sentence):
        read(write(tmp_path / "a.zip", **changes))


def test_file_that_is_none_is_refused(tmp_path):
    with ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("photo.jpeg", b"")
    with pytest.raises(CannotRestore, match="no backup of this product"):
        read(tmp_path / "other.zip")
    with pytest.raises(CannotRestore, match="No such file"):
        read(tmp_path / "nowhere.zip")
    with pytest.raises(CannotRestore, match="Is a directory"):
        read(tmp_path)
