"""Every platform in one row: a live share, a change of its role, a removal, a share whose notification got lost and
which the rescan finds, and shares from before that a scan brings.

One partner per platform and five things that are shared with them. The platforms' users act at the stand-ins, which
deliver what the platform would deliver; SecuriSync has no API: there a relay tells, and a file takes the scan's place.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from local.demo.steps import Permission, Share

type Kind = Literal["root", "folder"]

BEFORE, LIVE, CHANGED, REMOVED, LOST = "From before", "Live", "Role changes", "Taken back", "Untold"
SHARER = "sven@contoso.com"


@dataclass(frozen=True)
class Passage:
    """What is shown of one platform: beneath `top` at the source, which a route leads to `place` of `drive`.

    `write` and `read` are the platform's own names of roles that become these.
    """

    source: str
    top: str
    drive: str
    write: str
    read: str
    place: str = ""
    kind: Kind = "folder"

    @property
    def person(self) -> str:
        """The partner."""
        return f"{self.source}@seven.example"

    def path(self, name: str) -> str:
        """Where a thing lies at the source."""
        return f"{self.top}/{name}"

    @property
    def has_api(self) -> bool:
        """Whether the platform can be asked: has a stand-in, scans, rescans."""
        return self.source != "securisync"

    @property
    def permissions(self) -> tuple[Permission, ...]:
        """What must really exist at the destination in the end."""
        roles = {BEFORE: "read", LIVE: "write", CHANGED: "write", LOST: "read"}
        return tuple(
            Permission(self.person, self.drive, f"{self.place}/{name}", "write" if role == "write" else "read", name)
            for name, role in roles.items()
        )

    @property
    def shares(self) -> tuple[Share, ...]:
        """What the access-requests interface must show in the end."""
        names = dict.fromkeys((BEFORE, LIVE, CHANGED, LOST), "granted/direct")
        names[REMOVED] = "revoked/removed-at-source"
        return tuple(Share(self.source, self.person, self.path(name), reason) for name, reason in names.items())

    @property
    def items(self) -> tuple[str, ...]:
        """What the content migration has brought to the drive."""
        return tuple(f"{self.place}/{name}" for name in (BEFORE, LIVE, CHANGED, REMOVED, LOST))

    def act(self, act: str, name: str, role: str | None = None, notify: str = "once") -> dict[str, Any]:
        """What a user of the platform does, as the stand-ins take it."""
        return {
            "act": act,
            "person": self.person,
            "path": self.path(name),
            "kind": self.kind,
            "role": role,
            "sharer": SHARER,
            "notify": notify,
        }


SEVEN = (
    Passage("box-live", "/Seven", "drive-box", "editor", "viewer", place="/Seven"),
    Passage("dropbox", "/sven@contoso.com", "drive-dropbox", "editor", "viewer"),
    Passage("google-workspace", "/sven@contoso.com", "drive-google", "writer", "reader"),
    Passage("onedrive", "/sven@contoso.com", "drive-onedrive", "write", "read"),
    Passage("office365", "/sites/Sales/Documents", "drive-office", "write", "read"),
    Passage("syncplicity", "/sven@contoso.com", "drive-syncplicity", "ReadWrite", "ReadOnly", kind="root"),
    Passage("securisync", "/Seven", "drive-sync", "Modify", "View", place="/SecuriSync/Seven"),
)


def before() -> Iterable[tuple[Passage, dict[str, Any]]]:
    """What was shared before Guestpass came: nobody tells it."""
    long_ago = (datetime.now(UTC) - timedelta(days=400)).isoformat()
    return (
        (one, one.act("share", BEFORE, one.read, "never") | {"shared_at": long_ago}) for one in SEVEN if one.has_api
    )


def live() -> Iterable[tuple[Passage, dict[str, Any]]]:
    """What is shared while Guestpass runs; some platforms tell things twice."""
    for one in SEVEN:
        yield one, one.act("share", LIVE, one.write, "twice")
        yield one, one.act("share", CHANGED, one.read)
        yield one, one.act("share", REMOVED, one.write)


def changes() -> Iterable[tuple[Passage, dict[str, Any]]]:
    """What changes later."""
    for one in SEVEN:
        yield one, one.act("role", CHANGED, one.write)
        yield one, one.act("remove", REMOVED)


def untold() -> Iterable[tuple[Passage, dict[str, Any]]]:
    """What is shared and never told: the notification gets lost."""
    return ((one, one.act("share", LOST, one.read, "never")) for one in SEVEN if one.has_api)
