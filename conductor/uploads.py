"""The door for recordings: files come in, a page says what becomes of them, and ends at their session's."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, tzinfo
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.utils.datastructures import MultiValueDict
from django.utils.timezone import now
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods
from django_htmx.http import HttpResponseClientRefresh

from conductor import archive, tasks
from conductor.views import OrganizerRequest, find_event, for_organizers
from conductor.zones import read_local, write_local, zone_choices
from engagement.ingest import RefusedReading
from engagement.limits import MAX_TEXT
from engagement.models import Event, EventQuerySet, Role, Session, Upload
from engagement.moments import read_moment, read_zone
from engagement.recordings import FORMATS, DateOrder
from engagement.recordings.source import MAX_BYTES
from engagement.uploads import MOST_UNFINISHED, PART_BYTES, TooManyUploads, answer, keep_upload

MAX_FILES = 5
MAX_BODY = MAX_BYTES + 1024 * 1024  # the other fields, and what is between them
TOO_MANY = f"{MOST_UNFINISHED} recordings of this event wait to be read already. Upload it when one of them was."
NO_DAY = "Choose the day on which it was."
TOO_LARGE = f"An upload holds up to {MAX_BYTES // 2**20} MB. Pack the file with gzip, or split the recording."


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


class ColumnsForm(forms.Form):
    """What the columns of a table hold, which nobody but its people can tell."""

    name = forms.ChoiceField(label="The name")
    joined = forms.ChoiceField(label="When somebody joined")
    left = forms.ChoiceField(label="When they left")

    def __init__(self, columns: Sequence[str], data: QueryDict | None = None) -> None:
        super().__init__(data, label_suffix="")
        for field in self.fields.values():
            assert isinstance(field, forms.ChoiceField)
            field.choices = [(column, column) for column in columns]

    def clean(self) -> dict[str, Any]:
        chosen = [self.cleaned_data.get(name) for name in self.fields]
        if len({*chosen}) < len(chosen):
            raise forms.ValidationError("Choose a column of its own for each.")
        return self.cleaned_data


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
        choices=zone_choices,
        help_text="Of times that name none, in the files and below.",
    )
    date_order = forms.ChoiceField(
        label="Dates such as 03/04",
        required=False,
        choices=[("", "As the file says"), (DateOrder.MONTH_FIRST, "Month first"), (DateOrder.DAY_FIRST, "Day first")],
        help_text="Where the file does not say it, you are asked.",
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
        initial: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data, files, initial=initial, label_suffix="")
        choice = self.fields["event"]
        assert isinstance(choice, forms.ModelChoiceField)
        choice.queryset = events

    def clean_zone(self) -> tzinfo:
        return read_zone(self.cleaned_data["zone"])

    def clean_starts_at(self) -> datetime | None:
        return self._in_zone("starts_at")

    def clean_ends_at(self) -> datetime | None:
        return self._in_zone("ends_at")

    def _in_zone(self, name: str) -> datetime | None:
        at: datetime | None = self.cleaned_data[name]
        return at and read_local(at, self.cleaned_data.get("zone", UTC))


def known_formats() -> dict[str, dict[str, list[str]]]:
    """Return what can be read, as the page has it: what is exported, by where it comes from."""
    found: dict[str, list[str]] = {}
    for each in FORMATS:
        found.setdefault(each.platform, []).append(each.export)
    return {"known": found}


@csrf_exempt  # the check would read the whole body before we have looked at its size and at who sends it
@require_http_methods(["GET", "HEAD", "POST"])
@for_organizers
def upload(request: OrganizerRequest) -> HttpResponse:
    """The form, and what becomes of it."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BODY:
        form = RecordingForm(Event.objects.for_organizer(request.user, Role.ORGANIZER))
        return render(
            request, "recordings/upload.html", {"form": form, "refused": TOO_LARGE} | known_formats(), status=413
        )
    return _upload(request)


@csrf_protect
def _upload(request: OrganizerRequest) -> HttpResponse:
    events = Event.objects.for_organizer(request.user, Role.ORGANIZER)
    if request.method != "POST":
        return render(request, "recordings/upload.html", {"form": RecordingForm(events)} | known_formats())
    form = RecordingForm(events, request.POST, request.FILES)
    kept = _keep(form) if form.is_valid() else None
    if kept is None:
        return render(request, "recordings/upload.html", {"form": form} | known_formats())
    tasks.wake_reader()
    return redirect("recording-progress", kept.id)


def _keep(form: RecordingForm) -> Upload | None:
    """Return the upload that waits to be read, or None where the form now says why there is none."""
    fields = form.cleaned_data
    files: list[UploadedFile[bytes]] = fields["files"]
    upload = Upload(
        **{name: fields[name] for name in ("event", "title", "date_order", "starts_at", "ends_at")},
        zone=str(fields["zone"]),
        file_names=[file.name for file in files],
        size=sum(file.size or 0 for file in files),
        uploaded_at=now(),
    )
    try:
        keep_upload(upload, [file.chunks(PART_BYTES) for file in files])
    except TooManyUploads:
        form.add_error("event", TOO_MANY)
        return None
    return upload


@require_http_methods(["GET", "HEAD", "POST"])
@for_organizers
def progress(request: OrganizerRequest, upload_id: UUID) -> HttpResponse:
    """What becomes of an upload, and what is asked meanwhile; once that is known its session, or what is wrong."""
    upload = get_object_or_404(Upload.objects.for_organizer(request.user).select_related("event"), id=upload_id)
    if request.method == "POST":
        find_event(request.user, upload.event_id, Role.ORGANIZER)
        return _correct(request, upload)
    session = Session.objects.filter(id=upload.session_id).first() if upload.session_id else None
    # While its rows are judged, its page would alarm people of what is over.
    if session and session.is_settling:
        return _show_progress(request, upload, session)
    if request.htmx and (upload.finished_at or upload.status == Upload.Status.ASKED):
        return HttpResponseClientRefresh()
    if upload.status == Upload.Status.ASKED:
        role = upload.event.role_of(request.user)
        may_answer = role is not None and role.covers(Role.ORGANIZER)
        return render(request, "recordings/question.html", _question(upload) | {"is_only_told": not may_answer})
    if upload.status == Upload.Status.DONE:
        return _lead_to_session(request, upload)
    if upload.status == Upload.Status.REFUSED:
        return render(request, "recordings/upload.html", {"form": _refused_form(request, upload)} | known_formats())
    return _show_progress(request, upload, None)


def _correct(request: OrganizerRequest, upload: Upload) -> HttpResponse:
    """Take an answer to what was asked, or have dates read in the other order that were read in the wrong one."""
    if upload.status == Upload.Status.ASKED:
        form = ColumnsForm(upload.question["columns"], request.POST) if "columns" in upload.question else None
        if form is not None and not form.is_valid():
            return render(request, "recordings/question.html", _question(upload, form))
        chosen = request.POST.get("date_order", "")
        order = chosen if chosen in list(DateOrder) else ""
        if not order and form is None:
            return render(request, "recordings/question.html", _question(upload) | {"refused": NO_DAY})
        if answer(upload.id, date_order=order, columns=form.cleaned_data if form is not None else None):
            tasks.wake_reader()
    elif upload.status == Upload.Status.DONE and "redate" in request.POST:
        try:
            session = archive.redate(upload, request.user.get_username(), now())
        except RefusedReading as error:
            messages.error(request, f"A time in the recording {error.detail}, so it was not read in that order.")
        else:
            if session is not None:
                tasks.wake([session.id])
    return redirect("recording-progress", upload.id)


def _question(upload: Upload, form: ColumnsForm | None = None) -> dict[str, Any]:
    """Return what the page needs that asks how an upload is to be read."""
    days = upload.question.get("dates", {}).get("days", {})
    return {
        "upload": upload,
        "days": [(order, date.fromisoformat(day)) for order, day in days.items()],
        "form": form or (ColumnsForm(upload.question["columns"]) if "columns" in upload.question else None),
    }


def _lead_to_session(request: OrganizerRequest, upload: Upload) -> HttpResponse:
    """Go to the session that it became, which says how it was read."""
    ended_at, dates = upload.report["ended_at"], upload.report.get("dates") or {}
    days = {order: date.fromisoformat(day) for order, day in dates.get("days", {}).items()}
    other = next((order for order in days if order != dates["order"]), None)
    report = {
        **upload.report,
        "ended_at": ended_at and read_moment(ended_at),
        "day": days.get(dates.get("order")),
        "other_day": days.get(other),
    }
    context = {"recording": report, "upload": upload}
    messages.info(request, render_to_string("recordings/_recording_report.html", context, request))
    return redirect("session", upload.session_id)


def _show_progress(request: OrganizerRequest, upload: Upload, session: Session | None) -> HttpResponse:
    context = {
        "upload": upload,
        "session": session,
        "before": Upload.objects.waiting().filter(uploaded_at__lt=upload.uploaded_at).count(),
        "lasted": now() - upload.reading_at if upload.reading_at else None,
    }
    return render(request, f"recordings/{'_recording_progress' if request.htmx else 'progress'}.html", context)


def _refused_form(request: OrganizerRequest, upload: Upload) -> RecordingForm:
    """Return the form as it was filled in, the files aside, and what is wrong."""
    filled = {"event": upload.event_id, "title": upload.title, "zone": upload.zone, "date_order": upload.date_order}
    zone = read_zone(upload.zone)
    for name, at in (("starts_at", upload.starts_at), ("ends_at", upload.ends_at)):
        filled[name] = write_local(at, zone)
    form = RecordingForm(Event.objects.for_organizer(request.user, Role.ORGANIZER), initial=filled)
    form.errors[upload.refused_field] = form.error_class([upload.refusal])
    return form
