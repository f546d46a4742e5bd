"""Where an item lies in Drive, for one step of work: every folder is asked for once.

Folders of Drive may hold several things of one name. A path with such a name in it leads to more than one place, so
there is no path: a guess could open the wrong one.
"""

from typing import TYPE_CHECKING

from shared.domain.addresses import InvalidAddressError, normalise
from shared.sources.google_workspace.homes import Home
from shared.sources.google_workspace.parts import Drive, Drives, File, Files, understood

if TYPE_CHECKING:
    from shared.sources.google_workspace.api import GoogleApi

_DEEPEST = 100  # Google's own limit of a tree's depth
_LONGEST = 4000


class Paths:
    """Paths as routes have them: `/<owner>/...` in My Drive, `/Shared drives/<name>/...` in shared drives."""

    def __init__(self, api: "GoogleApi") -> None:
        """`api`: the calls of the step."""
        self._api = api
        self._places: dict[tuple[str, str], str | None] = {}
        self._roots: dict[str, str | None] = {}
        self._drives: dict[str, str | None] = {}

    async def of_file(self, file: File, home: Home) -> str | None:
        """The path of a file or folder; None when it is ambiguous, incomplete, or has a name with a slash."""
        path = await self._of(file, home, _DEEPEST)
        return path if path is not None and len(path) <= _LONGEST else None

    async def of_drive(self, drive: str) -> str | None:
        """The path of a shared drive's root; None also when another drive has the same name."""
        if drive not in self._drives:
            answer = await self._api.drive(drive)
            self._drives[drive] = None if answer is None else await self._drive_path(understood(Drive, answer))
        return self._drives[drive]

    async def _drive_path(self, drive: Drive) -> str | None:
        if not _is_whole(drive.name):
            return None
        named = understood(Drives, await self._api.drives(None, 2, named=drive.name))
        is_only_one = [one.id for one in named.drives] == [drive.id] and named.next_page_token is None
        return f"/Shared drives/{drive.name}" if is_only_one else None

    async def _of(self, file: File, home: Home, deepest: int) -> str | None:
        if not _is_whole(file.name) or len(file.parents) != 1 or deepest == 0:
            return None
        above = await self._of_folder(file.parents[0], home, deepest)
        if above is None:
            return None
        answer = await self._api.namesakes(home.reader, home.drive, file.parents[0], file.name)
        same = understood(Files, answer)
        is_only_one = [one.id for one in same.files] == [file.id] and same.next_page_token is None
        return f"{above}/{file.name}" if is_only_one else None

    async def _of_folder(self, folder: str, home: Home, deepest: int) -> str | None:
        if folder == home.drive:
            return await self.of_drive(folder)
        if home.drive is None and folder == await self._root(home.reader):
            return _of_person(home.reader)
        known = (home.reader, folder)
        if known not in self._places:
            answer = await self._api.file(home.reader, folder)
            found = None if answer is None else understood(File, answer)
            self._places[known] = None if found is None else await self._of(found, home, deepest - 1)
        return self._places[known]

    async def _root(self, user: str) -> str | None:
        if user not in self._roots:
            answer = await self._api.file(user, "root")
            self._roots[user] = None if answer is None else understood(File, answer).id
        return self._roots[user]


def _of_person(address: str) -> str | None:
    try:
        return f"/{normalise(address)}"
    except InvalidAddressError:
        return None


def _is_whole(name: str) -> bool:
    return bool(name) and "/" not in name
