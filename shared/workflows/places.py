"""Bring what one guest has at each place of the destination in line with what their shares want, and read it back.

The comparison is of three: what the shares want, what the ledger says is ours, and what SharePoint really shows. So a
gift, a role change and a removal are the same work, in any order, any number of times.

SharePoint ends inheritance at the first permission written on an item and copies what was inherited. So a role on a
folder is also given at, and taken from, the items beneath it where Guestpass ended inheritance (table `scopes`).
"""

from collections.abc import Iterable, Sequence

from shared.domain.decision import wanted
from shared.domain.grants import Permission, Scope, Step, plan
from shared.domain.messages import GRANTS_PER_MESSAGE
from shared.domain.platforms import Role
from shared.domain.reasons import Reason
from shared.domain.shares import Access, Share
from shared.domain.trouble import LaterError, RefusedError
from shared.workflows.links import settle_link
from shared.workflows.work import Place, Work, change_scope, declare, note_copies

# Places worked on in one run, so that it ends well within the function's time; the rest follows in the next run.
_PLACES_PER_RUN = 25
# As many as fit, with their grants, into one transaction.
_SHARES_PER_RUN = 2 * GRANTS_PER_MESSAGE


def lives_on_others(share: Share) -> bool:
    """Tell whether the share's access comes from elsewhere, so that it is looked at again when somebody asks."""
    return share.settlement is not None and share.settlement.reason is Reason.ALREADY_HAD_ACCESS


async def bring_in_line(work: Work, shares: list[Share]) -> None:
    """Work on every place that the shares concern.

    The deepest first: an item beneath has its own access before the folder above loses it. A place that fails leaves
    the others alone, except that LaterError is raised when Microsoft asks for a pause.

    Afterwards everything beneath is looked at once more: another guest's run may have ended inheritance there
    meanwhile. That run wrote the scope down first, so either it is seen here, or it copied what stands since.
    """
    places = await _places(work, shares)
    await _pass_over(work, places)
    if not work.left:
        await _pass_over(work, await _beneath(work, places))


async def _pass_over(work: Work, places: set[Place]) -> None:
    """Bring places in line, as many as one run and the budget allow; the rest is left for the next run."""
    ordered = sorted(places, key=lambda p: (p.at.path.rstrip("/").count("/"), p.at.path, p.link), reverse=True)
    now = ordered[:_PLACES_PER_RUN]
    giving = [place for place in now if work.want(place)]  # taking back is not held up by the budget
    short = len(giving) - work.slots
    if short > 0:
        work.pause = await work.ports.pacer.delay(short)
    if work.pause:
        now = [place for place in now if place not in giving[work.slots :]]
        work.slots_ahead = short
    work.slots = max(0, -short)
    work.left += [place for place in ordered if place not in now]
    for place in now:
        work.results[place] = await _settle_place(work, place)


async def _settle_place(work: Work, place: Place) -> Reason | LaterError | RefusedError:
    """Bring one place in line; return what came of it. Raises LaterError when Microsoft asks for a pause."""
    try:
        return await (settle_link if place.link else _settle_direct)(work, place)
    except (LaterError, RefusedError) as trouble:
        if isinstance(trouble, LaterError) and trouble.after is not None:
            raise
        if trouble.reason is Reason.DESTINATION_ITEM and work.want(place) is None:
            work.drop(place)  # the item is gone, and its permissions with it
            return Reason.REMOVED_AT_SOURCE
        return trouble


async def _places(work: Work, shares: list[Share]) -> set[Place]:
    """Return where something may have to change: the items shared, our grants that no longer fit, what lies beneath.

    Adds to `shares` those that are concerned as well: they lie beneath a place that loses its grant.
    """
    places: set[Place] = set()
    for share in shares:
        access = wanted(share, work.book.guest)
        if access is not None:
            places |= await _place_of(work, share, access)
    items = {(place.item_id, place.link) for place in places}
    for grant in work.book.grants.values():
        place = Place(grant.item_id, grant.place, grant.link)
        if place not in places and (grant.item_id, grant.link) in items:
            continue  # the item was renamed or moved: this is the grant of its new place
        if work.want(place) is not grant.role or grant.permission_id is None:
            places.add(place)
    for above in [place for place in places if work.leaves(place)]:
        for share in living_on(work, above, shares)[: max(0, _SHARES_PER_RUN - len(shares))]:
            shares.append(share)
            if share.access is not None:
                places |= await _place_of(work, share, share.access)
    return places | await _beneath(work, places)


async def _beneath(work: Work, places: Iterable[Place]) -> set[Place]:
    """Return the items beneath where we ended inheritance and where the guest lacks something, or may have too much."""
    ours = [grant for grant in (*work.book.grants.values(), *work.grants.values()) if grant and not grant.link]
    ids = {grant.permission_id for grant in ours}
    found: set[Place] = set()
    for place in places:
        for scope in await work.ports.scopes.beneath(place.at):
            beneath = Place(scope.item_id, scope.place, place.link)
            if not scope.ended_here or work.grant_at(beneath) is not None:
                continue
            if place.link:
                too_much = any(link.concerns(work.object_id) for link in scope.links.values())
            else:
                too_much = None in ids or scope.own_before is not None or not ids.isdisjoint(scope.copied)
            if work.want(beneath) or too_much:
                found.add(beneath)
    return found


def living_on(work: Work, above: Place, besides: Sequence[Share]) -> list[Share]:
    """Return the shares beneath a place that have no grant of their own: until now they had what was inherited."""
    return [
        share
        for share in work.shares
        if (access := wanted(share, work.book.guest)) is not None
        and share not in besides
        and above.at.covers(access.destination)
        and lives_on_others(share)
    ]


async def _place_of(work: Work, share: Share, access: Access) -> set[Place]:
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
    return {Place(item_id, access.destination, access.link)}


async def _settle_direct(work: Work, place: Place) -> Reason:
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
            await declare(work, place, want, present)
            await _grant(work, place, want)
        case Step.CHANGE, Role(), Permission():
            await declare(work, place, want, present)
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
    await note_copies(work, place, present)
    own = next((p for p in present if p.mine and not p.inherited), None)
    if want is None:
        if own is not None and step is Step.REMOVE:
            return Reason.READ_BACK
        if entry is not None and scope is not None:
            await change_scope(work, place, lambda s: s.without_copy(entry.id))
        work.drop(place)
        return Reason.REMOVED_AT_SOURCE
    if own is None or own.role is not want:
        return Reason.READ_BACK
    work.keep(place, want, own)
    return Reason.GRANTED


async def _grant(work: Work, place: Place, role: Role) -> None:
    """Give a role; after a refusal that left nothing there, what appears later is somebody else's."""
    sites, drive = work.ports.sites, place.at.drive
    try:
        await sites.grant(drive, place.item_id, work.object_id, role)
    except RefusedError:
        present = await sites.permissions(drive, place.item_id, work.object_id)
        if not any(p.mine and not p.inherited for p in present):
            work.drop(place)
        raise


def _leaves_above(work: Work, place: Place, inherited: Permission) -> bool:
    """Tell whether an inherited entry is a grant of ours that this run takes back on a folder above."""
    return any(
        grant.place.covers(place.at)
        and grant.permission_id == inherited.id
        and work.leaves(Place(grant.item_id, grant.place, grant.link))
        for grant in work.book.grants.values()
    )


def _is_copy_of_ours(work: Work, place: Place, scope: Scope | None, present: Sequence[Permission]) -> bool:
    """Tell whether the guest's entry is the copy of a grant of ours on a folder above, made when inheritance ended.

    A person's direct entry has the same id on every item (it is made of the login name), so the copy is recognised.
    """
    own = next((p for p in present if p.mine and not p.inherited), None)
    if own is None or scope is None or not scope.holds_copy(own.id):
        return False
    return any(not g.link and g.place.covers(place.at) and g.permission_id == own.id for g in work.book.grants.values())
