"""Static files whose names say what is in them, so that they are kept forever."""

from servestatic.storage import CompressedManifestStaticFilesStorage

IMPORT = r"""(?P<matched>import(?P<names>[\s{][^;]*?) from "(?P<url>\./[^"]+)";)"""


class HashedFiles(CompressedManifestStaticFilesStorage):
    """Also where a script of ours imports another: else an old one could be asked for what only a new one has.

    Django's own way to do it reads the scripts of all libraries, and stumbles over examples in their comments.
    """

    patterns = (
        *CompressedManifestStaticFilesStorage.patterns,
        ("js/*.js", ((IMPORT, 'import%(names)s from "%(url)s";'),)),
    )
