"""Ask whether a known vulnerability is in what requirements.txt brings, what it requires in turn included.

Fails where one is found. Where the database cannot be asked it says loudly that nothing was audited, and does not fail:
whether the network is there is no property of a change.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from tempfile import NamedTemporaryFile

from packaging.requirements import Requirement

REQUIREMENTS = Path(__file__).parent.parent / "requirements.txt"
REQUEST_SECONDS, SECONDS = 5, 90
BANNER = "=" * 78


def installed(requirements: list[Requirement]) -> dict[str, str]:
    """Return name and version of all that is installed for these requirements."""
    found: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    while requirements:
        wanted = requirements.pop()
        name = re.sub(r"[-_.]+", "-", wanted.name).lower()
        if (name, frozenset(wanted.extras)) in seen:
            continue
        seen.add((name, frozenset(wanted.extras)))
        try:
            package = distribution(wanted.name)
        except PackageNotFoundError:  # for another platform, or an extra that nobody asked for
            continue
        found[name] = package.version
        requirements += needed(package.requires or [], wanted.extras)
    return found


def needed(requires: list[str], extras: set[str]) -> Iterator[Requirement]:
    for requirement in map(Requirement, requires):
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in {"", *extras}):
            yield requirement


def ask(packages: dict[str, str]) -> list[dict] | str:
    """Return what is known of each package, or why nothing is."""
    with NamedTemporaryFile("w", suffix=".txt") as pinned:
        pinned.writelines(f"{name}=={version}\n" for name, version in sorted(packages.items()))
        pinned.flush()
        command = [sys.executable, "-m", "pip_audit", "--requirement", pinned.name, "--no-deps", "--disable-pip"]
        options = ["--timeout", str(REQUEST_SECONDS), "--progress-spinner", "off", "--format", "json"]
        try:
            done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return f"no answer within {SECONDS} s"
    try:
        return list(json.loads(done.stdout)["dependencies"])
    except ValueError:
        return (done.stderr.strip().splitlines() or [f"pip-audit ended with {done.returncode}"])[-1]


def main() -> int:
    packages = installed([Requirement(line) for line in REQUIREMENTS.read_text().splitlines() if line[:1].isalnum()])
    known = ask(packages)
    looked_up = [] if isinstance(known, str) else [package for package in known if "vulns" in package]
    if not looked_up:
        why = known if isinstance(known, str) else "the database knows none of the packages, so it is not the real one"
        print(f"{BANNER}\nAUDIT SKIPPED: nobody looked for known vulnerabilities.\n{why}\n{BANNER}")
        return 0
    for package in looked_up:
        for hole in package["vulns"]:
            fixed = ", ".join(hole["fix_versions"]) or "no version yet"
            print(f"{package['name']} {package['version']}: {hole['id']}, fixed in {fixed}")
    if missed := sorted(set(packages) - {package["name"] for package in looked_up}):
        print(f"NOT AUDITED, as the database does not know them: {', '.join(missed)}")
    holes = sum(len(package["vulns"]) for package in looked_up)
    print(f"Audited {len(looked_up)} of {len(packages)} packages: {holes or 'no'} known vulnerabilities.")
    return 1 if holes else 0


if __name__ == "__main__":
    sys.exit(main())
