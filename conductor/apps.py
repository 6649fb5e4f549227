from django.apps import AppConfig


class ConductorConfig(AppConfig):
    name = "conductor"

    def ready(self) -> None:
        from conductor import checks  # noqa: F401 - registers them
