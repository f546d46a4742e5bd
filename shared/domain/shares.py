"""A share: what the source says about (connection, item, external person), folded from events in any order."""

from datetime import datetime
from typing import Self

from pydantic import AwareDatetime, Field

from shared.domain.addresses import digest
from shared.domain.connections import Destination
from shared.domain.events import Change, Item, ShareEvent, Sharer
from shared.domain.platforms import Fidelity, Role
from shared.domain.reasons import Reason, State
from shared.domain.value import Value

LEGAL_MOVES: dict[State | None, frozenset[State]] = {
    None: frozenset(State) - {State.GRANTED},
    State.IGNORED: frozenset(State) - {State.GRANTED},
    State.REFUSED: frozenset(State) - {State.GRANTED},
    State.REVOKED: frozenset(State) - {State.GRANTED},
    State.WAITING: frozenset(State),
    State.NEEDS_ATTENTION: frozenset(State) - {State.GRANTED},
    State.GRANTED: frozenset({State.GRANTED, State.WAITING, State.NEEDS_ATTENTION}),
}
"""From which state a share can come to which (None: it was not known). Nothing is granted that did not wait for it,
and what was granted is not forgotten before it was taken back. The state itself is computed, see `explain`."""


class Access(Value):
    """What a share gives at the destination. `link`: through a link of the person's own instead of directly."""

    role: Role
    fidelity: Fidelity
    destination: Destination
    link: bool = False
    expires_at: AwareDatetime | None = None


class Settlement(Value):
    """What came of the last work on a share's access; counts only while the share still asks for what it aimed at.

    `access` is the aim; None is the aim that nothing of ours is left. `retry_at` is set while it is tried again by
    itself, since `since`; a message that comes earlier than that changes nothing.
    """

    access: Access | None
    reason: Reason
    since: AwareDatetime
    retry_at: AwareDatetime | None = None
    attempts: int = 0
    detail: str | None = None


class Share(Value):
    """One row of the ledger.

    `claims` holds the newest event for each permission of the source that gives the person this item (a person can
    hold an item directly and through groups). Keeping the newest of each makes the fold commutative and idempotent:
    any order and any number of deliveries end in the same share. `origins` holds the newest event that tells who
    shared it and when, where the claim does not: what a list of permissions shows is newer and knows less.
    `verdict` is the outcome of the decision that depends on the source and the policy alone.
    `moved_to` marks a share that was first seen without its item and is now known under another id.
    `ruling` is a word that stands against whatever the source says: an administrator took the share back, it waits for
    an approval of its own, or the account map leads elsewhere now. `moved_from` is the partition of the account from
    which the map leads here, while that one still has what was given to it.
    """

    id: str
    connection: str
    claims: dict[str, ShareEvent] = Field(default={})
    origins: dict[str, ShareEvent] = Field(default={})
    item: Item | None = None
    item_from: tuple[AwareDatetime, str] | None = None
    verdict: Access | Reason | None = None
    settlement: Settlement | None = None
    item_id: str | None = None
    moved_to: str | None = None
    ruling: Reason | None = None
    moved_from: str | None = None

    @property
    def live_claims(self) -> list[ShareEvent]:
        """The claims that were not taken back, completed by their origins, in a stable order.

        What a file saw without a reference is about whatever the person has there: any newer fact about one of the
        platform's own permissions takes its place, or nobody could ever take it back.
        """
        return [
            event.completed_by(self.origins.get(reference, event))
            for reference, event in sorted(self.claims.items())
            if event.change is not Change.LOST and not self._is_outdated(event)
        ]

    def _is_outdated(self, event: ShareEvent) -> bool:
        vague = event.observed and event.reference is None
        return vague and any(other.outranks(event) for other in self.claims.values())

    @property
    def sharer(self) -> Sharer:
        """Who shared it, as far as known."""
        return next((event.sharer for event in self.live_claims), Sharer())

    @property
    def shared_at(self) -> datetime | None:
        """When it was first shared, None when no claim tells."""
        told = (*self.claims.values(), *self.origins.values())
        return min((event.shared_at for event in told if event.shared_at), default=None)

    @property
    def access(self) -> Access | None:
        """What the share should give once the person is ready."""
        return self.verdict if isinstance(self.verdict, Access) else None

    def fold(self, event: ShareEvent) -> Self:
        """Return the share with one more fact taken in."""
        reference = event.reference or ""
        known = [fact for fact in (self.claims.get(reference), self.origins.get(reference), event) if fact]
        newest = max(known, key=lambda fact: fact.rank)
        origin = max((fact for fact in known if fact.tells_origin), key=lambda fact: fact.rank, default=newest)
        origins = {other: fact for other, fact in self.origins.items() if other != reference}
        if origin is not newest:
            origins[reference] = origin
        changed = self.model_copy(update={"claims": {**self.claims, reference: newest}, "origins": origins})
        newer = self.item_from is None or (event.at, event.id) > self.item_from
        if event.item and event.item.path and newer:
            changed = changed.model_copy(update={"item": event.item, "item_from": (event.at, event.id)})
        if changed.item is None and event.item is not None:
            changed = changed.model_copy(update={"item": event.item})
        return changed

    def absorb(self, other: Self) -> Self:
        """Return the share with all facts of another one taken in (a share that was first seen without its item)."""
        share = self
        for event in (*other.claims.values(), *other.origins.values()):
            share = share.fold(event)
        return share

    def comes_to_the_same_as(self, other: Self) -> bool:
        """Tell whether both are one share to an administrator: only the times of seeing it differ."""
        if (self.verdict, self.item, self.moved_to) != (other.verdict, other.item, other.moved_to):
            return False
        mine, theirs = self.live_claims, other.live_claims
        return len(mine) == len(theirs) and all(a.says_the_same_as(b) for a, b in zip(mine, theirs, strict=True))


def share_id(event: ShareEvent) -> str:
    """Return the id of the share that the event is about; while its item is hidden, that of its reference."""
    if event.item is None:
        return reference_id(event)
    return digest("item", event.connection, event.item.id, event.partition)


def reference_id(event: ShareEvent) -> str:
    """Return the id under which a share stands while only the source's own reference of the permission is known."""
    return digest("reference", event.connection, event.reference or "", event.partition)
