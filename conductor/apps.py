from django.apps import AppConfig


class ConductorConfig(AppConfig):
    name = "conductor"

    def ready(self) -> None:
        from conductor import audit, checks  # noqa: F401 - registers them

        audit.begin()
