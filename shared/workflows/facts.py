"""What a platform told, or showed when it was asked, becomes share events on their queue.

Every fact is also kept in table `permissions`: what a platform shows later is compared with it, so that what it never
told (a lost notification, a change that it tells nobody) is found, and what was taken back is taken back.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime

from shared import telemetry
from shared.domain.addresses import digest
from shared.domain.connections import Connection
from shared.domain.events import Change, PrincipalKind, ShareEvent
from shared.domain.messages import Queue
from shared.domain.sources import PermissionSet
from shared.workflows.ports import Ports


@dataclass(frozen=True)
class Shown:
    """What came of a permission set: facts that were sent on, and facts about internal people, which are left out."""

    sent: int
    internal: int


async def tell(
    ports: Ports,
    connection: Connection,
    told: Iterable[ShareEvent],
    *,
    batch: str | None = None,
    heard_at: datetime | None = None,
) -> int:
    """Complete what a platform told, and send it on; return how many events that were. May raise LaterError.

    `heard_at`: when the platform told it; default: now.
    """
    sent = 0
    for event in told:
        for complete in await ports.sources[connection.id].enrich(event):
            async for final in _through_memory(ports, connection, complete):
                await _send(ports, connection, final, batch, heard_at)
                sent += 1
    return sent


async def show(
    ports: Ports, connection: Connection, seen: PermissionSet, *, every: bool, batch: str | None = None
) -> Shown:
    """Compare an item's permissions with what is known of them, and send on the difference.

    `every`: also what is known already is sent, so that a scan repairs whatever went wrong behind this point.
    A known permission that is not there any more is lost, unless it is newer than this reading.
    """
    external = [fact for fact in seen.facts if not _is_internal(fact, connection)]
    present = {fact.permission: fact for fact in external}
    known = await ports.permissions.known(connection.id, seen.item.id)
    sent = 0
    for permission, fact in present.items():
        if every or permission not in known or _differs(fact, known[permission]):
            await _remember(ports, connection, fact)
            await _send(ports, connection, fact.model_copy(update={"observed": True}), batch)
            sent += 1
    for permission, fact in known.items():
        if permission not in present and fact.at < seen.at:
            await _send(ports, connection, _lost(fact, seen), batch)
            sent += 1
    await ports.permissions.mark_read(connection.id, seen.item, seen.at)
    return Shown(sent, len(seen.facts) - len(external))


def _differs(fact: ShareEvent, known: ShareEvent) -> bool:
    return not fact.says_the_same_as(known) or fact.item != known.item


def _is_internal(fact: ShareEvent, connection: Connection) -> bool:
    address = fact.principal.address
    return fact.principal.kind is PrincipalKind.PERSON and address is not None and connection.is_internal(address)


def _lost(fact: ShareEvent, seen: PermissionSet) -> ShareEvent:
    name = digest(fact.connection, seen.item.id, fact.permission, seen.at.isoformat())
    return fact.model_copy(
        update={"id": f"gone:{name}", "change": Change.LOST, "at": seen.at, "item": seen.item, "observed": False}
    )


async def _send(
    ports: Ports, connection: Connection, event: ShareEvent, batch: str | None, heard_at: datetime | None = None
) -> None:
    came = {"batch": batch, "heard_at": heard_at or ports.clock.now(), "trace": telemetry.current()}
    await ports.queues.send(Queue.SHARE_EVENTS, event.model_copy(update=came))
    if event.item is not None and not _is_internal(event, connection):
        await ports.permissions.note(event)


async def _remember(ports: Ports, connection: Connection, fact: ShareEvent) -> None:
    if fact.reference is not None and fact.principal.kind is PrincipalKind.PERSON:
        await ports.references.remember(connection.id, fact.reference, fact.principal, fact.item)


async def _through_memory(ports: Ports, connection: Connection, event: ShareEvent) -> AsyncIterator[ShareEvent]:
    """Complete an event from what the platform's reference stood for, and remember what it stands for.

    Platforms forget a permission once it is removed: the notice may name neither the item nor the members of the
    group. Whichever of the two notices comes first writes before it reads, so that one of them sees the other: a
    removal that overtakes its gift wins for every member of a group, also when the gift is read later.
    """
    if event.reference is None:
        yield event
        return
    lost = event.change is Change.LOST
    if lost:
        await ports.references.end(connection.id, event.reference, event.at)
    else:
        await _remember(ports, connection, event)
    known, ended = await ports.references.recall(connection.id, event.reference)
    item = event.item or next((item for _, item in known if item), None)
    event = event.model_copy(update={"item": item})
    nameless = event.principal.kind is PrincipalKind.GROUP or not (event.principal.address or event.principal.source_id)
    if lost and nameless and known:
        for principal, known_item in known:
            yield event.model_copy(
                update={
                    "id": f"{event.id}:{digest(principal.address or principal.source_id or '')}",
                    "principal": principal,
                    "item": item or known_item,
                }
            )
        return
    yield event
    if not lost and ended is not None and ended >= event.at:
        yield event.model_copy(update={"id": f"{event.id}:ended", "change": Change.LOST, "at": ended})
