"""The seven platforms: which kinds of item are carried, when a permission shows, what each role becomes.

The two tables are the product's promise; docs/platforms.md is generated from them.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Platform(StrEnum):
    """A source platform."""

    ONEDRIVE = "onedrive"
    OFFICE365 = "office365"
    BOX = "box"
    DROPBOX = "dropbox"
    SYNCPLICITY = "syncplicity"
    GOOGLE_WORKSPACE = "google-workspace"
    SECURISYNC = "securisync"


class ItemKind(StrEnum):
    """What was shared."""

    ROOT = "root"
    FOLDER = "folder"
    FILE = "file"


class Role(StrEnum):
    """A role at the destination. Write is the ceiling for externals."""

    READ = "read"
    WRITE = "write"

    @property
    def width(self) -> int:
        """Order roles: a wider role has the larger number."""
        return 2 if self is Role.WRITE else 1


class Fidelity(StrEnum):
    """How well the role at the destination keeps the role at the source."""

    EXACT = "exact"
    NARROWER = "narrower"
    AS_CONFIGURED = "as configured"


@dataclass(frozen=True)
class RoleMapping:
    """What a source role becomes; `role` None is a known role that is refused."""

    role: Role | None
    fidelity: Fidelity


_WRITE = RoleMapping(Role.WRITE, Fidelity.EXACT)
_WRITE_NARROWER = RoleMapping(Role.WRITE, Fidelity.NARROWER)
_READ = RoleMapping(Role.READ, Fidelity.EXACT)
_READ_NARROWER = RoleMapping(Role.READ, Fidelity.NARROWER)
_REFUSED = RoleMapping(None, Fidelity.EXACT)

_GRAPH_ROLES = {"write": _WRITE, "owner": _WRITE_NARROWER, "full control": _WRITE_NARROWER, "read": _READ}


@dataclass(frozen=True)
class PlatformRules:
    """What is particular to a platform before any administrator's setting.

    `poll_every`: how often a feed is polled without a hint; None: there is nothing to poll.
    `scan_every`: how often everything is scanned without anybody asking; None: there is nothing to scan.
    """

    carried: frozenset[ItemKind]
    must_accept_at_source: bool
    roles: dict[str, RoleMapping]
    batch: bool = True
    hides_item_while_pending: bool = False
    poll_every: timedelta | None = None
    scan_every: timedelta | None = None


_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)
_ROOT, _FOLDER, _FILE = ItemKind.ROOT, ItemKind.FOLDER, ItemKind.FILE

RULES: dict[Platform, PlatformRules] = {
    Platform.ONEDRIVE: PlatformRules(
        frozenset({_ROOT, _FOLDER, _FILE}),
        True,
        _GRAPH_ROLES,
        poll_every=_DAY,  # Microsoft's scan guidance: no more than once a day without a notification
        scan_every=_DAY,  # a person who is let into an existing link makes neither a notification nor a change
    ),
    Platform.OFFICE365: PlatformRules(
        frozenset({_ROOT, _FOLDER, _FILE}),
        True,
        _GRAPH_ROLES,
        poll_every=_DAY,  # Microsoft's scan guidance: no more than once a day without a notification
        scan_every=_DAY,  # a person who is let into an existing link makes neither a notification nor a change
    ),
    Platform.BOX: PlatformRules(
        frozenset({_ROOT, _FOLDER}),
        True,
        {
            "editor": _WRITE,
            "co-owner": _WRITE_NARROWER,
            "viewer": _READ,
            "viewer uploader": _READ_NARROWER,
            "previewer": _REFUSED,
            "previewer uploader": _REFUSED,
            "uploader": _REFUSED,
        },
        hides_item_while_pending=True,  # Box API reference: Collaboration.item is null while status is pending
        poll_every=5 * _MINUTE,
        scan_every=7 * _DAY,
    ),
    Platform.DROPBOX: PlatformRules(
        frozenset({_FOLDER}),
        False,
        {
            "editor": _WRITE,
            "owner": _WRITE_NARROWER,
            "viewer": _READ,
            "viewer_no_comment": _READ,
            "traverse": _REFUSED,
            "no_access": _REFUSED,
        },
        poll_every=5 * _MINUTE,
        scan_every=7 * _DAY,
    ),
    Platform.SYNCPLICITY: PlatformRules(
        frozenset({_ROOT}),
        False,
        {
            "ReadWrite": _WRITE,
            "Owner": _WRITE_NARROWER,
            "ReadOnly": _READ,
            "Contributor": _READ_NARROWER,
            "None": _REFUSED,
        },
        poll_every=timedelta(0),  # nothing pushes: at each tick of the timer, of 180 calls that a minute allows
        scan_every=_DAY,
    ),
    Platform.GOOGLE_WORKSPACE: PlatformRules(
        frozenset({_FOLDER, _FILE}),
        False,
        {
            "writer": _WRITE,
            "fileOrganizer": _WRITE_NARROWER,
            "organizer": _WRITE_NARROWER,
            "owner": _WRITE_NARROWER,
            "reader": _READ,
            "commenter": _READ_NARROWER,
        },
        poll_every=15 * _MINUTE,
        scan_every=7 * _DAY,
    ),
    Platform.SECURISYNC: PlatformRules(
        frozenset({_ROOT, _FOLDER, _FILE}),
        True,
        {"Modify": _WRITE, "Co-owner": _WRITE_NARROWER, "View": _READ},
    ),
}


def map_role(platform: Platform, source_role: str, overrides: dict[str, Role]) -> RoleMapping | None:
    """Return what a source role becomes, or None for a role that the platform is not known to have.

    `overrides` is the connection's explicit setting, the only way by which a refused role is carried.
    Letter case does not matter: the platforms' own tools disagree on it ("Co-owner", "Co-Owner").
    """
    wanted = source_role.strip().casefold()
    for name, role in overrides.items():
        if name.casefold() == wanted:
            return RoleMapping(role, Fidelity.AS_CONFIGURED)
    for name, mapping in RULES[platform].roles.items():
        if name.casefold() == wanted:
            return mapping
    return None
