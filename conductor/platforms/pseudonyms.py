"""What people are called here: the same each time, and of no use to whoever reads it. Pure."""

import base64
import hmac
from hashlib import sha256


def pseudonym(key: bytes, *named: str) -> str:
    """Return the name of somebody or something whose own is `named`; without the key nobody can tell which it is.

    >>> pseudonym(b"key", "person", "ada"), pseudonym(b"key", "person", "bob")
    ('Nc0pJqgjvKeOPd-YYVmo1g', 'pIMR_hPdBniYd1GPWfxCtg')
    """
    digest = hmac.new(key, "\0".join(named).encode("utf-8", "replace"), sha256).digest()
    return base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")
