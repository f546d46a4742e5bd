"""What a story is made of: what happens at the sources, and what must be true in the end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

type Source = Literal["box", "securisync"]
type Change = Literal["given", "kept", "lost"]
type Damage = Literal["forged signature", "stale timestamp", "not JSON", "no such connection", "breaks the contract"]


@dataclass(frozen=True)
class Step:
    """One thing that happens at a source, delivered as one webhook POST.

    `at`: seconds within its chapter; what has the same `at` has no order. `reference`: the source's id of the
    permission; by default each person and item have one. `again`: how often the same delivery is repeated.
    """

    why: str
    source: Source
    person: str
    item: str
    role: str | None = None
    change: Change = "given"
    kind: Literal["root", "folder", "file"] = "folder"
    to: Literal["person", "group", "anyone"] = "person"
    at: int = 0
    again: int = 0
    pending: bool = False
    suspended: bool = False
    sharer: str = "sven@contoso.com"
    may_invite: bool = False
    links_only: bool = False
    shared_days_ago: int = 1
    expires_in_days: int | None = None
    damage: Damage | None = None
    answer: tuple[int, str] = (202, "accepted")


@dataclass(frozen=True)
class Permission:
    """A permission that must really exist at the destination; `link` for one that is held through a link."""

    person: str
    drive: str
    path: str
    role: Literal["read", "write"]
    why: str
    link: bool = False


@dataclass(frozen=True)
class Share:
    """A share as the access-requests API must show it; `item` None while the source hides it."""

    source: str
    person: str
    item: str | None
    reason: str


@dataclass(frozen=True)
class Chapter:
    """What happens at the sources, then who is approved or denied, then who accepts; by address at the destination.

    `arriving`: paths, by drive, that the content migration brings once all is delivered. `at_once`: how many
    deliveries are on their way side by side.
    """

    title: str
    steps: tuple[Step, ...]
    approved: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()
    accepting: frozenset[str] = frozenset()
    arriving: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    at_once: int = 1


@dataclass(frozen=True)
class Story:
    """A whole story and its end.

    `tenant` is the seed of the simulated tenant, `groups` are Box's with their members. `invited` is everybody who
    must have got an invitation. `given` are the permissions that must have been written, `foreign` those that
    somebody else gave and that must be left alone. `account_map` is a CSV that is imported first.
    """

    tenant: Mapping[str, Any]
    groups: Mapping[str, tuple[str, ...]]
    chapters: tuple[Chapter, ...]
    invited: frozenset[str]
    shares: tuple[Share, ...]
    given: tuple[Permission, ...]
    foreign: tuple[Permission, ...] = ()
    account_map: str = ""
