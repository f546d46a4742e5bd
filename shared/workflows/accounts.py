"""What an administrator sees of the source accounts and the batches; the models are the interface's answers."""

from pydantic import AwareDatetime, Field

from shared.domain.batches import Batch, BatchKind, BatchPhase, BatchState
from shared.domain.feeds import Failure, Feed, Health
from shared.domain.platforms import RULES, Platform
from shared.domain.reasons import Reason
from shared.workflows.feeds import finding_refused
from shared.workflows.ports import Ports
from shared.workflows.review import Answer

_BATCHES = 100  # the newest, in a list


class FailureView(Answer):
    """Why the last attempts did not work."""

    reason: Reason
    sentence: str
    detail: str | None
    attempts: int
    not_before: AwareDatetime


class FeedView(Answer):
    """What is read and watched of an account: one feed."""

    name: str
    health: Health
    sentence: str
    polled_at: AwareDatetime | None = Field(description="When everything new was read last")
    subscription_ends_at: AwareDatetime | None
    poll_failure: FailureView | None
    renewal_failure: FailureView | None


class AccountView(Answer):
    """A connection with its feeds, those that are not healthy first."""

    connection: str
    platform: Platform
    can_scan: bool = Field(description="The platform can be asked for what is shared; else only files tell")
    healthy: bool
    trouble: str | None = Field(description="Why its feeds were not found; they are looked for every hour")
    feeds: list[FeedView]

    @property
    def ailing(self) -> list[FeedView]:
        """The feeds that are not healthy."""
        return [feed for feed in self.feeds if feed.health is not Health.HEALTHY]

    @property
    def polled_at(self) -> AwareDatetime | None:
        """When every feed had been read; None while one never was."""
        times = [feed.polled_at for feed in self.feeds]
        return min((at for at in times if at is not None), default=None) if all(times) else None


class AccountsView(Answer):
    """Every connection."""

    sources: list[AccountView]


class BatchView(Answer):
    """A batch: how far it is."""

    batch: str
    connection: str
    kind: BatchKind
    by: str
    state: BatchState
    phase: BatchPhase
    started_at: AwareDatetime
    ended_at: AwareDatetime | None
    lines: int | None = Field(description="Of a file: how many shares it holds")
    items: int = Field(description="Items that were looked at")
    shares: int = Field(description="Shares that were found, and sent on to be decided")
    internal: int = Field(description="Shared with the company's own people, and left out")
    unseen: int = Field(description="Known items that the platform does not show any more; left as they are")
    reason: Reason | None = Field(description="Why it failed")
    detail: str | None


class OutcomesView(BatchView):
    """A batch with what came of its shares."""

    decided: int
    outcomes: dict[Reason, int]


class BatchesView(Answer):
    """The newest batches."""

    batches: list[BatchView]


async def list_accounts(ports: Ports) -> AccountsView:
    """Return every connection."""
    accounts = []
    for connection in ports.connections.values():
        rules, now = RULES[connection.platform], ports.clock.now()
        found = [feed async for feed in ports.feeds.read(connection.id)]
        feeds = [_feed(feed, feed.health(now, rules.poll_every, ports.timing.busy)) for feed in found]
        trouble = await ports.marks.get(finding_refused(connection)) or None
        if trouble is None and not feeds and rules.poll_every is not None:
            trouble = "Its feeds were not found yet."
        feeds.sort(key=lambda feed: (feed.health is Health.HEALTHY, feed.name))
        accounts.append(
            AccountView(
                connection=connection.id,
                platform=connection.platform,
                can_scan=rules.scan_every is not None,
                trouble=trouble,
                healthy=trouble is None and all(feed.health is Health.HEALTHY for feed in feeds),
                feeds=feeds,
            )
        )
    return AccountsView(sources=accounts)


def _feed(feed: Feed, health: Health) -> FeedView:
    return FeedView(
        name=feed.name,
        health=health,
        sentence=health.sentence,
        polled_at=feed.polled_at,
        subscription_ends_at=feed.subscription.expires_at if feed.subscription else None,
        poll_failure=_failure(feed.poll_failure),
        renewal_failure=_failure(feed.renewal_failure),
    )


def _failure(failure: Failure | None) -> FailureView | None:
    if failure is None:
        return None
    return FailureView(
        reason=failure.reason,
        sentence=failure.reason.sentence,
        detail=failure.detail,
        attempts=failure.attempts,
        not_before=failure.not_before,
    )


async def list_batches(ports: Ports) -> BatchesView:
    """Return the newest batches."""
    batches: list[BatchView] = []
    async for batch in ports.batches.read():
        batches.append(BatchView.model_validate(_facts(batch)))
        if len(batches) == _BATCHES:
            break
    return BatchesView(batches=batches)


async def describe_batch(ports: Ports, batch: Batch) -> OutcomesView:
    """Return a batch with how many of its shares were decided, and how."""
    outcomes = await ports.batches.outcomes(batch.id)
    counts = {"decided": sum(outcomes.values()), "outcomes": dict(sorted(outcomes.items()))}
    return OutcomesView.model_validate(_facts(batch) | counts)


def _facts(batch: Batch) -> dict[str, object]:
    names = BatchView.model_fields.keys() - {"batch", "reason"}
    return {"batch": batch.id, "reason": batch.trouble, **{name: getattr(batch, name) for name in names}}
