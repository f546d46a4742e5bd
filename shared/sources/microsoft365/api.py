"""The Graph calls of the source tenant. They go through the project's Graph client, loaded when first needed."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import batched
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError, RefusedError
from shared.graph.client import Graph, Reply
from shared.graph.errors import Area, NotThereError, Row

if TYPE_CHECKING:
    from azure.identity.aio import ClientSecretCredential
    from kiota_abstractions.base_request_builder import BaseRequestBuilder
    from msgraph.generated.drives.item.items.item.drive_item_item_request_builder import DriveItemItemRequestBuilder

PUBLIC_GRAPH = "https://graph.microsoft.com/v1.0"
# Microsoft, "driveItem: delta": what tells changed permissions apart needs the two before it. Without the last one
# every folder above a changed item comes along, and would have to be read.
DELTA_PREFERENCES = (
    "deltashowremovedasdeleted, deltatraversepermissiongaps, deltashowsharingchanges, hierarchicalsharing, "
    "deltaExcludeParent"
)
_WITH_SHARING_CHANGES = {"Prefer": "includesecuritywebhooks"}

_NOT_THERE = Row(NotThereError, Reason.SOURCE, status=(404,))
# The notification address did not answer in time: a cold start passes (msgraph-sdk-dotnet #531).
_UNPROVEN = Row(LaterError, Reason.SOURCE, status=(400,), text=r"validation request")
_CONTENT = Area("Sites.FullControl.All", (_NOT_THERE,))
_PEOPLE = Area("User.Read.All", (_NOT_THERE,))
_GROUPS = Area("GroupMember.Read.All", (_NOT_THERE,))
_SUBSCRIPTIONS = Area("Sites.FullControl.All", (_NOT_THERE, _UNPROVEN))

_ITEM = ["id", "name", "parentReference", "root", "folder", "file", "package", "remoteItem", "deleted"]
_DRIVE = ["id", "name", "driveType", "owner", "sharePointIds"]
_USER = ["id", "mail", "userPrincipalName", "userType", "externalUserState", "accountEnabled", "displayName"]
_IDS_PER_FILTER = 15  # the directory refuses more or-clauses
_CHANGES_PER_PAGE = 200
_LARGEST_PAGE, _MOST_MEMBERS = 999, 10_000
_AT_ONCE = 5


@dataclass(frozen=True)
class Changes:
    """One page of a drive's delta; `link` leads on, and `ended` says that it is the place to begin next time.

    `void`: the token is not good any more; `link` is where Graph wants to begin anew, if it says.
    """

    items: Sequence[Mapping[str, Any]] = ()
    link: str | None = None
    ended: bool = False
    void: bool = False


class Microsoft365Api:
    """The calls for one connection. Answers are Graph's JSON, None where there is nothing.

    Each may raise LaterError(SOURCE) or RefusedError(SOURCE_REFUSED).
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        """`secrets`: tenant_id, client_id, client_secret; api_url and login_url when they are not the public ones."""
        self._secrets = secrets
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def close(self) -> None:
        """Close the connections."""
        await self._graph.close()
        await self._credential.close()

    async def users_page(self, link: str | None, size: int) -> tuple[Sequence[Mapping[str, Any]], str | None]:
        """A page of the tenant's accounts, and where the next one is."""
        query = {} if link else {"select": ["id", "userType"], "top": size}
        return await self._page(link, self._graph.client.users, _PEOPLE, **query)

    async def sites_page(self, link: str | None, size: int) -> tuple[Sequence[Mapping[str, Any]], str | None]:
        """A page of the tenant's sites, in all its geographies."""
        query = {} if link else {"select": ["id", "webUrl", "isPersonalSite"], "top": size}
        return await self._page(link, self._graph.client.sites.get_all_sites, _CONTENT, **query)

    async def drives_page(self, site: str, link: str | None) -> tuple[Sequence[Mapping[str, Any]], str | None]:
        """A page of a site's document libraries; none for a site that is gone or locked."""
        query = {} if link else {"select": ["id", "driveType"]}
        builder = self._graph.client.sites.by_site_id(site).drives
        return await self._page(link, builder, _CONTENT, accept=(404, 423), **query)

    async def drive_of(self, user: str) -> Mapping[str, Any] | None:
        """A user's OneDrive; None for who has none, or whose is locked."""
        builder = self._graph.client.users.by_user_id(user).drive
        reply = await self._read(builder, _CONTENT, accept=(404, 423), select=["id", "driveType"])
        return reply.body if reply.status == 200 else None

    async def drive(self, drive: str) -> Mapping[str, Any]:
        """A drive with its owner and its site."""
        return (await self._read(self._graph.client.drives.by_drive_id(drive), _CONTENT, select=_DRIVE)).body

    async def root_site(self) -> Mapping[str, Any]:
        """The site at the tenant's own host."""
        return (await self._read(self._graph.client.sites.by_site_id("root"), _CONTENT, select=["id", "webUrl"])).body

    async def changes(self, drive: str, link: str | None, *, skip_locked: bool = False) -> Changes:
        """A page of what changed since the link was handed out; without one, of everything that there is."""
        query = {} if link else {"top": _CHANGES_PER_PAGE}
        builder = self._at(link) if link else self._item(drive, "root").delta
        headers = {"Prefer": DELTA_PREFERENCES}
        accept = ((404, 423) if skip_locked else ()) + ((410,) if link else ())
        reply = await self._read(builder, _CONTENT, headers=headers, accept=accept, **query)
        if reply.status == 410:
            anew = reply.headers.get("Location")
            return Changes(link=anew if anew and self._is_ours(anew) else None, void=True)
        if reply.status != 200:
            return Changes(ended=True)
        return _changes(reply)

    async def now(self, drive: str) -> str:
        """The link by which `changes` tells what happens from now on."""
        builder = self._item(drive, "root").delta_with_token("latest")
        page = _changes(await self._read(builder, _CONTENT, headers={"Prefer": DELTA_PREFERENCES}))
        if page.link is None or not page.ended:
            raise LaterError(Reason.SOURCE, detail="Graph's answer to token=latest has no delta link.")
        return page.link

    async def item(self, drive: str, item: str) -> Mapping[str, Any] | None:
        """An item with its place; None when it is not there."""
        reply = await self._read(self._item(drive, item), _CONTENT, accept=(404,), select=_ITEM)
        return reply.body if reply.status == 200 else None

    async def shown(self, drive: str, item: str) -> Mapping[str, Any] | bool:
        """An item with its place; False when it is not in the drive, True when nothing can be said about it.

        Graph answers 404 also for a drive that is gone; only while the drive's root shows does it mean the item.
        """
        reply = await self._read(self._item(drive, item), _CONTENT, accept=(403, 404, 423), select=_ITEM)
        if reply.status == 200:
            return reply.body
        if reply.status != 404:
            return True
        root = await self._read(self._item(drive, "root"), _CONTENT, accept=(403, 404, 423), select=["id"])
        return root.status != 200

    async def permissions(self, drive: str, item: str) -> Sequence[Mapping[str, Any]] | None:
        """All permissions of an item; None when it is not there."""
        with _as_source():
            try:
                async with self._gate:
                    return await _all(self._graph.pages(self._item(drive, item).permissions, _CONTENT))
            except NotThereError:
                return None

    async def users(self, ids: Iterable[str]) -> Mapping[str, Mapping[str, Any]]:
        """The accounts with these ids, by id; who is not in the answer does not exist."""
        parts = batched(sorted(set(ids)), _IDS_PER_FILTER, strict=False)
        filters = [f"id in ({','.join(map(_quoted, part))})" for part in parts]
        with _as_source():
            pages = [
                await _all(self._graph.pages(self._graph.client.users, _PEOPLE, filter=one, select=_USER))
                for one in filters
            ]
        return {user["id"]: user for page in pages for user in page if isinstance(user.get("id"), str)}

    async def members(self, group: str) -> Sequence[Mapping[str, Any]] | None:
        """The people of a group and of the groups in it; None when Graph does not show them, or there are too many."""
        builder = self._graph.client.groups.by_group_id(group).transitive_members
        link, found = None, list[Mapping[str, Any]]()
        while True:
            query = {} if link else {"select": _USER, "top": _LARGEST_PAGE}
            at = self._at(link) if link else builder
            reply = await self._read(at, _GROUPS, accept=(403, 404), **query)
            if reply.status != 200 or len(found) > _MOST_MEMBERS:
                return None
            entries, link = _listed(reply)
            found += [entry for entry in entries if entry.get("@odata.type") == "#microsoft.graph.user"]
            if link is None:
                return found

    async def subscribe(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make a subscription that also tells of changed permissions."""
        with _as_source():
            reply = await self._graph.post(
                self._graph.client.subscriptions, _SUBSCRIPTIONS, body, headers=_WITH_SHARING_CHANGES
            )
        return reply.body

    async def renew(self, subscription: str, body: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Change a subscription; None when it is gone."""
        builder = self._graph.client.subscriptions.by_subscription_id(subscription)
        with _as_source():
            try:
                return (await self._graph.patch(builder, _SUBSCRIPTIONS, body)).body
            except NotThereError:
                return None

    async def unsubscribe(self, subscription: str) -> None:
        """End a subscription. It is no error when it is gone."""
        builder = self._graph.client.subscriptions.by_subscription_id(subscription)
        with _as_source():
            try:
                await self._graph.delete(builder, _SUBSCRIPTIONS)
            except NotThereError:
                return

    @cached_property
    def _credential(self) -> "ClientSecretCredential":
        from azure.identity.aio import ClientSecretCredential

        secrets, login = self._secrets, self._secrets.get("login_url")
        options: dict[str, Any] = {"retry_total": 0}  # waiting belongs to the queues
        if login:
            options["authority"] = f"https://{urlsplit(login).netloc}"
            if login.startswith("http:"):
                options["transport"] = _plain_transport()
        return ClientSecretCredential(secrets["tenant_id"], secrets["client_id"], secrets["client_secret"], **options)

    @cached_property
    def _graph(self) -> Graph:
        return Graph(self._base, self._credential)

    @property
    def _base(self) -> str:
        return self._secrets.get("api_url") or PUBLIC_GRAPH

    def _is_ours(self, link: str) -> bool:
        ours, theirs = urlsplit(self._base), urlsplit(link)
        return (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc)

    def _at(self, link: str) -> "BaseRequestBuilder":
        with _as_source():
            return self._graph.at(link)

    def _item(self, drive: str, item: str) -> "DriveItemItemRequestBuilder":
        return self._graph.client.drives.by_drive_id(drive).items.by_drive_item_id(item)

    async def _read(self, builder: "BaseRequestBuilder", area: Area, **options: Any) -> Reply:
        with _as_source():
            async with self._gate:
                return await self._graph.read(builder, area, **options)

    async def _page(
        self, link: str | None, builder: "BaseRequestBuilder", area: Area, **options: Any
    ) -> tuple[Sequence[Mapping[str, Any]], str | None]:
        reply = await self._read(self._at(link) if link else builder, area, **options)
        return _listed(reply) if reply.status == 200 else ((), None)


@contextmanager
def _as_source() -> Iterator[None]:
    """Turn the trouble of a tenant into that of a source: the client speaks of the destination."""
    try:
        yield
    except NotThereError:
        raise
    except LaterError as error:
        if error.detail == "ClientAuthenticationError":  # azure-identity: Microsoft Entra refused the app's secret
            raise RefusedError(
                Reason.SOURCE_REFUSED,
                "Microsoft Entra does not let the app sign in. Check tenant_id, client_id and client_secret.",
            ) from None
        raise LaterError(Reason.SOURCE, error.after, error.detail) from None
    except RefusedError as error:
        raise RefusedError(Reason.SOURCE_REFUSED, error.detail) from None


def _changes(reply: Reply) -> Changes:
    entries, onward = _listed(reply)
    link = onward or reply.body.get("@odata.deltaLink")
    if not isinstance(link, str):
        raise LaterError(Reason.SOURCE, detail="Graph's delta has neither a next link nor a delta link.")
    return Changes(entries, link, ended=onward is None)


def _listed(reply: Reply) -> tuple[Sequence[Mapping[str, Any]], str | None]:
    entries, link = reply.body.get("value"), reply.body.get("@odata.nextLink")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise LaterError(Reason.SOURCE, detail="Graph's list is not a list of objects.")
    return entries, link if isinstance(link, str) else None


async def _all(pages: AsyncIterator[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    return [entry async for entry in pages]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _plain_transport() -> Any:
    """Return a transport for a login address on this machine: azure-identity itself speaks nothing but TLS."""
    from azure.core.pipeline.transport import AioHttpTransport

    class Plain(AioHttpTransport):  # type: ignore[misc]
        async def send(self, request: Any, **options: Any) -> Any:
            request.url = request.url.replace("https://", "http://", 1)
            return await super().send(request, **options)

    return Plain()
