"""Which addresses may be called: those of the public internet, looked at where the connection is made."""

import ipaddress
import socket
import time
from urllib.parse import SplitResult, urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
NAT64 = ipaddress.ip_network("64:ff9b::/96")
SCHEMES = {"http": 80, "https": 443}


class RefusedAddress(Exception):
    """It must not be called, or cannot be; the message says why."""


def read_url(text: str) -> SplitResult:
    """Return the parts of an address that can be called. Raises `RefusedAddress`."""
    try:
        url = urlsplit(text)
        is_right = url.scheme in SCHEMES and url.hostname and url.port != 0
    except ValueError:
        is_right = False
    if not is_right or not text.isascii() or not text.isprintable() or " " in text:
        raise RefusedAddress("it should be https://HOST/PATH, special characters as %XX")
    if "@" in url.netloc:
        raise RefusedAddress("it should hold no login")
    return url


def check_url(text: str, *, may_be_private: bool) -> None:
    """Raise `RefusedAddress` for what can never be called; what a name leads to is looked at when it is."""
    host = (read_url(text).hostname or "").rstrip(".")
    if may_be_private:
        return
    if host == "localhost" or host.endswith(".localhost"):
        raise RefusedAddress("it leads to this machine")
    try:
        literal = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return
    _require_public(literal)


def connect(host: str, port: int, seconds: float, *, may_be_private: bool) -> socket.socket:
    """Return a connection to the first address of a host that takes one; whatever is refused is never connected to.

    Raises `RefusedAddress` where a private one is among them, or `OSError`. What is checked is what is connected to, so
    a name that leads elsewhere a moment later leads nowhere.
    """
    until = time.monotonic() + seconds
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if not may_be_private:
        for *_, place in found:
            _require_public(ipaddress.ip_address(str(place[0]).partition("%")[0]))
    failure: OSError = OSError("the name leads nowhere")
    for family, kind, protocol, _, place in found:
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(max(0.001, until - time.monotonic()))
            connection.connect(place)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure


def is_public(address: Address) -> bool:
    """Tell whether an address is one of the public internet, also where another is wrapped in it.

    >>> [is_public(ipaddress.ip_address(text)) for text in ("1.1.1.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "ff02::1")]
    [True, False, False, False]
    """
    return all(each.is_global and not each.is_multicast and not each.is_reserved for each in _unwrap(address))


def _unwrap(address: Address) -> list[Address]:
    """Return an address, and the IPv4 one that it leads to by way of a gateway; of a mapped one that alone."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    last = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    if address in NAT64:
        return [last]
    if address.sixtofour:
        return [address, address.sixtofour]
    if address.teredo:
        return [address, *address.teredo]
    return [address]


def _require_public(address: Address) -> None:
    if not is_public(address):
        raise RefusedAddress(f"{address} is no address of the public internet")
