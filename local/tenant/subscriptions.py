"""Subscriptions to drives: their rules, the proof that an address answers, and what is sent to it."""

import hmac
import re
import uuid
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
from yarl import URL

from local.tenant.calls import Answer, Call
from local.tenant.errors import GraphError, bad_request, item_not_found
from local.tenant.state import Subscription, World, iso

LONGEST_LIFE = 42_300 * 60.0  # seconds; driveItem in "Subscription resource type"
LONGEST_STATE = 128
ANSWER_SECONDS = 10.0
COLLECTION = "/subscriptions"
_ONE = re.compile(r"/subscriptions/([^/]+)")
_RESOURCE = re.compile(r"/?drives/([^/]+)/root")
_PROPERTIES = {
    "changeType",
    "clientState",
    "expirationDateTime",
    "lifecycleNotificationUrl",
    "notificationUrl",
    "resource",
    "latestSupportedTlsVersion",
}


def concerns(call: Call) -> bool:
    """Whether a call is about subscriptions."""
    return call.path == COLLECTION or bool(_ONE.fullmatch(call.path))


def answer(world: World, call: Call, now: float) -> Answer:
    """Carry out a call; for a POST the addresses have been proven before, see `prove`."""
    call.check_options()
    for ended in [one for one in world.subscriptions.values() if one.expires <= now]:
        del world.subscriptions[ended.id]
    if call.path == COLLECTION:
        return _create(world, call, now) if call.method == "POST" else _list(world, call)
    match = _ONE.fullmatch(call.path)
    subscription = world.subscriptions.get(match[1]) if match else None
    if subscription is None:
        raise GraphError(404, "ResourceNotFound", "The object was not found.")
    match call.method:
        case "GET":
            return Answer(200, _row(call, subscription))
        case "PATCH":
            subscription.expires = _expiry(call.json({"expirationDateTime"}), now)
            return Answer(200, _row(call, subscription))
        case "DELETE":
            del world.subscriptions[subscription.id]
            return Answer(204)
    raise bad_request("Specified HTTP method is not allowed for the request target.")


async def prove(call: Call) -> None:
    """Ask both addresses of a new subscription to send back a token; raises GraphError 400."""
    body = call.json(_PROPERTIES)
    token = f"Validation: Testing client application reachability for subscription Request-Id: {uuid.uuid4()}"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(ANSWER_SECONDS)) as session:
        for address in filter(None, (body.get("notificationUrl"), body.get("lifecycleNotificationUrl"))):
            separator = "&" if urlsplit(address).query else "?"
            url = URL(f"{address}{separator}{urlencode({'validationToken': token})}", encoded=True)
            try:
                async with session.post(url, headers={"Content-Type": "text/plain; charset=utf-8"}) as reply:
                    echoed, kind = await reply.text(), reply.content_type
                    good = reply.status == 200 and kind == "text/plain" and hmac.compare_digest(echoed, token)
            except (TimeoutError, aiohttp.ClientError, ValueError):
                good = False
            if not good:
                raise GraphError(
                    400, "ValidationError", "Subscription validation request failed. The endpoint did not answer."
                )


def notification(subscription: Subscription, tenant_id: str) -> dict[str, Any]:
    """That something in the drive has changed: never what."""
    return {
        **_envelope(subscription, tenant_id),
        "id": str(uuid.uuid4()),
        "changeType": "updated",
        "resource": subscription.resource,
        "resourceData": {"@odata.type": "#microsoft.graph.driveItem"},
    }


def lifecycle_notification(subscription: Subscription, tenant_id: str, event: str) -> dict[str, Any]:
    """That something about the subscription itself is to be done; it does not name the resource."""
    return {**_envelope(subscription, tenant_id), "lifecycleEvent": event}


def _envelope(subscription: Subscription, tenant_id: str) -> dict[str, Any]:
    ends = datetime.fromtimestamp(subscription.expires, UTC)
    return {
        "subscriptionId": subscription.id,
        "subscriptionExpirationDateTime": ends.strftime("%Y-%m-%dT%H:%M:%S.%f0Z"),  # seven digits
        "clientState": subscription.client_state,
        "tenantId": tenant_id,
    }


def _create(world: World, call: Call, now: float) -> Answer:
    body = call.json(_PROPERTIES)
    if body.get("changeType") != "updated":
        raise bad_request("Only the change type 'updated' is supported for this resource.")
    resource = body.get("resource")
    match = _RESOURCE.fullmatch(resource) if isinstance(resource, str) else None
    if match is None:
        raise bad_request("Only the root of a drive can be subscribed to.")
    if match[1] not in world.drives:
        raise item_not_found()
    state = body.get("clientState")
    if not isinstance(state, str | None) or len(state or "") > LONGEST_STATE:
        raise bad_request(f"clientState must have at most {LONGEST_STATE} characters.")
    if not isinstance(body.get("notificationUrl"), str):
        raise bad_request("notificationUrl is required.")
    subscription = Subscription(
        id=str(uuid.uuid4()),
        drive_id=match[1],
        resource=str(resource).removeprefix("/"),
        notification_url=body["notificationUrl"],
        lifecycle_notification_url=body.get("lifecycleNotificationUrl"),
        client_state=state,
        expires=_expiry(body, now),
        security="includesecuritywebhooks" in call.headers.get("Prefer", "").lower(),
    )
    world.subscriptions[subscription.id] = subscription
    return Answer(201, _row(call, subscription))


def _list(world: World, call: Call) -> Answer:
    if call.method != "GET":
        raise bad_request("Specified HTTP method is not allowed for the request target.")
    rows = [_row(call, one) for one in world.subscriptions.values()]
    return Answer(200, {"@odata.context": f"{call.origin}/v1.0/$metadata#subscriptions", "value": rows})


def _expiry(body: dict[str, Any], now: float) -> float:
    try:
        ends = datetime.fromisoformat(body["expirationDateTime"]).timestamp()
    except (KeyError, TypeError, ValueError):
        raise bad_request("expirationDateTime is required.") from None
    if not now < ends <= now + LONGEST_LIFE:
        raise bad_request("Subscription expiration can only be 42300 minutes in the future.")
    return ends


def _row(call: Call, subscription: Subscription) -> dict[str, Any]:
    return {
        "@odata.context": f"{call.origin}/v1.0/$metadata#subscriptions/$entity",
        "id": subscription.id,
        "resource": subscription.resource,
        "changeType": "updated",
        "clientState": subscription.client_state if call.method == "POST" else None,
        "notificationUrl": subscription.notification_url,
        "lifecycleNotificationUrl": subscription.lifecycle_notification_url,
        "expirationDateTime": iso(subscription.expires),
    }
