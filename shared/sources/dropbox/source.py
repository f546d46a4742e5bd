"""Dropbox for Business: a thin webhook, the team's log, and the members of what is shared."""

import hmac
import html
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from shared.domain.addresses import digest
from shared.domain.connections import Connection
from shared.domain.events import Change, Item, PrincipalKind, ShareEvent
from shared.domain.platforms import ItemKind
from shared.domain.reasons import Reason
from shared.domain.sources import Delivery, FeedsPage, FoundFeed, Hint, Page, PermissionSet, Subscription
from shared.domain.trouble import RefusedError, RejectedError
from shared.sources.wire import Rejection, header, json_object

if TYPE_CHECKING:
    from shared.sources.dropbox.api import DropboxApi
    from shared.sources.dropbox.reader import DropboxReader

FEED = "team-log"

_MIN_SECRET_LENGTH = 12  # Dropbox's own have 15 characters
_LONGEST_CHALLENGE = 1024
_RECEIVED = 200  # Dropbox repeats a notification for every other answer ("Webhooks": a status code of 200)


class DropboxSource:
    """One Dropbox team: implements the port Source."""

    def __init__(self, connection: Connection, secrets: Mapping[str, str]) -> None:
        """`secrets`: app_key, app_secret, refresh_token; optional: previous_app_secret, api_url.

        Raises ValueError when one is missing, or too short to be one of Dropbox's: with an empty app secret anybody
        could sign.
        """
        for name in ("app_key", "refresh_token"):
            if not secrets.get(name):
                raise ValueError(f"The secret {name!r} of connection {connection.id!r} is missing.")
        self._connection, self._secrets = connection, secrets
        names = ["app_secret", *({"previous_app_secret"} & secrets.keys())]
        self._keys = [secrets.get(name, "").encode() for name in names]
        for name, key in zip(names, self._keys, strict=True):
            if len(key) < _MIN_SECRET_LENGTH:
                raise ValueError(
                    f"The secret {name!r} of connection {connection.id!r} is missing or shorter than "
                    f"{_MIN_SECRET_LENGTH} characters. Take it from the app's page in the Dropbox App Console."
                )

    def answer_handshake(self, query: Mapping[str, str]) -> str | None:
        """Return the challenge that Dropbox sends when the address is entered in the App Console."""
        challenge = query.get("challenge")
        if challenge is None:
            return None
        if not 0 < len(challenge) <= _LONGEST_CHALLENGE or not challenge.isprintable():
            raise RejectedError(400, "challenge-invalid", "The challenge is not one of Dropbox's.")
        return html.escape(challenge)

    def authenticate(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Delivery:
        """Check the signature over the raw bytes, made with the present app secret or the one before.

        Dropbox signs no time and gives no id. Two notifications about the same people are the same bytes, and each
        counts, for each is only a hint: so an id never repeats.
        """
        signature = header(headers, "x-dropbox-signature")
        if signature is None:
            raise Rejection.SIGNATURE_MISSING.error()
        given = signature.encode("utf-8", "surrogatepass")
        matches = [hmac.compare_digest(hmac.digest(key, body, "sha256").hex().encode(), given) for key in self._keys]
        if not any(matches):
            raise Rejection.SIGNATURE_WRONG.error()
        json_object(body)
        return Delivery(id=digest(body.decode(), now.isoformat()), body=body, status=_RECEIVED)

    def read(self, body: bytes) -> Sequence[ShareEvent | Hint]:  # noqa: ARG002
        """Return the hint that a notification is: it says for whom something changed, but not what.

        One notification may name several people, in more than one shape: the log tells about all of them.
        """
        return [Hint(FEED)]

    async def enrich(self, event: ShareEvent) -> Sequence[ShareEvent]:
        """Complete an event with the folder's path and a group's members. What belongs to others is left out.

        A removal is left as it is: taking access back must not wait for Dropbox.
        """
        from shared.sources.dropbox.api import NotShownError
        from shared.sources.dropbox.reader import ForeignError

        if event.change is Change.LOST or event.principal.kind is PrincipalKind.ANONYMOUS_LINK:
            return [event]
        reader, item = self._reader(), event.item
        if item and item.path is None and item.kind is ItemKind.FOLDER and item.id.startswith("folder:"):
            try:
                path = await reader.path(await reader.folder(item.id.removeprefix("folder:")))
            except ForeignError:
                return []
            except NotShownError:
                path = None
            event = event.model_copy(update={"item": item.model_copy(update={"path": path})})
        return await self._members(reader, event) if event.principal.kind is PrincipalKind.GROUP else [event]

    async def feeds(self, cursor: str | None) -> FeedsPage:  # noqa: ARG002
        """Return the team's log. Its webhook is entered in the App Console; Dropbox has no call to subscribe."""
        return FeedsPage([FoundFeed(FEED, polls=True, watches=False)])

    async def poll(self, feed: str, cursor: str | None) -> Page:  # noqa: ARG002
        """Read a page of the team's log."""
        from shared.sources.dropbox.poll import poll_step

        return await poll_step(self._reader(), cursor)

    async def scan(self, cursor: str | None) -> Page:
        """Read a part of all that is shared in the team."""
        from shared.sources.dropbox.scan import scan_step

        return await scan_step(self._reader(), cursor)

    async def look(self, item: Item) -> PermissionSet | None:
        """Read who has an item now."""
        from shared.sources.dropbox.look import look_at

        return await look_at(self._reader(), item)

    async def subscribe(self, feed: str, held: Subscription | None, address: str) -> Subscription:  # noqa: ARG002
        """Refuse: the address of a webhook can only be entered in the App Console."""
        raise RefusedError(Reason.SOURCE_REFUSED, "Dropbox has no call to subscribe. Use its App Console.")

    async def unsubscribe(self, feed: str, subscription: Subscription) -> None:  # noqa: ARG002
        """Refuse: the address of a webhook can only be taken out in the App Console."""
        raise RefusedError(Reason.SOURCE_REFUSED, "Dropbox has no call to unsubscribe. Use its App Console.")

    @cached_property
    def _api(self) -> "DropboxApi":
        from shared.sources.dropbox.api import DropboxApi

        return DropboxApi(self._secrets)

    def _reader(self) -> "DropboxReader":
        from shared.sources.dropbox.reader import DropboxReader

        return DropboxReader(self._connection, self._api)

    async def _members(self, reader: "DropboxReader", event: ShareEvent) -> Sequence[ShareEvent]:
        """Return one event for each member of the event's group; the event itself when Dropbox does not tell them."""
        from shared.sources.dropbox.reader import in_group

        group = event.principal
        members = await reader.group_members(group.source_id) if group.source_id else None
        if not members:
            return [event]
        return [
            event.model_copy(
                update={
                    "id": f"{event.id}:{member.team_member_id}",
                    "principal": in_group(member, group.name or group.source_id or ""),
                }
            )
            for member in members
        ]
