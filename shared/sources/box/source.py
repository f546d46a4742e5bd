"""Box: webhooks V2 about collaborations and shared links, completed through Box's API; its event log, and scans."""

import base64
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from pydantic import ValidationError

from shared.domain.addresses import digest
from shared.domain.connections import Connection
from shared.domain.events import Change, Item, Principal, PrincipalKind, ShareEvent
from shared.domain.reasons import Reason
from shared.domain.sources import Delivery, FeedsPage, Hint, Page, PermissionSet, Subscription
from shared.domain.trouble import RefusedError, UnreadableError
from shared.sources.box import log as box_log
from shared.sources.box import scan as box_scan
from shared.sources.box import watch as box_watch
from shared.sources.box.models import (
    BoxItem,
    Collaboration,
    LinkedItem,
    Location,
    Membership,
    WebhookEvent,
    member_of,
    sharer_of,
    understood,
)
from shared.sources.wire import Rejection, faults, header, json_object, parse_timestamp

if TYPE_CHECKING:
    from shared.sources.box.api import BoxApi

_MAX_AGE = timedelta(minutes=10)  # Box, "Signature verification": discard what is older
_MAX_SKEW = timedelta(minutes=1)
_MIN_KEY_LENGTH = 16

_COLLABORATION = {
    "COLLABORATION.CREATED": Change.GIVEN,
    "COLLABORATION.ACCEPTED": Change.GIVEN,
    "COLLABORATION.UPDATED": Change.KEPT,
    "COLLABORATION.REJECTED": Change.LOST,
    "COLLABORATION.REMOVED": Change.LOST,
}
_SHARED_LINK = {
    "SHARED_LINK.CREATED": Change.GIVEN,
    "SHARED_LINK.UPDATED": Change.KEPT,
    "SHARED_LINK.DELETED": Change.LOST,
}
_IRRELEVANT = ("FILE.", "FOLDER.", "COMMENT.", "TASK_ASSIGNMENT.", "METADATA_INSTANCE.", "SIGN_REQUEST.")
_DELETED = "WEBHOOK.DELETED"
_NO_SESSION = "NO_ACTIVE_SESSION"
# What is asked of a webhook is what can be read.
TRIGGERS = (*_COLLABORATION, *_SHARED_LINK)


class BoxSource:
    """One Box account: implements the port Source."""

    def __init__(self, connection: Connection, secrets: Mapping[str, str]) -> None:
        """`secrets`: primary_key, client_id, client_secret, enterprise_id; optional: secondary_key, api_url.

        Raises ValueError when one is missing or a signature key is too short to be one of Box's: with an empty key
        anybody could sign.
        """
        for name in ("client_id", "client_secret", "enterprise_id"):
            if not secrets.get(name):
                raise ValueError(f"The secret {name!r} of connection {connection.id!r} is missing.")
        self._connection, self._secrets = connection, secrets
        self._primary = _key("primary_key", connection, secrets)
        self._secondary = _key("secondary_key", connection, secrets) if "secondary_key" in secrets else None

    def answer_handshake(self, query: Mapping[str, str]) -> str | None:  # noqa: ARG002
        """Return None: Box asks for no proof."""
        return None

    def authenticate(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Delivery:
        """Check the signature that Box makes over the raw bytes; the delivery's id is the event's, in every attempt.

        Either key may match its own header: Box rotates one key at a time. Raises RejectedError.
        """
        timestamp = header(headers, "box-delivery-timestamp")
        primary = header(headers, "box-signature-primary")
        secondary = header(headers, "box-signature-secondary")
        version = header(headers, "box-signature-version")
        algorithm = header(headers, "box-signature-algorithm")
        if timestamp is None:
            raise Rejection.TIMESTAMP_MISSING.error()
        if primary is None and secondary is None:
            raise Rejection.SIGNATURE_MISSING.error()
        if (version, algorithm) != ("1", "HmacSHA256"):
            raise Rejection.SIGNATURE_SCHEME.error()
        try:
            at = parse_timestamp(timestamp)
        except ValueError:
            raise Rejection.TIMESTAMP_INVALID.error() from None
        signed = body + timestamp.encode("ascii")
        matches = [_matches(self._primary, signed, primary), _matches(self._secondary, signed, secondary)]
        if not any(matches):
            raise Rejection.SIGNATURE_WRONG.error()
        if not -_MAX_SKEW <= now - at <= _MAX_AGE:
            raise Rejection.TIMESTAMP_OUTSIDE_WINDOW.error()
        return Delivery(_event_id(body), body)

    def read(self, body: bytes) -> Sequence[ShareEvent | Hint]:
        """Read a delivery into share events. Raises UnreadableError."""
        try:
            delivery = WebhookEvent.model_validate_json(body)
            if delivery.trigger in _COLLABORATION:
                return self._collaboration(delivery, Collaboration.model_validate(delivery.source))
            if delivery.trigger in _SHARED_LINK:
                return self._shared_link(delivery, LinkedItem.model_validate(delivery.source))
        except ValidationError as error:
            raise UnreadableError(f"Box's delivery is not what Box documents: {faults(error)}") from None
        if delivery.trigger.startswith(_IRRELEVANT):
            return []
        if delivery.trigger == _DELETED:
            return _renewal(delivery)
        if delivery.trigger == _NO_SESSION:
            raise UnreadableError(
                "Box sends this webhook without content because the app's session has ended. Authorise the app again "
                "in the Box Admin Console; what was shared in between is then read from Box's event log, or by a scan."
            )
        raise UnreadableError("The webhook has a trigger that is not known here. Take it off the webhook in Box.")

    async def enrich(self, event: ShareEvent) -> Sequence[ShareEvent]:
        """Complete an event with the collaboration's details, the item's path, and a group's members.

        A removal is left as it is: Box has forgotten the collaboration, and taking access back must not wait for Box.
        What another company owns is not shared by us: nothing is left of it. May raise LaterError.
        """
        if event.change is Change.LOST:
            return [event]
        event = await self._with_details(event)
        if event.item is not None and event.item.path is None:
            item = await self._with_path(event.item)
            if item is None:
                return []
            event = event.model_copy(update={"item": item})
        return await self._members(event) if event.principal.kind is PrincipalKind.GROUP else [event]

    async def feeds(self, cursor: str | None) -> FeedsPage:
        """The event log and the folders at the top. May raise LaterError and RefusedError."""
        return await box_watch.feeds(self._api, cursor)

    async def poll(self, feed: str, cursor: str | None) -> Page:
        """Read a page of the event log. May raise LaterError and RefusedError."""
        if feed != box_watch.EVENTS:
            raise RefusedError(Reason.SOURCE_REFUSED, "At Box only the event log can be polled.")
        return await box_log.poll(self._api, self._connection, cursor)

    async def scan(self, cursor: str | None) -> Page:
        """Read a page of a folder, beginning at the root. May raise LaterError."""
        return await box_scan.scan(self._api, self._connection, cursor)

    async def look(self, item: Item) -> PermissionSet | None:
        """Read one item. May raise LaterError."""
        kind, _, number = item.id.partition(":")
        return await box_scan.Reader(self._api, self._connection).look(kind, number)

    async def subscribe(self, feed: str, held: Subscription | None, address: str) -> Subscription:
        """Make a folder's webhook, or see that it is there. May raise LaterError and RefusedError."""
        return await box_watch.subscribe(self._api, feed, held, address, TRIGGERS)

    async def unsubscribe(self, feed: str, subscription: Subscription) -> None:  # noqa: ARG002
        """Delete a webhook. May raise LaterError."""
        await box_watch.unsubscribe(self._api, subscription)

    @cached_property
    def _api(self) -> "BoxApi":
        from shared.sources.box.api import BoxApi

        return BoxApi(self._secrets)

    def _collaboration(self, delivery: WebhookEvent, told: Collaboration) -> list[ShareEvent]:
        if told.is_for_app:
            return []
        lost = told.status == "rejected" or _COLLABORATION[delivery.trigger] is Change.LOST
        return [
            ShareEvent(
                id=f"box:{delivery.id}",
                connection=self._connection.id,
                change=Change.LOST if lost else _COLLABORATION[delivery.trigger],
                at=delivery.created_at,
                principal=told.principal,
                role=told.role,
                item=told.item.item if told.item else None,
                reference=told.id,
                sharer=sharer_of(told.created_by),
                shared_at=told.created_at,
                expires_at=told.expires_at,
                pending=not lost and (told.status or _status_after(delivery.trigger)) == "pending",
            )
        ]

    def _shared_link(self, delivery: WebhookEvent, told: LinkedItem) -> list[ShareEvent]:
        change, link = _SHARED_LINK[delivery.trigger], told.shared_link
        if link is None or not link.is_open:
            if change is Change.GIVEN:
                return []
            change = Change.LOST  # an open link that was narrowed or removed; Box does not tell what it was before
        item = told.item
        return [
            ShareEvent(
                id=f"box:{delivery.id}",
                connection=self._connection.id,
                change=change,
                at=delivery.created_at,
                principal=Principal(kind=PrincipalKind.ANONYMOUS_LINK, source_id=item.id),
                role=link.effective_permission if link else None,
                item=item,
                reference=f"shared-link:{item.id}",
                sharer=sharer_of(delivery.created_by),
                expires_at=link.unshared_at if link else None,
            )
        ]

    async def _with_details(self, event: ShareEvent) -> ShareEvent:
        """Fill in what the delivery left out; not the item while the invitation is pending, for Box hides it then.

        What the delivery did tell stays: it is a fact of its time, and later facts have deliveries of their own.
        """
        person, principal = event.principal.kind is PrincipalKind.PERSON, event.principal
        lacking = event.role is None or (person and not principal.address) or (event.item is None and not event.pending)
        if not lacking or event.reference is None or principal.kind is PrincipalKind.ANONYMOUS_LINK:
            return event
        answer = await self._api.collaboration(event.reference)
        if answer is None:
            return event
        told = understood(Collaboration, answer)
        return event.model_copy(
            update={
                "role": event.role or told.role,
                "item": event.item or (told.item.item if told.item else None),
                "principal": told.principal if person and not principal.address else principal,
            }
        )

    async def _with_path(self, item: Item) -> Item | None:
        """Return the item with its path, as far as Box shows it; None when an outsider owns it."""
        kind, _, number = item.id.partition(":")
        answer = await self._api.location(kind, number)
        if answer is None:
            return item
        told = understood(Location, answer)
        return None if told.is_externally_owned else await box_scan.placed(self._api, item, told)

    async def _members(self, event: ShareEvent) -> Sequence[ShareEvent]:
        """One event per member; a group whose members Box does not show stays one event."""
        group = event.principal
        answer = await self._api.memberships(group.source_id or "")
        users = [understood(Membership, entry).user for entry in answer or []]
        return [
            event.model_copy(
                update={
                    "id": f"{event.id}:{digest(user.address or user.id)}",
                    "principal": member_of(group, user),
                }
            )
            for user in users
            if user is not None and not user.is_app
        ] or [event]


def _renewal(delivery: WebhookEvent) -> list[Hint]:
    """Box has deleted the webhook (after 14 days without a success, with its app or its tokens), and tells why, but
    not always where: without a folder, the daily look at each webhook finds it."""
    target = delivery.webhook.target if delivery.webhook else None
    try:
        told = BoxItem.model_validate(target.model_dump() if target else delivery.source)
    except ValidationError:
        told = None
    folder = [Hint(box_watch.folder_feed(told.id), renew=True)] if told and told.type == "folder" else []
    return [*folder, Hint(box_watch.EVENTS)]


def _status_after(trigger: str) -> str:
    """Return the status that a trigger alone proves; only acceptance proves acceptance."""
    return "accepted" if trigger == "COLLABORATION.ACCEPTED" else "pending"


def _key(name: str, connection: Connection, secrets: Mapping[str, str]) -> bytes:
    key = secrets.get(name, "").encode()
    if len(key) < _MIN_KEY_LENGTH:
        raise ValueError(
            f"The secret {name!r} of connection {connection.id!r} is missing or shorter than {_MIN_KEY_LENGTH} "
            "characters. Copy the signature key from the app's page in the Box Developer Console."
        )
    return key


def _matches(key: bytes | None, signed: bytes, signature: str | None) -> bool:
    if key is None or signature is None:
        return False
    expected = base64.b64encode(hmac.digest(key, signed, "sha256"))
    return hmac.compare_digest(expected, signature.encode("utf-8", "surrogatepass"))


def _event_id(body: bytes) -> str:
    """Return the id that Box gives the event; when there is none, one made from the body, which repeats with it.

    A body that is JSON but otherwise odd is let in: it is authentic, and reading it records what is wrong with it.
    """
    event_id = json_object(body).get("id")
    if isinstance(event_id, str) and 0 < len(event_id) <= 200 and event_id.isascii() and event_id.isprintable():
        return event_id
    return digest(body.decode())
