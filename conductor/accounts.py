"""One's own account: how times are shown, the password, and a new one by mail where the operator has mail."""

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import views as auth
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.views.decorators.http import require_http_methods

from conductor.views import OrganizerRequest, for_organizers, posted
from conductor.zones import preferences_of, zone_choices
from engagement.models import Preferences


class PreferencesForm(forms.ModelForm[Preferences]):
    """How times are shown."""

    zone = forms.ChoiceField(
        label="Time zone",
        required=False,
        choices=lambda: [("", "As my browser has it"), *zone_choices()],
    )
    clock = forms.ChoiceField(label="Hours", choices=Preferences.HOURS, widget=forms.RadioSelect)

    class Meta:
        model = Preferences
        fields = ["zone", "clock"]

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, label_suffix="", **options)  # type: ignore[misc,arg-type]
        self.initial["clock"] = self.initial.get("clock") or "24"


class EmailForm(forms.ModelForm[User]):
    """Where a link to a new password goes."""

    class Meta:
        model = User
        fields = ["email"]
        labels = {"email": "E-mail address"}
        help_texts = {"email": "For a link to a new password, and for nothing else. May be left empty."}


@require_http_methods(["GET", "HEAD", "POST"])
@for_organizers
def account(request: OrganizerRequest) -> HttpResponse:
    """How somebody wants to see times, and where their mail goes."""
    data = posted(request)
    shown = PreferencesForm(data, instance=preferences_of(request.user))
    email = EmailForm(data, instance=User.objects.get(pk=request.user.pk), label_suffix="")
    if all([shown.is_valid(), email.is_valid()]):
        shown.save()
        email.save()
        messages.success(request, "Saved.")
        return redirect("account")
    return render(request, "accounts/account.html", {"forms": [shown, email]})


class ChangePassword(auth.PasswordChangeView):
    """The form for a new password; it ends all other logins of the account, and their sockets."""

    template_name = "accounts/password.html"
    success_url = reverse_lazy("account")

    def form_valid(self, form: forms.Form) -> HttpResponse:
        messages.success(self.request, "Your password is changed. You are logged out everywhere else.")
        return super().form_valid(form)  # type: ignore[arg-type]


class AskForPassword(auth.PasswordResetView):
    """The form that sends a link; where no mail is set up, a page that says whom to ask instead."""

    template_name = "accounts/reset.html"
    email_template_name = "accounts/reset_mail.txt"
    subject_template_name = "accounts/reset_subject.txt"
    success_url = reverse_lazy("password-asked")

    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        if not settings.EMAIL_URL:
            return render(request, "accounts/reset_unavailable.html")
        return super().dispatch(request, *args, **kwargs)


class PasswordAsked(auth.PasswordResetDoneView):
    template_name = "accounts/reset_asked.html"


class ResetPassword(auth.PasswordResetConfirmView):
    """Where the link ends: once, and for as long as PASSWORD_RESET_TIMEOUT."""

    template_name = "accounts/password.html"
    success_url = reverse_lazy("login")
