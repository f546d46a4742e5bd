"""A grant: a permission that Guestpass itself wrote, and what to do about one place for one guest."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Self

from pydantic import AwareDatetime, Field

from shared.domain.addresses import digest
from shared.domain.connections import Destination
from shared.domain.platforms import Role
from shared.domain.value import Value


class Grant(Value):
    """One permission of ours: a person's direct role on an item, or their membership of a link.

    The row is written before Microsoft Graph is asked, when nothing of that person was on the item: from then on
    whatever appears there is ours, also when a crash hides the answer. `permission_id` is filled by reading back.
    """

    item_id: str
    place: Destination
    link: bool
    role: Role
    permission_id: str | None = None
    verified_at: AwareDatetime | None = None

    @property
    def id(self) -> str:
        """One grant per guest, item and way."""
        return grant_id(self.place.drive, self.item_id, link=self.link)


def grant_id(drive: str, item_id: str, *, link: bool) -> str:
    """Return the id of a guest's grant on an item, by a link or directly."""
    return digest("grant", drive, item_id, "link" if link else "direct")


class Permission(Value):
    """An entry of an item's permission list. `mine` tells that it is the direct entry of the person in question."""

    id: str
    role: Role | None  # None: neither read nor write (owner and the like), wider than anything of ours
    inherited: bool
    mine: bool = False
    link: bool = False
    members: tuple[str, ...] = ()  # object ids, links only

    @property
    def width(self) -> int:
        """Order by how much it gives."""
        return self.role.width if self.role else 9


class Link(Value):
    """Our sharing link of one role on an item and the people who should be in it.

    Microsoft Graph can add people to a link but take none out: to take one out the link is removed and made anew.
    `leaving` are those who should be out of it and were not seen to be: work that is cut short must not be forgotten.
    """

    id: str | None = None
    members: tuple[str, ...] = ()
    leaving: tuple[str, ...] = ()

    def concerns(self, object_id: str) -> bool:
        """Tell whether the person is in the link, or was not yet seen to be out of it."""
        return object_id in (*self.members, *self.leaving)

    def let_in(self, object_ids: Iterable[str]) -> Self:
        """Return the link with these people in it."""
        members = {*self.members, *object_ids}
        return self.model_copy(
            update={"members": tuple(sorted(members)), "leaving": tuple(sorted({*self.leaving} - members))}
        )

    def take_out(self, object_id: str) -> Self:
        """Return the link with that person on the way out; `left` ends it, when the link was read without them."""
        if object_id not in self.members:
            return self
        members = tuple(one for one in self.members if one != object_id)
        return self.model_copy(update={"members": members, "leaving": tuple(sorted({*self.leaving, object_id}))})

    def left(self, object_id: str) -> Self:
        """Return the link after that person was seen to be out of it."""
        return self.model_copy(update={"leaving": tuple(one for one in self.leaving if one != object_id)})


class Scope(Value):
    """An item at which Guestpass wrote a permission.

    `ended_here` tells that this ended inheritance (None: nothing was written yet); where others ended it, what is
    given above is none of the item's business.
    `own_before` are the ids of the item's own permissions before the first write, kept until that write was read back.
    `copied` are the ids of those that were inherited until then and stand there as copies since: a copy of a
    permission of ours is taken back together with it.
    """

    item_id: str
    place: Destination
    ended_here: bool | None = None
    own_before: tuple[str, ...] | None = None
    copied: tuple[str, ...] = ()
    links: dict[Role, Link] = Field(default={})

    def begin(self, present: Sequence[Permission]) -> Self:
        """Return the scope before a write; only the first one can end inheritance."""
        if self.ended_here is not None:
            return self
        own = tuple(sorted(p.id for p in present if not p.inherited))
        ended_here = not own or any(p.inherited for p in present)
        return self.model_copy(update={"ended_here": ended_here, "own_before": own if ended_here else None})

    def end(self, copies: set[str]) -> Self:
        """Return the scope after the first write was read back."""
        return self.model_copy(update={"own_before": None, "copied": tuple(sorted({*self.copied, *copies}))})

    def holds_copy(self, permission_id: str) -> bool:
        """Tell whether an entry that stands there was copied; while the first write goes on, all new ones were."""
        if self.own_before is not None:
            return permission_id not in self.own_before
        return permission_id in self.copied

    def without_copy(self, permission_id: str) -> Self:
        """Return the scope after a copy was taken back."""
        return self.model_copy(update={"copied": tuple(c for c in self.copied if c != permission_id)})


class Step(StrEnum):
    """What to do at one place."""

    NOTHING = "nothing"
    ALREADY = "already"  # access is there, given by others or from above
    CONFLICT = "conflict"  # somebody else gave a narrower role
    GRANT = "grant"
    CHANGE = "change"
    REMOVE = "remove"


def plan(
    want: Role | None, grant: Grant | None, present: Sequence[Permission], *, copied: bool
) -> tuple[Step, Permission | None]:
    """Decide the next step for a direct role, from what is wanted, what is ours and what is really there.

    `copied` tells that the person's entry there is a copy of a grant of ours on a folder above, made when inheritance
    ended. Only what is ours is changed or removed (law 5).
    """
    own = next((p for p in present if p.mine and not p.inherited), None)
    above = next((p for p in present if p.mine and p.inherited), None)
    ours = own if grant is not None or copied else None
    if want is None:
        return (Step.REMOVE, ours) if ours else (Step.NOTHING, None)
    if ours:
        return (Step.NOTHING if ours.role is want else Step.CHANGE, ours)
    if own:
        return (Step.ALREADY if own.width >= want.width else Step.CONFLICT, own)
    if above and above.width >= want.width:
        return Step.ALREADY, above
    return Step.GRANT, None
