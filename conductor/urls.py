"""Every address."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path, register_converter

from conductor import (
    accounts,
    acts,
    beacon,
    channels,
    desk,
    events,
    health,
    members,
    metrics,
    outages,
    timetables,
    uploads,
    views,
)
from conductor.api.routes import api
from conductor.platforms import door, pages

handler500 = outages.broken_page

register_converter(acts.ActionConverter, "action")
register_converter(channels.ChannelActConverter, "channel_act")

admin.site.site_header = admin.site.site_title = "Engagement Conductor"

urlpatterns = [
    path("", views.sessions, name="sessions"),
    path("sessions/<uuid:session_id>/", views.session, name="session"),
    path("sessions/<uuid:session_id>/anomalies/", views.session_anomalies, name="session-anomalies"),
    path("sessions/<uuid:session_id>/anomalies/<uuid:anomaly_id>/<action:action>/", views.act, name="anomaly-act"),
    path("sessions/<uuid:session_id>/report/", views.report, name="session-report"),
    path("events/new/", events.new_event, name="event-new"),
    path("events/<uuid:event_id>/", events.event, name="event"),
    path("events/<uuid:event_id>/edit/", events.edit_event, name="event-edit"),
    path("practice/", events.practise, name="practice"),
    path("events/<uuid:event_id>/practice/", events.practise, name="event-practice"),
    path("events/<uuid:event_id>/keys/", events.make_key, name="event-keys"),
    path("events/<uuid:event_id>/keys/<uuid:key_id>/revoke/", events.revoke_key, name="event-key-revoke"),
    path("events/<uuid:event_id>/members/", members.add, name="event-members"),
    path("events/<uuid:event_id>/members/<int:user_id>/", members.change, name="event-member"),
    path("events/<uuid:event_id>/members/<int:user_id>/remove/", members.remove, name="event-member-remove"),
    path("events/<uuid:event_id>/invitations/", members.invite_somebody, name="event-invitations"),
    path(
        "events/<uuid:event_id>/invitations/<uuid:invitation_id>/withdraw/",
        members.withdraw,
        name="event-invitation-withdraw",
    ),
    path("invitations/<str:token>/", members.invitation, name="invitation"),
    path("events/<uuid:event_id>/report/", views.compare, name="event-report"),
    path("sessions/<uuid:session_id>/edit/", timetables.edit_session, name="session-edit"),
    path("sessions/<uuid:session_id>/end/", timetables.end_session, name="session-end"),
    path("sessions/<uuid:session_id>/delete/", timetables.delete_session, name="session-delete"),
    path("events/<uuid:event_id>/sessions/new/", timetables.new_session, name="session-new"),
    path("events/<uuid:event_id>/channels/", channels.channels, name="event-channels"),
    path(
        "events/<uuid:event_id>/channels/<uuid:channel_id>/<channel_act:what>/",
        channels.act_on_channel,
        name="channel-act",
    ),
    path("events/<uuid:event_id>/platforms/", pages.platforms, name="event-platforms"),
    path(
        "events/<uuid:event_id>/platforms/<uuid:platform_id>/delete/",
        pages.remove_platform,
        name="event-platform-remove",
    ),
    path("sessions/<uuid:session_id>/sensitivity/", views.choose_sensitivity, name="session-sensitivity"),
    path("sessions/<uuid:session_id>/beacon/", beacon.beacon, name="session-beacon"),
    path(
        "sessions/<uuid:session_id>/beacon/<uuid:token_id>/revoke/", beacon.revoke_token, name="session-beacon-revoke"
    ),
    path("beacon.js", beacon.script, name="beacon-script"),
    path("recordings/", uploads.upload, name="recording-upload"),
    path("recordings/<uuid:upload_id>/", uploads.progress, name="recording-progress"),
    path("accounts/", accounts.account, name="account"),
    path("accounts/password/", accounts.ChangePassword.as_view(), name="password"),
    path("accounts/reset/", accounts.AskForPassword.as_view(), name="password-ask"),
    path("accounts/reset/sent/", accounts.PasswordAsked.as_view(), name="password-asked"),
    path("accounts/reset/<str:uidb64>/<str:token>/", accounts.ResetPassword.as_view(), name="password-reset"),
    path("accounts/login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path("admin/anomalies/anomaly/desk/", desk.for_reviewers(desk.desk), name="desk"),
    path("admin/anomalies/anomaly/desk/verdicts.csv", desk.for_reviewers(desk.export), name="desk-export"),
    path("admin/anomalies/anomaly/desk/<uuid:anomaly_id>/skip/", desk.for_reviewers(desk.skip), name="desk-skip"),
    path(
        "admin/anomalies/anomaly/desk/<uuid:anomaly_id>/<action:action>/",
        desk.for_reviewers(desk.settle),
        name="desk-settle",
    ),
    path("admin/", admin.site.urls),
    path("api/v1/platforms/<uuid:platform_id>", door.receive, name="platform"),
    path("api/v1/", api.urls),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics.metrics, name="metrics"),
]
