"""Google Workspace: Drive's changes and the administrator's reports, of which notifications only say that there are
some; who has an item is read off its permission list."""

import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from pydantic import ValidationError

from shared.domain.addresses import InvalidAddressError, normalise
from shared.domain.connections import Connection
from shared.domain.events import Change, Item, Principal, PrincipalKind, ShareEvent
from shared.domain.reasons import Reason
from shared.domain.sources import Delivery, FeedsPage, FoundFeed, Hint, Page, PermissionSet, Subscription
from shared.domain.trouble import RefusedError
from shared.domain.value import Value
from shared.sources.google_workspace import channels
from shared.sources.google_workspace.changes import poll_changes, poll_reports, start_of_changes
from shared.sources.google_workspace.homes import Home
from shared.sources.google_workspace.parts import Channel, Drives, Users, understood
from shared.sources.google_workspace.reports import ACCESS, Whereabouts
from shared.sources.google_workspace.scan import scan
from shared.sources.google_workspace.step import Step
from shared.sources.google_workspace.trouble import VoidTokenError
from shared.sources.tokens import ChannelTokens

if TYPE_CHECKING:
    from shared.sources.google_workspace.api import Delegation

REPORTS, PERSON, DRIVE = "reports", "changes:", "drive:"
# The longest that Google allows: Drive API, "Notifications for resource changes"; Admin SDK, "Push notifications".
_LIFE_OF_CHANGES, _LIFE_OF_REPORTS = timedelta(days=7), timedelta(hours=6)
_USERS_PER_PAGE, _DRIVES_PER_PAGE = 200, 100
_REMEMBERED = 1000


class _FeedsPlace(Value):
    drives: bool = False
    token: str | None = None


class GoogleWorkspaceSource:
    """One Google Workspace account: implements the port Source."""

    def __init__(self, connection: Connection, secrets: Mapping[str, str]) -> None:
        """`secrets`: service_account, administrator, channel_secret; optional: previous_channel_secret, api_url.

        Raises ValueError when one is missing or not what it should be.
        """
        _check_key(connection, secrets.get("service_account", ""))
        try:
            normalise(secrets.get("administrator", ""))
        except InvalidAddressError:
            raise ValueError(
                f"The secret 'administrator' of connection {connection.id!r} is not an e-mail address. It is the "
                "administrator as whom the service account reads the directory and the reports."
            ) from None
        self._connection, self._secrets = connection, secrets
        self._channels = channels.Channels(ChannelTokens(connection, secrets))
        self._lives: OrderedDict[str, Whereabouts] = OrderedDict()

    def answer_handshake(self, query: Mapping[str, str]) -> str | None:  # noqa: ARG002
        """Google asks for no proof: it begins with a message of its own, in state `sync`."""
        return None

    def authenticate(self, headers: Mapping[str, str], body: bytes, now: datetime) -> Delivery:  # noqa: ARG002
        """Check a notification by the token of its channel. Nothing is signed, so the body is not looked at.

        Raises RejectedError: Google sends again only after 500, 502, 503 and 504, which what is not ours need not.
        """
        return self._channels.authenticate(headers, now)

    def read(self, body: bytes) -> Sequence[Hint]:
        """Read which feed a notification is about. Raises UnreadableError."""
        return [channels.read(body)]

    async def enrich(self, event: ShareEvent) -> Sequence[ShareEvent]:
        """Complete what a report told. What an outside person lost is left as it is: it must not wait for Google.

        May raise LaterError.
        """
        is_internal = self._connection.is_internal(event.principal.address or "")
        if event.change is Change.LOST and not is_internal:
            return [event]
        with self._step() as step:
            if event.change is Change.LOST:
                return await self._lost_by_group(step, event)
            return await step.complete(event, self._lives.get(event.item.id) if event.item else None)

    async def _lost_by_group(self, step: Step, event: ShareEvent) -> Sequence[ShareEvent]:
        """Reports do not say whether an address is a group's; behind one of the company's may be outside people."""
        address = event.principal.address or ""
        if await step.api.group(address) is None:
            return []
        group = Principal(kind=PrincipalKind.GROUP, source_id=address)
        return [event.model_copy(update={"principal": group})]

    async def feeds(self, cursor: str | None) -> FeedsPage:
        """The reports, every active person's My Drive, and every shared drive."""
        place = _feeds_place(cursor)
        found = [FoundFeed(REPORTS, watches=True)] if cursor is None else []
        with self._step() as step:
            try:
                if place.drives:
                    drives = understood(Drives, await step.api.drives(place.token, _DRIVES_PER_PAGE))
                    token, names = drives.next_page_token, [DRIVE + drive.id for drive in drives.drives]
                    goes_on = _FeedsPlace(drives=True, token=token) if token else None
                else:
                    users = understood(Users, await step.api.users(place.token, _USERS_PER_PAGE))
                    ours = (u for u in users.users if u.is_active and self._connection.is_internal(u.primary_email))
                    token, names = users.next_page_token, [PERSON + user.id for user in ours]
                    goes_on = _FeedsPlace(drives=token is None, token=token)
            except VoidTokenError:
                names, goes_on = [], _FeedsPlace(drives=place.drives)
        found += [FoundFeed(name, watches=True) for name in names]
        return FeedsPage(found, goes_on.model_dump_json() if goes_on else None)

    async def poll(self, feed: str, cursor: str | None) -> Page:
        """Read what is new: from the reports facts, from a drive the permission sets of what changed in it."""
        with self._step() as step:
            if feed != REPORTS:
                return await poll_changes(step, await self._home(step, feed), cursor)
            reported = await poll_reports(step, self._connection, cursor)
        for one in reported.told:
            self._remember(one.event.item, one.lives)
        return reported.page

    async def scan(self, cursor: str | None) -> Page:
        """Read a part of all that is shared: people's drives one after the other, then the shared drives."""
        with self._step() as step:
            return await scan(step, self._connection, cursor)

    async def look(self, item: Item) -> PermissionSet | None:
        """Read one item's permissions as they are now."""
        with self._step() as step:
            return await step.look(item)

    async def subscribe(self, feed: str, held: Subscription | None, address: str) -> Subscription:  # noqa: ARG002
        """Make a channel. Google renews none: it is always a new one, with an id of its own."""
        now = datetime.now(UTC)
        with self._step() as step:
            if feed == REPORTS:
                channel = self._channels.offer(feed, address, now, _LIFE_OF_REPORTS)
                made = await step.api.watch_activities(ACCESS, channel)
            else:
                home = await self._home(step, feed)
                channel = self._channels.offer(feed, address, now, _LIFE_OF_CHANGES)
                token = await start_of_changes(step, home)
                made = await step.api.watch_changes(home.reader, home.drive, token, channel)
        return channels.subscription(understood(Channel, made), now)

    async def unsubscribe(self, feed: str, subscription: Subscription) -> None:
        """End a channel."""
        channel = {"id": subscription.id, "resourceId": subscription.resource_id or ""}
        with self._step() as step:
            if feed == REPORTS:
                await step.api.stop_activities(channel)
            else:
                await step.api.stop_changes((await self._home(step, feed)).reader, channel)

    @cached_property
    def _delegation(self) -> "Delegation":
        from shared.sources.google_workspace.api import Delegation

        return Delegation(self._secrets)

    @contextmanager
    def _step(self) -> Iterator[Step]:
        with self._delegation.step() as api:
            yield Step(api, self._connection)

    async def _home(self, step: Step, feed: str) -> Home:
        if feed.startswith(PERSON):
            home = await step.homes.of_user(feed.removeprefix(PERSON))
        elif feed.startswith(DRIVE):
            home = await step.homes.of_drive(feed.removeprefix(DRIVE))
        else:
            raise RefusedError(Reason.SOURCE_REFUSED, "Google Workspace has no feed of this name.")
        if home is None:
            raise RefusedError(
                Reason.SOURCE_REFUSED,
                "The person is suspended or deleted, or the shared drive is deleted: Google lets nobody read it.",
            )
        return home

    def _remember(self, item: Item | None, lives: Whereabouts) -> None:
        """Keep where a reported item lives, until its events are completed; if it is forgotten, Google is asked."""
        if item is None:
            return
        self._lives[item.id] = lives
        self._lives.move_to_end(item.id)
        if len(self._lives) > _REMEMBERED:
            self._lives.popitem(last=False)


def _feeds_place(cursor: str | None) -> _FeedsPlace:
    try:
        return _FeedsPlace() if cursor is None else _FeedsPlace.model_validate_json(cursor)
    except ValidationError:
        return _FeedsPlace()


def _check_key(connection: Connection, text: str) -> None:
    try:
        key = json.loads(text)
    except (ValueError, RecursionError):
        key = None
    names = ("client_email", "private_key", "token_uri")
    usable = isinstance(key, dict) and key.get("type") == "service_account"
    if not usable or not all(isinstance(key.get(name), str) and key[name] for name in names):
        raise ValueError(
            f"The secret 'service_account' of connection {connection.id!r} is not the key file of a service account. "
            "Make a key of the type JSON in the Google Cloud console, and store the whole text of the file."
        )
