"""The parts of Syncplicity's answers, and what they mean: folders and links as items, users as people, their roles.

Names and numbers are those of Axway's samples (Syncplicity-CSharp-CLI-Sample: Entities/*.cs, and
Syncplicity-Python-CLI-Sample). The services leave out what has the default value of its type (false, 0, null, an empty
date), so all such fields are optional here.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_pascal

from shared.domain.addresses import digest
from shared.domain.events import Item, Principal, Sharer
from shared.domain.platforms import ItemKind
from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError

_GUID = "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
IS_GUID = re.compile(_GUID, re.ASCII)
FOLDER_ID = re.compile(r"syncpoint:([0-9]{1,19})", re.ASCII)
LINK_ID = re.compile(rf"link:({_GUID}):[0-9a-f]{{32}}", re.ASCII)
_MICROSOFT_DATE = re.compile(r"/Date\((-?[0-9]{1,15})([+-][0-9]{4})?\)/", re.ASCII)
_EMPTY_DATE_BEFORE = -62_000_000_000_000  # .NET's empty date is in the year 1, give or take a time zone

_DISABLED, _SUSPENDED = 1, 6  # AccountStatus.cs
_ROLES = {0: "None", 1: "ReadWrite", 2: "Contributor", 3: "ReadOnly"}  # SharingPermission.cs
# LinkPermissionType.cs. Contribute is not a folder's Contributor: such a link does not let people download.
_LINK_ROLES = {0: "None", 1: "ReadOnly", 2: "Contribute without download", 3: "ReadWrite"}
_DISALLOW_ALL, _INTERNAL_ONLY, _INTENDED_ONLY = 1, 2, 4  # ShareLinkPolicy.cs
_TO_FILE, _TO_FOLDER = 1, 2  # ShareResourceType.cs
_EXPIRES = 1  # ShareLinkExpirationPolicy.cs


def _number(value: object) -> object:
    """Take digits in a text for a number: the samples' classes would, and say nothing of the JSON."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value, re.ASCII) else value


def _date(value: object) -> object:
    """Return a date as WCF writes it, or ISO; None for .NET's empty date. All dates are UTC, as their names say."""
    if not isinstance(value, str):
        return value
    milliseconds = _MICROSOFT_DATE.fullmatch(value)
    if value.startswith("0001-") or (milliseconds and int(milliseconds[1]) < _EMPTY_DATE_BEFORE):
        return None
    try:
        if milliseconds:
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(milliseconds[1]))
        date = datetime.fromisoformat(value)
        return date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError("not a date") from None


_Number = Annotated[int, BeforeValidator(_number)]
_Date = Annotated[datetime | None, BeforeValidator(_date)]
_Guid = Annotated[str, Field(pattern=f"^{_GUID}$"), AfterValidator(str.lower)]
_Text = Annotated[str, Field(max_length=500)]


class _Part(BaseModel):
    """A part of an answer: what we read has the documented type; what we do not read may be anything."""

    model_config = ConfigDict(frozen=True, strict=True, alias_generator=to_pascal, hide_input_in_errors=True)


class User(_Part):
    """A person. One who belongs to another privacy region comes without an address (CrossRolExample.cs)."""

    id: _Guid | None = None
    email_address: _Text | None = None
    first_name: str | None = None
    last_name: str | None = None
    disabled: bool | None = None
    status: _Number | None = None

    @property
    def address(self) -> str | None:
        """The e-mail address."""
        return (self.email_address or "").strip() or None

    @property
    def sharer(self) -> Sharer:
        """The user as who shared something."""
        return Sharer(address=self.address, source_id=self.id)

    def principal(self, group: str | None = None) -> Principal:
        """Return the user as the receiver of a share, through a group when that is named."""
        return Principal(
            address=self.address,
            source_id=self.id,
            name=" ".join(filter(None, (self.first_name, self.last_name)))[:500].strip() or None,
            suspended=self.disabled is True or self.status in (_DISABLED, _SUSPENDED),
            group=group,
        )


class Participant(_Part):
    """A person with whom a syncpoint is shared."""

    user: User
    inviter: User | None = None
    permission: _Number = 0

    @property
    def role(self) -> str:
        """The role, by the platform's name."""
        return _ROLES.get(self.permission, f"Permission {self.permission}")


class Syncpoint(_Part):
    """A folder that is synchronised: a top-level folder, or beneath one a folder that is shared by itself."""

    id: _Number
    name: str | None = None
    owner: User | None = None
    shared: bool = False
    participants: list[Participant] | None = None
    parent: dict[str, Any] | None = None
    path_to_root: str | None = None
    children: list["Syncpoint"] | None = None

    @property
    def is_beneath(self) -> bool:
        """Tell whether it lies beneath another one."""
        return bool(self.parent or self.path_to_root)

    def belongs_to(self, user: str | None) -> bool:
        """Tell whether that user owns it."""
        return self.owner is not None and self.owner.id is not None and self.owner.id == user

    def is_hidden_from(self, user: str) -> bool:
        """Tell whether that user can surely not see it. Who has an upper folder sees those beneath it."""
        if self.is_beneath or self.belongs_to(user) or self.is_only_said_to_be_shared:
            return False
        return all(one.user.id != user for one in self.participants or ())

    @property
    def is_only_said_to_be_shared(self) -> bool:
        """Tell whether it has to be asked for with whom it is shared."""
        return self.participants is None and self.shared


class Group(_Part):
    """A group of the company's users."""

    id: _Guid
    name: str | None = None

    @property
    def title(self) -> str:
        """What to call it."""
        return (self.name or self.id)[:500]


class _Place(_Part):
    virtual_path: str | None = None


class Link(_Part):
    """A link to a file or folder of a syncpoint. Two names are known for the policy (two versions of Link.cs)."""

    token: Annotated[str, Field(min_length=1)]
    sync_point_id: _Number
    virtual_path: str | None = None
    file: _Place | None = None
    folder: _Place | None = None
    shared_date_utc: _Date = None
    users: list[User] | None = None
    groups: list[Group] | None = None
    share_link_policy: _Number | None = None
    shared_link_policy: _Number | None = None
    link_permission_type: _Number = 0
    share_resource_type: _Number = 0
    link_expiration_policy: _Number = 0
    link_expire_in_days: _Number = 0
    is_irm_protected: bool = False

    @property
    def is_for_the_named(self) -> bool:
        """Tell whether it opens for the named users and groups only."""
        return self._policy == _INTENDED_ONLY

    @property
    def is_for_anybody(self) -> bool:
        """Tell whether it may open for anybody: where the platform does not say, we do not say better."""
        return self._policy not in (_INTENDED_ONLY, _INTERNAL_ONLY, _DISALLOW_ALL)

    @property
    def _policy(self) -> int | None:
        return self.shared_link_policy if self.share_link_policy is None else self.share_link_policy

    @property
    def role(self) -> str:
        """The role of who may open it. Rights management gives less than any role that SharePoint has."""
        name = _LINK_ROLES.get(self.link_permission_type, f"LinkPermissionType {self.link_permission_type}")
        return f"{name} under rights management" if self.is_irm_protected else name

    @property
    def expires_at(self) -> datetime | None:
        """When it ends; never later than it does there: it is not told whether the days are those that are left."""
        if self.shared_date_utc is None or self.link_expiration_policy != _EXPIRES or self.link_expire_in_days <= 0:
            return None
        try:
            return self.shared_date_utc + timedelta(days=self.link_expire_in_days)
        except OverflowError:
            return None

    def item_id(self, user: str) -> str:
        """Return an id that tells whose link it is. The token itself opens the link, and is not kept."""
        return f"link:{user}:{digest(self.token)}"

    def item(self, user: str, syncpoint: "Folder | None") -> Item:
        """Return what it opens; `syncpoint` is where that lies, if it was shown."""
        virtual = self.virtual_path or (self.folder.virtual_path if self.folder else None) or ""
        names = [name for name in virtual.split("\\") if name]
        to_folder = self.folder is not None or self.share_resource_type == _TO_FOLDER or virtual.endswith("\\")
        if self.file is not None or self.share_resource_type == _TO_FILE or not to_folder:
            kind = ItemKind.FILE
        elif names or not virtual or (syncpoint and syncpoint.kind is ItemKind.FOLDER):
            kind = ItemKind.FOLDER
        else:
            kind = ItemKind.ROOT
        whole = bool(names) or kind is ItemKind.ROOT
        path = _path(syncpoint.path, *names) if syncpoint and whole else None
        return Item(id=self.item_id(user), kind=kind, path=path)


class _EventPart(BaseModel):
    """A part of an event. Its keys are in small letters in one sample and in capitals in another."""

    model_config = ConfigDict(frozen=True, strict=True, hide_input_in_errors=True)


class _Person(_EventPart):
    uid: str | None = None


class _Origin(_EventPart):
    user: _Person | None = None


class _EventSyncpoint(_EventPart):
    id: _Number
    owner: str | None = None


class EventData(_EventPart):
    """What an event is about."""

    typeid: _Number | None = None
    source: _Origin | None = None
    file: dict[str, Any] | None = None
    syncpoint: _EventSyncpoint | None = None

    @property
    def actor(self) -> str | None:
        """Who did it."""
        return self.source.user.uid if self.source and self.source.user else None


class Event(_EventPart):
    """Something that happened in the company. It tells neither who was given access nor which."""

    timestamp: _Number | float | None = None
    data: EventData | None = None

    def is_before(self, time: datetime) -> bool:
        """Tell whether it is surely older. Its time is in seconds or milliseconds: the samples do not agree."""
        stamp = self.timestamp
        return stamp is not None and (stamp / 1000 if stamp > 1e11 else stamp) < time.timestamp()


class Token(BaseModel):
    """An access token, for whose rights and which company."""

    access_token: Annotated[str, Field(pattern=r"^[\x21-\x7e]+$")]
    user_id: _Guid | None = None
    user_company_id: _Guid | None = None


@dataclass(frozen=True)
class Folder:
    """A syncpoint with its owner; `path` where that is certain, for which it has to be the user's own."""

    syncpoint: Syncpoint
    owner: User
    kind: ItemKind
    path: str | None

    @property
    def item(self) -> Item:
        """The folder as an item."""
        return Item(id=folder_id(self.syncpoint.id), kind=self.kind, path=self.path)

    def is_owned_by(self, user: User) -> bool:
        """Tell whether that user is the owner."""
        return self.syncpoint.belongs_to(user.id)

    def person(self, user: str) -> User:
        """Return what it tells of one of its people."""
        people = [self.owner, *(one.user for one in self.syncpoint.participants or ())]
        return next((one for one in people if one.id == user), User(Id=user))


@dataclass(frozen=True)
class Holding:
    """What Syncplicity showed in one user's name: folders by the syncpoint's id, and the user's links by the item's.

    `links` is None when it does not show them.
    """

    user: str
    at: datetime
    folders: Mapping[int, Folder]
    links: Mapping[str, Link] | None

    @cached_property
    def own(self) -> dict[str, Folder]:
        """The user's own folders by the item's id."""
        return {one.item.id: one for one in self.folders.values() if one.syncpoint.belongs_to(self.user)}

    def behind(self, item: str | None) -> list[str]:
        """Return the ids of the user's own folders and links, in order, behind one of them."""
        everything = self.own.keys() | (self.links or {}).keys()
        return sorted(ident for ident in everything if item is None or ident > item)

    def calls(self, item: str) -> int:
        """How many calls it takes to read one of them."""
        link = (self.links or {}).get(item)
        return len(link.groups or ()) if link else int(self.own[item].syncpoint.is_only_said_to_be_shared)


def folder_id(number: int) -> str:
    """Return the item's id of a syncpoint."""
    return f"syncpoint:{number}"


def folders(syncpoints: Sequence[Syncpoint], user: str) -> dict[int, Folder]:
    """Return the syncpoints, also those beneath others, with the paths of the user's own.

    A path is unknown for a folder beneath another one (how far beneath is not told), for a name that two of the
    user's folders have, and where the owner's address is not shown. Raises LaterError.
    """
    flat: dict[int, tuple[Syncpoint, bool]] = {}
    for syncpoint, beneath in _flat(syncpoints, beneath=False):
        first, before = flat.get(syncpoint.id, (syncpoint, False))
        flat[syncpoint.id] = (first, before or beneath)
    top = [(one.name or "").casefold() for one, beneath in flat.values() if one.belongs_to(user) and not beneath]
    names, found = Counter(top), {}
    for number, (one, beneath) in flat.items():
        if one.owner is None and not beneath:
            raise LaterError(Reason.SOURCE, detail="Syncplicity's answer has a syncpoint without Owner")
        if one.owner is not None:
            certain = one.belongs_to(user) and not beneath and names[(one.name or "").casefold()] == 1
            path = _path("", one.owner.address, one.name) if certain else None
            found[number] = Folder(one, one.owner, ItemKind.FOLDER if beneath else ItemKind.ROOT, path)
    return found


def _flat(syncpoints: Sequence[Syncpoint], *, beneath: bool) -> Iterator[tuple[Syncpoint, bool]]:
    """The list itself first: it tells of a syncpoint at least as much as the one above it."""
    for one in syncpoints:
        yield one, beneath or one.is_beneath
    for one in syncpoints:
        yield from _flat(one.children or (), beneath=True)


def _path(root: str | None, *names: str | None) -> str | None:
    """Return the path of names beneath a root; None when a name is missing or could be read as more than one.

    A guess would widen access.
    """
    whole = [name for name in names if name and name.strip() and not set(name) & set("/\\")]
    if root is None or len(whole) < len(names):
        return None
    path = "/".join([root, *whole])
    return path if len(path) <= 4000 else None
