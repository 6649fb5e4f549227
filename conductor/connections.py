"""Connections that are slow on purpose are closed by the web process itself, where no proxy does it."""

from typing import Any

from twisted.web.http import HTTPChannel


class PunctualChannel(HTTPChannel):
    """A connection as Twisted has it, on which a request's header must be there whole within the time for idle ones.

    Twisted grants all of that time, a minute, again with every byte: a header may take for ever.
    """

    is_header_begun = False

    def resetTimeout(self) -> None:
        if not (self.line_mode and self.is_header_begun):
            self.is_header_begun = bool(self.line_mode)
            super().resetTimeout()

    def setRawMode(self) -> Any:  # the header is whole: a body follows, or the answer
        self.is_header_begun = False
        return super().setRawMode()
