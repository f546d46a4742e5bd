"""The inbound contract: share facts from platforms without webhooks of their own, posted by a relay.

One CloudEvents 1.0 document in JSON, signed as Standard Webhooks says. docs/inbound-contract.md is for who writes the
relay. The document is read with models of our own and not with the CloudEvents SDK: that one makes up an id and the
time where they are missing, and then neither a repeat nor the order of two facts could be told.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from standardwebhooks import Webhook

from shared.domain import events
from shared.domain.addresses import digest
from shared.domain.connections import Connection
from shared.domain.platforms import ItemKind
from shared.domain.reasons import Reason
from shared.domain.sources import Delivery, FeedsPage, Page, PermissionSet, Subscription
from shared.domain.trouble import RefusedError, UnreadableError
from shared.sources.wire import Rejection, Timestamp, faults, header

_TOLERANCE = timedelta(minutes=5)  # Standard Webhooks, reference implementations
_MIN_SECRET_BYTES = 24  # Standard Webhooks: between 24 and 64 bytes
_ID = re.compile(r"[A-Za-z0-9_-]{1,200}", re.ASCII)
_UNIX_SECONDS = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
_CHANGES = {
    "guestpass.share.given.v1": events.Change.GIVEN,
    "guestpass.share.kept.v1": events.Change.KEPT,
    "guestpass.share.lost.v1": events.Change.LOST,
}

_NO_CONTROLS = r"[^\u0000-\u001f\u007f-\u009f]"
_Text = Annotated[str, Field(min_length=1, max_length=500, pattern=f"^{_NO_CONTROLS}*$")]
_Path = Annotated[str, Field(max_length=4000, pattern=f"^/{_NO_CONTROLS}*$")]


class _Part(BaseModel):
    """A part of the document. Strict: a field that is not in the contract is a mistake that would go unnoticed."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        alias_generator=to_camel,
        field_title_generator=lambda name, _: to_camel(name),
    )


class Principal(_Part):
    """The receiver of the share."""

    kind: events.PrincipalKind = Field(default=events.PrincipalKind.PERSON, description="What it was shared with")
    address: _Text | None = Field(default=None, description="A person's e-mail address, as the platform writes it")
    source_id: _Text | None = Field(default=None, description="The platform's id of the person, group or link")
    name: _Text | None = Field(default=None, description="The name to show")
    suspended: bool = Field(default=False, description="The person's account at the platform is suspended")
    group: _Text | None = Field(default=None, description="The group through which the person has the share")


class Item(_Part):
    """The shared item."""

    id: _Text = Field(description="The platform's id of the item, the same after it was renamed or moved")
    kind: ItemKind = Field(description="What was shared; `root` is the whole account or sync folder")
    path: _Path | None = Field(default=None, description="From the connection's root, with a slash in front")


class Sharer(_Part):
    """Who shared it."""

    address: _Text | None = Field(default=None, description="E-mail address")
    source_id: _Text | None = Field(default=None, description="The platform's id of the person")
    may_invite: bool | None = Field(
        default=None, description="Whether the person holds the right to invite outside people; null: not known"
    )


class Fact(_Part):
    """The fact."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["item"], "properties": {"item": {"type": "object"}}},
                {"required": ["reference"], "properties": {"reference": {"type": "string"}}},
            ]
        }
    )

    principal: Principal
    role: Annotated[_Text, Field(max_length=200)] | None = Field(
        default=None, description="The platform's name of the role; without one nothing is granted"
    )
    item: Item | None = Field(default=None, description="Null only where the platform hides it; then give reference")
    reference: _Text | None = Field(
        default=None, description="The platform's own id of this permission, the same in all facts about it"
    )
    sharer: Sharer | None = Field(default=None, description="Who shared it")
    shared_at: Timestamp | None = Field(default=None, description="When it was first shared; null: not known, not now")
    expires_at: Timestamp | None = Field(default=None, description="When the share ends by itself")
    pending: bool = Field(default=False, description="The person has not accepted the share at the platform yet")
    cross_organisation: bool = Field(default=False, description="Only links may be given to this person")

    @model_validator(mode="after")
    def _names_a_share(self) -> "Fact":
        if self.item is None and self.reference is None:
            raise ValueError("either item or reference is needed")
        return self


class Document(_Part):
    """A share fact: a CloudEvents 1.0 document in structured JSON form."""

    specversion: Literal["1.0"]
    id: _Text = Field(description="Unique for each fact of this source; the same when it is sent again")
    source: _Text = Field(description="Who says so: a URI reference of the relay and the account it reads")
    type: Literal["guestpass.share.given.v1", "guestpass.share.kept.v1", "guestpass.share.lost.v1"] = Field(
        description="The share was given; was seen to stand, also with another role; or is gone"
    )
    time: Timestamp = Field(description="When it happened at the platform; decides which of two facts is newer")
    datacontenttype: Literal["application/json"] = "application/json"
    subject: _Text | None = Field(default=None, description="Not used")
    dataschema: _Text | None = Field(default=None, description="Not used")
    data: Fact


def contract_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the document: docs/inbound-contract.schema.json."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Document.model_json_schema()}


def share_event(document: Document, connection: str) -> events.ShareEvent:
    """Return the share event that a document tells."""
    data = document.data
    return events.ShareEvent(
        id=_event_id(document),
        connection=connection,
        change=_CHANGES[document.type],
        at=document.time,
        principal=events.Principal(**dict(data.principal)),
        role=data.role,
        item=events.Item(**dict(data.item)) if data.item else None,
        reference=data.reference,
        sharer=events.Sharer(**dict(data.sharer)) if data.sharer else events.Sharer(),
        shared_at=data.shared_at,
        expires_at=data.expires_at,
        pending=data.pending,
        cross_organisation=data.cross_organisation,
    )


class InboundSource:
    """One account of a platform without webhooks, as a relay tells about it: implements the port Source."""

    def __init__(self, connection: Connection, secrets: Mapping[str, str]) -> None:
        """`secrets`: signing_secret and, while it is being replaced, previous_signing_secret, both `whsec_...`.

        Raises ValueError when one is missing, not base64, or too short.
        """
        self._connection = connection
        names = ["signing_secret", *({"previous_signing_secret"} & secrets.keys())]
        self._webhooks = [Webhook(_secret(name, connection, secrets)) for name in names]

    def answer_handshake(self, query: Mapping[str, str]) -> str | None:  # noqa: ARG002
        """Answer nothing: a relay proves itself by its signature alone."""
        return None

    def authenticate(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Delivery:
        """Check the signature, then the whole document; the delivery has the event's id. Raises RejectedError.

        Everything that is wrong with the document is answered to the relay at once, before anything is queued.
        """
        delivery_id = header(headers, "webhook-id")
        timestamp = header(headers, "webhook-timestamp")
        signatures = header(headers, "webhook-signature", has_commas=True)
        if delivery_id is None:
            raise Rejection.ID_MISSING.error()
        if not _ID.fullmatch(delivery_id):
            raise Rejection.ID_INVALID.error()
        if timestamp is None:
            raise Rejection.TIMESTAMP_MISSING.error()
        if not _UNIX_SECONDS.fullmatch(timestamp):
            raise Rejection.TIMESTAMP_INVALID.error()
        if signatures is None:
            raise Rejection.SIGNATURE_MISSING.error()
        at = datetime.fromtimestamp(int(timestamp), UTC)
        if not self._is_signed(delivery_id, at, body, signatures):
            raise Rejection.SIGNATURE_WRONG.error()
        if abs(now - at) > _TOLERANCE:
            raise Rejection.TIMESTAMP_OUTSIDE_WINDOW.error()
        document = _accepted(body)
        if document.time > now + _TOLERANCE:  # it would outrank every later fact about the share
            raise Rejection.CONTRACT_VIOLATED.error("$.time: lies in the future")
        return Delivery(_event_id(document), body)

    def read(self, body: bytes) -> Sequence[events.ShareEvent]:
        """Read a delivery into its one share event. Raises UnreadableError."""
        try:
            document = Document.model_validate_json(body)
        except ValidationError as error:
            raise UnreadableError(f"The document is not what the contract says: {faults(error)}") from None
        return [share_event(document, self._connection.id)]

    async def enrich(self, event: events.ShareEvent) -> Sequence[events.ShareEvent]:
        """Return the event: there is nobody to ask."""
        return [event]

    async def feeds(self, cursor: str | None) -> FeedsPage:  # noqa: ARG002
        """List nothing: there is nobody to ask."""
        return FeedsPage(())

    async def poll(self, feed: str, cursor: str | None) -> Page:  # noqa: ARG002
        """Refuse: there is nobody to ask."""
        raise _nobody_to_ask()

    async def scan(self, cursor: str | None) -> Page:  # noqa: ARG002
        """Refuse: there is nobody to ask."""
        raise _nobody_to_ask()

    async def look(self, item: events.Item) -> PermissionSet | None:  # noqa: ARG002
        """Refuse: there is nobody to ask."""
        raise _nobody_to_ask()

    async def subscribe(self, feed: str, held: Subscription | None, address: str) -> Subscription:  # noqa: ARG002
        """Refuse: the relay decides by itself what it sends."""
        raise _nobody_to_ask()

    async def unsubscribe(self, feed: str, subscription: Subscription) -> None:  # noqa: ARG002
        """Refuse: there are no subscriptions."""
        raise _nobody_to_ask()

    def _is_signed(self, delivery_id: str, at: datetime, body: bytes, signatures: str) -> bool:
        """Tell whether one of the signatures is made with one of the secrets.

        The library's `verify` reads the clock by itself, takes fractions of a second, and raises five kinds of error;
        its `sign` is the part that must not differ from other implementations.
        """
        try:
            text = body.decode()
        except UnicodeDecodeError:
            raise Rejection.BODY_NOT_JSON.error() from None
        expected = [webhook.sign(delivery_id, at, text).encode() for webhook in self._webhooks]
        given = [signature.encode("utf-8", "surrogatepass") for signature in signatures.split(" ")]
        return any(hmac.compare_digest(one, other) for one in expected for other in given)


def _nobody_to_ask() -> RefusedError:
    return RefusedError(
        Reason.SOURCE_REFUSED,
        "This platform has no API to ask: a relay tells what is shared from now on. "
        "For what is shared already, upload a file instead.",
    )


def _secret(name: str, connection: Connection, secrets: Mapping[str, str]) -> bytes:
    """Return the secret's bytes. The library would skip characters that are not base64, and so weaken the secret."""
    prefix, _, encoded = secrets.get(name, "").partition("_")
    try:
        secret = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if prefix != "whsec" or len(secret) < _MIN_SECRET_BYTES:
        raise ValueError(
            f"The secret {name!r} of connection {connection.id!r} must be 'whsec_' and base64 of at least "
            f"{_MIN_SECRET_BYTES} random bytes."
        )
    return secret


def _accepted(body: bytes) -> Document:
    try:
        return Document.model_validate_json(body)
    except ValidationError as error:
        if any(fault["type"] == "json_invalid" for fault in error.errors(include_url=False, include_input=False)):
            raise Rejection.BODY_NOT_JSON.error(faults(error)) from None
        raise Rejection.CONTRACT_VIOLATED.error(faults(error)) from None


def _event_id(document: Document) -> str:
    """Return the id under which every repeat of the document is one event: CloudEvents' source and id together."""
    return f"inbound:{digest(document.source, document.id)}"
