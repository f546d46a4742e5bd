"""A feed of a source account as Guestpass keeps it: how far it was read, its subscription, and its health."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from pydantic import AwareDatetime

from shared.domain.reasons import Reason
from shared.domain.sources import FoundFeed, Subscription
from shared.domain.value import Value


class Failure(Value):
    """Why the last attempts did not work, and before when nobody should try again."""

    attempts: int
    reason: Reason
    not_before: AwareDatetime
    detail: str | None = None


class Health(StrEnum):
    """Whether a feed does its work: a stable code with a sentence for people."""

    sentence: str

    def __new__(cls, code: str, sentence: str) -> "Health":
        """Make a member whose value is the code."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.sentence = sentence
        return member

    HEALTHY = "healthy", "It is read in time, and its subscription holds."
    POLL_FAILS = "poll-fails", "Reading it does not work; it is tried again. What happens there comes late."
    NOT_POLLED = "not-polled", "It was not read for far too long. Look whether the timers and the queue 'feeds' run."
    RENEWAL_FAILS = "renewal-fails", "Its subscription cannot be made or renewed; it is tried again."
    NOT_WATCHED = "not-watched", "It has no living subscription: the platform does not tell, only polling does."


class Feed(Value):
    """One row of the feeds. Times are ours; `cursor` is the platform's own. It is known `since`, and was last listed by
    the platform at `found_at`.

    `queued_at` and `started_at` are about the newest poll: one that is queued and has not started will see all that
    happened until now. `polled_at` is when a poll last came to its end; None while there is more to read.
    """

    connection: str
    name: str
    polls: bool = True
    watches: bool = False
    since: AwareDatetime
    found_at: AwareDatetime
    cursor: str | None = None
    queued_at: AwareDatetime | None = None
    started_at: AwareDatetime | None = None
    polled_at: AwareDatetime | None = None
    poll_failure: Failure | None = None
    subscription: Subscription | None = None
    renewal_queued_at: AwareDatetime | None = None
    renewal_failure: Failure | None = None

    def found(self, feed: FoundFeed, at: datetime) -> Self:
        """Return the feed as it was found again."""
        return self.model_copy(update={"polls": feed.polls, "watches": feed.watches, "found_at": at})

    def awaits_poll(self, now: datetime, busy: timedelta) -> bool:
        """Tell whether a poll is queued that has not started yet. After `busy` its message counts as lost."""
        queued = self.queued_at is not None and (self.started_at is None or self.started_at < self.queued_at)
        return queued and self.queued_at is not None and now < self.queued_at + busy

    def is_poll_due(self, now: datetime, every: timedelta | None, busy: timedelta) -> bool:
        """Tell whether it is time to poll without a hint."""
        if not self.polls or every is None or self.awaits_poll(now, busy):
            return False
        if self.poll_failure is not None:
            return now >= self.poll_failure.not_before
        return self.polled_at is None or now >= self.polled_at + every

    def is_renewal_due(self, now: datetime, busy: timedelta) -> bool:
        """Tell whether it is time to make or renew the subscription."""
        if not self.watches or (self.renewal_queued_at is not None and now < self.renewal_queued_at + busy):
            return False
        if self.renewal_failure is not None:
            return now >= self.renewal_failure.not_before
        return self.subscription is None or now >= self.subscription.renew_at

    def health(self, now: datetime, every: timedelta | None, busy: timedelta) -> Health:
        """Tell whether the feed does its work, the worst first."""
        last = max(self.started_at or self.since, self.polled_at or self.since)
        if self.polls and self.poll_failure is not None:
            return Health.POLL_FAILS
        if self.polls and every is not None and now > last + 2 * every + busy:
            return Health.NOT_POLLED
        if self.watches and self.renewal_failure is not None:
            return Health.RENEWAL_FAILS
        ends = self.subscription.expires_at if self.subscription else None
        missing = self.subscription is None and now > self.since + busy
        if self.watches and (missing or (ends is not None and ends <= now)):
            return Health.NOT_WATCHED
        return Health.HEALTHY
