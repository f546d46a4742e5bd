"""The feeds of the source accounts: found, polled, watched, and looked after.

Nothing here is lost with a message: the timer sends again whatever is due. So trouble of a platform is noted on the
feed, with the time before which nobody tries again, instead of putting the message off.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from shared.domain.addresses import digest
from shared.domain.connections import Connection
from shared.domain.feeds import Failure, Feed, Health
from shared.domain.messages import FindFeedsMessage, PollMessage, Queue, RenewMessage
from shared.domain.platforms import RULES
from shared.domain.reasons import Reason
from shared.domain.sources import FoundFeed, Hint
from shared.domain.trouble import ConflictError, LaterError, RefusedError
from shared.workflows.batches import start_scan
from shared.workflows.facts import show, tell
from shared.workflows.ports import Ports

log = logging.getLogger("guestpass.feeds")

_FIND_EVERY = timedelta(hours=1)  # new users, drives and folders appear at the source
_REFUSED_WAIT = timedelta(hours=1)  # somebody has to act first


async def tend_feeds(ports: Ports) -> None:
    """Send out whatever is due for every connection: finding feeds, polls, renewals. Says which are not healthy."""
    now = ports.clock.now()
    for connection in ports.connections.values():
        name = f"feeds-found:{connection.id}"
        found = await ports.marks.get(name)
        if found is None or datetime.fromisoformat(found) + _FIND_EVERY <= now:
            await ports.queues.send(Queue.FEEDS, FindFeedsMessage(connection=connection.id, began=now))
            await ports.marks.set(name, now.isoformat())
        if await ports.marks.get(finding_refused(connection)):
            log.warning("feeds not found", extra={"connection": connection.id, "reason": Reason.SOURCE_REFUSED})
        async for feed in ports.feeds.read(connection.id):
            await _tend(ports, connection, feed)


async def _tend(ports: Ports, connection: Connection, feed: Feed) -> None:
    now, every, busy = ports.clock.now(), RULES[connection.platform].poll_every, ports.timing.busy
    health = feed.health(now, every, busy)
    if health is not Health.HEALTHY:
        log.warning(
            "feed not healthy", extra={"connection": connection.id, "feed": digest(feed.name), "reason": health.value}
        )
    if feed.is_poll_due(now, every, busy):
        await _queue_poll(ports, feed)
    if ports.public_url is not None and feed.is_renewal_due(now, busy):
        await _queue_renewal(ports, feed)


async def _queue_poll(ports: Ports, feed: Feed) -> None:
    """Send for a poll and note since when one is on its way: from before it was sent, for it may start at once."""
    now = ports.clock.now()
    await ports.queues.send(Queue.FEEDS, PollMessage(connection=feed.connection, feed=feed.name))
    await _change(ports, feed.connection, feed.name, lambda f: f.model_copy(update={"queued_at": now}))


async def _queue_renewal(ports: Ports, feed: Feed) -> None:
    now = ports.clock.now()
    await ports.queues.send(Queue.FEEDS, RenewMessage(connection=feed.connection, feed=feed.name))
    await _change(ports, feed.connection, feed.name, lambda f: f.model_copy(update={"renewal_queued_at": now}))


async def follow(ports: Ports, connection: Connection, hint: Hint) -> None:
    """Look where a delivery hints: poll the feed, unless a poll is queued that will see it; renew its subscription.

    A hint about another resource than the feed's subscription watches is passed over: it belongs to one that was
    replaced, or to nobody.
    """
    feed, _ = await ports.feeds.get(connection.id, hint.feed)
    if feed is None:  # not found yet, or gone; when it is found it begins with what is new from then on
        return
    watched = feed.subscription.resource_id if feed.subscription else None
    if None not in (watched, hint.resource_id) and watched != hint.resource_id:
        log.warning("hint about another resource", extra={"connection": connection.id, "feed": digest(feed.name)})
        return
    if feed.polls and not feed.awaits_poll(ports.clock.now(), ports.timing.busy):
        await _queue_poll(ports, feed)
    if hint.renew:
        await _queue_renewal(ports, feed)


async def find_feeds(ports: Ports, message: FindFeedsMessage) -> None:
    """Take in one page of what the account offers; after the last one, forget the feeds that are gone.

    A refusal is noted for an administrator; the timer begins anew in an hour. May raise LaterError.
    """
    connection = ports.connections.get(message.connection)
    if connection is None:
        return
    refused = finding_refused(connection)
    try:
        page = await ports.sources[connection.id].feeds(message.cursor)
    except RefusedError as refusal:
        await ports.marks.set(refused, refusal.detail or refusal.reason.sentence)
        return
    for found in page.feeds:
        await _add(ports, connection, found, message.began)
    if page.cursor is not None:
        await ports.queues.send(Queue.FEEDS, message.model_copy(update={"cursor": page.cursor}))
        return
    if await ports.marks.get(refused):
        await ports.marks.set(refused, "")
    async for feed in ports.feeds.read(connection.id):
        if feed.found_at < message.began:
            await ports.feeds.remove(connection.id, feed.name)
        else:
            await _tend(ports, connection, feed)


def finding_refused(connection: Connection) -> str:
    """Return the mark that holds why the platform refused to list the account's feeds; empty when it lists them."""
    return f"feeds-refused:{connection.id}"


async def _add(ports: Ports, connection: Connection, found: FoundFeed, at: datetime) -> Feed:
    while True:
        feed, version = await ports.feeds.get(connection.id, found.name)
        known = feed or Feed(connection=connection.id, name=found.name, since=at, found_at=at)
        try:
            await ports.feeds.put(changed := known.found(found, at), version)
        except ConflictError:
            continue
        return changed


async def poll_feed(ports: Ports, message: PollMessage) -> None:
    """Read one page of what is new in a feed. The cursor moves only after everything on the page is queued.

    A worker that dies repeats the page. Of two workers on one page, one moves the cursor.
    """
    connection = ports.connections.get(message.connection)
    began = ports.clock.now()
    start = await _change(ports, message.connection, message.feed, lambda f: f.model_copy(update={"started_at": began}))
    if connection is None or start is None:
        return
    if start.poll_failure is not None and began < start.poll_failure.not_before:
        return  # the timer comes back to it
    try:
        page = await ports.sources[connection.id].poll(start.name, start.cursor)
        await tell(ports, connection, page.events)
        for seen in page.seen:
            await show(ports, connection, seen, every=False)
    except (LaterError, RefusedError) as trouble:
        failure = _failure(ports, start.poll_failure, trouble)
        await _change(ports, connection.id, start.name, lambda f: f.model_copy(update={"poll_failure": failure}))
        log.warning("poll failed", extra={"connection": connection.id, "reason": trouble.reason.value})
        return
    if page.rescan:
        await start_scan(ports, connection, by="guestpass: the platform voided a cursor")
    goes_on = {"queued_at": ports.clock.now(), "polled_at": None}
    moved = {"cursor": page.cursor, "poll_failure": None, **(goes_on if page.more else {"polled_at": began})}
    end = await _change(
        ports,
        connection.id,
        start.name,
        lambda f: f.model_copy(update=moved) if f.cursor == start.cursor else None,
    )
    if page.more and end is not None:
        await ports.queues.send(Queue.FEEDS, message)


async def renew_subscription(ports: Ports, message: RenewMessage) -> None:
    """Make or renew a feed's subscription; the one that it replaces is ended only after the new one is kept."""
    connection = ports.connections.get(message.connection)
    feed, _ = await ports.feeds.get(message.connection, message.feed)
    if connection is None or feed is None or not feed.watches or ports.public_url is None:
        return
    source, address = ports.sources[connection.id], f"{ports.public_url}/api/webhooks/{connection.id}"
    try:
        made = await source.subscribe(feed.name, feed.subscription, address)
    except (LaterError, RefusedError) as trouble:
        failure = _failure(ports, feed.renewal_failure, trouble)
        await _change(ports, connection.id, feed.name, lambda f: f.model_copy(update={"renewal_failure": failure}))
        log.warning("renewal failed", extra={"connection": connection.id, "reason": trouble.reason.value})
        return
    kept = {"subscription": made, "renewal_failure": None, "renewal_queued_at": None}
    await _change(ports, connection.id, feed.name, lambda f: f.model_copy(update=kept))
    if feed.subscription is not None and feed.subscription.id != made.id:
        try:
            await source.unsubscribe(feed.name, feed.subscription)
        except (LaterError, RefusedError) as trouble:  # it ends by itself; until then it only tells things twice
            log.warning("old subscription not ended", extra={"connection": connection.id, "reason": trouble.reason})
    if feed.polls:
        await _queue_poll(ports, feed)  # what happened while there was none


async def fail_poll(ports: Ports, message: PollMessage) -> None:
    """Note that reading a feed failed again and again, each time in a way that nobody foresaw."""

    def failed(feed: Feed) -> Feed:
        trouble = RefusedError(Reason.PROCESSING_FAILED)
        return feed.model_copy(update={"poll_failure": _failure(ports, feed.poll_failure, trouble)})

    await _change(ports, message.connection, message.feed, failed)


def _failure(ports: Ports, before: Failure | None, trouble: LaterError | RefusedError) -> Failure:
    attempts = before.attempts + 1 if before else 1
    asked = trouble.after if isinstance(trouble, LaterError) else _REFUSED_WAIT
    wait = ports.timing.wait(attempts, asked)
    return Failure(attempts=attempts, reason=trouble.reason, not_before=ports.clock.now() + wait, detail=trouble.detail)


async def _change(ports: Ports, connection: str, name: str, change: Callable[[Feed], Feed | None]) -> Feed | None:
    """Write a feed, again after a lost race; None when it does not exist, or when `change` does not want to."""
    while True:
        feed, version = await ports.feeds.get(connection, name)
        changed = change(feed) if feed is not None else None
        if changed is None or changed == feed:
            return changed
        try:
            await ports.feeds.put(changed, version)
        except ConflictError:
            continue
        return changed
