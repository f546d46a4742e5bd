"""Accept, grant, read back, record: work on a guest's access, one run at a time, and put off what has to wait."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import batched

from shared import telemetry
from shared.domain.decision import explain, wanted, wanted_role
from shared.domain.guests import Guest
from shared.domain.ledger import Book
from shared.domain.messages import GRANTS_PER_MESSAGE, GrantMessage, MoveMessage, Queue, Record, Send
from shared.domain.reasons import Reason, State
from shared.domain.shares import Access, Settlement, Share
from shared.domain.trouble import LaterError, RefusedError
from shared.workflows.deciding import Known, decide_again, source_address
from shared.workflows.places import bring_in_line, lives_on_others, living_on
from shared.workflows.ports import Ports
from shared.workflows.transaction import Draft, open_book, transact
from shared.workflows.work import Place, Work

# Graph has answered 200 without effect (msgraph-sdk-dotnet#1137): look again this often before asking for help.
_FRUITLESS_TRIES = 5


async def settle_access(ports: Ports, message: GrantMessage) -> None:
    """Bring the named shares' access in line, or find out which of the guest's shares need it.

    Waiting (throttling, replication, an item not there yet) is put into the queue with a delay and uses up no
    delivery. May raise LaterError before anything was begun.
    """
    if not message.shares:
        await _fan_out(ports, message.guest)
        return
    if message.not_before is not None and (left := message.not_before - ports.clock.now()) > timedelta(0):
        await ports.queues.send(Queue.GRANTS, message, delay=left)  # a queue hides a message for seven days at most
        return
    now = await _after_pacing(ports, message)
    if now is not None:
        await _work_on(ports, now)


async def _after_pacing(ports: Ports, message: GrantMessage) -> GrantMessage | None:
    """Return what may be worked on now; what gives access and has to wait for its time slot is sent on.

    Taking back never waits for the budget.
    """
    if message.slots:
        return message
    book = await open_book(ports, message.guest, message.shares)
    giving = tuple(share.id for share in book.shares.values() if wanted(share, book.guest) is not None)
    if not giving:
        return message
    delay = await ports.pacer.delay(len(giving))
    reserved = message.model_copy(update={"slots": len(giving)})
    if not delay:
        return reserved
    later = reserved.model_copy(update={"shares": giving, "not_before": ports.clock.now() + delay})
    await ports.queues.send(Queue.GRANTS, later, delay=delay)
    rest = tuple(name for name in message.shares if name not in giving)
    return message.model_copy(update={"shares": rest}) if rest else None


async def _work_on(ports: Ports, message: GrantMessage) -> None:
    chosen = await _begin(ports, message)
    if chosen is None:
        return
    book = await ports.ledger.read(message.guest, None)
    account = book.guest.account
    work = Work(ports, book, account.object_id if account else "", slots=message.slots)
    shares = [book.shares[name] for name in chosen]
    telemetry.link(claim.trace for share in shares for claim in share.claims.values())
    try:
        await bring_in_line(work, shares)
    except LaterError as later:
        await _finish(work, shares, stopped=later)
    else:
        await _finish(work, shares)


async def _fan_out(ports: Ports, key: str) -> None:
    """Send one message for every 20 shares that wait for work; the queue spreads them over time."""
    book, now = await open_book(ports, key, None), ports.clock.now()
    names = [
        share.id
        for share in book.shares.values()
        if is_due(share, book.guest, now) or is_to_be_looked_at(ports, share, now)
    ]
    if not names and unfit_grants(book):
        names = list(book.shares)[:1]
    for send in _sends(key, names, timedelta(0)):
        await ports.queues.send(send.queue, send.body)


def _sends(key: str, names: Iterable[str], delay: timedelta, slots: int = 0) -> list[Send]:
    return [
        Send(queue=Queue.GRANTS, body=GrantMessage(guest=key, shares=part, slots=slots), delay=delay)
        for part in batched(sorted(names), GRANTS_PER_MESSAGE, strict=False)
    ]


def is_due(share: Share, guest: Guest, now: datetime) -> bool:
    """Tell whether there is work on a share: access to give or to take back, or a try whose time has come."""
    if share.moved_to:
        return False
    if explain(share, guest) in (Reason.GRANT, Reason.REVOCATION):
        return True
    settled = share.settlement
    if settled is not None and settled.access is not None and wanted(share, guest) is None:
        return True  # the person may have it no more, whatever keeps them from being ready
    return (
        settled is not None
        and settled.retry_at is not None
        and settled.retry_at <= now
        and settled.access == wanted(share, guest)
    )


def is_to_be_looked_at(ports: Ports, share: Share, now: datetime) -> bool:
    """Tell whether access that others give was last seen so long ago that it is looked at again."""
    settled = share.settlement
    return settled is not None and lives_on_others(share) and now - settled.since > ports.timing.look_again


def unfit_grants(book: Book) -> bool:
    """Tell whether a grant of ours is not what the shares want, or was begun and never read back."""
    shares = list(book.shares.values())
    return any(
        grant.permission_id is None or wanted_role(shares, book.guest, grant.place, link=grant.link) is not grant.role
        for grant in book.grants.values()
    )


async def _begin(ports: Ports, message: GrantMessage) -> list[str] | None:
    """Take the guest for this run: one at a time, so that no grant can overtake a revocation.

    Returns the ids of the shares to work on (possibly none, when only a grant is left over), or None when there is
    nothing to do. Raises LaterError while another run is busy; a run that died is waited for until its function would
    have been ended anyway.
    """
    chosen: list[str] = []
    began = False

    async def step(book: Book) -> Draft | None:
        nonlocal began
        guest, now = book.guest, ports.clock.now()
        chosen.clear()
        began = False
        known: Known = {}
        refreshed = {
            share.id: await decide_again(ports, share, now, known)
            for share in book.shares.values()
            if share.id in message.shares and not share.moved_to
        }
        due = [share.id for share in refreshed.values() if is_due(share, guest, now) or lives_on_others(share)]
        if not due and not unfit_grants(book):
            return None
        if guest.busy_until is not None and guest.busy_until > now:
            raise LaterError(Reason.GRANT, min(guest.busy_until - now, ports.timing.retry))
        chosen.extend(due)
        began = True
        asked = sum(1 for name in refreshed if book.shares[name].access is not None)
        asking = sum(1 for share in refreshed.values() if share.access is not None)
        guest = guest.model_copy(
            update={"busy_until": now + ports.timing.busy, "wanting": guest.wanting + asking - asked}
        )
        return Draft(guest, refreshed)

    await transact(ports, message.guest, None, step)
    return chosen if began else None


async def _finish(work: Work, shares: list[Share], stopped: LaterError | None = None) -> None:
    """Record what came of it, free the guest, and put what waits into the queue for its time."""
    ports = work.ports
    left_alone = {share.id for place in work.lost() for share in living_on(work, place, shares)}
    news: list[tuple[Share, Reason, timedelta | None]] = []

    async def step(book: Book) -> Draft:
        now = ports.clock.now()
        news.clear()
        guest = book.guest.model_copy(update={"busy_until": None})
        draft = Draft(guest, grants=dict(work.grants))
        rows: dict[str, Share | None] = {}
        waiting: dict[datetime, list[str]] = {}
        for share in shares:
            settlement = _settlement(work, share, stopped, now)
            row = book.shares[share.id].model_copy(
                update={"settlement": settlement, "item_id": work.item_ids.get(share.id, share.item_id)}
            )
            rows[share.id] = row
            if settlement.retry_at is not None:
                waiting.setdefault(settlement.retry_at, []).append(share.id)
            elif is_due(row, guest, now):  # the source spoke again while we worked
                waiting.setdefault(now, []).append(share.id)
            if explain(row, guest) is not explain(share, guest):
                draft.effects.append(_record(guest.key, row, settlement, explain(row, guest), now))
                news.append((row, explain(row, guest), _waited(row, guest, now)))
            if row.moved_from and explain(row, guest).state is State.GRANTED and (source := source_address(row)):
                move = MoveMessage(connection=row.connection, source=source)
                draft.effects.append(Send(queue=Queue.MOVES, body=move))
        draft.shares = rows
        for moment, names in waiting.items():
            slots = work.slots_ahead if moment == now + work.pause else 0
            draft.effects += _sends(guest.key, names, moment - now, slots)
        draft.effects += _sends(guest.key, left_alone, timedelta(0))
        return draft

    await transact(ports, work.book.guest.key, [share.id for share in shares], step)
    for share, reason, waited in news:
        connection = ports.connections.get(share.connection)
        platform = connection.platform if connection else "none"
        telemetry.settled(platform, share.connection, work.book.guest.key, share.id, reason, waited)


def _waited(share: Share, guest: Guest, now: datetime) -> timedelta | None:
    """Return since when a person could have what was given now: acceptance, or when the share was heard of later."""
    if explain(share, guest).state is not State.GRANTED:
        return None
    moments = [guest.accepted_at, *(claim.heard_at for claim in share.claims.values())]
    return now - max(moment for moment in moments if moment is not None) if any(moments) else None


def _settlement(work: Work, share: Share, stopped: LaterError | None, now: datetime) -> Settlement:
    """Return what came of one share: the first trouble at any place that it concerns, else what its own item shows.

    A share that gives nothing any more concerns every place of the run: it is settled when nothing is left over.
    """
    access = wanted(share, work.book.guest)
    before = share.settlement
    reach = [a.destination for a in (access, before.access if before else None) if a is not None]

    def concerns(place: Place) -> bool:
        return access is None or any(destination.covers(place.at) for destination in reach)

    results = [result for place, result in work.results.items() if concerns(place)]
    if share.id in work.unresolved:
        results.append(work.unresolved[share.id])
    later = next((r for r in results if isinstance(r, LaterError)), None)
    refusal = next((r for r in results if isinstance(r, RefusedError)), None)
    if refusal is not None:
        return Settlement(access=access, reason=refusal.reason, since=now, detail=refusal.detail)
    if stopped is not None or later is not None:
        return _put_off(work.ports, share, access, stopped or later, now)
    if any(concerns(place) for place in work.left):
        more = Reason.GRANT if access else Reason.REVOCATION
        return Settlement(access=access, reason=more, since=now, retry_at=now + work.pause)
    if Reason.READ_BACK in results:
        return _put_off(work.ports, share, access, LaterError(Reason.READ_BACK), now)
    if access is None:
        return Settlement(access=None, reason=Reason.REMOVED_AT_SOURCE, since=now)
    item_id = work.item_ids.get(share.id)
    own = work.results.get(Place(item_id, access.destination, access.link)) if item_id else None
    if not isinstance(own, Reason):
        return _put_off(work.ports, share, access, LaterError(Reason.DESTINATION_ITEM), now)
    return Settlement(access=access, reason=own, since=now)


def _put_off(ports: Ports, share: Share, access: Access | None, later: LaterError | None, now: datetime) -> Settlement:
    """Return a settlement that is tried again, or, when patience has ended, one that needs attention."""
    reason, asked = (later.reason, later.after) if later else (Reason.GRAPH, None)
    before, timing = share.settlement, ports.timing
    attempts, since = 0, now
    if before is not None and before.access == access and before.retry_at is not None:
        attempts = before.attempts + 1
        since = before.since if before.reason is reason else now
    patience_ends = {
        Reason.REPLICATION: (now - since > timing.patience, Reason.PRINCIPAL_NOT_RESOLVED),
        Reason.DESTINATION_ITEM: (now - since > timing.item_patience, Reason.DESTINATION_ITEM_MISSING),
        Reason.READ_BACK: (attempts >= _FRUITLESS_TRIES, Reason.WITHOUT_EFFECT),
        Reason.GRAPH: (now - since > timing.patience, Reason.GRAPH_REFUSED),
    }
    ended, final = patience_ends.get(reason, (False, reason))
    detail = later.detail if later else None
    if ended:
        return Settlement(access=access, reason=final, since=now, attempts=attempts, detail=detail)
    retry_at = now + timing.wait(attempts, asked)
    return Settlement(access=access, reason=reason, since=since, retry_at=retry_at, attempts=attempts, detail=detail)


def _record(key: str, share: Share, settlement: Settlement, reason: Reason, now: datetime) -> Record:
    access = settlement.access
    what = f"{access.role} on {access.destination.path}" if access else "nothing of ours is left"
    return Record(partition=key, at=now, what="access", share=share.id, reason=reason, detail=settlement.detail or what)
