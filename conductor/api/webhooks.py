"""Webhooks over REST: make one, see how its deliveries went, try it, delete it."""

from uuid import UUID

from django.http import HttpResponse, JsonResponse
from django.utils.timezone import now
from ninja import Query, Router

from conductor import keys
from conductor.api import answers
from conductor.api.paging import page, read_cursor, write_cursor
from conductor.api.problems import Problem, wrong_value
from conductor.api.reach import check_event
from conductor.api.schemas import PageQuery, WebhookWish
from conductor.models import Channel, ChannelQuerySet
from conductor.payloads import delivery_payload, webhook_payload
from conductor.telling.channels import RefusedChannel, make_channel, remove_channel
from conductor.telling.outbox import write_test

ITEMS_PER_PAGE = 100
MAX_BIGINT = 2**63 - 1

router = Router(tags=["webhooks"])


@router.get("/webhooks", response=answers.WebhookList)
def list_webhooks(request: keys.KeyedRequest) -> JsonResponse:
    """The webhooks of the key's event, oldest first."""
    check_event(request)
    return JsonResponse({"items": [webhook_payload(each) for each in _webhooks(request)]})


@router.post("/webhooks", response={201: answers.NewWebhook})
def post_webhook(request: keys.KeyedRequest, body: WebhookWish) -> JsonResponse:
    """Make a webhook. The secret that it is signed with is in this answer and in no other."""
    check_event(request)
    try:
        channel = make_channel(
            request.auth.event_id, Channel.Kind.WEBHOOK, body.url, now(),
            name=body.name or "", types=body.types or (), least_severity=body.least_severity,
        )  # fmt: skip
    except RefusedChannel as refused:
        raise wrong_value(["url"], f"Input cannot be called: {refused.detail}") from refused
    return JsonResponse(webhook_payload(channel) | {"secret": channel.secret}, status=201)


@router.delete("/webhooks/{webhook_id}", response={204: None})
def delete_webhook(request: keys.KeyedRequest, webhook_id: UUID) -> HttpResponse:
    """Delete a webhook, with all that is known of its deliveries. What is being sent just now may still arrive."""
    remove_channel(_find(request, webhook_id))
    return HttpResponse(status=204)


@router.post("/webhooks/{webhook_id}/test", response={202: answers.Delivery})
def test_webhook(request: keys.KeyedRequest, webhook_id: UUID) -> JsonResponse:
    """Send a message of the type `webhook.test`; what came of it is among the deliveries a moment later."""
    return JsonResponse(delivery_payload(write_test(_find(request, webhook_id), now())), status=202)


@router.get("/webhooks/{webhook_id}/deliveries", response=answers.DeliveryPage)
def list_deliveries(request: keys.KeyedRequest, webhook_id: UUID, query: Query[PageQuery]) -> JsonResponse:
    """What a webhook was told, newest first, with every attempt; 100 a page."""
    messages = _find(request, webhook_id).messages.prefetch_related("tries").order_by("-id")
    if query.cursor:
        messages = messages.filter(id__lt=min(read_cursor(query.cursor)[1].int, MAX_BIGINT))
    place = lambda message: write_cursor(message.created_at, UUID(int=message.id))  # noqa: E731
    return JsonResponse(page(request, messages, ITEMS_PER_PAGE, delivery_payload, place))


def _webhooks(request: keys.KeyedRequest) -> ChannelQuerySet:
    return Channel.objects.for_event(request.auth.event_id).webhooks()


def _find(request: keys.KeyedRequest, webhook_id: UUID) -> Channel:
    channel = _webhooks(request).filter(id=webhook_id).first()
    if channel is None:
        check_event(request)
        raise Problem(404)
    return channel
