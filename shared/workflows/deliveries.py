"""A delivery: accepted at the door, read into share events behind it."""

from collections.abc import AsyncIterator, Mapping

from shared.domain.addresses import digest
from shared.domain.connections import Connection
from shared.domain.events import Change, PrincipalKind, ShareEvent
from shared.domain.messages import DeliveryMessage, ListEntry, Queue, Record
from shared.domain.reasons import Reason
from shared.domain.trouble import RejectedError, UnreadableError
from shared.workflows.ports import Ports

# No documented webhook of a share comes near this; Box and Graph send a few kilobytes.
BODY_LIMIT = 1024 * 1024
# A storage queue message holds 48 KiB before base64, and JSON can make six characters of one.
_MESSAGE_LIMIT = 7 * 1024


async def accept_delivery(ports: Ports, connection_id: str, headers: Mapping[str, str], body: bytes) -> None:
    """Authenticate a webhook POST and put it on the queue. Never waits for the platform.

    Raises RejectedError with the status to answer: 404 unknown connection, 413 too large, 401 not authentic,
    400 not readable as what the platform sends.
    """
    source = ports.sources.get(connection_id)
    if source is None:
        raise RejectedError(404, "connection-unknown", "There is no connection of this name.")
    if len(body) > BODY_LIMIT:
        raise RejectedError(413, "body-too-large", f"The body is larger than {BODY_LIMIT} bytes.")
    now = ports.clock.now()
    delivery_id = source.authenticate(headers, body, now)
    message = DeliveryMessage(connection=connection_id, id=delivery_id, received_at=now)
    if len(body) <= _MESSAGE_LIMIT:
        message = message.model_copy(update={"body": body.decode()})
    else:
        name = digest(connection_id, delivery_id)
        await ports.bodies.put(name, body)
        message = message.model_copy(update={"blob": name})
    await ports.queues.send(Queue.DELIVERIES, message)


async def read_delivery(ports: Ports, message: DeliveryMessage) -> None:
    """Turn a delivery into share events on their queue. What cannot be read is recorded, not dropped.

    May raise LaterError when the platform has to be asked and does not answer.
    """
    if message.body is not None:
        body: bytes | None = message.body.encode()
    else:
        body = await ports.bodies.get(message.blob or "")
    if body is None:  # the delivery was read before and its blob removed; this is a repeat
        return
    connection, source = ports.connections[message.connection], ports.sources[message.connection]
    try:
        events = source.read(body)
    except UnreadableError as error:
        await record_unreadable(ports, message, error.detail)
        return
    for event in events:
        for complete in await source.enrich(event):
            async for final in _through_memory(ports, connection, complete):
                await ports.queues.send(Queue.SHARE_EVENTS, final)
    if message.blob:
        await ports.bodies.delete(message.blob)


async def record_unreadable(ports: Ports, message: DeliveryMessage, detail: str) -> None:
    """Record a delivery that could not be read, under its connection, and list it for an administrator."""
    record = Record(
        partition=f"connection:{message.connection}",
        at=message.received_at,
        what="delivery",
        reason=Reason.UNREADABLE,
        event=message.id,
        detail=detail,
    )
    await ports.history.append(record)
    await ports.worklist.put(
        ListEntry(
            list="unreadable",
            key=digest(message.connection, message.id),
            at=message.received_at,
            guest=record.partition,
            note=detail,
        )
    )


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
    elif event.principal.kind is PrincipalKind.PERSON:
        await ports.references.remember(connection.id, event.reference, event.principal, event.item)
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
