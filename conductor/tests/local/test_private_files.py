"""Private files are readable by their owner only, and a secret that was made once stays."""

import pytest

from conductor.local.private_files import kept_secret, new_private_file, write_private


def test_private_file_is_for_its_owner_only(tmp_path):
    path = tmp_path / "note"
    path.touch(mode=0o644)

    write_private(path, "hush")

    assert path.read_text() == "hush"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_secret_is_made_once(tmp_path):
    path = tmp_path / "new" / "secret"

    secret = kept_secret(path, size=9)

    assert len(secret) == 12
    assert kept_secret(path) == secret
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_secret_of_the_first_process_holds(tmp_path, monkeypatch):
    path = tmp_path / "secret"
    monkeypatch.setattr(type(path), "exists", lambda _: False)  # as another process sees it in the same moment
    assert kept_secret(path) == kept_secret(path)


def test_new_file_is_there_when_it_is_whole_and_takes_no_name_that_is_taken(tmp_path):
    path = tmp_path / "new"
    with new_private_file(path) as file:
        file.write(b"one")
        assert not path.exists()

    with pytest.raises(FileExistsError), new_private_file(path):
        pytest.fail("it was opened")

    assert path.read_bytes() == b"one"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_new_file_that_is_not_finished_leaves_nothing(tmp_path):
    def write_a_half() -> None:
        with new_private_file(tmp_path / "new") as file:
            file.write(b"one")
            raise ConnectionError

    with pytest.raises(ConnectionError):
        write_a_half()

    assert list(tmp_path.iterdir()) == []
