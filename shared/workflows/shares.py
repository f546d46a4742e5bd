"""A share event becomes a recorded decision."""

from datetime import datetime

from shared import telemetry
from shared.domain.addresses import guest_key
from shared.domain.connections import Connection
from shared.domain.decision import assess_share, explain, pre_approval
from shared.domain.events import ShareEvent
from shared.domain.guests import Approval, Guest, GuestState
from shared.domain.identity import Resolution, Undecided, resolve
from shared.domain.ledger import Book
from shared.domain.messages import GrantMessage, InvitationMessage, MoveMessage, Queue, Record, Send
from shared.domain.platforms import RULES
from shared.domain.reasons import Reason
from shared.domain.shares import Share, reference_id, share_id
from shared.domain.trouble import ConflictError, RefusedError, UnreadableError
from shared.workflows.deciding import connection_for
from shared.workflows.ports import Ports
from shared.workflows.transaction import Draft, transact


async def receive_share(ports: Ports, event: ShareEvent) -> None:
    """Take one share event in: load the guest, decide, commit, emit; note what came of it if a batch brought it.

    May raise LaterError when Entra has to be asked who the person is. Raises UnreadableError for a connection that is
    not configured any more.
    """
    connection = await connection_for(ports, event.connection, event.address)
    if connection is None:
        raise UnreadableError(f"the connection {event.connection!r} is not configured")
    address, key = person_of(event, connection)
    names = {share_id(event)}
    if event.reference and RULES[connection.platform].hides_item_while_pending:
        names.add(reference_id(event))
    before = await ports.ledger.read(key, names)
    names |= {share.moved_to for share in before.shares.values() if share.moved_to}

    outcome, name = Reason.PROCESSING_FAILED, share_id(event)

    async def step(book: Book) -> Draft | None:
        nonlocal outcome, name
        now = ports.clock.now()
        shares = _take_in(book, event, connection, now)
        main = next(share for share in shares.values() if share is not None and not share.moved_to)
        outcome, name = explain(main, book.guest), main.id
        changed = {name: share for name, share in shares.items() if share != book.shares.get(name)}
        if not changed:
            return None
        guest = await admit(ports, book, changed, event, connection, address, now)
        guest = _hold(guest, book, changed, connection, now)
        main = changed.get(main.id) or main
        draft, outcome = Draft(guest, changed), explain(main, guest)
        known = book.shares.get(main.id)
        # What a scan sees again and again: the row notes when, the history stays short.
        confirmed = event.observed and known is not None and main.comes_to_the_same_as(known)
        if main.id in changed and not confirmed:
            draft.effects.append(_record(key, event, main, outcome, now))
            if outcome in (Reason.GRANT, Reason.REVOCATION):
                draft.effects.append(Send(queue=Queue.GRANTS, body=GrantMessage(guest=key, shares=(main.id,))))
            if main.moved_from and event.address:
                move = MoveMessage(connection=connection.id, source=event.address)
                draft.effects.append(Send(queue=Queue.MOVES, body=move))
        if guest.state is GuestState.APPROVED and book.guest.state is not GuestState.APPROVED:
            draft.effects.append(Send(queue=Queue.INVITATIONS, body=InvitationMessage(guest=key)))
        return draft

    book = await transact(ports, key, names, step)
    await _record_if_superseded(ports, key, book, event)
    waited = ports.clock.now() - event.heard_at if event.heard_at and event.batch is None else None
    telemetry.decided(connection.platform, connection.id, key, name, outcome, waited)
    if event.batch is not None:
        await ports.batches.note(event.batch, event.id, outcome)


def person_of(event: ShareEvent, connection: Connection) -> tuple[str | None, str]:
    """Return the address under which the person is known at the destination, and the ledger partition."""
    address = event.address
    if address is None:
        return None, event.partition
    address = connection.account_map.get(address) or address
    return address, guest_key(address)


def _take_in(book: Book, event: ShareEvent, connection: Connection, now: datetime) -> dict[str, Share | None]:
    """Return the share with the event folded in, and the row that leads to it from the source's own reference."""
    name, pointer_name = share_id(event), None
    if event.reference and RULES[connection.platform].hides_item_while_pending:
        pointer_name = reference_id(event)
    pointer = book.shares.get(pointer_name) if pointer_name else None
    if event.item is None and pointer and pointer.moved_to:
        name = pointer.moved_to
        if name not in book.shares:  # it moved after we looked: read again
            raise ConflictError("the share has moved")
    share = book.shares.get(name) or Share(id=name, connection=connection.id)
    share = share.fold(event)
    rows: dict[str, Share | None] = {}
    if event.item is not None and pointer_name is not None:
        if pointer is not None and pointer.moved_to is None:
            share = share.absorb(pointer)
        rows[pointer_name] = Share(id=pointer_name, connection=connection.id, moved_to=name)
    rows[name] = share.model_copy(update={"verdict": assess_share(share, connection, now)})
    return rows


def _hold(guest: Guest, book: Book, changed: dict[str, Share | None], connection: Connection, now: datetime) -> Guest:
    """Hold new shares of a person who is past the gate already, where policy wants each share approved for itself."""
    if not connection.policy.approve_each_share or guest.state in (GuestState.UNKNOWN, GuestState.HELD):
        return guest
    for name, share in changed.items():
        known = book.shares.get(name)
        asked = known is not None and known.access is not None
        if share is None or share.access is None or asked or pre_approval(share, connection, now):
            continue
        changed[name] = share.model_copy(update={"ruling": Reason.APPROVAL, "verdict": Reason.APPROVAL})
        guest = guest.model_copy(update={"wanting": guest.wanting - 1})
    return guest


async def admit(
    ports: Ports,
    book: Book,
    changed: dict[str, Share | None],
    event: ShareEvent,
    connection: Connection,
    address: str | None,
    now: datetime,
) -> Guest:
    """Return the guest after these shares changed: counted, and let through the gate when they ask for access."""
    asking = [share for share in changed.values() if share is not None and share.access is not None]
    asked = [name for name in changed if (known := book.shares.get(name)) is not None and known.access is not None]
    guest = book.guest.model_copy(
        update={
            "wanting": book.guest.wanting + len(asking) - len(asked),
            "address": address,
            "name": book.guest.name or event.principal.name or None,
            "since": book.guest.since or now,
        }
    )
    if guest.wanting == 0:
        return guest.withdraw(now)
    approval = next(
        (
            Approval(by=by, at=now, by_administrator=False)
            for share in asking
            if (by := pre_approval(share, connection, now)) is not None
        ),
        None,
    )
    if guest.state is GuestState.UNKNOWN and asking and address is not None:
        guest = guest.model_copy(update={"as_is": connection.as_is})
        return guest.admit(await look_up(ports, guest), approval, now)
    if guest.state is GuestState.HELD and approval is not None:
        return guest.move(GuestState.APPROVED, now, approval=approval)
    return guest


async def look_up(ports: Ports, guest: Guest) -> Resolution:
    """Ask Entra who the guest is. May raise LaterError; a refusal (a missing permission, say) needs attention."""
    address = guest.address or ""
    try:
        return resolve(address, await ports.directory.find(address), as_is=guest.as_is)
    except RefusedError as refusal:
        return Undecided(reason=refusal.reason, detail=refusal.detail)


def _record(key: str, event: ShareEvent, share: Share, reason: Reason, now: datetime) -> Record:
    where = share.item.path or share.item.id if share.item else "an item that the platform does not show yet"
    return Record(
        partition=key,
        at=now,
        what=f"share {event.change}",
        share=share.id,
        reason=reason,
        event=event.id,
        detail=f"{event.role or 'no role'} on {where}",
    )


async def _record_if_superseded(ports: Ports, key: str, book: Book, event: ShareEvent) -> None:
    """Record an event that changed nothing because a newer one was known. Repeats of one event are not recorded."""
    for share in book.shares.values():
        reference = event.reference or ""
        claim, origin = share.claims.get(reference), share.origins.get(reference)
        if claim is not None and event.id not in (claim.id, origin and origin.id) and not event.outranks(claim):
            record = Record(
                partition=key,
                at=event.at,
                what=f"share {event.change}",
                share=share.id,
                reason=Reason.SUPERSEDED,
                event=event.id,
            )
            await ports.history.append(record)
            return
