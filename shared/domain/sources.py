"""What a platform's module and the workflows hand to each other: deliveries, hints, feeds, pages of facts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import AwareDatetime, Field

from shared.domain.events import Item, ShareEvent
from shared.domain.value import Value

_CHECK_AGAIN = timedelta(days=1)


@dataclass(frozen=True)
class Delivery:
    """An authentic webhook: `body` is what `Source.read` is given later.

    `id` is the same for repeats where the platform tells them apart. `status` is the HTTP status that the platform
    takes for an answer; another one would make it send again.
    """

    id: str
    body: bytes
    status: int = 202


@dataclass(frozen=True)
class Hint:
    """A delivery that tells only where to look. `renew`: the platform says that the subscription has ended or will.

    `resource_id` is the platform's id of what the subscription watches, where deliveries carry one.
    """

    feed: str
    renew: bool = False
    resource_id: str | None = None


class Subscription(Value):
    """A webhook subscription or channel that the platform holds for one feed."""

    id: str = Field(min_length=1, max_length=500)
    made_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    resource_id: str | None = Field(default=None, max_length=500)

    @property
    def renew_at(self) -> datetime:
        """Half of its life is left for trying again; one that never ends is looked at every day."""
        if self.expires_at is None:
            return self.made_at + _CHECK_AGAIN
        return self.made_at + (self.expires_at - self.made_at) / 2


@dataclass(frozen=True)
class FoundFeed:
    """A stream of the account: `polls` when it can be read from a cursor, `watches` when it can be subscribed to.

    `name` is unique within the connection and has at most 200 characters.
    """

    name: str
    polls: bool = True
    watches: bool = False


@dataclass(frozen=True)
class FeedsPage:
    """A part of the account's feeds; `cursor` None: the last one."""

    feeds: Sequence[FoundFeed]
    cursor: str | None = None


class PermissionSet(Value):
    """Everything that the platform showed of one item when reading it began, at `at` (whole seconds).

    Each fact is complete: kept, with the item, the permission's reference and the time `at`; a group stands with one
    fact per member where the platform tells them. Internal people may be left out or not.
    """

    item: Item
    at: AwareDatetime
    facts: tuple[ShareEvent, ...] = ()


@dataclass(frozen=True)
class Page:
    """What one step of a poll or of a scan has found.

    `events` are facts as the platform told them, still to be completed by `Source.enrich`; `seen` are items of which
    every permission was read. `cursor` is where the next step begins, `more` that there is something to read at once.
    `items` counts what was looked at. `rescan`: the platform voided the cursor, what happened meanwhile is lost.
    """

    events: Sequence[ShareEvent] = ()
    seen: Sequence[PermissionSet] = ()
    cursor: str | None = None
    more: bool = False
    items: int = 0
    rescan: bool = False
