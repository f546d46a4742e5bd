"""A delivery: accepted at the door, read into share events behind it."""

from collections.abc import Mapping

from shared.domain.addresses import digest
from shared.domain.messages import DeliveryMessage, ListEntry, Queue, Record
from shared.domain.reasons import Reason
from shared.domain.sources import Hint
from shared.domain.trouble import RejectedError, UnreadableError
from shared.workflows.facts import tell
from shared.workflows.feeds import follow
from shared.workflows.ports import Ports, Source

# No documented webhook of a share comes near this; Box and Graph send a few kilobytes.
BODY_LIMIT = 1024 * 1024
# A storage queue message holds 48 KiB before base64, and JSON can make six characters of one.
_MESSAGE_LIMIT = 7 * 1024


async def accept_delivery(ports: Ports, connection_id: str, headers: Mapping[str, str], body: bytes) -> int:
    """Authenticate a webhook POST and put it on the queue; return the status to answer. Never waits for the platform.

    Raises RejectedError with the status to answer: 404 unknown connection, 413 too large, 401 not authentic,
    400 not readable as what the platform sends.
    """
    source = _source(ports, connection_id)
    if len(body) > BODY_LIMIT:
        raise RejectedError(413, "body-too-large", f"The body is larger than {BODY_LIMIT} bytes.")
    now = ports.clock.now()
    delivery = source.authenticate(headers, body, now)
    message = DeliveryMessage(connection=connection_id, id=delivery.id, received_at=now)
    if len(delivery.body) <= _MESSAGE_LIMIT:
        message = message.model_copy(update={"body": delivery.body.decode()})
    else:
        name = digest(connection_id, delivery.id)
        await ports.bodies.put(name, delivery.body)
        message = message.model_copy(update={"blob": name})
    await ports.queues.send(Queue.DELIVERIES, message)
    return delivery.status


def answer_handshake(ports: Ports, connection_id: str, query: Mapping[str, str]) -> str | None:
    """Return what proves to a platform that the address is ours; None when the request does not ask for that.

    Raises RejectedError: 404 unknown connection, 400 a hostile question.
    """
    return _source(ports, connection_id).answer_handshake(query)


def _source(ports: Ports, connection_id: str) -> Source:
    source = ports.sources.get(connection_id)
    if source is None:
        raise RejectedError(404, "connection-unknown", "There is no connection of this name.")
    return source


async def read_delivery(ports: Ports, message: DeliveryMessage) -> None:
    """Turn a delivery into share events on their queue, or look where it hints. What cannot be read is recorded.

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
        found = source.read(body)
    except UnreadableError as error:
        await record_unreadable(ports, message, error.detail)
        return
    for hint in (one for one in found if isinstance(one, Hint)):
        await follow(ports, connection, hint)
    told = [one for one in found if not isinstance(one, Hint)]
    await tell(ports, connection, told, heard_at=message.received_at)
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
