"""Box: webhooks V2 about collaborations and shared links, completed through Box's API."""

import base64
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.domain.addresses import digest
from shared.domain.connections import Connection
from shared.domain.events import Change, Item, Principal, PrincipalKind, ShareEvent, Sharer
from shared.domain.platforms import ItemKind
from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError, UnreadableError
from shared.sources.wire import Rejection, Timestamp, faults, header, parse_timestamp

if TYPE_CHECKING:
    from shared.sources.box_api import BoxApi

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
_BROKEN = {
    "NO_ACTIVE_SESSION": (
        "Box sends this webhook without content because the app's session has ended. Authorise the app again in the "
        "Box Admin Console, and compare what was shared in between: Box did not tell."
    ),
    "WEBHOOK.DELETED": (
        "Box has deleted this webhook (after 14 days without a successful delivery, or with its app). "
        "Create it again, and compare what was shared in between: Box did not tell."
    ),
}

_Id = Annotated[str, Field(pattern=r"^[0-9]{1,40}$")]
_Text = Annotated[str, Field(max_length=500)]


class _Part(BaseModel):
    """A part of Box's JSON: what we read has the documented type; what we do not read may be anything."""

    model_config = ConfigDict(frozen=True, strict=True)


class _User(_Part):
    id: _Id
    name: _Text | None = None
    login: _Text | None = None

    @property
    def address(self) -> str | None:
        return _address(self.login)


class _Grantee(_User):
    type: Literal["user", "group"]
    is_active: bool | None = None


class _Item(_Part):
    type: Literal["folder", "file", "web_link"]
    id: _Id

    @property
    def item(self) -> Item:
        if self.type == "folder" and self.id == "0":
            return Item(id="folder:0", kind=ItemKind.ROOT, path="/")
        # Folders and files are numbered separately at Box: the number alone would not tell two items apart.
        return Item(id=f"{self.type}:{self.id}", kind=ItemKind.FOLDER if self.type == "folder" else ItemKind.FILE)


class _Collaboration(_Part):
    id: _Id
    status: Literal["accepted", "pending", "rejected"] | None = None
    role: Annotated[str, Field(max_length=200)] | None = None
    item: _Item | None = None
    accessible_by: _Grantee | None = None
    invite_email: _Text | None = None
    created_by: _User | None = None
    created_at: Timestamp | None = None
    expires_at: Timestamp | None = None

    @property
    def principal(self) -> Principal:
        grantee = self.accessible_by
        if grantee is None:
            return Principal(address=_address(self.invite_email))
        if grantee.type == "group":
            return Principal(kind=PrincipalKind.GROUP, source_id=grantee.id, name=grantee.name or None)
        return Principal(
            address=grantee.address or _address(self.invite_email),
            source_id=grantee.id,
            name=grantee.name or None,
            suspended=grantee.is_active is False,
        )


class _SharedLink(_Part):
    access: Annotated[str, Field(max_length=200)] | None = None
    effective_permission: Annotated[str, Field(max_length=200)] | None = None


class _LinkedItem(_Item):
    shared_link: _SharedLink | None = None


class _Delivery(_Part):
    id: Annotated[str, Field(min_length=1, max_length=200)]
    created_at: Timestamp
    trigger: Annotated[str, Field(max_length=200)]
    created_by: _User | None = None
    source: dict[str, Any] | list[Any] | None = None


class _Folder(_Part):
    id: _Id
    name: str


class _PathCollection(_Part):
    entries: list[_Folder]


class _Location(_Part):
    name: str
    path_collection: _PathCollection

    @property
    def path(self) -> str | None:
        """The path from the root; None when Box shows only its lower part: a guessed path would widen access."""
        above = self.path_collection.entries
        names = [folder.name for folder in above[1:]] + [self.name]
        path = "/" + "/".join(names)
        starts_at_root = bool(above) and above[0].id == "0"
        names_are_whole = all(name and "/" not in name for name in names)
        return path if starts_at_root and names_are_whole and len(path) <= 4000 else None


class _Membership(_Part):
    user: _User | None = None


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

    def authenticate(self, headers: Mapping[str, str], body: bytes, now: datetime) -> str:
        """Check the signature that Box makes over the raw bytes; return the event's id, the same for every attempt.

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
        return _event_id(body)

    def read(self, body: bytes) -> Sequence[ShareEvent]:
        """Read a delivery into share events. Raises UnreadableError."""
        try:
            delivery = _Delivery.model_validate_json(body)
            if delivery.trigger in _COLLABORATION:
                return [self._collaboration(delivery, _Collaboration.model_validate(delivery.source))]
            if delivery.trigger in _SHARED_LINK:
                return self._shared_link(delivery, _LinkedItem.model_validate(delivery.source))
        except ValidationError as error:
            raise UnreadableError(f"Box's delivery is not what Box documents: {faults(error)}") from None
        if delivery.trigger.startswith(_IRRELEVANT):
            return []
        if delivery.trigger in _BROKEN:
            raise UnreadableError(_BROKEN[delivery.trigger])
        raise UnreadableError("The webhook has a trigger that is not known here. Take it off the webhook in Box.")

    async def enrich(self, event: ShareEvent) -> Sequence[ShareEvent]:
        """Complete an event with the collaboration's details, the item's path, and a group's members.

        A removal is left as it is: Box has forgotten the collaboration, and taking access back must not wait for Box.
        May raise LaterError.
        """
        if event.change is Change.LOST:
            return [event]
        event = await self._with_details(event)
        if event.item is not None and event.item.path is None:
            event = event.model_copy(update={"item": await self._with_path(event.item)})
        return await self._members(event) if event.principal.kind is PrincipalKind.GROUP else [event]

    @cached_property
    def _api(self) -> "BoxApi":
        from shared.sources.box_api import BoxApi

        return BoxApi(self._secrets)

    def _collaboration(self, delivery: _Delivery, told: _Collaboration) -> ShareEvent:
        lost = told.status == "rejected" or _COLLABORATION[delivery.trigger] is Change.LOST
        sharer = told.created_by
        return ShareEvent(
            id=f"box:{delivery.id}",
            connection=self._connection.id,
            change=Change.LOST if lost else _COLLABORATION[delivery.trigger],
            at=delivery.created_at,
            principal=told.principal,
            role=told.role,
            item=told.item.item if told.item else None,
            reference=told.id,
            sharer=Sharer(address=sharer.address, source_id=sharer.id) if sharer else Sharer(),
            shared_at=told.created_at,
            expires_at=told.expires_at,
            pending=not lost and (told.status or _status_after(delivery.trigger)) == "pending",
        )

    def _shared_link(self, delivery: _Delivery, told: _LinkedItem) -> list[ShareEvent]:
        change, link = _SHARED_LINK[delivery.trigger], told.shared_link
        if link is None or link.access != "open":
            if change is Change.GIVEN:
                return []
            change = Change.LOST  # an open link that was narrowed or removed; Box does not tell what it was before
        item, sharer = told.item, delivery.created_by
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
                sharer=Sharer(address=sharer.address, source_id=sharer.id) if sharer else Sharer(),
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
        told = _understood(_Collaboration, answer)
        return event.model_copy(
            update={
                "role": event.role or told.role,
                "item": event.item or (told.item.item if told.item else None),
                "principal": told.principal if person and not principal.address else principal,
            }
        )

    async def _with_path(self, item: Item) -> Item:
        kind, _, number = item.id.partition(":")
        answer = await self._api.location(kind, number)
        return item if answer is None else item.model_copy(update={"path": _understood(_Location, answer).path})

    async def _members(self, event: ShareEvent) -> Sequence[ShareEvent]:
        """One event per member; a group whose members Box does not show stays one event."""
        group = event.principal
        answer = await self._api.memberships(group.source_id or "")
        users = [_understood(_Membership, entry).user for entry in answer or []]
        return [
            event.model_copy(
                update={
                    "id": f"{event.id}:{digest(user.address or user.id)}",
                    "principal": Principal(
                        address=user.address,
                        source_id=user.id,
                        name=user.name or None,
                        group=group.name or group.source_id,
                    ),
                }
            )
            for user in users
            if user is not None
        ] or [event]


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
    try:
        document = json.loads(body.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise Rejection.BODY_NOT_JSON.error() from None
    if not isinstance(document, dict):
        raise Rejection.BODY_NOT_JSON.error()
    event_id = document.get("id")
    if isinstance(event_id, str) and 0 < len(event_id) <= 200 and event_id.isascii() and event_id.isprintable():
        return event_id
    return digest(body.decode())


def _refuse_constant(_: str) -> None:
    raise ValueError("NaN and Infinity are not JSON")


def _understood[P: _Part](part: type[P], answer: dict[str, Any]) -> P:
    try:
        return part.model_validate(answer)
    except ValidationError as error:
        raise LaterError(Reason.SOURCE, detail=f"Box's answer is not what Box documents: {faults(error)}") from None


def _address(login: str | None) -> str | None:
    """Return the address of a login. Deliveries were seen with a blank in the place of a `+`."""
    return login.strip().replace(" ", "+") if login and login.strip() else None
