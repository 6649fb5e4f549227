"""Whose pages may use a beacon: the origin of a page, as browsers write it."""

from urllib.parse import urlsplit

PORTS = {"http": 80, "https": 443}


def read_origin(text: str) -> str:
    """Return the origin of an address. Raises ValueError, whose words say what is wrong with it.

    >>> read_origin("HTTPS://Player.Example.org:443/"), read_origin("http://localhost:8000")
    ('https://player.example.org', 'http://localhost:8000')
    >>> read_origin("https://müller.example"), read_origin("http://[2001:DB8::1]:81")
    ('https://xn--mller-kva.example', 'http://[2001:db8::1]:81')
    >>> read_origin("https://example.org/live")
    Traceback (most recent call last):
    ValueError: should be an origin, such as https://player.example.org, without a path
    >>> read_origin("null")
    Traceback (most recent call last):
    ValueError: should be an origin, such as https://player.example.org, without a path
    """
    try:
        parts = urlsplit(text.strip())
        port, host = parts.port, parts.hostname or ""
        name = f"[{host}]" if ":" in host else host.encode("idna").decode()
        is_origin = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username or parts.password)
        is_whole = "?" not in text and "#" not in text and "@" not in text
        if parts.scheme in PORTS and name and name.isprintable() and " " not in name and is_origin and is_whole:
            return f"{parts.scheme}://{name}" + ("" if port in (None, PORTS[parts.scheme]) else f":{port}")
    except ValueError:  # also where it is no host name
        pass
    raise ValueError("should be an origin, such as https://player.example.org, without a path")
