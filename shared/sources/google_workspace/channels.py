"""Channels: how Google notifies. Nothing is signed, and nothing is told but where to look."""

import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.domain.addresses import digest
from shared.domain.sources import Delivery, Hint, Subscription
from shared.domain.trouble import RejectedError, UnreadableError
from shared.sources.google_workspace.parts import Channel
from shared.sources.tokens import ChannelTokens
from shared.sources.wire import Rejection, faults, header

_SHORTEST = timedelta(hours=1)  # Drive API, "Notifications for resource changes": how long a channel lasts by itself
_MILLISECONDS = 10**11  # as seconds, a time after the year 5000
_NUMBER = re.compile(r"[0-9]{1,20}", re.ASCII)
_PRINTABLE = re.compile(r"[!-~]{1,500}", re.ASCII)


class _Notice(BaseModel):
    """What the headers of a notification tell, as it is queued. The token is not in it."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)

    channel: Annotated[str, Field(max_length=64)]
    feed: Annotated[str, Field(max_length=200)]
    resource: str | None
    state: str | None


class Channels:
    """Makes channels, and knows them again: the token holds the feed, and is proven to belong to the channel's id."""

    def __init__(self, tokens: ChannelTokens) -> None:
        """`tokens`: those of the connection."""
        self._tokens = tokens

    def offer(self, feed: str, address: str, now: datetime, life: timedelta) -> dict[str, Any]:
        """Return the body that asks for a channel. Google ends it early when nobody says for how long it is wanted."""
        ident = str(uuid.uuid4())
        return {
            "id": ident,
            "type": "web_hook",
            "address": address,
            "token": f"{self._tokens.make(_purpose(ident, feed))}.{feed}",
            "expiration": str(int((now + life).timestamp() * 1000)),
            "payload": False,
        }

    def authenticate(self, headers: Mapping[str, str], now: datetime) -> Delivery:
        """Check a notification by its headers; the body is not looked at. Raises RejectedError."""
        channel, token = header(headers, "x-goog-channel-id"), header(headers, "x-goog-channel-token")
        state, resource = header(headers, "x-goog-resource-state"), header(headers, "x-goog-resource-id")
        number = header(headers, "x-goog-message-number")
        if channel is None:
            raise Rejection.ID_MISSING.error()
        if token is None:
            raise RejectedError(401, "token-missing", "The channel's token is missing.")
        parts = token.split(".", 2)
        if len(parts) != 3 or not self._tokens.proves(".".join(parts[:2]), _purpose(channel, parts[2])):
            raise RejectedError(401, "token-wrong", "The token is not the one that was given to this channel.")
        notice = _Notice(channel=channel, feed=parts[2], resource=_plain(resource), state=_plain(state))
        which = number if number is not None and _NUMBER.fullmatch(number) else now.isoformat()
        return Delivery(id=digest(channel, which), body=notice.model_dump_json().encode())


def read(body: bytes) -> Hint:
    """Read a notification. Every state is a reason to look, also `sync`, with which a channel begins.

    Raises UnreadableError.
    """
    try:
        notice = _Notice.model_validate_json(body)
    except ValidationError as error:
        raise UnreadableError(f"The notification is not what the door has written: {faults(error)}") from None
    return Hint(feed=notice.feed, resource_id=notice.resource)


def subscription(made: Channel, now: datetime) -> Subscription:
    """Return the channel that Google has made."""
    ends = now + _SHORTEST if made.expiration is None else _time(int(made.expiration))
    return Subscription(id=made.id, made_at=now, expires_at=ends, resource_id=made.resource_id)


def _time(since_1970: int) -> datetime:
    """Return the time. Google's page about reports says in one place that an expiration is in seconds."""
    return datetime.fromtimestamp(since_1970 / 1000 if since_1970 >= _MILLISECONDS else since_1970, UTC)


def _purpose(channel: str, feed: str) -> str:
    return f"{channel}\x1f{feed}"


def _plain(text: str | None) -> str | None:
    return text if text is not None and _PRINTABLE.fullmatch(text) else None
