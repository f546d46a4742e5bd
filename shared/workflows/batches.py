"""Batches: existing shares come in page by page, from a scan or from a file, and are decided like all others.

A batch goes on by messages, one a page, each with the page's number. The cursor moves only after everything on the
page is queued. A worker that dies repeats the page; a message for another page than the next one is a repeat.
"""

import asyncio
import secrets
from collections.abc import Mapping
from datetime import datetime

from shared.domain.batches import Batch, BatchKind, BatchPhase, BatchState, CheckedFile
from shared.domain.connections import Connection
from shared.domain.messages import BatchMessage, Queue
from shared.domain.platforms import RULES
from shared.domain.reasons import Reason
from shared.domain.sources import Page
from shared.domain.trouble import ConflictError, RefusedError
from shared.workflows.facts import show, tell
from shared.workflows.ports import Ports

_LOOKS_PER_PAGE = 50  # one call of the platform's API each


# The first bytes of a file hold the names of its columns; a part holds many lines, and the longest that is allowed.
_HEAD, _PART = 8 * 1024, 256 * 1024


class FaultyFileError(Exception):
    """A file has faults, and nothing of it was taken."""

    def __init__(self, checked: CheckedFile) -> None:
        """`checked` holds the faults."""
        super().__init__(f"{checked.fault_count} faults")
        self.checked = checked


async def start_scan(ports: Ports, connection: Connection, by: str) -> Batch:
    """Start a scan of everything that the account shares now, or return the one that is running.

    Raises RefusedError for a platform that cannot be asked: its shares come in by file.
    """
    if RULES[connection.platform].scan_every is None:
        raise RefusedError(Reason.SOURCE_REFUSED, f"{connection.platform.value} cannot be scanned. Upload a file.")
    async for batch in ports.batches.read():
        if batch.connection == connection.id and batch.kind is BatchKind.SCAN and batch.is_running:
            return batch
    batch = _new(ports, connection, BatchKind.SCAN, by)
    await _begin(ports, batch)
    await ports.marks.set(_scanned(connection), ports.clock.now().isoformat())
    return batch


async def take_file(
    ports: Ports, connection: Connection, kind: BatchKind, content: bytes, as_of: datetime | None, by: str
) -> Batch:
    """Check a whole file; when it has no fault, keep it and start reading it in.

    `as_of`: when the shares were seen to exist, for lines that do not say. Raises FaultyFileError.
    """
    checked = await asyncio.to_thread(ports.files.check, kind, content, as_of, ports.clock.now())
    if checked.fault_count:
        raise FaultyFileError(checked)
    batch = _new(ports, connection, kind, by).model_copy(update={"lines": checked.shares, "as_of": as_of})
    await ports.bodies.put(_file(batch.id), content)
    await _begin(ports, batch)
    return batch


def _new(ports: Ports, connection: Connection, kind: BatchKind, by: str) -> Batch:
    """Return a batch that has not begun. Its id tells when it was made, and is hard to mistype."""
    now = ports.clock.now()
    ident = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    return Batch(id=ident, connection=connection.id, kind=kind, by=by, started_at=now, moved_at=now)


async def _begin(ports: Ports, batch: Batch) -> None:
    """Keep a new batch and send its first message."""
    await ports.batches.put(batch, None)
    await ports.queues.send(Queue.BATCHES, BatchMessage(batch=batch.id, page=0))


async def tend_batches(ports: Ports) -> None:
    """Start again the batches whose message got lost, and the scans that are due.

    A connection is scanned by itself only after somebody has scanned it once: what was shared before Guestpass came
    is carried at an administrator's wish, never by surprise.
    """
    now = ports.clock.now()
    async for batch in ports.batches.read():
        if batch.is_running and now > batch.moved_at + ports.timing.busy:
            await _change(ports, batch.id, {"moved_at": now})
            await ports.queues.send(Queue.BATCHES, BatchMessage(batch=batch.id, page=batch.pages))
    for connection in ports.connections.values():
        every, last = RULES[connection.platform].scan_every, await ports.marks.get(_scanned(connection))
        if every is not None and last is not None and datetime.fromisoformat(last) + every <= now:
            await start_scan(ports, connection, by="guestpass: the regular rescan")


def _scanned(connection: Connection) -> str:
    return f"scanned:{connection.id}"


async def run_batch(ports: Ports, message: BatchMessage) -> None:
    """Do one page of a batch and send the message for the next. May raise LaterError."""
    batch, version = await ports.batches.get(message.batch)
    if batch is None or not batch.is_running or message.page != batch.pages:
        return
    connection = ports.connections.get(batch.connection)
    if connection is None:
        await _end(ports, batch.id, BatchState.FAILED, detail="The connection is not configured any more.")
        return
    try:
        reading = batch.phase is BatchPhase.READING
        found = await (_read if reading else _look_for_missing)(ports, connection, batch)
    except RefusedError as refusal:
        await _end(ports, batch.id, BatchState.FAILED, trouble=refusal.reason, detail=refusal.detail)
        return
    moved = batch.model_copy(update={**found, "pages": batch.pages + 1, "moved_at": ports.clock.now()})
    try:
        await ports.batches.put(moved, version)
    except ConflictError:  # cancelled, or another worker did the page
        return
    if moved.is_running:
        await ports.queues.send(Queue.BATCHES, BatchMessage(batch=batch.id, page=moved.pages))
    else:
        await ports.bodies.delete(_file(batch.id))


async def _read(ports: Ports, connection: Connection, batch: Batch) -> Mapping[str, object]:
    """Read one page of what there is; return what changes on the batch."""
    page = await _page(ports, connection, batch)
    shares, internal = await tell(ports, connection, page.events, batch=batch.id), 0
    for seen in page.seen:
        shown = await show(ports, connection, seen, every=True, batch=batch.id)
        shares, internal = shares + shown.sent, internal + shown.internal
    counted = {
        "items": batch.items + page.items,
        "shares": batch.shares + shares,
        "internal": batch.internal + internal,
        "cursor": page.cursor,
    }
    if page.more:
        return counted
    if batch.kind is BatchKind.SCAN:
        return {**counted, "phase": BatchPhase.MISSING, "cursor": None}
    return {**counted, **_ended(ports, BatchState.DONE)}


async def _page(ports: Ports, connection: Connection, batch: Batch) -> Page:
    if batch.kind is BatchKind.SCAN:
        return await ports.sources[connection.id].scan(batch.cursor)
    name, start = _file(batch.id), ports.files.offset(batch.cursor)
    head, part = await ports.bodies.part(name, 0, _HEAD), await ports.bodies.part(name, start, _PART)
    if head is None or part is None:
        raise RefusedError(Reason.PROCESSING_FAILED, "The file is not there any more. Upload it again.")
    events, cursor = ports.files.read(batch, head, part, batch.cursor)
    return Page(events=events, cursor=cursor, more=cursor is not None, items=len(events))


def _file(ident: str) -> str:
    return f"batch-{ident}"


async def _look_for_missing(ports: Ports, connection: Connection, batch: Batch) -> Mapping[str, object]:
    """Look at known items that the scan did not come by: most likely nothing is shared there any more.

    Each is asked for by itself. What the platform does not show is no proof (the app may have lost its right to see
    it), so what is known of it stays, and is counted.
    """
    shares, unseen, items, cursor = batch.shares, batch.unseen, batch.items, batch.cursor
    looked = 0
    async for key, item in ports.permissions.unread_since(connection.id, batch.started_at, cursor or ""):
        if looked == _LOOKS_PER_PAGE:
            break
        seen = await ports.sources[connection.id].look(item)
        if seen is None:
            unseen += bool(await ports.permissions.known(connection.id, item.id))
        else:
            shares += (await show(ports, connection, seen, every=True, batch=batch.id)).sent
        await ports.permissions.forget(connection.id, item.id)
        looked, items, cursor = looked + 1, items + 1, key
    found = {"shares": shares, "unseen": unseen, "items": items, "cursor": cursor}
    return found if looked == _LOOKS_PER_PAGE else {**found, **_ended(ports, BatchState.DONE)}


async def cancel(ports: Ports, ident: str) -> Batch | None:
    """Stop a batch after the page that is being worked on; what it has sent on already is decided all the same.

    Returns the batch, also when it had ended before; None when there is no such batch.
    """
    return await _end(ports, ident, BatchState.CANCELLED)


async def fail_batch(ports: Ports, message: BatchMessage) -> None:
    """Note that a page failed again and again."""
    await _end(ports, message.batch, BatchState.FAILED, trouble=Reason.PROCESSING_FAILED)


async def _end(ports: Ports, ident: str, state: BatchState, **why: object) -> Batch | None:
    ended = await _change(ports, ident, {**_ended(ports, state), **why})
    await ports.bodies.delete(_file(ident))
    return ended


def _ended(ports: Ports, state: BatchState) -> dict[str, object]:
    return {"state": state, "ended_at": ports.clock.now()}


async def _change(ports: Ports, ident: str, change: Mapping[str, object]) -> Batch | None:
    """Change a batch that is running, again after a lost race; return it as it is then."""
    while True:
        batch, version = await ports.batches.get(ident)
        if batch is None or not batch.is_running:
            return batch
        changed = batch.model_copy(update=dict(change))
        try:
            await ports.batches.put(changed, version)
        except ConflictError:
            continue
        return changed
