"""What Dropbox's stand-in knows of its one team: people, namespaces, content, links, and the log."""

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

ROLES = ("owner", "editor", "viewer", "viewer_no_comment", "traverse", "no_access")
TEAM_ID, OTHER_TEAM_ID = "dbtid:AAB-contoso", "dbtid:AAB-partner"

type Json = dict[str, Any]


def _id(kind: str, *parts: str, length: int = 22) -> str:
    return kind + hashlib.sha256("|".join(parts).encode()).hexdigest()[:length]


@dataclass
class Member:
    """A team member with a space of their own."""

    email: str
    home: str
    root: str
    status: str = "active"

    @property
    def id(self) -> str:
        """The id as a member of the team."""
        return _id("dbmid:", self.email)


@dataclass
class Group:
    """A group, perhaps of another team."""

    name: str
    members: list[str]
    same_team: bool = True

    @property
    def id(self) -> str:
        """The group's id."""
        return _id("g:", self.name)


@dataclass
class Shares:
    """Who was given something: roles by address or by group's id."""

    users: dict[str, str] = field(default_factory=dict)
    invitees: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)

    def clear(self) -> None:
        """Take it from everybody."""
        for part in (self.users, self.invitees, self.groups):
            part.clear()


@dataclass
class Namespace:
    """A namespace. `parent` and `path`: where it is mounted, for its owner or in the team's content."""

    id: str
    type: str
    name: str
    content: str
    parent: str | None = None
    path: str = ""
    owner: str | None = None
    team: str | None = TEAM_ID
    shares: Shares = field(default_factory=Shares)
    inherits: bool = True
    hidden: bool = False


@dataclass
class Content:
    """A file, or a folder that is no namespace."""

    id: str
    kind: str
    namespace: str
    path: str
    shares: Shares = field(default_factory=Shares)


@dataclass
class Link:
    """A shared link that a member made."""

    owner: str
    content: str
    level: str
    audience: str
    made: datetime
    expires: datetime | None = None


class Team:
    """A team. With a team space all content hangs below one root; else every team folder stands by itself."""

    def __init__(self, admin: str, *, team_space: bool = False) -> None:
        """`admin`: the address of who links the app."""
        self._numbers = itertools.count(3_590_048_721)
        self.members: dict[str, Member] = {}
        self.groups: dict[str, Group] = {}
        self.namespaces: dict[str, Namespace] = {}
        self.content: dict[str, Content] = {}
        self.links: list[Link] = []
        self.log: list[tuple[str, Json]] = []
        self.root = self._namespace("team_folder", "Contoso Dropbox", None, "").id if team_space else None
        self.admin = self.member(admin)

    # --- people

    def member(self, email: str) -> Member:
        """Return a team member, who joins when they are not in the team yet."""
        if email not in self.members:
            name = email.partition("@")[0]
            home = self._namespace("team_member_folder", name, self.root, f"/{name}" if self.root else "")
            self.members[email] = Member(email, home.id, self.root or home.id)
            home.owner = email
        return self.members[email]

    def member_by_id(self, ident: str) -> Member | None:
        """Return a team member."""
        return next((one for one in self.members.values() if one.id == ident), None)

    @staticmethod
    def account_id(email: str) -> str:
        """Return the id of an address's account."""
        return _id("dbid:AA", email.lower(), length=33)

    def person(self, email: str) -> Json:
        """Return somebody as the log names them."""
        known = {"account_id": self.account_id(email), "email": email, "display_name": email.partition("@")[0]}
        member = self.members.get(email)
        if member is None or member.status == "removed":
            return {".tag": "non_team_member", **known}
        return {".tag": "team_member", **known, "team_member_id": member.id}

    # --- content

    def _namespace(self, kind: str, name: str, parent: str | None, path: str, **more: Any) -> Namespace:
        ident = str(next(self._numbers))
        made = Namespace(ident, kind, name, _id("id:", ident), parent, path, **more)
        self.namespaces[ident] = made
        return made

    def outside_folder(self, name: str, member: str) -> Namespace:
        """Another company shares a folder with a member of the team."""
        made = self._namespace("shared_folder", name, None, "", team=OTHER_TEAM_ID)
        made.shares.users = {"boss@partner.example": "owner", member: "editor"}
        return made

    def app_folder(self, member: str) -> Namespace:
        """A member uses an app that keeps its files in a folder of its own."""
        return self._namespace("app_folder", "App", None, "", owner=member)

    def find(self, path: str) -> tuple[Namespace, str]:
        """Return the innermost namespace on a path of the connection, and the path in it. Places are made."""
        first, *names = path.strip("/").split("/")
        namespace = self.namespaces[self.member(first).home] if "@" in first else self._team_folder(first)
        rest = "/".join(["", *names])
        while inner := next((n for n in self._mounted(namespace) if _covers(n.path, rest)), None):
            namespace, rest = inner, rest[len(inner.path) :]
        return namespace, rest

    def _team_folder(self, name: str) -> Namespace:
        for one in self.namespaces.values():
            if one.name == name and one.type != "team_member_folder" and one.parent == self.root and one.owner is None:
                return one
        kind = "shared_folder" if self.root else "team_folder"
        return self._namespace(kind, name, self.root, f"/{name}" if self.root else "")

    def _mounted(self, above: Namespace) -> Iterator[Namespace]:
        return (one for one in self.namespaces.values() if one.parent == above.id)

    def shared_folder(self, path: str) -> Namespace:
        """Return the shared folder at a path; a plain folder becomes one."""
        above, rest = self.find(path)
        if not rest:
            if above.type == "team_member_folder":
                raise ValueError("a member's whole space cannot be shared")
            return above
        owner = above.owner
        made = self._namespace("shared_folder", rest.rpartition("/")[2], above.id, rest, owner=owner)
        if owner is not None and above.type == "team_member_folder":
            made.shares.users[owner] = "owner"
        for one in self.content.values():
            if one.namespace == above.id and one.path.lower().startswith(f"{rest.lower()}/"):
                one.namespace, one.path = made.id, one.path[len(rest) :]
        return made

    def dissolve(self, namespace: Namespace) -> None:
        """Make a plain folder of a shared one."""
        assert namespace.parent is not None
        for inner in self._mounted(namespace):
            inner.parent, inner.path = namespace.parent, namespace.path + inner.path
        for one in self.content.values():
            if one.namespace == namespace.id:
                one.namespace, one.path = namespace.parent, namespace.path + one.path
        del self.namespaces[namespace.id]

    def file(self, path: str) -> Content:
        """Return the file at a path; it is made when it is not there."""
        return self._content("file", path)

    def folder(self, path: str) -> Content:
        """Return the plain folder at a path."""
        return self._content("folder", path)

    def _content(self, kind: str, path: str) -> Content:
        above, rest = self.find(path)
        if not rest:
            raise ValueError("there is a shared folder at this path")
        for one in self.content.values():
            if (one.namespace, one.path.lower()) == (above.id, rest.lower()):
                return one
        made = Content(_id("id:", above.id, rest), kind, above.id, rest)
        self.content[made.id] = made
        return made

    def parent_shared(self, namespace: Namespace) -> Namespace | None:
        """Return the shared folder that a namespace lies in."""
        above = self.namespaces.get(namespace.parent or "")
        return above if above and above.type in ("shared_folder", "team_folder") else None

    def path_from(self, root: str, namespace: str, path: str) -> str | None:
        """Return the path of something from a root; None when it is not mounted beneath."""
        here = self.namespaces[namespace]
        while here.id != root:
            if here.parent is None:
                return None
            path, here = here.path + path, self.namespaces[here.parent]
        return path

    def inherited(self, namespace: Namespace) -> Shares:
        """Return who has a folder because of the ones above."""
        above = self.parent_shared(namespace)
        if above is None or not namespace.inherits:
            return Shares()
        higher = self.inherited(above)
        return Shares({**higher.users, **above.shares.users}, {}, {**higher.groups, **above.shares.groups})

    # --- the log

    def note(
        self,
        kind: str,
        actor: str,
        target: Namespace | Content | None,
        details: Json,
        participants: list[Json] | None = None,
        *,
        at: datetime | None = None,
        category: str = "sharing",
    ) -> None:
        """Write an event into the log."""
        who = self.person(actor)
        people = participants or []
        outside = [who, *(one["user"] for one in people if one[".tag"] == "user")]
        event: Json = {
            "timestamp": stamp(at or datetime.now(UTC)),
            "event_category": {".tag": category},
            "actor": {".tag": "user", "user": who},
            "involve_non_team_member": any(one[".tag"] != "team_member" for one in outside),
            "context": who,
            "participants": people,
            "assets": [self._asset(target)] if target else [],
            "event_type": {".tag": kind, "description": kind.replace("_", " ").capitalize()},
            "details": {".tag": f"{kind}_details", **details},
        }
        self.log.append((category, event))

    def _asset(self, target: Namespace | Content) -> Json:
        if isinstance(target, Namespace):
            own = {"ns_id": target.id, "is_shared_namespace": True}
            return {".tag": "folder", "display_name": target.name, "path": {"namespace_relative": own}}
        above = self.namespaces[target.namespace]
        place = {
            "ns_id": above.id,
            "relative_path": target.path,
            "is_shared_namespace": above.type != "team_member_folder",
        }
        shown: Json = {".tag": target.kind, "display_name": target.path.rpartition("/")[2]}
        if target.kind == "file":
            shown["file_id"] = target.id
        return {**shown, "path": {"contextual": above.path + target.path, "namespace_relative": place}}


def stamp(at: datetime) -> str:
    """Return a time as Dropbox writes it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _covers(mount: str, path: str) -> bool:
    return (path.lower() + "/").startswith(mount.lower() + "/")
