"""The stand-in's notification channels: made, ended, and what Google sends over them."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlsplit

from local.platforms.google_discovery import RefusalError
from local.platforms.standin import numbers

# How long channels last at most, and when nobody says: "Notifications for resource changes", "Push notifications".
LIVES = {"changes": (timedelta(days=7), timedelta(hours=1)), "reports": (timedelta(hours=6), timedelta(hours=6))}

type Send = Callable[[str, Mapping[str, str], bytes], None]


@dataclass
class Channel:
    """A channel: `watches` names what its notifications are about, `user` who made it."""

    id: str
    watches: tuple[str, ...]
    user: str
    address: str
    token: str | None
    ends: datetime
    payload: bool
    number: int = 1

    @property
    def resource_id(self) -> str:
        """Google's opaque name of what is watched, the same for all channels that watch it."""
        return "o" + "".join(filter(str.isalnum, "-".join(self.watches)))[:40]

    @property
    def resource_uri(self) -> str:
        """Where what is watched can be read."""
        return "https://www.googleapis.com/" + "/".join(self.watches)


class Channels:
    """All channels."""

    def __init__(self, send: Send) -> None:
        """`send` delivers a notification."""
        self._send = send
        self.open: dict[str, Channel] = {}

    def make(self, watches: tuple[str, ...], user: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make a channel as asked for, and begin with its `sync`. Raises RefusalError."""
        channel = _asked_for(watches, user, body)
        if channel.id in self.open:
            raise RefusalError(400, "channelIdNotUnique", "Channel id not unique")
        self.open[channel.id] = channel
        self._notify(channel, "sync", b"")
        return {
            "kind": "api#channel",
            "id": channel.id,
            "resourceId": channel.resource_id,
            "resourceUri": channel.resource_uri,
            **({"token": channel.token} if channel.token else {}),
            "expiration": str(int(channel.ends.timestamp() * 1000)),
        }

    def stop(self, user: str, body: Mapping[str, Any]) -> None:
        """End a channel. Raises RefusalError."""
        channel = self.open.get(str(body.get("id")))
        if channel is None or channel.resource_id != body.get("resourceId") or channel.user != user:
            raise RefusalError(404, "notFound", f"Channel '{body.get('id')}' not found for project")
        del self.open[channel.id]

    def tell(self, watches: tuple[str, ...], state: str, body: Mapping[str, Any]) -> None:
        """Notify everybody who watches that."""
        for channel in self._living():
            if channel.watches == watches:
                content = b"" if watches[0] == "reports" and not channel.payload else json.dumps(body).encode()
                self._notify(channel, state, content)

    def _living(self) -> Iterator[Channel]:
        now = datetime.now(UTC)
        yield from [channel for channel in self.open.values() if channel.ends > now]

    def _notify(self, channel: Channel, state: str, content: bytes) -> None:
        headers = {
            "Content-Type": "application/json; utf-8",
            "User-Agent": "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)",
            "X-Goog-Channel-ID": channel.id,
            "X-Goog-Channel-Expiration": format_datetime(channel.ends, usegmt=True),
            "X-Goog-Message-Number": str(channel.number),
            "X-Goog-Resource-ID": channel.resource_id,
            "X-Goog-Resource-State": state,
            "X-Goog-Resource-URI": channel.resource_uri,
        }
        if channel.token is not None:
            headers["X-Goog-Channel-Token"] = channel.token
        if state == "change":
            headers["X-Goog-Changed"] = "permissions"
        channel.number += next(numbers) % 3 + 1  # increasing, but not one by one
        self._send(channel.address, headers, content)


def _asked_for(watches: tuple[str, ...], user: str, body: Mapping[str, Any]) -> Channel:
    ident, kind, address, token = (body.get(name) for name in ("id", "type", "address", "token"))
    if not isinstance(ident, str) or not 0 < len(ident) <= 64:
        raise RefusalError(400, "required" if not ident else "invalid", "Channel id", "entity.id")
    if kind not in ("web_hook", "webhook"):
        raise RefusalError(400, "invalid", "Unknown channel type", "entity.type")
    if token is not None and (not isinstance(token, str) or len(token) > 256):
        raise RefusalError(400, "invalid", "Channel token too long", "entity.token")
    where = urlsplit(str(address))
    if where.scheme != "https" and where.hostname not in ("127.0.0.1", "localhost"):
        raise RefusalError(401, "push.webhookUrlNotHttps", f"WebHook callback must be HTTPS: {address}")
    now, (longest, default) = datetime.now(UTC), LIVES[watches[0]]
    expiration = body.get("expiration")
    if expiration is None:
        ends = now + default
    elif isinstance(expiration, str) and expiration.isdigit() and int(expiration) > now.timestamp() * 1000:
        ends = min(now + longest, datetime.fromtimestamp(int(expiration) / 1000, UTC))
    else:
        raise RefusalError(400, "invalid", "Channel expiration", "entity.expiration")
    return Channel(ident, watches, user, str(address), token, ends, bool(body.get("payload")))
