"""What runs before a commit: hooks of others are pinned by hash, and our tools are those of the requirements."""

import re

from django.conf import settings

TEXT = (settings.BASE_DIR / ".pre-commit-config.yaml").read_text()


def test_hooks_of_others_are_pinned_by_hash():
    others = re.findall(r"- repo: https://\S+\n    rev: (.*)\n", TEXT)
    assert len(others) == TEXT.count("- repo: ") - TEXT.count("- repo: local")
    for revision in others:
        assert re.fullmatch(r"[0-9a-f]{40}  # v\d+\.\d+\.\d+", revision)


def test_our_hooks_run_what_the_requirements_pin():
    requirements = (settings.BASE_DIR / "requirements-dev.txt").read_text()
    tools = re.findall(r"entry: \.venv/bin/(?:python -m )?(\S+)", TEXT)
    assert len(tools) == TEXT.count("entry: ") == TEXT.count("language: system")
    for tool in tools:
        package = {"lint-imports": "import-linter"}.get(tool, tool)
        assert re.search(rf"^{package}==", requirements, re.MULTILINE)
