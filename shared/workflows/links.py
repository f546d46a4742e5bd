"""Bring a guest's membership of our sharing links on one item in line and read it back."""

from collections.abc import Callable

from shared.domain.grants import Link, Permission, Scope
from shared.domain.platforms import Role
from shared.domain.reasons import Reason
from shared.workflows.work import Place, Work, change_scope, declare, note_copies


async def settle_link(work: Work, place: Place) -> Reason:
    """Bring the guest's membership of our links on one item in line and read it back."""
    want = work.want(place)
    scope, _ = await work.ports.scopes.get(place.at.drive, place.item_id)
    for role, link in (scope.links if scope else {}).items():
        if role is not want and link.concerns(work.object_id) and await _align_link(work, place, role) is None:
            return Reason.READ_BACK
    if want is None:
        work.drop(place)
        return Reason.REMOVED_AT_SOURCE
    present = await work.ports.sites.permissions(place.at.drive, place.item_id, work.object_id)
    await declare(work, place, want, present)
    entry = await _align_link(work, place, want)
    await note_copies(work, place, await work.ports.sites.permissions(place.at.drive, place.item_id, work.object_id))
    if entry is None or work.object_id not in entry.members:
        return Reason.READ_BACK
    work.keep(place, want, entry)
    return Reason.GRANTED_LINK


async def _align_link(work: Work, place: Place, role: Role) -> Permission | None:
    """Make our link of this role hold exactly the people that it should; return it as read back.

    The guest of this run is in it or not as their shares want. None when it does not show as it should yet.
    """
    sites, drive, guest = work.ports.sites, place.at.drive, work.object_id
    member = work.want(place) is role

    def as_wanted(known: Link) -> Link:
        return known.let_in([guest]) if member else known.take_out(guest)

    link = await _change_link(work, place, role, as_wanted)
    entry = await _our_link(work, place, link)
    removed = entry is None and link.id is not None  # by a run that died, or by somebody else
    if link.id is not None and (removed or (entry is not None and set(entry.members) - set(link.members))):
        await _take_copies_of(work, place, link, role)
        if entry is not None:
            await sites.remove(drive, place.item_id, link.id)
            await _take_copies_of(work, place, link, role)
        link = await _change_link(work, place, role, lambda known: as_wanted(known).model_copy(update={"id": None}))
        entry = None
    missing = sorted(set(link.members) - set(entry.members if entry else ()))
    if missing:
        made = await sites.link(drive, place.item_id, missing, role)
        link = await _change_link(work, place, role, lambda known: as_wanted(known).model_copy(update={"id": made}))
    entry = await _our_link(work, place, link)
    if set(entry.members if entry else ()) != set(link.members):
        return None
    await _change_link(work, place, role, lambda known: known.left(work.object_id))
    return entry or Permission(id="", role=role, inherited=False, link=True)


async def _our_link(work: Work, place: Place, link: Link) -> Permission | None:
    present = await work.ports.sites.permissions(place.at.drive, place.item_id, work.object_id)
    return next((p for p in present if p.link and not p.inherited and p.id == link.id), None)


async def _take_copies_of(work: Work, place: Place, link: Link, role: Role) -> None:
    """Take a link that is about to end from the items beneath which copied it when inheritance ended there.

    Whoever should stay in the link gets one of that item's own. Done before the link is removed and once more after
    it: inheritance may end somewhere in between.
    """
    for scope in await work.ports.scopes.beneath(place.at):
        beneath = Place(scope.item_id, scope.place, link=True)
        copy = await _our_link(work, beneath, link)
        if copy is None:
            continue
        await work.ports.sites.remove(place.at.drive, scope.item_id, copy.id)
        if not link.members:
            continue
        made = await work.ports.sites.link(place.at.drive, scope.item_id, link.members, role)

        def keep(known: Scope, made: str = made) -> Scope:
            renewed = known.links.get(role, Link()).let_in(link.members).model_copy(update={"id": made})
            return known.model_copy(update={"links": {**known.links, role: renewed}})

        await change_scope(work, beneath, keep)


async def _change_link(work: Work, place: Place, role: Role, change: Callable[[Link], Link]) -> Link:
    """Write down who should be in our link of this role, or which link it is."""

    def changed(scope: Scope) -> Scope:
        return scope.model_copy(update={"links": {**scope.links, role: change(scope.links.get(role, Link()))}})

    return (await change_scope(work, place, changed)).links[role]
