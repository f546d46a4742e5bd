"""What an administrator reads about the source accounts and the batches: plain dictionaries, ready for JSON."""

from typing import Any

from shared.domain.batches import Batch
from shared.domain.feeds import Failure, Feed, Health
from shared.domain.platforms import RULES
from shared.workflows.ports import Ports


async def list_accounts(ports: Ports) -> dict[str, Any]:
    """Return every connection with its feeds, those that are not healthy first."""
    accounts = []
    for connection in ports.connections.values():
        every = RULES[connection.platform].poll_every
        feeds = [feed async for feed in ports.feeds.read(connection.id)]
        shown = [_feed(feed, feed.health(ports.clock.now(), every, ports.timing.busy)) for feed in feeds]
        shown.sort(key=lambda feed: (feed["health"] == Health.HEALTHY, feed["name"]))
        accounts.append(
            {
                "connection": connection.id,
                "platform": connection.platform.value,
                "healthy": all(feed["health"] == Health.HEALTHY for feed in shown),
                "feeds": shown,
            }
        )
    return {"sources": accounts}


def _feed(feed: Feed, health: Health) -> dict[str, Any]:
    return {
        "name": feed.name,
        "health": health.value,
        "sentence": health.sentence,
        "polledAt": feed.polled_at.isoformat() if feed.polled_at else None,
        "subscriptionEndsAt": feed.subscription.expires_at.isoformat()
        if feed.subscription and feed.subscription.expires_at
        else None,
        "pollFailure": _failure(feed.poll_failure),
        "renewalFailure": _failure(feed.renewal_failure),
    }


def _failure(failure: Failure | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    return {
        "reason": failure.reason.value,
        "sentence": failure.reason.sentence,
        "detail": failure.detail,
        "attempts": failure.attempts,
        "notBefore": failure.not_before.isoformat(),
    }


def summary(batch: Batch) -> dict[str, Any]:
    """Return a batch without the outcomes of its shares."""
    return {
        "batch": batch.id,
        "connection": batch.connection,
        "kind": batch.kind.value,
        "by": batch.by,
        "state": batch.state.value,
        "phase": batch.phase.value,
        "startedAt": batch.started_at.isoformat(),
        "endedAt": batch.ended_at.isoformat() if batch.ended_at else None,
        "lines": batch.lines,
        "items": batch.items,
        "shares": batch.shares,
        "internal": batch.internal,
        "unseen": batch.unseen,
        "reason": batch.trouble.value if batch.trouble else None,
        "detail": batch.detail,
    }


async def describe_batch(ports: Ports, batch: Batch) -> dict[str, Any]:
    """Return a batch with how many of its shares were decided, and how."""
    outcomes = await ports.batches.outcomes(batch.id)
    return {
        **summary(batch),
        "decided": sum(outcomes.values()),
        "outcomes": {reason.value: count for reason, count in sorted(outcomes.items())},
    }
