"""The ASGI application of the obvious build."""

# ruff: noqa: E402  (the apps are loaded before what needs them is imported)

from django.core.asgi import get_asgi_application

http = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path

from benchmarks.obvious.celery import app as celery  # noqa: F401  so that tasks are sent by it
from benchmarks.obvious.consumers import Dashboard, Stream

sockets = URLRouter(
    [
        path("ws/sessions/<uuid:session_id>/", Dashboard.as_asgi()),
        path("ws/sessions/<uuid:session_id>/stream/", Stream.as_asgi()),
    ]
)
application = ProtocolTypeRouter({"http": http, "websocket": sockets})
