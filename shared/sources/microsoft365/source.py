"""OneDrive for Business and Office365: which of a tenant's drives are whose, and how their paths begin."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from shared.domain.sources import FeedsPage, FoundFeed
from shared.sources.microsoft365.base import Microsoft365Source, each
from shared.sources.microsoft365.door import FEED
from shared.sources.microsoft365.items import DriveFacts, FeedsCursor
from shared.sources.microsoft365.permissions import Part, Text, understood

_USERS_AT_ONCE = _SITES_AT_ONCE = 20  # one call for each
_MOST_LIBRARIES = 100
# A library of the root site with such a name would have the path of another site (`/sites/Legal`).
_ROOMS_OF_SITES = ("sites", "teams", "portals", "personal")


class _Account(Part):
    id: Text
    user_type: str | None = None
    user_principal_name: Text | None = None


class _Site(Part):
    id: Text
    web_url: str | None = None
    is_personal_site: bool | None = None


class OneDriveSource(Microsoft365Source):
    """Every user's OneDrive. A path begins with the owner's user principal name."""

    async def feeds(self, cursor: str | None) -> FeedsPage:
        """List the OneDrives, some users at a time."""
        at = FeedsCursor.of(cursor)
        users, onward = await self.api.users_page(at.link, _USERS_AT_ONCE)
        done = min(len(users), at.done + _USERS_AT_ONCE)
        accounts = [understood(_Account, user) for user in users[at.done : done]]
        drives = await each(self.api.drive_of(user.id) for user in accounts if user.user_type != "Guest")
        found = _feeds([drive for drive in drives if drive is not None], "business")
        if done < len(users):
            return FeedsPage(found, at.model_copy(update={"done": done}).text)
        return FeedsPage(found, FeedsCursor(link=onward).text if onward else None)

    async def start_of_paths(self, drive: DriveFacts) -> str | None:
        """Return `/<user principal name>`."""
        owner = drive.owner.user.id if drive.owner and drive.owner.user else None
        user = (await self.api.users([owner])).get(owner) if owner else None
        upn = understood(_Account, user).user_principal_name if user else None
        return f"/{upn}" if upn and "/" not in upn else None


class Office365Source(Microsoft365Source):
    """Every document library of every site. A path begins with the site's path and the library's name."""

    _home: str | None = None

    async def feeds(self, cursor: str | None) -> FeedsPage:
        """List the libraries, some sites at a time. Personal sites are OneDrives."""
        at = FeedsCursor.of(cursor)
        sites, onward = await self.api.sites_page(at.link, _SITES_AT_ONCE)
        found, done, inner = list[FoundFeed](), at.done, at.inner
        while done < min(len(sites), at.done + _SITES_AT_ONCE) and len(found) < _MOST_LIBRARIES:
            site = understood(_Site, sites[done])
            if not site.is_personal_site:
                drives, inner = await self.api.drives_page(site.id, inner)
                found += _feeds(drives, "documentLibrary")
            done += inner is None
        if done < len(sites):
            return FeedsPage(found, at.model_copy(update={"done": done, "inner": inner}).text)
        return FeedsPage(found, FeedsCursor(link=onward).text if onward else None)

    async def start_of_paths(self, drive: DriveFacts) -> str | None:
        """Return `/<site's path>/<library>`.

        None for a site of another geography of the tenant: its address has another host, and maybe the same path.
        """
        site = urlsplit((drive.share_point_ids and drive.share_point_ids.site_url) or "")
        name = drive.name
        if not name or "/" in name or not site.hostname or site.hostname != await self._host():
            return None
        path = unquote(site.path).strip("/")
        if not path:
            return None if name.casefold() in _ROOMS_OF_SITES else f"/{name}"
        return f"/{path}/{name}"

    async def _host(self) -> str | None:
        if self._home is None:
            self._home = urlsplit(understood(_Site, await self.api.root_site()).web_url or "").hostname
        return self._home


def _feeds(drives: Sequence[Mapping[str, Any]], kind: str) -> list[FoundFeed]:
    """Return the drives of that driveType as feeds. Graph lists other kinds beside them, like a cache."""
    told = [understood(DriveFacts, drive) for drive in drives]
    return [FoundFeed(f"{FEED}{drive.id}", watches=True) for drive in told if drive.drive_type == kind]
