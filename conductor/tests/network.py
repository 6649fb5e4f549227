"""A network of the test's own between a client and the server: it counts what it carries, and can be cut."""

import contextlib
import socket
import threading
from urllib.parse import urlsplit

CHUNK = 65_536


class Network:
    """A TCP proxy. While it is cut nothing goes through and nothing is closed, as behind a router that forgot us.

    Connections that were open then stay silent when it is mended; new ones, those that waited among them, get through.
    """

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        assert address.hostname is not None
        self._server = (address.hostname, address.port or 80)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.bytes_to_client = 0
        self._is_open = threading.Event()
        self._is_open.set()
        self._is_over = False
        self._lines: list[_Line] = []
        self._accepting = threading.Thread(target=self._accept)

    def __enter__(self) -> "Network":
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._is_open.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._accepting.join()
        for line in self._lines:
            line.end()

    def cut(self) -> None:
        self._is_open.clear()
        for line in self._lines:
            line.is_dead = True

    def mend(self) -> None:
        self._is_open.set()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self._is_open.wait()
            if self._is_over:
                client.close()
                return
            self._lines.append(_Line(self, client, socket.create_connection(self._server)))


class _Line:
    """One connection through the network: a thread each way."""

    def __init__(self, network: Network, client: socket.socket, server: socket.socket) -> None:
        self.is_dead = False
        self._network, self._ends = network, (client, server)
        self._threads = [
            threading.Thread(target=self._carry, args=(client, server, False)),
            threading.Thread(target=self._carry, args=(server, client, True)),
        ]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in self._ends:
            end.close()

    def _carry(self, source: socket.socket, target: socket.socket, is_to_client: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                if self.is_dead:
                    continue
                if is_to_client:
                    self._network.bytes_to_client += len(data)
                target.sendall(data)
        if not self.is_dead:
            with contextlib.suppress(OSError):
                target.shutdown(socket.SHUT_WR)
