import ipaddress
import socket

import pytest

from conductor.telling import addresses
from conductor.telling.addresses import RefusedAddress, check_url, connect, is_public

PRIVATE = [
    "127.0.0.1", "127.8.9.10", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
    "224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "::1", "::", "fe80::1", "fc00::1", "fd00::1", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a00:1",
    "2002:7f00:1::", "2002:a00:1::", "2001:db8::1", "::7f00:1",
]  # fmt: skip
PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]


@pytest.mark.parametrize("text", PRIVATE)
def test_addresses_that_are_not_public_are_refused(text):
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_addresses_of_the_internet_are_public(text):
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://[::1]:8080/x", "http://[::ffff:127.0.0.1]/", "https://10.1.2.3/", "http://localhost/",
        "http://a.localhost./", "http://[fe80::1%25eth0]/", "http://169.254.169.254/latest/meta-data/",
    ],
)  # fmt: skip
def test_url_of_a_private_address_is_refused_unless_it_may_be(url):
    with pytest.raises(RefusedAddress):
        check_url(url, may_be_private=False)
    check_url(url, may_be_private=True)


@pytest.mark.parametrize(
    "url",
    [
        "", "hooks.example.org", "ftp://example.org/", "file:///etc/passwd", "https://", "https:///x", "http://a:b@c.org/",
        "http://user@example.org/", "http://example.org:0/", "http://example.org:99999/", "http://exa mple.org/",
        "http://example.org/\r\nX: y", "http://exämple.org/", "javascript:alert(1)", "gopher://example.org/",
    ],
)  # fmt: skip
def test_url_that_cannot_be_called_is_refused(url):
    with pytest.raises(RefusedAddress):
        check_url(url, may_be_private=True)


def lead_to(*texts: str):
    """Return a `getaddrinfo` by which every name leads to these addresses."""

    def found(host, port, type):
        family = {4: socket.AF_INET, 6: socket.AF_INET6}
        return [(family[ipaddress.ip_address(text).version], socket.SOCK_STREAM, 6, "", (text, port)) for text in texts]

    return found


@pytest.mark.parametrize("texts", [["127.0.0.1"], ["1.1.1.1", "10.0.0.1"], ["::ffff:127.0.0.1"]])
def test_name_that_leads_inside_is_never_connected_to(monkeypatch, texts):
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lead_to(*texts))
    monkeypatch.setattr(addresses.socket, "socket", lambda *_: pytest.fail("a socket was made"))

    with pytest.raises(RefusedAddress, match="public internet"):
        connect("hooks.example.org", 443, 1, may_be_private=False)


def test_name_is_asked_once_so_that_it_cannot_lead_elsewhere_later(monkeypatch):
    """A name that leads outside when it is looked at, and inside when it is connected to (DNS rebinding)."""
    asked, connected = [], []

    def rebind(host, port, type):
        asked.append(host)
        return lead_to("1.1.1.1" if len(asked) == 1 else "127.0.0.1")(host, port, type)

    class Socket:
        def __init__(self, *_):
            pass

        def settimeout(self, _):
            pass

        def connect(self, place):
            connected.append(place)

    monkeypatch.setattr(addresses.socket, "getaddrinfo", rebind)
    monkeypatch.setattr(addresses.socket, "socket", Socket)

    connect("hooks.example.org", 443, 1, may_be_private=False)

    assert (asked, connected) == (["hooks.example.org"], [("1.1.1.1", 443)])


def test_next_address_is_tried_where_the_first_does_not_answer():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        with connect("localhost", port, 2, may_be_private=True) as connected:  # ::1 is tried where there is one
            assert connected.getpeername()[1] == port
