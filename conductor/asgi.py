"""The ASGI application: Django for HTTP, Channels for the two sockets of a session."""

# ruff: noqa: E402  (the settings and apps are loaded before what needs them is imported)

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "conductor.settings")
os.environ.setdefault("CONDUCTOR_DB_POOL", "1")

from django.core.asgi import get_asgi_application

http = get_asgi_application()

from urllib.parse import ParseResult

from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import OriginValidator, WebsocketDenier
from channels.sessions import CookieMiddleware
from daphne import http_protocol
from django.conf import settings
from django.urls import path, re_path

from conductor import consumers, requests
from conductor.bodies import Application, FrugalRequest, without_large_bodies


class AllowedHosts(OriginValidator):
    """Refuse a browser that comes from another site; what is no browser says no origin and has a key."""

    def __init__(self, application: Application) -> None:
        super().__init__(application, settings.ALLOWED_HOSTS)

    def valid_origin(self, parsed_origin: ParseResult | None) -> bool:
        return parsed_origin is None or super().valid_origin(parsed_origin)


http_protocol.WebRequest = FrugalRequest  # daphne has no setting for it

# No session or auth middleware: who the user is, the consumers ask, at the start and again while a socket is open.
sockets = CookieMiddleware(
    URLRouter(
        [
            path("ws/sessions/<uuid:session_id>/", consumers.Dashboard.as_asgi()),
            path("ws/sessions/<uuid:session_id>/stream/", consumers.Stream.as_asgi()),
            re_path("", WebsocketDenier.as_asgi()),
        ]
    )
)
application = ProtocolTypeRouter(
    {"http": requests.noted(without_large_bodies(http)), "websocket": AllowedHosts(sockets)}
)
