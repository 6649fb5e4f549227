"""The ASGI application: Django for HTTP, Channels for the sockets."""

# ruff: noqa: E402  (the settings and apps are loaded before what needs them is imported)

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "conductor.settings")
os.environ.setdefault("CONDUCTOR_DB_POOL", "1")

from django.core.asgi import get_asgi_application

http = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter
from channels.sessions import CookieMiddleware
from daphne import cli, http_protocol, ws_protocol
from django.urls import path, re_path

from conductor import consumers, requests
from conductor.bodies import FrugalRequest, without_large_bodies
from conductor.connections import PatientServer, PatientWebSocket, log_nowhere
from conductor.deadline import punctual
from conductor.origins import OwnOrigin, refuse_handshake
from conductor.posting.committer import Committer
from conductor.posting.crowd import without_crowds
from conductor.posting.door import Door
from conductor.posting.express import express_lane
from conductor.posting.listening import Listener

http_protocol.WebRequest = FrugalRequest  # daphne has no setting for it
ws_protocol.WebSocketFactory.protocol = PatientWebSocket
cli.CommandLineInterface.server_class = PatientServer
http_protocol.HTTPFactory.log = log_nowhere

# No session or auth middleware: who the user is, the consumers ask, at the start and again while a socket is open.
sockets = CookieMiddleware(
    URLRouter(
        [
            path("ws/sessions/", consumers.SessionList.as_asgi()),
            path("ws/sessions/<uuid:session_id>/", consumers.Dashboard.as_asgi()),
            path("ws/sessions/<uuid:session_id>/stream/", consumers.Stream.as_asgi()),
            re_path("", refuse_handshake),  # type: ignore[arg-type]  # Channels routes applications, not views
        ]
    )
)
django = punctual(requests.noted(without_crowds(without_large_bodies(http))))
door = Door(django, Committer(), Listener())
http_protocol.HTTPFactory.protocol = express_lane(door)  # nor for that
application = ProtocolTypeRouter({"http": door, "websocket": OwnOrigin(sockets)})
