"""What the service tells whoever operates it: metrics, log records, and one trace across the queues.

The names are stable: the workbook, the alerts and docs/operations.md read them. Values are words and numbers of ours:
people are guest keys, shares are ids, and no address, path, token or URL is ever one (a test searches all that the demo
emits). Only OpenTelemetry's API is used here; without an exporter nothing is kept, and none is loaded.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from opentelemetry import metrics, propagate, trace
from opentelemetry.trace import Link, SpanKind

from shared.domain.reasons import Reason

log = logging.getLogger("guestpass.telemetry")

_tracer, _meter = trace.get_tracer("guestpass"), metrics.get_meter("guestpass")

_deliveries = _meter.create_counter("guestpass.deliveries", "1", "Webhooks by connection and code")
_decisions = _meter.create_counter("guestpass.decisions", "1", "Share events by platform, connection and reason")
_decision_delay = _meter.create_histogram("guestpass.decision.delay", "s", "From hearing of a share to its decision")
_settlements = _meter.create_counter("guestpass.settlements", "1", "What came of work on access, by reason")
_grant_delay = _meter.create_histogram("guestpass.grant.delay", "s", "From acceptance (or the later share) to access")
_graph_calls = _meter.create_counter("guestpass.graph.calls", "1", "Calls of Microsoft Graph by area and status")
_poison = _meter.create_counter("guestpass.poison", "1", "Messages that failed for good, by queue")
_timer_runs = _meter.create_counter("guestpass.timer.runs", "1", "Runs of a timer that came to their end")
_timer_work = _meter.create_counter("guestpass.timer.work", "1", "What timers found to do: people, shares, acceptances")

# What a timer measures is a histogram with one record a run: a gauge's last value would be repeated for ever by an
# instance that measures no more.
_budget = _meter.create_histogram("guestpass.budget.used", "1", "Part of a budget's burst that is reserved; >1: waits")
_waiting = _meter.create_histogram("guestpass.waiting", "1", "People under each head")
_waiting_age = _meter.create_histogram("guestpass.waiting.age", "s", "Age of the oldest person under each head")
_queued = _meter.create_histogram("guestpass.queued", "1", "Messages in each queue")
_feeds = _meter.create_histogram("guestpass.feeds", "1", "Feeds of a connection by health")
_subscription = _meter.create_histogram("guestpass.subscription.left", "s", "Life of a connection's shortest one")


@contextmanager
def work_on(queue: str, sender: str | None) -> Iterator[None]:
    """A span for the work on one message, in the trace of whoever sent it (`traceparent`), linked to the host's own.

    The host begins a trace for every message, since a storage queue carries none.
    """
    context = propagate.extract({"traceparent": sender}) if sender else None
    links = [Link(trace.get_current_span().get_span_context())]
    attributes = {"messaging.system": "azure_queue_storage", "messaging.destination.name": queue}
    with _tracer.start_as_current_span(f"process {queue}", context, SpanKind.CONSUMER, attributes, links):
        yield


def current() -> str | None:
    """Return the `traceparent` of what is being done now; None when nothing is traced."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get("traceparent")


def link(senders: Iterable[str | None]) -> None:
    """Link what is being done now to the traces in which its causes were heard of."""
    span = trace.get_current_span()
    for sender in {sender for sender in senders if sender is not None}:
        span.add_link(trace.get_current_span(propagate.extract({"traceparent": sender})).get_span_context())


def delivered(connection: str, code: str) -> None:
    """A webhook was accepted (`accepted`), or not (the code of the rejection)."""
    _deliveries.add(1, {"connection": connection, "code": code})


def decided(
    platform: str, connection: str, guest: str, share: str, reason: Reason, waited: timedelta | None = None
) -> None:
    """A share event was decided. `waited`: since it was heard of; None for what a batch brought."""
    words = {"platform": platform, "connection": connection, "reason": reason.value, "state": reason.state.value}
    _decisions.add(1, words)
    if waited is not None:
        _decision_delay.record(waited.total_seconds(), {"platform": platform, "connection": connection})
    log.info("share decided", extra={**words, "guest": guest, "share": share})


def settled(
    platform: str, connection: str, guest: str, share: str, reason: Reason, waited: timedelta | None = None
) -> None:
    """Work on a share's access came to something else than before. `waited`: since the person could have it."""
    words = {"platform": platform, "connection": connection, "reason": reason.value, "state": reason.state.value}
    _settlements.add(1, words)
    if waited is not None:
        _grant_delay.record(waited.total_seconds(), {"platform": platform, "connection": connection})
    log.info("access settled", extra={**words, "guest": guest, "share": share})


def moved(guest: str, state: str, reason: Reason | None = None) -> None:
    """A person came into another state: approved, invited, usable, blocked…"""
    log.info("person moved", extra={"guest": guest, "state": state, "reason": reason.value if reason else ""})


def called_graph(area: str, status: int) -> None:
    """Microsoft Graph answered; 0: it could not be reached."""
    _graph_calls.add(1, {"area": area, "status": status})


def poisoned(queue: str) -> None:
    """A message failed for good."""
    _poison.add(1, {"queue": queue})
    log.error("message failed for good", extra={"queue": queue})


def ran(timer: str, found: int) -> None:
    """A timer's work came to its end, and it had found so much to do."""
    _timer_runs.add(1, {"timer": timer})
    _timer_work.add(found, {"timer": timer})


def reserved(budget: str, used: float) -> None:
    """Calls of a budget were reserved; `used` of its burst is reserved now."""
    _budget.record(used, {"budget": budget})


def waiting(head: str, people: int, oldest: timedelta | None) -> None:
    """So many people stand under a head."""
    _waiting.record(people, {"state": head})
    if oldest is not None:
        _waiting_age.record(oldest.total_seconds(), {"state": head})


def queued(queue: str, messages: int) -> None:
    """So many messages are in a queue."""
    _queued.record(messages, {"queue": queue})


def feeds(platform: str, connection: str, health: str, number: int) -> None:
    """So many feeds of a connection have this health."""
    _feeds.record(number, {"platform": platform, "connection": connection, "health": health})


def subscription(platform: str, connection: str, left: timedelta) -> None:
    """The shortest subscription of a connection lives so long."""
    _subscription.record(left.total_seconds(), {"platform": platform, "connection": connection})
