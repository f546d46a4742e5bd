"""The account map: change it, and bring what a source identity was given to the account where it leads now.

The new account is given everything, through its own gate and read back, before anything is taken from the old one.
Shares lie in the partition of the account to which the map leads, so they move from one partition to another.
"""

from collections.abc import Sequence
from datetime import datetime

from shared.domain.decision import assess_share, explain, wanted_role
from shared.domain.guests import Guest, GuestState
from shared.domain.ledger import Book
from shared.domain.maps import Change, Mapped
from shared.domain.messages import Effect, GrantMessage, InvitationMessage, MoveMessage, Queue, Record, Send
from shared.domain.reasons import Reason, State
from shared.domain.shares import Share
from shared.workflows.deciding import connection_for, source_address
from shared.workflows.ports import Ports
from shared.workflows.shares import admit, person_of
from shared.workflows.transaction import Draft, transact

# The new account's share has come to rest: whatever the old one still has is not to be kept.
_SETTLED = (State.GRANTED, State.IGNORED, State.REFUSED, State.REVOKED)


async def plan_changes(ports: Ports, wanted: Sequence[Mapped]) -> list[Change]:
    """Return what of the wanted entries is a change."""
    changes = []
    for entry in wanted:
        change = Change.of(entry, await ports.account_maps.find(entry.connection, entry.source))
        if change.before != change.after:
            changes.append(change)
    return changes


async def affected(ports: Ports, change: Change) -> list[Share]:
    """Return the shares that a change would move."""
    entry = Mapped(connection=change.connection, source=change.source, destination=change.before)
    book = await ports.ledger.read(entry.key, None)
    return [share for share in book.shares.values() if _concerns(share, entry) and share.ruling is not Reason.MOVED]


async def change_map(ports: Ports, change: Change, by: str) -> None:
    """Write one entry and begin to move its shares. Raises ConflictError when it was changed meanwhile."""
    known = await ports.account_maps.find(change.connection, change.source)
    now = ports.clock.now()
    before = known or Mapped(connection=change.connection, source=change.source, destination=change.source)
    entry = Mapped(
        connection=change.connection,
        source=change.source,
        destination=change.after,
        by=by,
        at=now,
        moving_from=tuple(dict.fromkeys((*before.moving_from, before.key))),
        version=before.version,
    )
    await ports.account_maps.put(entry)
    what = f"{change.source} leads to {change.after or 'nobody'} instead of {change.before or 'nobody'}"
    for partition in {f"connection:{change.connection}", before.key, entry.key}:
        await ports.history.append(Record(partition=partition, at=now, what="account map", by=by, detail=what))
    await ports.queues.send(Queue.MOVES, MoveMessage(connection=change.connection, source=change.source))


async def move_shares(ports: Ports, message: MoveMessage) -> None:
    """Bring a source identity's shares forward on their way.

    What is not there yet waits: for the grant that lets the old one go, and in any case for the reconciler.
    """
    entry = await ports.account_maps.find(message.connection, message.source)
    connection = await connection_for(ports, message.connection, message.source)
    if entry is None or not entry.moving_from or connection is None:
        return
    left = []
    for partition in entry.moving_from:
        if partition == entry.key:  # the map leads back here, or excludes the person: nobody to take it to
            await _decide_here(ports, entry)
            continue
        for share in await _shares_to_move(ports, partition, entry):
            await _adopt(ports, entry, partition, share)
            if not await _give_up(ports, entry, partition, share.id):
                left.append(partition)
    remaining = tuple(dict.fromkeys(left))
    if remaining != entry.moving_from:
        await ports.account_maps.put(entry.model_copy(update={"moving_from": remaining}))


async def find_strays(ports: Ports, book: Book) -> None:
    """Begin to move shares that came into a partition while the map was changed, so that the move missed them."""
    key = book.guest.key
    sources = {
        (share.connection, address)
        for share in book.shares.values()
        if share.ruling is not Reason.MOVED and not share.moved_to and (address := source_address(share))
    }
    for connection, source in sorted(sources):
        entry = await ports.account_maps.find(connection, source)
        if entry is not None and entry.key != key and key not in entry.moving_from:
            await ports.account_maps.put(entry.model_copy(update={"moving_from": (*entry.moving_from, key)}))
            await ports.queues.send(Queue.MOVES, MoveMessage(connection=connection, source=source))


def _concerns(share: Share, entry: Mapped) -> bool:
    return share.connection == entry.connection and not share.moved_to and source_address(share) == entry.source


async def _shares_to_move(ports: Ports, partition: str, entry: Mapped) -> list[Share]:
    book = await ports.ledger.read(partition, None)
    return [share for share in book.shares.values() if _concerns(share, entry) and share.ruling is not Reason.MOVED]


async def _adopt(ports: Ports, entry: Mapped, partition: str, old: Share) -> None:
    """Take a share in where the map leads now, with all that is known of it. It goes through that person's gate."""
    connection = await connection_for(ports, entry.connection, entry.source)
    if connection is None:
        return
    source = await ports.ledger.read(partition, None)
    pointers = {name: row for name, row in source.shares.items() if row.moved_to == old.id}

    async def step(book: Book) -> Draft | None:
        now = ports.clock.now()
        known = book.shares.get(old.id)
        share = (known or Share(id=old.id, connection=old.connection, ruling=old.ruling)).absorb(old)
        if known is not None and share == known and known.moved_from == partition:
            return None
        ruling = None if share.ruling is Reason.MOVED else share.ruling
        share = share.model_copy(update={"ruling": ruling, "moved_from": partition})
        return await _taken_in(ports, book, {**pointers, old.id: share}, entry, now, "moved here")

    await transact(ports, entry.key, [old.id, *pointers], step)


async def _decide_here(ports: Ports, entry: Mapped) -> None:
    """Decide again what lies where the map leads already, a share at a time; nothing there is given up any more."""
    for name, known in (await ports.ledger.read(entry.key, None)).shares.items():
        if not _concerns(known, entry):
            continue

        async def step(book: Book, name: str = name) -> Draft | None:
            share = book.shares[name]
            row = share.model_copy(update={"ruling": None}) if share.ruling is Reason.MOVED else share
            draft = await _taken_in(ports, book, {name: row}, entry, ports.clock.now(), "decided again")
            return None if draft is None or draft.shares[name] == share else draft

        await transact(ports, entry.key, [name], step)


async def _taken_in(
    ports: Ports, book: Book, rows: dict[str, Share], entry: Mapped, now: datetime, what: str
) -> Draft | None:
    connection = await connection_for(ports, entry.connection, entry.source)
    if connection is None:
        return None
    changed: dict[str, Share | None] = {
        name: row if row.moved_to else row.model_copy(update={"verdict": assess_share(row, connection, now)})
        for name, row in rows.items()
    }
    (share,) = [row for row in changed.values() if row is not None and not row.moved_to]
    event = next(iter(share.live_claims), next(iter(share.claims.values())))
    address, _ = person_of(event, connection)
    guest = await admit(ports, book, changed, event, connection, address, now)
    reason = explain(share, guest)
    effects: list[Effect] = [Record(partition=entry.key, at=now, what=what, share=share.id, reason=reason)]
    if reason in (Reason.GRANT, Reason.REVOCATION):
        effects.append(Send(queue=Queue.GRANTS, body=GrantMessage(guest=entry.key, shares=(share.id,))))
    if guest.state is GuestState.APPROVED and book.guest.state is not GuestState.APPROVED:
        effects.append(Send(queue=Queue.INVITATIONS, body=InvitationMessage(guest=entry.key)))
    return Draft(guest, changed, effects=effects)


async def _give_up(ports: Ports, entry: Mapped, partition: str, name: str) -> bool:
    """Take a share back from the old account once the new one has come to rest; False while it has not.

    Two addresses can be one account: then the grants are handed over as they are, because to take them back would take
    them from the new account too.
    """
    new = await ports.ledger.read(entry.key, None)
    if explain(new.shares[name], new.guest).state not in _SETTLED:
        return False
    old = await ports.ledger.read(partition, None)
    same = _same_account(new.guest, old.guest)
    if same:
        await _hand_over(ports, entry.key, old, name)

    async def leave(book: Book) -> Draft | None:
        share, now = book.shares.get(name), ports.clock.now()
        if share is None or share.ruling is Reason.MOVED:
            return None
        connection = await connection_for(ports, entry.connection, entry.source)
        row = share.model_copy(update={"ruling": Reason.MOVED})
        if connection is not None:
            row = row.model_copy(update={"verdict": assess_share(row, connection, now)})
        wanting = book.guest.wanting - (share.access is not None) + (row.access is not None)
        guest = book.guest.model_copy(update={"wanting": wanting})
        grants: dict[str, None] = {}
        if same:
            row = row.model_copy(update={"settlement": None})
            grants = dict.fromkeys(_unwanted(book, row))
        guest = guest.withdraw(now) if wanting == 0 else guest
        reason = explain(row, guest)
        effects: list[Effect] = [Record(partition=partition, at=now, what="moved away", share=name, reason=reason)]
        if reason is Reason.REVOCATION:
            effects.append(Send(queue=Queue.GRANTS, body=GrantMessage(guest=partition, shares=(name,))))
        return Draft(guest, {name: row}, grants, effects)

    await transact(ports, partition, None, leave)

    async def arrive(book: Book) -> Draft | None:
        share = book.shares[name]
        return Draft(book.guest, {name: share.model_copy(update={"moved_from": None})}) if share.moved_from else None

    await transact(ports, entry.key, [name], arrive)
    return True


def _same_account(one: Guest, other: Guest) -> bool:
    return one.account is not None and other.account is not None and one.account.object_id == other.account.object_id


def _unwanted(book: Book, given_up: Share) -> list[str]:
    """Return the grants that no other share of the old account wants."""
    shares = [share for share in book.shares.values() if share.id != given_up.id]
    return [
        name
        for name, grant in book.grants.items()
        if wanted_role(shares, book.guest, grant.place, link=grant.link) is None
    ]


async def _hand_over(ports: Ports, key: str, old: Book, name: str) -> None:
    grants = {ident: old.grants[ident] for ident in _unwanted(old, old.shares[name])}

    async def step(book: Book) -> Draft | None:
        missing = {ident: grant for ident, grant in grants.items() if ident not in book.grants}
        return Draft(book.guest, grants=missing) if missing else None

    await transact(ports, key, None, step)
