"""One way to change a partition: read, decide, commit, carry out the effects. Safe to repeat at any point.

The effects of a commit (history, worklist, messages) are written in the same transaction. Whoever works on the
partition next carries out what a crash left undone; so does the reconciler.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from shared.domain.addresses import digest
from shared.domain.grants import Grant
from shared.domain.guests import Guest
from shared.domain.ledger import Book, Changes
from shared.domain.messages import Effect, ListEntry, Outbox, Record, Send
from shared.domain.reasons import Reason, State
from shared.domain.shares import Share
from shared.domain.trouble import ConflictError
from shared.workflows.ports import Ports

# Lost races against other workers on one guest before the message goes back to its queue.
_TRIES = 20


@dataclass
class Draft:
    """What a step wants to change: rows and the effects that follow."""

    guest: Guest
    shares: Mapping[str, Share | None] = field(default_factory=dict)
    grants: Mapping[str, Grant | None] = field(default_factory=dict)
    effects: list[Effect] = field(default_factory=list)


type StepFunction = Callable[[Book], Awaitable[Draft | None]]


async def transact(ports: Ports, key: str, shares: Iterable[str] | None, step: StepFunction) -> Book:
    """Run a step on a partition until its changes are committed; return what the last reading found.

    The step may be called again after a lost race, with a newer book; None means that nothing is to be changed.
    Raises ConflictError after too many lost races.
    """
    names = None if shares is None else list(shares)
    for _ in range(_TRIES):
        book = await open_book(ports, key, names)
        draft = await step(book)
        if draft is None:
            return book
        effects = (*draft.effects, *_listing_effects(book, draft))
        outbox = Outbox(id=digest("outbox", book.version or "new"), effects=effects) if effects else None
        try:
            await ports.ledger.commit(book, Changes(draft.guest, draft.shares, draft.grants, outbox))
        except ConflictError:
            continue
        if outbox is not None:
            await _carry_out(ports, key, outbox)
        return book
    raise ConflictError(f"partition {key} changes too quickly")


async def open_book(ports: Ports, key: str, shares: Iterable[str] | None) -> Book:
    """Read a partition, after carrying out what a crash left undone there."""
    book = await ports.ledger.read(key, shares)
    for outbox in book.outbox:
        await _carry_out(ports, key, outbox)
    return book


async def _carry_out(ports: Ports, key: str, outbox: Outbox) -> None:
    for effect in outbox.effects:
        match effect:
            case Record():
                await ports.history.append(effect)
            case ListEntry():
                await ports.worklist.put(effect)
            case Send():
                await ports.queues.send(effect.queue, effect.body, delay=effect.delay)
    await ports.ledger.clear(key, outbox.id)


def guest_listing(guest: Guest) -> dict[tuple[str, str], ListEntry]:
    """Return the worklist rows of a guest: one under its state, one by its account at the destination."""
    entries: list[ListEntry] = []
    if guest.since:
        entries.append(ListEntry(list=guest.state, key=guest.key, at=guest.since, guest=guest.key))
    if guest.account and guest.since:
        entries.append(ListEntry(list="account", key=guest.account.object_id, at=guest.since, guest=guest.key))
    return {(entry.list, entry.key): entry for entry in entries}


def share_listing(share: Share, guest: str) -> dict[tuple[str, str], ListEntry]:
    """Return the worklist rows of a share: one under the moment when its access ends, one when it needs attention."""
    entries: list[ListEntry] = []
    if share.access is not None and share.access.expires_at is not None:
        entries.append(ListEntry(list="expiring", key=share.id, at=share.access.expires_at, guest=guest))
    stuck = share.settlement.reason if share.settlement else share.verdict
    if isinstance(stuck, Reason) and stuck.state is State.NEEDS_ATTENTION and share.claims:
        at = max(claim.at for claim in share.claims.values())
        entries.append(ListEntry(list=State.NEEDS_ATTENTION, key=share.id, at=at, guest=guest))
    return {(entry.list, entry.key): entry for entry in entries}


def _listing_effects(book: Book, draft: Draft) -> list[Effect]:
    """Return what changes in the worklist between what was read and what will be committed."""
    before, after = guest_listing(book.guest), guest_listing(draft.guest)
    for ident, share in draft.shares.items():
        if ident in book.shares:
            before |= share_listing(book.shares[ident], book.guest.key)
        if share is not None:
            after |= share_listing(share, draft.guest.key)
    gone = [entry.model_copy(update={"present": False}) for name, entry in before.items() if after.get(name) != entry]
    new = [entry for name, entry in after.items() if before.get(name) != entry]
    return [*gone, *new]
