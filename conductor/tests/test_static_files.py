"""What a page is sent of our stylesheets."""

import re
from pathlib import Path

from django.conf import settings
from django.core.files.storage import FileSystemStorage

from conductor.static_files import HashedFiles, join_parts

SOURCE = Path(settings.BASE_DIR) / "static"
SHEETS = sorted(str(path.relative_to(SOURCE)) for path in (SOURCE / "css").rglob("*.css"))


def collect(source: Path, target: Path) -> str:
    """Collect the stylesheets, and return the one that a page asks for."""
    found = FileSystemStorage(source)
    storage = HashedFiles(location=target)
    for name in SHEETS:
        storage.delete(name)
        with found.open(name) as file:
            storage.save(name, file)
    list(storage.post_process({name: (found, name) for name in SHEETS}))
    return storage.stored_name("css/app.css")


def test_stylesheets_are_sent_as_one_with_everything_in_its_layer():
    found = FileSystemStorage(SOURCE)
    joined = join_parts({name: (found, name) for name in SHEETS})
    assert "@import" not in joined
    assert joined.startswith("@layer tokens, base, layout, parts;")
    layers = re.findall(r"^@layer (\w+) \{$", joined, re.M)
    assert (layers[:3], set(layers[3:])) == (["tokens", "base", "layout"], {"parts"})
    for name in SHEETS:
        if name not in ("css/app.css", "css/admin.css", "css/api.css"):
            assert (SOURCE / name).read_text() in joined
            assert "url(" not in (SOURCE / name).read_text(), "a part's address would lead elsewhere from where it ends"


def test_name_of_the_stylesheet_changes_with_any_part(tmp_path, settings):
    source, settings.STATIC_ROOT = tmp_path / "source", tmp_path / "target"
    for name in SHEETS:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((SOURCE / name).read_bytes())
    before = collect(source, tmp_path / "target")
    assert re.fullmatch(r"css/app\.[0-9a-f]{12}\.css", before)
    assert collect(source, tmp_path / "target") == before
    with (source / "css/parts/history.css").open("a") as part:
        part.write(".new { color: var(--ink); }\n")
    after = collect(source, tmp_path / "target")
    assert after != before
    assert ".new {" in (tmp_path / "target" / after).read_text()
    assert (tmp_path / "target" / f"{after}.gz").exists()
