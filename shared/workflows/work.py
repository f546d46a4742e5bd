"""One run for one guest: the places it is about, what it found, and what has come of it so far."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from shared.domain.connections import Destination
from shared.domain.decision import wanted_role
from shared.domain.grants import Grant, Permission, Scope, grant_id
from shared.domain.ledger import Book
from shared.domain.platforms import Role
from shared.domain.reasons import Reason
from shared.domain.shares import Share
from shared.domain.trouble import ConflictError, LaterError, RefusedError
from shared.workflows.ports import Ports
from shared.workflows.transaction import Draft, transact


@dataclass(frozen=True)
class Place:
    """Where one guest's permission is to be brought in line."""

    item_id: str
    at: Destination
    link: bool


@dataclass
class Work:
    """One run for one guest: what was found, and what has come of it so far.

    `slots` are the sharing calls that may be made now. What does not fit is `left`; it goes on after `pause` with
    `slots_ahead`.
    """

    ports: Ports
    book: Book
    object_id: str
    slots: int = 0
    pause: timedelta = timedelta(0)
    slots_ahead: int = 0
    grants: dict[str, Grant | None] = field(default_factory=dict)
    item_ids: dict[str, str] = field(default_factory=dict)
    results: dict[Place, Reason | LaterError | RefusedError] = field(default_factory=dict)
    left: list[Place] = field(default_factory=list)
    unresolved: dict[str, LaterError | RefusedError] = field(default_factory=dict)

    @property
    def shares(self) -> list[Share]:
        """All shares of the guest."""
        return list(self.book.shares.values())

    def want(self, place: Place) -> Role | None:
        """The role that all shares together give at a place."""
        return wanted_role(self.shares, self.book.guest, place.at, link=place.link)

    def grant_at(self, place: Place) -> Grant | None:
        """Our grant at a place, as of now."""
        name = grant_id(place.at.drive, place.item_id, link=place.link)
        return self.grants[name] if name in self.grants else self.book.grants.get(name)

    def leaves(self, place: Place) -> bool:
        """Tell whether this run takes back or narrows what is ours at a place."""
        grant, want = self.grant_at(place), self.want(place)
        return grant is not None and (want is None or want.width < grant.role.width)

    def lost(self) -> list[Place]:
        """Where this run took back or narrowed what was ours, and read it back."""
        done = [place for place, result in self.results.items() if isinstance(result, Reason)]
        return [place for place in done if self.results[place] is not Reason.READ_BACK and self._took(place)]

    def _took(self, place: Place) -> bool:
        before = self.book.grants.get(grant_id(place.at.drive, place.item_id, link=place.link))
        want = self.want(place)
        return before is not None and (want is None or want.width < before.role.width)

    def keep(self, place: Place, role: Role, permission: Permission) -> None:
        """Note a grant that was read back."""
        grant = Grant(
            item_id=place.item_id,
            place=place.at,
            link=place.link,
            role=role,
            permission_id=permission.id,
            verified_at=self.ports.clock.now(),
        )
        self.grants[grant.id] = grant

    def drop(self, place: Place) -> None:
        """Note that nothing of ours is left at a place."""
        self.grants[grant_id(place.at.drive, place.item_id, link=place.link)] = None


async def declare(work: Work, place: Place, role: Role, present: Sequence[Permission]) -> None:
    """Write down what is about to be written: that inheritance ends here, and that the new entry is ours."""
    await change_scope(work, place, lambda scope: scope.begin(present))
    grant = Grant(item_id=place.item_id, place=place.at, link=place.link, role=role)
    if (known := work.grant_at(place)) is not None:
        grant = grant.model_copy(update={"permission_id": known.permission_id})
    if grant == known:
        return

    async def step(book: Book) -> Draft:
        return Draft(book.guest, grants={grant.id: grant})

    await transact(work.ports, work.book.guest.key, [], step)
    work.grants[grant.id] = grant


async def note_copies(work: Work, place: Place, present: Sequence[Permission]) -> None:
    """After the first write on an item, note which of its entries are copies of what was inherited until then."""
    scope, _ = await work.ports.scopes.get(place.at.drive, place.item_id)
    if scope is None or scope.own_before is None or any(p.inherited for p in present):
        return
    copies = {p.id for p in present if not p.mine} - set(scope.own_before) - {link.id for link in scope.links.values()}
    await change_scope(work, place, lambda known: known.end(copies))


async def change_scope(work: Work, place: Place, change: Callable[[Scope], Scope]) -> Scope:
    """Write an item's scope, again after a lost race with another guest's run."""
    scopes = work.ports.scopes
    while True:
        known, version = await scopes.get(place.at.drive, place.item_id)
        scope = change(known or Scope(item_id=place.item_id, place=place.at))
        if scope == known:
            return scope
        try:
            await scopes.put(scope, version)
        except ConflictError:
            continue
        return scope
