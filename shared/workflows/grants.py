"""Accept, grant, read back, record: bring what a guest has at the destination in line with their shares.

The work is level-triggered: it compares what the shares want with what the ledger says is ours and what SharePoint
really shows, and does the difference. A gift, a role change and a removal are the same work, in any order.

SharePoint ends inheritance at the first permission written on an item and copies what was inherited. So a role on a
folder is also given at, and taken from, the items beneath it where Guestpass ended inheritance (table `scopes`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.connections import Destination
from shared.domain.decision import assess_share, explain, wanted, wanted_role
from shared.domain.grants import Grant, Link, Permission, Scope, Step, grant_id, plan
from shared.domain.guests import Guest
from shared.domain.ledger import Book
from shared.domain.messages import GRANTS_PER_MESSAGE, GrantMessage, Queue, Record, Send
from shared.domain.platforms import Role
from shared.domain.reasons import Reason
from shared.domain.shares import Access, Settlement, Share
from shared.domain.trouble import ConflictError, LaterError, RefusedError
from shared.workflows.ports import Ports
from shared.workflows.transaction import Draft, open_book, transact

# Graph has answered 200 without effect (msgraph-sdk-dotnet#1137): look again this often before asking for help.
_FRUITLESS_TRIES = 5


@dataclass(frozen=True)
class _Place:
    """Where one guest's permission is to be brought in line."""

    item_id: str
    at: Destination
    link: bool


@dataclass
class _Work:
    """One run for one guest: what was found, and what has come of it so far."""

    ports: Ports
    book: Book
    object_id: str
    grants: dict[str, Grant | None] = field(default_factory=dict)
    item_ids: dict[str, str] = field(default_factory=dict)
    results: dict[_Place, Reason | LaterError | RefusedError] = field(default_factory=dict)
    unresolved: dict[str, LaterError | RefusedError] = field(default_factory=dict)

    @property
    def shares(self) -> list[Share]:
        """All shares of the guest."""
        return list(self.book.shares.values())

    def want(self, place: _Place) -> Role | None:
        """The role that all shares together give at a place."""
        return wanted_role(self.shares, self.book.guest, place.at, link=place.link)

    def grant_at(self, place: _Place) -> Grant | None:
        """Our grant at a place, as of now."""
        name = grant_id(place.at.drive, place.item_id, link=place.link)
        return self.grants[name] if name in self.grants else self.book.grants.get(name)

    def leaves(self, place: _Place) -> bool:
        """Tell whether this run takes back or narrows what is ours at a place."""
        grant, want = self.grant_at(place), self.want(place)
        return grant is not None and (want is None or want.width < grant.role.width)

    def keep(self, place: _Place, role: Role, permission: Permission) -> None:
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

    def drop(self, place: _Place) -> None:
        """Note that nothing of ours is left at a place."""
        self.grants[grant_id(place.at.drive, place.item_id, link=place.link)] = None


async def settle_access(ports: Ports, message: GrantMessage) -> None:
    """Bring the named shares' access in line, or find out which of the guest's shares need it.

    Waiting (throttling, replication, an item not there yet) is put into the queue with a delay and uses up no
    delivery. May raise LaterError before anything was begun.
    """
    if not message.shares:
        await _fan_out(ports, message.guest)
        return
    if not message.paced and (delay := await ports.pacer.delay(len(message.shares))):
        await ports.queues.send(Queue.GRANTS, message.model_copy(update={"paced": True}), delay=delay)
        return
    chosen = await _begin(ports, message)
    if not chosen:
        return
    book = await ports.ledger.read(message.guest, None)
    account = book.guest.account
    work = _Work(ports, book, account.object_id if account else "")
    shares = [book.shares[name] for name in chosen]
    try:
        await _do(work, shares)
    except LaterError as later:
        await _finish(work, shares, stopped=later)
    else:
        await _finish(work, shares)


async def _fan_out(ports: Ports, key: str) -> None:
    """Send one message for every 20 shares that wait for work; the queue spreads them over time."""
    book, now = await open_book(ports, key, None), ports.clock.now()
    names = [share.id for share in book.shares.values() if is_due(share, book.guest, now)]
    for start in range(0, len(names), GRANTS_PER_MESSAGE):
        part = tuple(names[start : start + GRANTS_PER_MESSAGE])
        await ports.queues.send(Queue.GRANTS, GrantMessage(guest=key, shares=part))


def is_due(share: Share, guest: Guest, now: datetime) -> bool:
    """Tell whether there is work on a share: access to give or to take back, or a try whose time has come."""
    if share.moved_to:
        return False
    if explain(share, guest) in (Reason.GRANT, Reason.REVOCATION):
        return True
    settled = share.settlement
    return (
        settled is not None
        and settled.retry_at is not None
        and settled.retry_at <= now
        and settled.access == wanted(share, guest)
    )


async def _begin(ports: Ports, message: GrantMessage) -> list[str]:
    """Take the guest for this run: one at a time, so that no grant can overtake a revocation.

    Returns the ids of the shares to work on; none when there is nothing to do. Raises LaterError while another run is
    busy; a run that died is waited for until its function would have been ended anyway.
    """
    chosen: list[str] = []

    async def step(book: Book) -> Draft | None:
        guest, now = book.guest, ports.clock.now()
        chosen.clear()
        refreshed = {
            share.id: share.model_copy(
                update={"verdict": assess_share(share, ports.connections[share.connection], now)}
            )
            for share in book.shares.values()
            if share.id in message.shares and not share.moved_to
        }
        due = [share.id for share in refreshed.values() if is_due(share, guest, now)]
        if not due:
            return None
        if guest.busy_until is not None and guest.busy_until > now:
            raise LaterError(Reason.GRANT, min(guest.busy_until - now, ports.timing.retry))
        chosen.extend(due)
        asked = sum(1 for name in refreshed if book.shares[name].access is not None)
        asking = sum(1 for share in refreshed.values() if share.access is not None)
        guest = guest.model_copy(
            update={"busy_until": now + ports.timing.busy, "wanting": guest.wanting + asking - asked}
        )
        return Draft(guest, refreshed)

    await transact(ports, message.guest, None, step)
    return chosen


async def _do(work: _Work, shares: list[Share]) -> None:
    """Work on every place that the shares concern.

    The deepest first: an item beneath has its own access before the folder above loses it. A place that fails leaves
    the others alone, except that LaterError is raised when Microsoft asks for a pause.
    """
    places = await _places(work, shares)
    for place in sorted(places, key=lambda p: (p.at.path.rstrip("/").count("/"), p.at.path, p.link), reverse=True):
        try:
            work.results[place] = await (_settle_link if place.link else _settle_direct)(work, place)
        except (LaterError, RefusedError) as trouble:
            if isinstance(trouble, LaterError) and trouble.after is not None:
                raise
            work.results[place] = trouble


async def _places(work: _Work, shares: list[Share]) -> set[_Place]:
    """Return where something may have to change: the items shared, our grants that no longer fit, what lies beneath.

    Adds to `shares` those that are concerned as well: they lie beneath a place that loses its grant.
    """
    places: set[_Place] = set()
    for share in shares:
        access = wanted(share, work.book.guest)
        if access is not None:
            places |= await _place_of(work, share, access)
    for grant in work.book.grants.values():
        place = _Place(grant.item_id, grant.place, grant.link)
        if work.want(place) is not grant.role or grant.permission_id is None:
            places.add(place)
    for above in [place for place in places if not place.link]:
        for scope in await work.ports.scopes.beneath(above.at):
            places.add(_Place(scope.item_id, scope.place, link=False))
        if not work.leaves(above):
            continue
        for share in work.shares:
            access = wanted(share, work.book.guest)
            if access is not None and share not in shares and above.at.covers(access.destination):
                shares.append(share)  # it may have lived on what was inherited from above until now
                places |= await _place_of(work, share, access)
    return places


async def _place_of(work: _Work, share: Share, access: Access) -> set[_Place]:
    """Return the place of the shared item, or nothing while the item is not there."""
    settled = share.settlement
    same = settled is not None and settled.access is not None and settled.access.destination == access.destination
    try:
        item_id = await work.ports.sites.resolve(access.destination, share.item_id if same else None)
    except (LaterError, RefusedError) as trouble:
        if isinstance(trouble, LaterError) and trouble.after is not None:
            raise
        work.unresolved[share.id] = trouble
        return set()
    if item_id is None:
        return set()
    work.item_ids[share.id] = item_id
    return {_Place(item_id, access.destination, access.link)}


async def _settle_direct(work: _Work, place: _Place) -> Reason:
    """Bring the guest's direct role on one item in line and read it back."""
    want, sites = work.want(place), work.ports.sites
    grant = work.grant_at(place)
    present = await sites.permissions(place.at.drive, place.item_id, work.object_id)
    scope, _ = await work.ports.scopes.get(place.at.drive, place.item_id)
    copied = grant is None and _is_copy_of_ours(work, place, scope, present)
    lasting = [p for p in present if not p.inherited or not _leaves_above(work, place, p)]
    step, entry = plan(want, grant, lasting, copied=copied)
    match step, want, entry:
        case Step.GRANT, Role(), _:
            await _declare(work, place, want, present)
            await sites.grant(place.at.drive, place.item_id, work.object_id, want)
        case Step.CHANGE, Role(), Permission():
            await _declare(work, place, want, present)
            await sites.change(place.at.drive, place.item_id, entry.id, want)
        case Step.REMOVE, _, Permission():
            await sites.remove(place.at.drive, place.item_id, entry.id)
        case Step.CONFLICT, _, _:
            return Reason.EXISTING_PERMISSION
        case Step.ALREADY, _, _:
            work.drop(place)
            return Reason.ALREADY_HAD_ACCESS
    if step is not Step.NOTHING:
        present = await sites.permissions(place.at.drive, place.item_id, work.object_id)
    own = next((p for p in present if p.mine and not p.inherited), None)
    if want is None:
        if own is not None and step is Step.REMOVE:
            return Reason.READ_BACK
        work.drop(place)
        return Reason.REMOVED_AT_SOURCE
    if own is None or own.role is not want:
        return Reason.READ_BACK
    work.keep(place, want, own)
    return Reason.GRANTED


def _leaves_above(work: _Work, place: _Place, inherited: Permission) -> bool:
    """Tell whether an inherited entry is a grant of ours that this run takes back on a folder above."""
    return any(
        grant.place.covers(place.at)
        and grant.permission_id == inherited.id
        and work.leaves(_Place(grant.item_id, grant.place, grant.link))
        for grant in work.book.grants.values()
    )


def _is_copy_of_ours(work: _Work, place: _Place, scope: Scope | None, present: Sequence[Permission]) -> bool:
    """Tell whether the guest's entry is the copy of a grant of ours on a folder above, made when inheritance ended.

    A person's direct entry has the same id on every item (it is made of the login name), so the copy is recognised.
    """
    own = next((p for p in present if p.mine and not p.inherited), None)
    if own is None or scope is None or own.id not in scope.copied:
        return False
    return any(not g.link and g.place.covers(place.at) and g.permission_id == own.id for g in work.book.grants.values())


async def _declare(work: _Work, place: _Place, role: Role, present: Sequence[Permission]) -> None:
    """Write down what is about to be written: which inherited entries become copies, and that the new one is ours."""
    copies = {p.id for p in present if p.inherited}
    await _change_scope(
        work, place, lambda scope: scope.model_copy(update={"copied": tuple(sorted({*scope.copied, *copies}))})
    )
    grant = Grant(item_id=place.item_id, place=place.at, link=place.link, role=role)
    if (known := work.grant_at(place)) is not None:
        grant = grant.model_copy(update={"permission_id": known.permission_id})
    if grant == known:
        return

    async def step(book: Book) -> Draft:
        return Draft(book.guest, grants={grant.id: grant})

    await transact(work.ports, work.book.guest.key, [], step)
    work.grants[grant.id] = grant


async def _change_scope(work: _Work, place: _Place, change: Callable[[Scope], Scope]) -> Scope:
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


async def _settle_link(work: _Work, place: _Place) -> Reason:
    """Bring the guest's membership of our links on one item in line and read it back."""
    want = work.want(place)
    scope, _ = await work.ports.scopes.get(place.at.drive, place.item_id)
    for role, link in (scope.links if scope else {}).items():
        if role is not want and work.object_id in link.members and await _align_link(work, place, role) is None:
            return Reason.READ_BACK
    if want is None:
        work.drop(place)
        return Reason.REMOVED_AT_SOURCE
    present = await work.ports.sites.permissions(place.at.drive, place.item_id, work.object_id)
    await _declare(work, place, want, present)
    entry = await _align_link(work, place, want)
    if entry is None or work.object_id not in entry.members:
        return Reason.READ_BACK
    work.keep(place, want, entry)
    return Reason.GRANTED_LINK


async def _align_link(work: _Work, place: _Place, role: Role) -> Permission | None:
    """Make our link of this role hold exactly the people that it should; return it as read back.

    The guest of this run is in it or not as their shares want. None when it does not show as it should yet.
    """
    sites, drive = work.ports.sites, place.at.drive
    member = work.want(place) is role
    link = await _change_link(work, place, role, member=member)
    present = await sites.permissions(drive, place.item_id, work.object_id)
    entry = next((p for p in present if p.link and p.id == link.id), None)
    if entry is not None and set(entry.members) - set(link.members):
        await sites.remove(drive, place.item_id, entry.id)
        link = await _change_link(work, place, role, member=member, link_id="")
        entry = None
    missing = sorted(set(link.members) - set(entry.members if entry else ()))
    if missing:
        made = await sites.link(drive, place.item_id, missing, role)
        link = await _change_link(work, place, role, member=member, link_id=made)
    present = await sites.permissions(drive, place.item_id, work.object_id)
    entry = next((p for p in present if p.link and p.id == link.id), None)
    if set(entry.members if entry else ()) != set(link.members):
        return None
    return entry or Permission(id="", role=role, inherited=False, link=True)


async def _change_link(work: _Work, place: _Place, role: Role, *, member: bool, link_id: str | None = None) -> Link:
    """Write down who should be in our link of this role, and which link it is ("" for none any more)."""

    def change(scope: Scope) -> Scope:
        link = scope.links.get(role, Link())
        members = {*link.members, work.object_id} if member else {*link.members} - {work.object_id}
        link = Link(id=link.id if link_id is None else link_id or None, members=tuple(sorted(members)))
        return scope.model_copy(update={"links": {**scope.links, role: link}})

    return (await _change_scope(work, place, change)).links[role]


async def _finish(work: _Work, shares: list[Share], stopped: LaterError | None = None) -> None:
    """Record what came of it, free the guest, and put what waits into the queue for its time."""
    ports = work.ports

    async def step(book: Book) -> Draft:
        now = ports.clock.now()
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
            if explain(row, guest) is not explain(share, guest):
                draft.effects.append(_record(guest.key, row, settlement, explain(row, guest), now))
        draft.shares = rows
        for moment, names in waiting.items():
            body = GrantMessage(guest=guest.key, shares=tuple(names))
            draft.effects.append(Send(queue=Queue.GRANTS, body=body, delay=moment - now))
        return draft

    await transact(ports, work.book.guest.key, [share.id for share in shares], step)


def _settlement(work: _Work, share: Share, stopped: LaterError | None, now: datetime) -> Settlement:
    """Return what came of one share: the first trouble at any place that it concerns, else what its own item shows."""
    access = wanted(share, work.book.guest)
    before = share.settlement
    reach = [access.destination] if access else []
    if before is not None and before.access is not None:
        reach.append(before.access.destination)
    results = [result for place, result in work.results.items() if any(d.covers(place.at) for d in reach)]
    if share.id in work.unresolved:
        results.append(work.unresolved[share.id])
    later = next((r for r in results if isinstance(r, LaterError)), None)
    refusal = next((r for r in results if isinstance(r, RefusedError)), None)
    if refusal is not None:
        return Settlement(access=access, reason=refusal.reason, since=now, detail=refusal.detail)
    if stopped is not None or later is not None:
        return _put_off(work.ports, share, access, stopped or later, now)
    if Reason.READ_BACK in results:
        return _put_off(work.ports, share, access, LaterError(Reason.READ_BACK), now)
    if access is None:
        return Settlement(access=None, reason=Reason.REMOVED_AT_SOURCE, since=now)
    item_id = work.item_ids.get(share.id)
    own = work.results.get(_Place(item_id, access.destination, access.link)) if item_id else None
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
