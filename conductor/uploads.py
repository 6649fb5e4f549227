"""The door for recordings: a file comes in, its session is kept as it would have run, and its page is shown."""

from datetime import UTC, datetime, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils.datastructures import MultiValueDict
from django.utils.timezone import now
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods

from conductor import tasks
from conductor.archive import keep_recording
from conductor.views import OrganizerRequest, for_organizers
from engagement.ingest import RefusedReading
from engagement.limits import MAX_TEXT
from engagement.models import Event, EventQuerySet, Session
from engagement.recordings import BadRecording, Recording, open_recordings
from engagement.recordings.source import MAX_BYTES
from engagement.sessions import RefusedTimetable

MAX_FILES = 5
MAX_BODY = MAX_BYTES + 1024 * 1024  # the other fields, and what is between them
TOO_LARGE = f"An upload holds up to {MAX_BYTES // 2**20} MB. Pack the file with gzip, or split the recording."


@cache
def _zones() -> list[tuple[str, str]]:
    names = sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/"))
    return [(name, name.replace("_", " ")) for name in ("UTC", *names)]


class Files(forms.ClearableFileInput):
    allow_multiple_selected = True


class FilesField(forms.FileField):
    """One file, or several of one session."""

    # The browser refuses what is too large before it sends it; see recording-upload.js.
    widget = Files({"data-most-bytes": MAX_BYTES, "data-too-large": TOO_LARGE})

    def clean(self, data: object, initial: object = None) -> "list[UploadedFile[bytes]]":
        chosen = data if isinstance(data, list) else [data]
        if len(chosen) > MAX_FILES:
            raise forms.ValidationError(f"Choose up to {MAX_FILES} files of one session.")
        # Whether one is empty, its reader says, by its name.
        return [super(FilesField, self).clean(each, initial) for each in chosen or [None]]


class RecordingForm(forms.Form):
    """What is needed to read a recording, and whose it is to be."""

    files = FilesField(  # type: ignore[assignment]  # Django takes fields off the class, so it hides no attribute
        label="Recording", allow_empty_file=True, help_text="Several files only where they are of one session."
    )
    event = forms.ModelChoiceField(Event.objects.none(), empty_label=None)
    title = forms.CharField(max_length=MAX_TEXT, help_text="What the list of sessions will call it.")
    zone = forms.ChoiceField(
        label="Time zone",
        initial="UTC",
        choices=_zones,
        help_text="Of times that name none, in the files and below.",
    )
    starts_at = forms.DateTimeField(
        label="Planned start",
        required=False,
        help_text="A chat log that tells no date needs it.",
        widget=forms.DateTimeInput({"type": "datetime-local"}),
    )
    ends_at = forms.DateTimeField(
        label="Planned end",
        required=False,
        help_text="From then on nobody is missed.",
        widget=forms.DateTimeInput({"type": "datetime-local"}),
    )

    def __init__(
        self,
        events: EventQuerySet,
        data: QueryDict | None = None,
        files: "MultiValueDict[str, UploadedFile[bytes]] | None" = None,
    ) -> None:
        super().__init__(data, files, label_suffix="")
        choice = self.fields["event"]
        assert isinstance(choice, forms.ModelChoiceField)
        choice.queryset = events

    def clean_zone(self) -> tzinfo:
        name = self.cleaned_data["zone"]
        return UTC if name == "UTC" else ZoneInfo(name)  # a machine without zone files knows UTC all the same

    def clean_starts_at(self) -> datetime | None:
        return self._in_zone("starts_at")

    def clean_ends_at(self) -> datetime | None:
        return self._in_zone("ends_at")

    def _in_zone(self, name: str) -> datetime | None:
        at: datetime | None = self.cleaned_data[name]
        return at and at.replace(tzinfo=self.cleaned_data.get("zone", UTC)).astimezone(UTC)


@csrf_exempt  # the check would read the whole body before we have looked at its size and at who sends it
@require_http_methods(["GET", "HEAD", "POST"])
@for_organizers
def upload(request: OrganizerRequest) -> HttpResponse:
    """The form, and what becomes of it."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BODY:
        form = RecordingForm(Event.objects.for_organizer(request.user))
        return render(request, "recordings/upload.html", {"form": form, "refused": TOO_LARGE}, status=413)
    return _upload(request)


@csrf_protect
def _upload(request: OrganizerRequest) -> HttpResponse:
    events = Event.objects.for_organizer(request.user)
    if request.method != "POST":
        return render(request, "recordings/upload.html", {"form": RecordingForm(events)})
    form = RecordingForm(events, request.POST, request.FILES)
    kept = _keep(form) if form.is_valid() else None
    if kept is None:
        return render(request, "recordings/upload.html", {"form": form})
    session, recording = kept
    tasks.wake([session.id])
    report = {"recording": recording, "rows": session.rows.count()}
    messages.info(request, render_to_string("recordings/_recording_report.html", report))
    return redirect("session", session.id)


def _keep(form: RecordingForm) -> tuple[Session, Recording] | None:
    """Return the session that is kept, or None where the form now says what is wrong; nothing is stored then."""
    fields = form.cleaned_data
    starts_at, ends_at = fields["starts_at"], fields["ends_at"]
    try:
        sources = [(file.file, file.name) for file in fields["files"]]
        recording = open_recordings(sources, starts_at=starts_at, zone=fields["zone"])
        session = keep_recording(
            fields["event"], fields["title"], recording, now(), starts_at=starts_at, ends_at=ends_at
        )
        return session, recording
    except BadRecording as error:
        form.add_error("files", f"{error}.")
    except RefusedReading as error:
        form.add_error("files", f"A time in the recording {error.detail}. Is the time zone right?")
    except RefusedTimetable:
        form.add_error("ends_at", "The session ends before its planned start. Is the time zone right?")
    return None
