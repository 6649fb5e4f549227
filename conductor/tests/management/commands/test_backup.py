"""manage.py backup and manage.py restore, as an operator runs them."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

pytestmark = pytest.mark.django_db(transaction=True)


def run(*arguments: object) -> str:
    printed = StringIO()
    call_command(*arguments, stdout=printed)
    return printed.getvalue()


def test_backup_says_what_it_holds_and_what_it_does_not(tmp_path, session):
    said = run("backup", tmp_path / "a.zip")

    assert f"are in {tmp_path / 'a.zip'} (0.0 MB)." in said
    assert "It holds no SECRET_KEY" in said


def test_commands_refuse_in_one_sentence(tmp_path, session):
    run("backup", tmp_path / "a.zip")

    with pytest.raises(CommandError, match="is there already: choose another name"):
        run("backup", tmp_path / "a.zip")
    with pytest.raises(CommandError, match="The database is not empty"):
        run("restore", tmp_path / "a.zip")
