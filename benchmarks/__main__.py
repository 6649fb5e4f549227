"""Run all benchmarks on embedded servers of their own; print one table and write the same as JSON."""

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks.measure import Measurement
from conductor.local import embedded


def main() -> None:
    out = Path(os.environ.get("CONDUCTOR_DATA_DIR") or ".data").resolve() / "bench.json"
    with tempfile.TemporaryDirectory(prefix="conductor-bench-") as folder:
        data_dir = Path(folder)
        data_dir.chmod(0o711)
        servers = embedded.Servers(data_dir)
        servers.start()
        try:
            measurements = measure_all(data_dir)
        finally:
            servers.stop()
    width = max(len(m.name) for m in measurements)
    for m in measurements:
        cost, baseline = (f"{value:10.1f} {m.unit}" for value in (m.cost, m.baseline))
        print(f"{m.name:{width}}  {cost}  = {m.ratio:7.3f} × {m.baseline_name} ({baseline.strip()})")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps([asdict(m) | {"ratio": m.ratio} for m in measurements], indent=1) + "\n")


def measure_all(data_dir: Path) -> list[Measurement]:
    """Measure with the settings of this data folder; Django is set up only now that its servers run."""
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "conductor.settings",
        "CONDUCTOR_DATA_DIR": str(data_dir),
        "DATABASE_URL": embedded.database_url(data_dir),
        "REDIS_URL": embedded.redis_url(data_dir),
    }
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from benchmarks import database, detector

    return [*detector.measure(), *database.measure()]


if __name__ == "__main__":
    main()
