"""Items as Graph shows them, by themselves or as rows of a drive's delta, and how far something was read."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Self
from urllib.parse import unquote

from pydantic import Field

from shared.domain.events import Item
from shared.domain.platforms import ItemKind
from shared.domain.value import Value
from shared.sources.microsoft365.permissions import Part, Text, understood

_LONGEST_PATH = 4000
_ROOT_OF_PATHS = "/root:"

type _Facet = dict[str, Any] | None
Id = Annotated[str, Field(pattern=r"^[!-.0-9;-~]{1,150}$")]
"""An id of a drive or an item: no slash, no colon, nothing that is not ASCII."""


class _Kinds(Part):
    id: Id
    root: _Facet = None
    folder: _Facet = None
    file: _Facet = None
    package: _Facet = None
    remote_item: _Facet = None

    @property
    def kind(self) -> ItemKind:
        """The kind; a package (a notebook) is a folder that has a look of its own."""
        if self.root is not None:
            return ItemKind.ROOT
        return ItemKind.FILE if self.file is not None and self.package is None else ItemKind.FOLDER


class _Parent(Part):
    path: str | None = None
    name: str | None = None


class ItemFacts(_Kinds):
    """An item, read by itself: only so does Graph tell its path."""

    name: str | None = None
    parent_reference: _Parent | None = None
    deleted: _Facet = None

    @property
    def is_here(self) -> bool:
        """Tell whether the item is one of this drive's: neither deleted nor a shortcut to somebody else's item."""
        return self.deleted is None and self.remote_item is None

    def item(self, drive: str, start: str | None) -> Item:
        """Return the item as share events have it; `start` is the path of the drive's root."""
        return Item(id=f"{drive}:{self.id}", kind=self.kind, path=self._path(start) if start else None)

    def _path(self, start: str) -> str | None:
        """Return the path, None when it is incomplete or can be read in two ways. The way to the parent is encoded."""
        if self.root is not None:
            return start
        parent = self.parent_reference or _Parent()
        _, is_whole, above = (parent.path or "").partition(_ROOT_OF_PATHS)
        try:
            names = [unquote(name, errors="strict") for name in above.split("/")[1:]]
        except UnicodeDecodeError:
            return None
        agrees = not names or parent.name is None or parent.name == names[-1]
        names.append(self.name or "")
        path = "/".join([start, *names])
        is_sound = all(name and "/" not in name for name in names) and len(path) <= _LONGEST_PATH
        return path if is_whole and agrees and is_sound else None


class Row(_Kinds):
    """An item as a row of a delta, which shows its newest state and no path."""

    deleted: _Facet = None
    shared: _Facet = None
    shared_changed: Annotated[Any, Field(alias="@microsoft.graph.sharedChanged")] = None

    def item(self, drive: str) -> Item:
        """Return the item, without its path."""
        return Item(id=f"{drive}:{self.id}", kind=self.kind)

    def may_be_shared(self, *, lists_all: bool) -> bool:
        """Tell whether the item has, or had, permissions of its own.

        A list of everything shows those by the facet `shared`, also by an empty one. Among changes there are also
        those that have none any more: marked, but only where they are files (msgraph-sdk-java #2548).
        """
        if self.deleted is not None or self.remote_item is not None:
            return False
        if self.shared is not None or self.root is not None:
            return True
        is_marked = str(self.shared_changed).lower() == "true"  # written as true and as "True"
        return not lists_all and (is_marked or self.kind is not ItemKind.FILE)


def newest(rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Return one row for each item: a delta may repeat an item, and the last row is the one that holds."""
    return list({row.id: row for row in (understood(Row, one) for one in rows)}.values())


class _Owner(Part):
    id: Text | None = None


class _Owners(Part):
    user: _Owner | None = None


class _SharePointIds(Part):
    site_url: str | None = None


class DriveFacts(Part):
    """A drive, with what its paths begin with."""

    id: Id
    name: str | None = None
    drive_type: str | None = None
    owner: _Owners | None = None
    share_point_ids: _SharePointIds | None = None


class _Cursor(Value):
    @property
    def text(self) -> str:
        """The cursor as text."""
        return self.model_dump_json(exclude_defaults=True)

    @classmethod
    def of(cls, text: str | None) -> Self:
        """Return the cursor that a text holds; without one, the beginning."""
        return cls() if text is None else cls.model_validate_json(text)


class Reading(_Cursor):
    """How far a drive's delta was read. `link` leads on, None begins with everything that there is.

    `left` are items of the page before the link that are still to be read, `ended` says that the link is where the
    next poll begins, and `lists_all` that the delta lists everything instead of changes.
    """

    link: str | None = None
    left: tuple[str, ...] = ()
    ended: bool = False
    lists_all: bool = False


class FeedsCursor(_Cursor):
    """How far the account's users or sites were gone through: a page, how many of it, and a page of the next one's."""

    link: str | None = None
    done: int = 0
    inner: str | None = None


class ScanCursor(_Cursor):
    """How far the account was read: drives that were found and not read yet, the first as far as `reading`."""

    feeds: str | None = None
    drives: tuple[str, ...] = ()
    reading: Reading = Reading(lists_all=True)
