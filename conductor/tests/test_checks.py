"""Wrong environment variables are refused with a hint, and every variable that is read is documented."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.checks import run_checks

READ = re.compile(r"""(?:environ\.get\(|environ\[|getenv\(|\bflag\(|\bwords\(|\bnumber\()\s*"([A-Z_]+)\"""")


@pytest.mark.parametrize(
    ("name", "value", "identity"),
    [
        ("DATABASE_URL", "mysql://user@host/name", "conductor.E001"),
        ("REDIS_URL", "http://host", "conductor.E003"),
        ("REDIS_URL", "redis://", "conductor.E003"),
        ("REDIS_URL", "redis://host:port/0", "conductor.E003"),
        ("ALLOWED_HOSTS", [], "conductor.E004"),
        ("EMAIL_URL", "mail.example.org", "conductor.E008"),
        ("EMAIL_URL", "smtp://", "conductor.E008"),
        ("EMAIL_URL", "https://mail.example.org", "conductor.E008"),
        ("EMAIL_URL", "smtp://host:port", "conductor.E008"),
        ("HEARTBEAT_URL", "file:///etc/passwd", "conductor.E005"),
        ("HEARTBEAT_URL", "hc-ping.com/1234", "conductor.E005"),
        ("HEARTBEAT_URL", "https://", "conductor.E005"),
        ("HEARTBEAT_URL", "https://host:port/x", "conductor.E005"),
        ("HEARTBEAT_URL", "https://user:word@host/x", "conductor.E005"),
        ("HEARTBEAT_URL", "https://host/a b", "conductor.E005"),
        ("HEARTBEAT_URL", "https://host/\nx", "conductor.E005"),
        ("MAIL_URL", "smtp://host", "conductor.E007"),
        ("MAIL_URL", "mailto://", "conductor.E007"),
        ("MAIL_URL", "mailto://host:port", "conductor.E007"),
        ("PUBLIC_URL", "live.example.org", "conductor.E006"),
        ("PUBLIC_URL", "ftp://live.example.org", "conductor.E006"),
        ("PUBLIC_URL", "https://live.example.org/?a=1", "conductor.E006"),
        ("PUBLIC_URL", "https://host:port", "conductor.E006"),
    ],
)
def test_check_refuses_wrong_setting(settings, name, value, identity):
    settings.PUBLIC_URL = "https://live.example.org"
    setattr(settings, name, value)

    (error,) = run_checks(tags=["environment"])

    assert error.id == identity
    assert error.hint
    assert name in error.msg


def test_links_are_missed_where_people_are_told_by_mail(settings):
    settings.MAIL_URL = "mailtos://user:word@smtp.example.org?from=live@example.org"
    assert [warning.id for warning in run_checks(tags=["environment"])] == ["conductor.W001"]
    settings.PUBLIC_URL = "https://live.example.org"
    assert run_checks(tags=["environment"]) == []


def test_check_refuses_database_without_name(settings, monkeypatch):
    monkeypatch.setitem(settings.DATABASES["default"], "NAME", "")
    assert [error.id for error in run_checks(tags=["environment"])] == ["conductor.E002"]


@pytest.mark.parametrize("url", ["redis://:secret@host:6379/0", "rediss://host", "unix:///run/redis.sock?db=3"])
def test_check_takes_redis_url(settings, url):
    settings.REDIS_URL = url
    assert run_checks(tags=["environment"]) == []


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("PORT", "eighty", "PORT is 'eighty': it must be a number from 1 to 65535."),
        ("PORT", "70000", "PORT is '70000': it must be a number from 1 to 65535."),
        ("DATABASE_URL", "postgresql://user:se/cret@host:x/y", "DATABASE_URL cannot be read"),
        ("DEBUG", "0", "SECRET_KEY is not set."),
        ("CONDUCTOR_DATA_DIR", "/proc/none", "Set CONDUCTOR_DATA_DIR to a folder that you own"),
        pytest.param("CSRF_TRUSTED_ORIGINS", "live.example.org", "must start with a scheme", marks=pytest.mark.slow),
    ],
)
def test_command_says_what_is_wrong_without_traceback(tmp_path, variable, value, sentence):
    environment = {**os.environ, "CONDUCTOR_DATA_DIR": str(tmp_path), variable: value}
    environment.pop("SECRET_KEY", None)

    done = subprocess.run(
        [sys.executable, "manage.py", "check"], env=environment, cwd=settings.BASE_DIR, capture_output=True, text=True
    )

    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert "cret@" not in done.stderr


def test_environment_variables_are_documented():
    folders = [settings.BASE_DIR / name for name in ("anomalies", "benchmarks", "conductor", "engagement")]
    sources = [path.read_text() for folder in folders for path in folder.rglob("*.py")]
    # What a scenario of the chaos hands to its children, makes a test longer, or Python reads itself is no setting.
    others = ("DJANGO_", "CHAOS_", "SOAK_", "PYTHON")
    read = {name for text in sources for name in READ.findall(text) if not name.startswith(others)}
    read |= set(re.findall(r"\$\{([A-Z_]+)", Path(settings.BASE_DIR, "docker-compose.yml").read_text()))

    documented = re.findall(r"^([A-Z_]+)=", Path(settings.BASE_DIR, ".env.example").read_text(), re.MULTILINE)

    assert sorted(documented) == sorted(read)
