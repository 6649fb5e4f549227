import django_stubs_ext
from django.apps import AppConfig
from django.db.models.signals import post_save

# Django's generic classes may be written with what they hold. Here, before any model is loaded, and not in the
# settings: what has no models needs no ORM to know them.
django_stubs_ext.monkeypatch()


class ConductorConfig(AppConfig):
    name = "conductor"

    def ready(self) -> None:
        from anomalies.models import AnomalyAction
        from conductor import audit, checks  # noqa: F401 - registers them
        from conductor.telling import outbox

        audit.begin()
        post_save.connect(outbox.tell_action, sender=AnomalyAction, dispatch_uid="telling")
