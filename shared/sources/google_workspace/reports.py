"""Admin Reports: who gave whom what in Drive, and when. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from shared.domain.addresses import InvalidAddressError, digest, normalise
from shared.domain.connections import Connection
from shared.domain.events import Change, Item, Principal, ShareEvent, Sharer
from shared.domain.platforms import ItemKind
from shared.sources.google_workspace.parts import Activity, Actor, Event

ACCESS, MEMBERSHIP = "change_user_access", "shared_drive_membership_change"
EVENTS = (ACCESS, MEMBERSHIP)
"""The events that tell of a person and a role. Links are read off the permission lists; what is called
`..._hierarchy_reconciled` is the same permission once more, on everything beneath."""

# Admin SDK, "Drive audit activity events"; what is not here is passed on as it is and refused as unknown.
_ROLES = {
    "can_view": "reader",
    "can_comment": "commenter",
    "can_edit": "writer",
    "viewer": "reader",
    "editor": "writer",
    "content_manager": "fileOrganizer",
}
_NO_ROLE = "none"
_ID = re.compile(r"[A-Za-z0-9_-]{1,150}", re.ASCII)
_KINDS = {"folder": ItemKind.FOLDER, "shared_drive": ItemKind.ROOT}


@dataclass(frozen=True)
class Whereabouts:
    """Where a report says that an item lives: in a person's My Drive, or in a shared drive."""

    kind: ItemKind
    owner: str | None = None
    drive: str | None = None


@dataclass(frozen=True)
class Told:
    """A fact as a report tells it, and where the item lives."""

    event: ShareEvent
    lives: Whereabouts


def read(activity: Activity, name: str, connection: Connection) -> Iterator[Told]:
    """Read an activity's events of that name into facts: it can hold one for each person that something was shared
    with."""
    for event in activity.events:
        values = _Values(event)
        item, lives = values.item_id, values.lives
        address = _address(values.one("target_user") or values.one("target"))
        if event.name != name or item is None or address is None:
            continue
        if lives.drive is None and lives.owner is not None and not connection.is_internal(lives.owner):
            continue  # shared with the company, not by it
        fact = _fact(activity, values)
        if fact is None:
            continue
        yield Told(
            ShareEvent(
                id=f"google-workspace:{activity.id.time.isoformat()}/{activity.id.unique_qualifier}/"
                + digest(event.name, item, address, fact.role or ""),
                connection=connection.id,
                change=fact.change,
                at=activity.id.time,
                principal=Principal(address=address),
                role=fact.role,
                item=Item(id=item, kind=lives.kind),
                reference=reference(item, address),
                sharer=fact.sharer,
                shared_at=activity.id.time if fact.change is Change.GIVEN else None,
            ),
            lives,
        )


def whereabouts(activity: Activity, item_id: str) -> Whereabouts | None:
    """Return where an item lives, as an activity of any kind about it tells."""
    found = (_Values(event) for event in activity.events)
    return next((values.lives for values in found if values.item_id == item_id), None)


def reference(item_id: str, address: str) -> str:
    """Return the name of a permission that reports and permission lists both tell. `address` is normalised."""
    return f"{item_id}:{address}"


@dataclass(frozen=True)
class _Fact:
    change: Change
    role: str | None
    sharer: Sharer


def _fact(activity: Activity, values: "_Values") -> _Fact | None:
    """Return what the event says; None when it does not say which role there is now."""
    kind = values.one("membership_change_type")
    before, after = values.role("old_value", "removed_role"), values.role("new_value", "added_role")
    if after == _NO_ROLE or kind == "remove_from_shared_drive":
        return _Fact(Change.LOST, None, Sharer())
    if after is None:
        return None
    if before == _NO_ROLE or kind == "add_to_shared_drive":
        return _Fact(Change.GIVEN, after, _sharer(activity.actor))
    return _Fact(Change.KEPT, after, Sharer())  # who changes a role did not share it


def _sharer(actor: Actor) -> Sharer:
    return Sharer(address=actor.email or None, source_id=actor.profile_id) if actor.email else Sharer()


class _Values:
    """The parameters of an event by name."""

    def __init__(self, event: Event) -> None:
        self._name = event.name
        self._texts = {
            parameter.name: tuple(parameter.multi_value or ([parameter.value] if parameter.value else []))
            for parameter in event.parameters
        }
        self._flags = {parameter.name for parameter in event.parameters if parameter.bool_value}

    def one(self, *names: str) -> str | None:
        """The first of these that is there."""
        return next((self._texts[name][0] for name in names if self._texts.get(name)), None)

    def role(self, *names: str) -> str | None:
        """A role by the name that Drive gives it; None when it is not told. Several at once are none that we know."""
        values = next((self._texts[name] for name in names if self._texts.get(name)), ())
        roles = sorted({_ROLES.get(value, value) for value in values})
        return "+".join(roles)[:200] if roles else None

    @property
    def item_id(self) -> str | None:
        """The item that it is about."""
        names = ("shared_drive_id", "team_drive_id", "doc_id") if self._name == MEMBERSHIP else ("doc_id",)
        found = self.one(*names)
        return found if found is not None and _ID.fullmatch(found) else None

    @property
    def lives(self) -> Whereabouts:
        """Where the item lives. In a shared drive, `owner` is the drive's name."""
        if self._name == MEMBERSHIP:
            return Whereabouts(ItemKind.ROOT, drive=self.item_id)
        kind = _KINDS.get(self.one("doc_type") or "", ItemKind.FILE)
        drive = self.one("shared_drive_id", "owner_shared_drive_id", "team_drive_id", "owner_team_drive_id")
        in_drive = bool({"owner_is_shared_drive", "owner_is_team_drive"} & self._flags)
        return Whereabouts(kind, drive=drive) if in_drive else Whereabouts(kind, owner=self.one("owner"))


def _address(text: str | None) -> str | None:
    try:
        return normalise(text) if text else None
    except InvalidAddressError:  # a domain: read off the permission list
        return None
