"""Static files whose names say what is in them, so that they are kept forever; and of our stylesheets one."""

import re
from collections.abc import Iterator
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import Storage
from servestatic.storage import CompressedManifestStaticFilesStorage

IMPORT = r"""(?P<matched>import(?P<names>[\s{][^;]*?) from "(?P<url>\./[^"]+)";)"""
SHEET = "css/app.css"
PART = re.compile(r'@import url\("([^"]+)"\) layer\((\w+)\);')

Paths = dict[str, tuple[Storage, str]]  # of each file, where it was found, and its name there


class HashedFiles(CompressedManifestStaticFilesStorage):
    """Also where a script of ours imports another: else an old one could be asked for what only a new one has.

    Django's own way to do it reads the scripts of all libraries, and stumbles over examples in their comments.
    """

    patterns = (
        *CompressedManifestStaticFilesStorage.patterns,
        ("js/*.js", ((IMPORT, 'import%(names)s from "%(url)s";'),)),
    )

    def post_process(
        self, paths: Paths, dry_run: bool = False, **options: Any
    ) -> Iterator[tuple[str, str | None, bool | Exception]]:
        if SHEET in paths and not dry_run:
            self.delete(SHEET)
            self._save(SHEET, ContentFile(join_parts(paths)))
            paths = {**paths, SHEET: (self, SHEET)}
        yield from super().post_process(paths, dry_run=dry_run, **options)


def join_parts(paths: Paths) -> str:
    """Return our stylesheet with its parts in the place of their imports, each in its layer."""

    def put(found: re.Match[str]) -> str:
        name, layer = found.groups()
        return f"@layer {layer} {{\n{_read(paths, f'css/{name}')}}}"

    return PART.sub(put, _read(paths, SHEET))


def _read(paths: Paths, name: str) -> str:
    storage, path = paths[name]
    with storage.open(path) as file:
        text: str = file.read().decode()
    return text
