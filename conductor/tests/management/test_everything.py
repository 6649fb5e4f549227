"""What watches over all that runs, and what it does not load for that."""

import subprocess
import sys

from django.conf import settings


def test_what_watches_loads_no_client():
    """It is there for as long as all runs, and Django, psycopg and redis would be four fifths of it."""
    code = (
        "import sys, conductor.management.everything; "
        "print({'django', 'psycopg', 'redis', 'celery', 'http', 'ssl', 'conductor.settings'} & {*sys.modules})"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=settings.BASE_DIR, capture_output=True, text=True)
    assert (found.stdout.strip(), found.stderr) == ("set()", "")
