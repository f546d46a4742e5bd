"""What the stand-in's account holds: people, groups, shared drives, files, who has them, and what happened.

No HTTP here: google_workspace.py speaks for it.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from local.platforms.standin import numbers

FOLDER, FILE = "application/vnd.google-apps.folder", "application/pdf"
ROLES = ("reader", "commenter", "writer", "fileOrganizer", "organizer", "owner")

type Json = dict[str, Any]


@dataclass
class Person:
    """A user of the company."""

    email: str
    id: str
    suspended: bool = False
    archived: bool = False
    has_drive: bool = True

    @property
    def is_active(self) -> bool:
        """Tell whether the account can be used."""
        return not (self.suspended or self.archived)


@dataclass
class Member:
    """A member of a group."""

    email: str | None
    type: str = "USER"
    status: str | None = "ACTIVE"


@dataclass
class Grant:
    """A permission that was given on an item. `email` None: Google does not show it."""

    type: str
    role: str
    email: str | None = None
    domain: str | None = None
    name: str | None = None
    id: str = ""
    expires_at: datetime | None = None
    deleted: bool = False
    view: str | None = None


@dataclass
class Entry:
    """A file, folder or root. `owner` in a My Drive, `drive` in a shared drive."""

    id: str
    name: str
    mime_type: str
    parent: str | None
    owner: str | None = None
    drive: str | None = None
    trashed: bool = False
    grants: dict[str, Grant] = field(default_factory=dict)


@dataclass
class Change:
    """An entry of the log of changes: who saw the item before or after, and in which shared drive it was."""

    ident: str
    kind: str
    seen_by: set[str]
    drives: set[str]


class Account:
    """The company's account."""

    def __init__(self, domains: tuple[str, ...], administrator: str) -> None:
        """`domains`: the company's own; the administrator is the first user."""
        self.domains, self.administrator = list(domains), administrator
        self.people: dict[str, Person] = {}
        self.groups: dict[str, list[Member]] = {}
        self.entries: dict[str, Entry] = {}
        self.drives: dict[str, str] = {}
        self.changes: list[Change] = []
        self.activities: list[Json] = []
        self._last = datetime.now(UTC)
        self.add_person(administrator)

    # --- who and where

    def add_person(self, email: str, **more: Any) -> Person:
        """Add a user, with the root of a My Drive."""
        person = Person(email, f"1{next(numbers):020d}", **more)
        self.people[email] = person
        root = Entry(f"0A{next(numbers):015d}", "My Drive", FOLDER, None, owner=email)
        self.entries[root.id] = root
        return person

    def add_drive(self, name: str, *managers: str) -> str:
        """Add a shared drive, managed by these, or by the administrator."""
        ident = f"0B{next(numbers):015d}"
        self.drives[ident] = name
        self.entries[ident] = Entry(ident, name, FOLDER, None, drive=ident)
        for manager in managers or (self.administrator,):
            self.put(ident, Grant("group" if manager in self.groups else "user", "organizer", manager))
        return ident

    def add(self, name: str, parent: str, mime_type: str = FOLDER, owner: str | None = None) -> str:
        """Add a file or folder; return its id."""
        above = self.entries[parent]
        ident = f"1{next(numbers):032d}"
        mine = None if above.drive else owner or above.owner
        self.entries[ident] = Entry(ident, name, mime_type, parent, owner=mine, drive=above.drive)
        self.changed(ident)
        return ident

    def person(self, key: str) -> Person | None:
        """One user by address or id."""
        return self.people.get(key) or next((one for one in self.people.values() if one.id == key), None)

    def root_of(self, email: str) -> str:
        """The id of somebody's My Drive."""
        return next(e.id for e in self.entries.values() if e.owner == email and e.parent is None and not e.drive)

    def at(self, path: str, kind: str = "folder", *, make: bool = True) -> str | None:
        """The id of what lies at a path of routes; with `make`, everything on the way is made."""
        first, *rest = path.strip("/").split("/")
        if first == "Shared drives":
            name, *rest = rest
            found = next((ident for ident, other in self.drives.items() if other == name), None)
            place = found or (self.add_drive(name) if make else None)
        else:
            if first not in self.people and make:
                self.add_person(first)
            place = self.root_of(first) if first in self.people else None
        for number, name in enumerate(rest):
            if place is None:
                return None
            inner = next((e.id for e in self.entries.values() if e.parent == place and e.name == name), None)
            is_file = number == len(rest) - 1 and kind == "file"
            place = inner or (self.add(name, place, FILE if is_file else FOLDER) if make else None)
        return place

    # --- who has what

    def put(self, ident: str, grant: Grant) -> Grant:
        """Give a permission on an item, in the place of the one that the grantee has there."""
        before = self.seen_by(ident)
        if not grant.id:
            grant.id = _permission_id(grant)
        self.entries[ident].grants[grant.id] = grant
        self.changed(ident, before)
        return grant

    def take(self, ident: str, grant_id: str) -> None:
        """Take a permission back."""
        before = self.seen_by(ident)
        del self.entries[ident].grants[grant_id]
        self.changed(ident, before)

    def grant_of(self, ident: str, email: str) -> Grant | None:
        """What somebody was given on the item itself."""
        return next((grant for grant in self.entries[ident].grants.values() if grant.email == email), None)

    def above(self, ident: str) -> Iterator[Entry]:
        """The folders above, the nearest first."""
        entry = self.entries[ident]
        while entry.parent is not None:
            entry = self.entries[entry.parent]
            yield entry

    def permissions(self, ident: str) -> list[Json]:
        """Everybody's permission on an item, with what comes from above."""
        entry = self.entries[ident]
        found: dict[str, list[tuple[Grant, Entry]]] = {}
        for place in (entry, *self.above(ident)):
            for grant in place.grants.values():
                found.setdefault(grant.id, []).append((grant, place))
        shown = [self._permission(entry, grants) for grants in found.values()]
        if entry.owner is not None:
            owner = Grant("user", "owner", entry.owner, name=entry.owner)
            owner.id = _permission_id(owner)
            shown.insert(0, self._permission(entry, [(owner, entry)]))
        return shown

    @staticmethod
    def _permission(entry: Entry, grants: list[tuple[Grant, Entry]]) -> Json:
        widest = max((grant for grant, _ in grants), key=lambda grant: ROLES.index(grant.role))
        details = []
        for grant, place in grants:
            kind = "member" if place.drive and place.id == place.drive else "file"
            detail = {"permissionType": kind, "role": grant.role, "inherited": place is not entry}
            if place is not entry and entry.drive:
                detail["inheritedFrom"] = place.id
            details.append(detail)
        optional = {
            "emailAddress": widest.email,
            "domain": widest.domain,
            "displayName": widest.name,
            "expirationTime": widest.expires_at and rfc3339(widest.expires_at),
            "view": widest.view,
        }
        shown: Json = {name: value for name, value in optional.items() if value is not None}
        if widest.type in ("user", "group"):
            shown["deleted"] = widest.deleted
        return {
            "kind": "drive#permission",
            "id": widest.id,
            "type": widest.type,
            "role": widest.role,
            "permissionDetails": details,
            **shown,
        }

    def role_of(self, email: str, ident: str) -> str | None:
        """The widest role that a user has on an item."""
        roles = [p["role"] for p in self.permissions(ident) if self._reaches(p, email)]
        return max(roles, key=ROLES.index, default=None)

    def seen_by(self, ident: str) -> set[str]:
        """The users who see an item."""
        return {email for email in self.people if ident in self.entries and self.role_of(email, ident)}

    def _reaches(self, permission: Json, email: str) -> bool:
        given = permission.get("emailAddress")
        return bool(given == email or (given in self.groups and email in {m.email for m in self.groups[given]}))

    # --- what happened

    def changed(self, ident: str, before: set[str] | None = None) -> None:
        """Note that an item changed; `before` are those who saw it then, and may have lost it."""
        entry = self.entries[ident]
        kind = "drive" if ident == entry.drive else "file"
        self.changes.append(Change(ident, kind, self.seen_by(ident) | (before or set()), _drives(entry)))

    def trash(self, ident: str, *, trashed: bool = True) -> None:
        """Put an item into the trash with everything beneath, or get it back."""
        for other in [ident, *self.beneath(ident)]:
            self.entries[other].trashed = trashed
            self.changed(other)

    def delete(self, ident: str) -> None:
        """Delete an item for good, without the trash."""
        entry, before = self.entries[ident], self.seen_by(ident)
        del self.entries[ident]
        self.changes.append(Change(ident, "file", before, _drives(entry)))
        self.report("delete", entry, self.administrator, [])

    def beneath(self, ident: str) -> list[str]:
        """Everything beneath a folder."""
        inner = [entry.id for entry in self.entries.values() if entry.parent == ident]
        return inner + [deeper for one in inner for deeper in self.beneath(one)]

    def report(self, name: str, entry: Entry, actor: str, parameters: list[Json], at: datetime | None = None) -> Json:
        """Note an activity; a change of a folder's permissions is told once more for everything beneath."""
        events = [_event(name, entry, self.drives, parameters)]
        if name == "change_user_access" and entry.id in self.entries:
            events += [
                _event(f"{name}_hierarchy_reconciled", self.entries[inner], self.drives, parameters)
                for inner in self.beneath(entry.id)
            ]
        person = self.people.get(actor)
        activity = {
            "kind": "admin#reports#activity",
            "id": {
                "time": rfc3339(at or self._moment()),
                "uniqueQualifier": str(-next(numbers)),
                "applicationName": "drive",
                "customerId": "C03az79cb",
            },
            "actor": {"email": actor, **({"profileId": person.id} if person else {})},
            "events": events,
        }
        self.activities.append(activity)
        return activity

    def _moment(self) -> datetime:
        """Now, but later than ever before: nobody does two things in one millisecond."""
        self._last = max(datetime.now(UTC), self._last + timedelta(milliseconds=1))
        return self._last


def rfc3339(at: datetime) -> str:
    """A time as Google writes it."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _drives(entry: Entry) -> set[str]:
    return {entry.drive} if entry.drive else set()


def _permission_id(grant: Grant) -> str:
    if grant.type == "anyone":
        return "anyoneWithLink"
    who = grant.email or grant.domain or str(next(numbers))
    number = int(hashlib.sha256(who.encode()).hexdigest()[:16], 16)
    return f"{number:020d}" + ("k" if grant.type == "domain" else "")


def _event(name: str, entry: Entry, drives: dict[str, str], parameters: list[Json]) -> Json:
    kinds = {FOLDER: "shared_drive" if entry.id == entry.drive else "folder"}
    about: list[Json] = [
        {"name": "primary_event", "boolValue": not name.endswith("_hierarchy_reconciled")},
        {"name": "doc_id", "value": entry.id},
        {"name": "doc_type", "value": kinds.get(entry.mime_type, "pdf")},
        {"name": "doc_title", "value": entry.name},
        {"name": "owner_is_shared_drive", "boolValue": entry.drive is not None},
        {"name": "owner", "value": drives[entry.drive] if entry.drive else entry.owner},
        {"name": "actor_is_collaborator_account", "boolValue": False},
    ]
    if entry.drive:
        about.append({"name": "shared_drive_id", "value": entry.drive})
    return {"type": "acl_change" if "change" in name else "access", "name": name, "parameters": about + parameters}
