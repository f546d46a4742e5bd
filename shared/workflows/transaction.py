"""One way to change a partition: read, decide, commit, carry out the effects. Safe to repeat at any point.

The effects of a commit (history, worklist, messages) are written in the same transaction. Whoever works on the
partition next carries out what a crash left undone; so does the reconciler.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from shared import telemetry
from shared.domain.addresses import digest, domain_of
from shared.domain.decision import standing
from shared.domain.grants import Grant
from shared.domain.guests import Guest, GuestState
from shared.domain.ledger import Book, Changes
from shared.domain.messages import Effect, ListEntry, Outbox, Record, Send
from shared.domain.shares import Share
from shared.domain.terms import guest_terms, share_terms
from shared.domain.trouble import ConflictError
from shared.workflows.ports import Ports

# Lost races against other workers on one guest before the message goes back to its queue.
_TRIES = 20
# The time of rows that stand in no order of time.
TIMELESS = datetime(1970, 1, 1, tzinfo=UTC)


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
        draft = replace(draft, guest=_counted(book, draft))
        effects = (*draft.effects, *_listing_effects(book, draft))
        outbox = Outbox(id=digest("outbox", book.version or "new"), effects=effects) if effects else None
        try:
            await ports.ledger.commit(book, Changes(draft.guest, draft.shares, draft.grants, outbox))
        except ConflictError:
            continue
        if draft.guest.state is not book.guest.state:
            telemetry.moved(key, draft.guest.state, draft.guest.trouble)
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
    """The worklist comes last: a timer that a crash interrupted finds its row there and so the rest of the work."""
    for effect in outbox.effects:
        match effect:
            case Record():
                await ports.history.append(effect)
            case Send():
                await ports.queues.send(effect.queue, effect.body, delay=effect.delay)
    await ports.worklist.put(*(effect for effect in outbox.effects if isinstance(effect, ListEntry)))
    await ports.ledger.clear(key, outbox.id)


def guest_listing(guest: Guest) -> dict[tuple[str, str], ListEntry]:
    """Return the worklist rows of a guest.

    One under each head, one under each head within its domain, one by its account at the destination, one under the
    moment when something is to be done about its invitation, and those by which it is searched.
    """
    if guest.since is None and not guest.tally:
        return {}
    at = guest.since or TIMELESS
    domain = domain_of(guest.address) if guest.address else None
    rows = [(view.value, guest.key, at) for view in guest.views]
    rows += [(within(view, domain), guest.key, at) for view in guest.views if domain]
    if guest.account:
        rows.append(("account", guest.account.object_id, at))
    if guest.state is GuestState.INVITED and guest.invitation and guest.invitation.due_at:
        rows.append(("inviting", guest.key, guest.invitation.due_at))
    rows += [(f"search-{kind}", f"{term}\n{guest.key}", TIMELESS) for kind, term in guest_terms(guest)]
    return _entries(rows, guest.key)


def share_listing(share: Share, guest: str) -> dict[tuple[str, str], ListEntry]:
    """Return the worklist rows of a share: one under the moment when its access ends, and those by which its person is
    searched. The latter stay when the share ends: it remains explainable."""
    rows = [(f"search-{kind}", f"{term}\n{guest}", TIMELESS) for kind, term in share_terms(share)]
    if share.access is not None and share.access.expires_at is not None:
        rows.append(("expiring", share.id, share.access.expires_at))
    return _entries(rows, guest)


def within(view: str, domain: str) -> str:
    """Return the name of the list that holds a view's people of one domain."""
    return f"{view}@{domain}"


def _entries(rows: Iterable[tuple[str, str, datetime]], guest: str) -> dict[tuple[str, str], ListEntry]:
    return {(name, key): ListEntry(list=name, key=key, at=at, guest=guest) for name, key, at in rows}


def tally(shares: Iterable[Share]) -> dict[str, int]:
    """Count shares by where they would stand if the person were ready."""
    return dict(Counter(place for share in shares if (place := standing(share)) is not None))


def _counted(book: Book, draft: Draft) -> Guest:
    """Return the draft's guest with its tally brought up to the shares that change."""
    before = [book.shares[name] for name in draft.shares if name in book.shares]
    after = [share for share in draft.shares.values() if share is not None]
    count = Counter(draft.guest.tally)
    count.update(tally(after))
    count.subtract(tally(before))
    return draft.guest.model_copy(update={"tally": {place: n for place, n in sorted(count.items()) if n > 0}})


def _listing_effects(book: Book, draft: Draft) -> list[Effect]:
    """Return what changes in the worklist between what was read and what will be committed.

    A share's search rows are never taken out: other shares of the person may have the same.
    """
    before, after = guest_listing(book.guest), guest_listing(draft.guest)
    for ident, share in draft.shares.items():
        if ident in book.shares:
            before |= share_listing(book.shares[ident], book.guest.key)
        if share is not None:
            after |= share_listing(share, draft.guest.key)
    gone = [
        entry.model_copy(update={"present": False})
        for name, entry in before.items()
        if after.get(name) != entry and not entry.list.startswith("search-")
    ]
    new = [entry for name, entry in after.items() if before.get(name) != entry]
    return [*gone, *new]
