"""Dropbox's team log: what one event of it says about shares, and what it only hints at. Pure.

An event whose people, roles or items cannot be read is not guessed at: its items are to be looked at.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError

from shared.domain.events import Change, Principal, PrincipalKind, Sharer
from shared.domain.platforms import ItemKind
from shared.sources.dropbox.parts import Id, Part, Tag, Text
from shared.sources.wire import Timestamp

LINK_RECIPIENT = "link recipient"
"""The role of people to whom a link was sent. Dropbox does not say what it lets them do, so no table carries it."""

_NOBODY = Sharer()

type _Who = Literal["participants", "invitees", "invitee", "actor", "recipients"]


@dataclass(frozen=True)
class _Kind:
    """What an event says. `role`: the detail that holds it. `first`: the share begins with it, so its time is told."""

    change: Change
    who: _Who
    role: str | None = None
    first: bool = False


_TOLD = {
    "shared_content_add_member": _Kind(Change.GIVEN, "participants", "shared_content_access_level", first=True),
    "shared_content_restore_member": _Kind(Change.GIVEN, "participants", "shared_content_access_level"),
    "shared_content_add_invitees": _Kind(Change.GIVEN, "invitees", "shared_content_access_level", first=True),
    "shared_content_restore_invitees": _Kind(Change.GIVEN, "invitees", "shared_content_access_level"),
    "shared_content_change_member_role": _Kind(Change.KEPT, "participants", "new_access_level"),
    "shared_content_change_invitee_role": _Kind(Change.KEPT, "invitee", "new_access_level"),
    "shared_content_remove_member": _Kind(Change.LOST, "participants"),
    "shared_content_remove_invitees": _Kind(Change.LOST, "invitees"),
    "shared_content_relinquish_membership": _Kind(Change.LOST, "actor"),
    "shared_link_share": _Kind(Change.GIVEN, "recipients", first=True),
}
_UNSHARED = "shared_content_unshare"
# Of the other kinds about members and links, those that change nobody's access; whatever is not here is looked at.
_WITHOUT_EFFECT = {
    "shared_content_add_link_expiry",
    "shared_content_add_link_password",
    "shared_content_change_downloads_policy",
    "shared_content_change_link_expiry",
    "shared_content_change_link_password",
    "shared_content_change_viewer_info_policy",
    "shared_content_copy",
    "shared_content_download",
    "shared_content_remove_link_expiry",
    "shared_content_remove_link_password",
    "shared_content_request_access",
    "shared_content_view",
    "shared_folder_change_link_policy",
    "shared_folder_change_members_management_policy",
    "shared_folder_change_members_policy",
    "shared_folder_create",
    "shared_folder_mount",
    "shared_folder_unmount",
    "shared_link_copy",
    "shared_link_default_permissions_policy_changed",
    "shared_link_download",
    "shared_link_remove_visitor",
    "shared_link_view",
}
_MEMBER_STATUS = ("active", "suspended", "removed", "moved_to_another_team")


class _Person(Part):
    account_id: Id | None = None
    email: Text | None = None
    display_name: Text | None = None
    team_member_id: Id | None = None

    @property
    def sharer(self) -> Sharer:
        return Sharer(address=self.email, source_id=self.account_id)


class _Group(Part):
    group_id: Id
    display_name: Text


class _Location(Part):
    ns_id: Id
    relative_path: Annotated[str, Field(max_length=4000)] | None = None


class _Path(Part):
    namespace_relative: _Location


class _Asset(Part):
    tag: Annotated[Literal["file", "folder"], Field(alias=".tag")]
    file_id: Annotated[str, Field(pattern=r"^id:[-_0-9a-zA-Z]{1,100}$")] | None = None
    path: _Path


class _External(Part):
    identifier_type: Tag
    user_identifier: Text


def _unions(value: object) -> object:
    """Return a list of unions, each as an object: one without a value may be written as its tag alone."""
    return [one if isinstance(one, dict) else {".tag": one} for one in value] if isinstance(value, list) else []


_Object = Annotated[dict[str, Any], BeforeValidator(lambda value: value if isinstance(value, dict) else {})]
_Unions = Annotated[list[dict[str, Any]], BeforeValidator(_unions)]


class _Event(Part):
    timestamp: Timestamp
    event_type: Tag
    details: _Object = Field(default={})
    actor: _Object = Field(default={})
    context: _Object = Field(default={})
    participants: _Unions = Field(default=[])
    assets: _Unions = Field(default=[])


@dataclass(frozen=True)
class Asset:
    """A file or folder as the log names it. `path` is the one beneath the namespace; None: the namespace itself."""

    kind: ItemKind
    namespace: str
    path: str | None = None
    file_id: str | None = None


@dataclass(frozen=True)
class Told:
    """Somebody's access as the log tells it. `member`: who it is in the team."""

    change: Change
    principal: Principal
    role: str | None = None
    pending: bool = False
    member: str | None = None


@dataclass(frozen=True)
class Entry:
    """What one event of the log comes to.

    `look`: the members of the items have to be read; `unshared` with it: at that time nobody was one.
    `links`: the links that `owner` made to the items have to be read. `owner` and `acting` are team members, `acting`
    one who could see the items. `status_of`: the addresses of team members who began or ceased to be that.
    `lost_track`: it is about items that cannot be read.
    """

    at: datetime
    kind: str
    assets: tuple[Asset, ...] = ()
    told: tuple[Told, ...] = ()
    sharer: Sharer = _NOBODY
    shared_at: datetime | None = None
    look: bool = False
    unshared: bool = False
    links: bool = False
    owner: str | None = None
    acting: str | None = None
    status_of: tuple[str, ...] = ()
    lost_track: bool = False


def read_event(document: Mapping[str, Any]) -> Entry | None:
    """Read one event; None when it is about nothing that concerns shares.

    Raises ValidationError when it has no time or no kind: then it is not what Dropbox documents.
    """
    event = _Event.model_validate(document)
    kind = event.event_type
    if kind == "member_change_status":
        return _status(event)
    told, about_links = _TOLD.get(kind), kind.startswith("shared_link_") or kind.endswith("_change_link_audience")
    known_family = kind.startswith(("shared_content_", "shared_folder_")) or about_links or kind == "other"
    if kind in _WITHOUT_EFFECT or not known_family:
        return None
    assets, all_assets = _assets(event)
    if not assets and all_assets:  # a document of Paper, a showcase: no file and no folder
        return None
    people, all_people = _people(event, told) if told else ([], True)
    actor, context = _actor(event), _person(event.context)
    return Entry(
        at=event.timestamp,
        kind=kind,
        assets=tuple(assets),
        told=tuple(people),
        sharer=actor.sharer if actor and told and told.change is Change.GIVEN else _NOBODY,
        shared_at=event.timestamp if told and told.first else None,
        look=not about_links and (told is None or not all_people),
        unshared=kind == _UNSHARED,
        links=about_links,
        owner=_team_member(_person(event.details.get("shared_link_owner")), context, actor),
        acting=_team_member(context, actor),
        lost_track=not all_assets and not about_links and kind != "other",
    )


def _status(event: _Event) -> Entry | None:
    value = event.details.get("new_value")
    status = value.get(".tag") if isinstance(value, dict) else value
    addresses = [person.email for person in map(_user, event.participants) if person and person.email]
    if status not in _MEMBER_STATUS or not addresses:
        return None
    return Entry(at=event.timestamp, kind=event.event_type, status_of=tuple(addresses))


def _assets(event: _Event) -> tuple[list[Asset], bool]:
    """Return the files and folders, and whether every one could be read."""
    found, whole = [], bool(event.assets)
    for document in event.assets:
        if document.get(".tag") not in ("file", "folder"):
            whole = whole and document.get(".tag") != "other"
            continue
        try:
            part = _Asset.model_validate(document)
        except ValidationError:
            whole = False
            continue
        place, path = part.path.namespace_relative, (part.path.namespace_relative.relative_path or "").rstrip("/")
        kind = ItemKind.FILE if part.tag == "file" else ItemKind.FOLDER
        if kind is ItemKind.FILE and part.file_id is None:
            whole = False
            continue
        found.append(Asset(kind, place.ns_id, path or None, part.file_id))
    return found, whole


def _people(event: _Event, kind: _Kind) -> tuple[list[Told], bool]:
    """Return whose access changed, and whether everybody could be read, with a role where one is needed.

    A loss without an address is told and looked at: it may be about somebody who is known by the address.
    """
    role, details = None, event.details
    if kind.role is not None:
        level = details.get(kind.role)
        role = level.get(".tag") if isinstance(level, dict) else level
        if not isinstance(role, str) or not re.fullmatch(r"[a-z0-9_]{1,100}", role):
            return [], False
    if kind.who == "recipients":
        return _recipients(event)
    if kind.who in ("invitees", "invitee"):
        named = details.get(kind.who)
        addresses = named if isinstance(named, list) else [named]
        known = [address for address in addresses if _is_text(address)]
        pending = kind.change is not Change.LOST
        told = [Told(kind.change, Principal(address=address), role, pending) for address in known]
        return told, bool(known) and len(known) == len(addresses)
    if kind.who == "actor":
        found = [_told(kind.change, _actor(event), role)]
    else:
        found = [_participant(kind.change, document, role) for document in event.participants]
    told = [one for one in found if one is not None]
    named = [one for one in told if one.principal.address or one.principal.kind is PrincipalKind.GROUP]
    return told, bool(named) and len(named) == len(found)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 500 and value.isprintable()


def _recipients(event: _Event) -> tuple[list[Told], bool]:
    found = [_participant(Change.GIVEN, document, LINK_RECIPIENT) for document in event.participants]
    outside = event.details.get("external_users")
    for document in outside if isinstance(outside, list) else []:
        try:
            external = _External.model_validate(document)
        except ValidationError:
            continue
        name, is_address = external.user_identifier, external.identifier_type == "email"
        principal = Principal(address=name) if is_address else Principal(source_id=name, name=name)
        found.append(Told(Change.GIVEN, principal, LINK_RECIPIENT))
    return [one for one in found if one is not None], True


def _participant(change: Change, document: Mapping[str, Any], role: str | None) -> Told | None:
    if document.get(".tag") != "group":
        return _told(change, _user(document), role)
    try:
        group = _Group.model_validate(document)
    except ValidationError:
        return None
    principal = Principal(kind=PrincipalKind.GROUP, source_id=group.group_id, name=group.display_name)
    return Told(change, principal, role)


def _told(change: Change, person: _Person | None, role: str | None) -> Told | None:
    if person is None or not (person.email or person.account_id):
        return None
    principal = Principal(address=person.email, source_id=person.account_id, name=person.display_name)
    return Told(change, principal, role, member=person.team_member_id)


def _actor(event: _Event) -> _Person | None:
    """Return the person who did it; None for apps, resellers, Dropbox itself and whoever is anonymous."""
    return _person(event.actor.get("user") or event.actor.get("admin"))


def _user(document: Mapping[str, Any]) -> _Person | None:
    return _person(document.get("user")) if document.get(".tag") == "user" else None


def _person(document: object) -> _Person | None:
    try:
        return _Person.model_validate(document)
    except ValidationError:
        return None


def _team_member(*people: _Person | None) -> str | None:
    return next((one.team_member_id for one in people if one and one.team_member_id), None)
