"""What keeps the ledger honest without anybody's hand: expiry, repair, and the record of what failed for good."""

import logging
from collections.abc import Mapping

from shared.domain.addresses import digest
from shared.domain.decision import explain
from shared.domain.events import ShareEvent
from shared.domain.guests import GuestState
from shared.domain.identity import Listed
from shared.domain.ledger import Book
from shared.domain.messages import (
    GRANTS_PER_MESSAGE,
    BatchMessage,
    DeliveryMessage,
    Effect,
    FindFeedsMessage,
    GrantMessage,
    InvitationMessage,
    ListEntry,
    Message,
    MoveMessage,
    PollMessage,
    Queue,
    Record,
    RenewMessage,
    Send,
)
from shared.domain.reasons import Reason
from shared.domain.shares import Settlement, Share, share_id
from shared.domain.trouble import LaterError
from shared.workflows.batches import fail_batch
from shared.workflows.deciding import Known, connection_for, decide_again, source_address
from shared.workflows.deliveries import record_unreadable
from shared.workflows.feeds import fail_poll
from shared.workflows.grants import is_due, is_to_be_looked_at, unfit_grants
from shared.workflows.invitations import notice_account
from shared.workflows.maps import find_strays
from shared.workflows.ports import Ports
from shared.workflows.shares import look_up, person_of
from shared.workflows.transaction import Draft, guest_listing, open_book, share_listing, tally, transact

log = logging.getLogger("guestpass.reconciliation")

_REPAIRED = "repaired-until"
# As many as one run of a function can read and still end well within its time.
_GUESTS_PER_REPAIR = 2000


async def put_off(ports: Ports, queue: Queue, message: Message, attempt: int, trouble: Exception) -> None:
    """Send a message again for later, as a new message: waiting uses up no delivery."""
    asked = trouble.after if isinstance(trouble, LaterError) else None
    await ports.queues.send(queue, message, delay=ports.timing.wait(attempt, asked), attempt=attempt + 1)


async def expire_shares(ports: Ports) -> int:
    """Take back what has reached its expiry date; return how many shares that were.

    SharePoint itself ends only links on a date, not direct permissions (Microsoft Graph, "driveItem: invite").
    """
    expired = 0
    async for entry in ports.worklist.read("expiring", until=ports.clock.now()):
        if not await _expire(ports, entry.guest, entry.key):
            await ports.worklist.put(entry.model_copy(update={"present": False}))
        expired += 1
    return expired


async def _expire(ports: Ports, key: str, name: str) -> bool:
    """Decide one share again; False when that changed nothing, so that its row in the worklist was a leftover."""
    changed = False

    async def step(book: Book) -> Draft | None:
        nonlocal changed
        share, now = book.shares.get(name), ports.clock.now()
        changed = False
        if share is None:
            return None
        after = await decide_again(ports, share, now, {})
        if after == share:
            return None
        changed = True
        lost = share.access is not None and after.access is None
        guest = book.guest.model_copy(update={"wanting": book.guest.wanting - lost})
        guest = guest.withdraw(now) if guest.wanting == 0 else guest
        reason = explain(after, guest)
        effects: list[Effect] = [Record(partition=key, at=now, what="expiry", share=name, reason=reason)]
        if reason in (Reason.GRANT, Reason.REVOCATION):
            effects.append(Send(queue=Queue.GRANTS, body=GrantMessage(guest=key, shares=(name,))))
        return Draft(guest, {name: after}, effects=effects)

    await transact(ports, key, [name], step)
    return changed


async def _follow_policy(ports: Ports, key: str) -> None:
    """Decide all shares of a guest again, so that a change of policy or routes reaches what is there already.

    Also takes up what a failure left undecided. A share at a time goes into each transaction.
    """
    seen: set[str] = set()
    known: Known = {}

    async def step(book: Book) -> Draft | None:
        guest, now = book.guest, ports.clock.now()
        for before in book.shares.values():
            after = before if before.moved_to or not before.claims else await decide_again(ports, before, now, known)
            if after == before or before.id in seen:
                continue
            seen.add(before.id)
            wanting = guest.wanting + (after.access is not None) - (before.access is not None)
            guest = guest.model_copy(update={"wanting": wanting, "since": guest.since or now})
            if wanting == 0:
                guest = guest.withdraw(now)
            elif guest.state is GuestState.UNKNOWN and after.access is not None:
                name = source_address(after)
                connection = await connection_for(ports, after.connection, name) or ports.connections[after.connection]
                address, _ = person_of(after.live_claims[0], connection)
                guest = guest.model_copy(update={"address": address, "as_is": connection.as_is})
                guest = guest.admit(await look_up(ports, guest), None, now)
            reason = explain(after, guest)
            record = Record(partition=key, at=now, what="decided again", share=after.id, reason=reason)
            return Draft(guest, {after.id: after}, effects=[record])
        return None

    while True:
        before = len(seen)
        await transact(ports, key, None, step)
        if len(seen) == before:
            return


async def repair(ports: Ports) -> int:
    """Walk over a part of the ledger and start again whatever stands still; return for how many guests there was work.

    The next run goes on where this one ended. Carries out effects that a crash left undone, writes the worklist's rows
    again, decides again by today's policy, sends again the messages of work that is due, notices acceptances that every
    poll missed, and accounts that were blocked or deleted. All of it may be repeated without harm. A guest whose rows
    make trouble does not stop the others.
    """
    walked, started = 0, 0
    accounts: dict[str, Listed] = {}
    async for entry in ports.account_maps.moving():
        await ports.queues.send(Queue.MOVES, MoveMessage(connection=entry.connection, source=entry.source))
    async for key in ports.ledger.keys(await ports.marks.get(_REPAIRED) or ""):
        if walked == 0:
            accounts = {who.object_id: who for who in await ports.directory.guests()}
        try:
            started += await _repair_guest(ports, key, accounts)
        except Exception as trouble:
            log.error("guest not repaired", extra={"guest": key, "reason": type(trouble).__name__})
        walked += 1
        if walked == _GUESTS_PER_REPAIR:
            await ports.marks.set(_REPAIRED, key)
            return started
    await ports.marks.set(_REPAIRED, "")
    return started


async def _repair_guest(ports: Ports, key: str, accounts: Mapping[str, Listed]) -> bool:
    await _follow_policy(ports, key)
    await notice_account(ports, key, accounts)
    book, now = await _counted_anew(ports, key), ports.clock.now()
    await find_strays(ports, book)
    guest = book.guest
    rows = [guest_listing(guest), *(share_listing(share, key) for share in book.shares.values())]
    await ports.worklist.put(*(entry for entries in rows for entry in entries.values()))
    owed = guest.state is GuestState.INVITED and guest.invitation and guest.invitation.owed
    if guest.state is GuestState.APPROVED or owed:
        if ports.mail_rules.quiet(now) or (guest.mail_at and guest.mail_at > now):
            return False  # the message for it waits in the queue
        await ports.queues.send(Queue.INVITATIONS, InvitationMessage(guest=key))
        return True
    due = (is_due(share, guest, now) or is_to_be_looked_at(ports, share, now) for share in book.shares.values())
    if any(due) or unfit_grants(book):
        await ports.queues.send(Queue.GRANTS, GrantMessage(guest=key))
        return True
    return False


async def _counted_anew(ports: Ports, key: str) -> Book:
    """Return the partition, its tally being that of its shares."""

    async def step(book: Book) -> Draft | None:
        true = tally(book.shares.values())
        return None if book.guest.tally == true else Draft(book.guest.model_copy(update={"tally": true}))

    book = await transact(ports, key, None, step)
    return await open_book(ports, key, None) if book.guest.tally != tally(book.shares.values()) else book


async def record_failure(ports: Ports, queue: Queue, message: Message | None, text: str) -> None:
    """Record a message that failed again and again where an administrator sees it: on the share, the guest, or the
    connection. `message` is None when the text cannot even be read. Never loses it: the text itself is listed."""
    now = ports.clock.now()
    partition = f"queue:{queue}"
    match message:
        case ShareEvent():
            partition = await _fail_event(ports, message)
        case GrantMessage():
            partition = message.guest
            await _fail_grants(ports, message)
        case MoveMessage():
            partition = f"connection:{message.connection}"
        case InvitationMessage():
            partition = message.guest
            await _fail_invitation(ports, message)
        case DeliveryMessage():
            await record_unreadable(ports, message, "reading it failed again and again")
            return
        case PollMessage():
            partition = f"connection:{message.connection}"
            await fail_poll(ports, message)
        case FindFeedsMessage() | RenewMessage():
            partition = f"connection:{message.connection}"  # the timer sends another one
        case BatchMessage():
            await fail_batch(ports, message)
    await ports.history.append(
        Record(
            partition=partition,
            at=now,
            what=f"failed in {queue}",
            reason=Reason.PROCESSING_FAILED,
            event=message.id if isinstance(message, ShareEvent) else None,
        )
    )
    if message is None:
        entry = ListEntry(
            list="unreadable", key=digest(queue, text), at=now, guest=partition, note=f"{len(text)} bytes"
        )
        await ports.worklist.put(entry)


async def _fail_event(ports: Ports, event: ShareEvent) -> str:
    connection = ports.connections.get(event.connection)
    key = person_of(event, connection)[1] if connection else event.partition
    name = share_id(event)

    async def step(book: Book) -> Draft | None:
        share = (book.shares.get(name) or Share(id=name, connection=event.connection)).fold(event)
        if share == book.shares.get(name):
            return None
        if share.verdict is None:
            share = share.model_copy(update={"verdict": Reason.PROCESSING_FAILED})
        return Draft(book.guest, {name: share})

    await transact(ports, key, [name], step)
    return key


async def _fail_grants(ports: Ports, message: GrantMessage) -> None:
    left = True

    async def step(book: Book) -> Draft | None:
        nonlocal left
        now = ports.clock.now()
        due = [share for share in book.shares.values() if is_due(share, book.guest, now)]
        left = len(due) > GRANTS_PER_MESSAGE
        failed = {
            share.id: share.model_copy(
                update={"settlement": Settlement(access=share.access, reason=Reason.PROCESSING_FAILED, since=now)}
            )
            for share in due[:GRANTS_PER_MESSAGE]
        }
        return Draft(book.guest.model_copy(update={"busy_until": None}), failed) if failed else None

    while left:
        await transact(ports, message.guest, message.shares or None, step)


async def _fail_invitation(ports: Ports, message: InvitationMessage) -> None:
    async def step(book: Book) -> Draft | None:
        if book.guest.state is not GuestState.APPROVED:
            return None
        guest = book.guest.move(GuestState.BLOCKED, ports.clock.now(), trouble=Reason.PROCESSING_FAILED)
        return Draft(guest)

    await transact(ports, message.guest, [], step)
