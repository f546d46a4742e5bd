"""Graph's notifications: which are ours, and where they say to look.

Graph signs nothing. It sends back the `clientState` of the subscription, which is a token of ours for one drive and
the drive's id: lifecycle notifications say nothing else about what they concern.
"""

import html
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.domain.addresses import digest
from shared.domain.connections import Connection
from shared.domain.sources import Delivery, Hint
from shared.domain.trouble import RejectedError, UnreadableError
from shared.sources.tokens import ChannelTokens
from shared.sources.wire import faults, json_object

FEED = "drive:"
_HANDSHAKE = "validationToken"
_LONGEST_HANDSHAKE = 1024
_LONGEST_STATE = 128  # subscription.clientState
_DRIVE = re.compile(r"drives/([^/\s]{1,150})/root", re.ASCII)
_KEPT = ("id", "subscriptionId", "subscriptionExpirationDateTime", "changeType", "lifecycleEvent", "tenantId")
_RENEWING = {"subscriptionRemoved", "reauthorizationRequired"}


class _Notification(BaseModel):
    """What `read` needs of what `Door.authenticate` has kept."""

    model_config = ConfigDict(frozen=True, strict=True)

    resource: Annotated[str, Field(pattern=r"^drives/[^/\s]{1,150}/root$")]
    lifecycleEvent: str | None = None  # noqa: N815


class _Delivery(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)

    value: list[_Notification]


class Door:
    """Judges what comes to the webhook of one connection."""

    def __init__(self, connection: Connection, secrets: Mapping[str, str]) -> None:
        """`secrets`: tenant_id, channel_secret, optional previous_channel_secret. Raises ValueError."""
        names = {"channel_secret", "previous_channel_secret"} & secrets.keys()
        self._tokens = ChannelTokens(connection, {name: secrets[name] for name in names})
        self._tenant = secrets["tenant_id"].lower()

    def client_state(self, drive: str) -> str:
        """Return the clientState for a new subscription to a drive."""
        token = self._tokens.make(_resource(drive))
        state = f"{token}:{drive}"
        return state if len(state) <= _LONGEST_STATE else token

    def authenticate(self, body: bytes, now: datetime) -> Delivery:
        """Judge each notification by itself and keep the genuine ones, without their clientState.

        Notifications without ids of their own are alike, although each is about another moment: then the time tells
        them apart. A repeat that counts as new costs one look too many; the other way round a change would be lost.
        Raises RejectedError.
        """
        genuine = [kept for one in _notifications(body) if (kept := self._kept(one)) is not None]
        if not genuine:
            raise RejectedError(401, "token-wrong", "No notification has the clientState of one of our subscriptions.")
        text = json.dumps({"value": genuine})
        parts = [text] if all(one.get("id") for one in genuine) else [text, now.isoformat()]
        return Delivery(digest(*parts), text.encode())

    def _kept(self, notification: Any) -> dict[str, str] | None:
        if not isinstance(notification, dict):
            return None
        state, told = notification.get("clientState"), notification.get("resource")
        if not isinstance(state, str) or len(state) > _LONGEST_STATE or not isinstance(told, str | None):
            return None
        token, _, drive = state.partition(":")
        resource = told.strip("/") if told is not None else _resource(drive)
        is_ours = self._tokens.proves(token, resource)
        agrees = not drive or resource == _resource(drive)
        if not (is_ours and agrees and _DRIVE.fullmatch(resource) and self._is_tenant(notification.get("tenantId"))):
            return None
        kept = {name: value for name in _KEPT if isinstance(value := notification.get(name), str)}
        return {**kept, "resource": resource}

    def _is_tenant(self, told: object) -> bool:
        return told is None or (isinstance(told, str) and told.lower() == self._tenant)


def answer_handshake(query: Mapping[str, str]) -> str | None:
    """Return the validation token that Graph sends while a subscription is made. Raises RejectedError.

    Graph's tokens hold no HTML; what does is made harmless, so that nobody can use the address to show a page.
    """
    token = query.get(_HANDSHAKE)
    if token is None:
        return None
    if not token or len(token) > _LONGEST_HANDSHAKE or not token.isprintable():
        raise RejectedError(400, "handshake-invalid", "The validation token is not one that Microsoft Graph sends.")
    return html.escape(token)


def read(body: bytes) -> Sequence[Hint]:
    """Read what `Door.authenticate` kept into one hint for each drive. Raises UnreadableError."""
    try:
        delivery = _Delivery.model_validate_json(body)
    except ValidationError as error:
        raise UnreadableError(f"Graph's notification is not what Graph documents: {faults(error)}") from None
    renew: dict[str, bool] = {}
    for one in delivery.value:
        drive = one.resource.split("/")[1]
        renew[drive] = renew.get(drive, False) or one.lifecycleEvent in _RENEWING
    return [Hint(f"{FEED}{drive}", renew=ends) for drive, ends in renew.items()]


def _resource(drive: str) -> str:
    return f"drives/{drive}/root"


def _notifications(body: bytes) -> list[Any]:
    value = json_object(body).get("value")
    return value if isinstance(value, list) else []
