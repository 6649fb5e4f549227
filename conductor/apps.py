from django.apps import AppConfig
from django.db.models.signals import post_save


class ConductorConfig(AppConfig):
    name = "conductor"

    def ready(self) -> None:
        from anomalies.models import AnomalyAction
        from conductor import audit, checks  # noqa: F401 - registers them
        from conductor.telling import outbox

        audit.begin()
        post_save.connect(outbox.tell_action, sender=AnomalyAction, dispatch_uid="telling")
