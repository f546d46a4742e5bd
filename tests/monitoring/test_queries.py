"""The queries of the workbook and the alerts: Microsoft's parser takes them, and each alert fires when it should."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from infra.monitoring import workbook
from local.kql import Store
from local.portal import with_parameters
from local.world import ROOT

MONITORING = ROOT / "infra" / "monitoring"
QUERIES = {path.stem: path.read_text() for path in sorted((MONITORING / "queries").glob("*.kql"))}
ALERTS = {path.stem: path.read_text() for path in sorted((MONITORING / "alerts").glob("*.kql"))}
TIMERS = ("tend_sources", "expire_shares", "poll_acceptance", "measure_state", "repair", "follow_up_invitations")


def parsed(queries: dict[str, str]) -> dict[str, Any]:
    """What Microsoft's language service says of them."""
    command = ["node", str(Path(__file__).with_name("parse.cjs"))]
    done = subprocess.run(command, input=json.dumps(queries), capture_output=True, text=True, check=True, cwd=ROOT)
    return dict(json.loads(done.stdout))


def test_microsoft_s_parser_takes_every_query_and_binds_every_column() -> None:
    for name, answer in parsed({n: with_parameters(q, "s") for n, q in {**QUERIES, **ALERTS}.items()}).items():
        assert answer["faults"] == [], name
        assert answer["columns"], name


def test_the_parser_would_find_a_wrong_name() -> None:
    wrong = {"table": "customMetric | take 1", "column": "traces | where messages == ''", "word": "traces | wher true"}
    assert all(answer["faults"] for answer in parsed(wrong).values())


def test_the_workbook_holds_every_query_and_is_fresh() -> None:
    assert workbook.WORKBOOK.read_text() == workbook.text(), "run make docs"
    panels = [item["name"] for item in workbook.workbook()["items"] if item["type"] == 3]
    assert sorted(panels) == sorted(QUERIES)


def test_the_workbook_is_one() -> None:
    if not (schema := os.environ.get("WORKBOOK_SCHEMA")):
        pytest.skip("WORKBOOK_SCHEMA does not name Microsoft's schema of workbooks")
    document = json.loads(Path(schema).read_text())
    jsonschema.validators.validator_for(document)(document).validate(workbook.workbook())


def test_every_alert_has_its_runbook() -> None:
    operations = (ROOT / "docs" / "operations.md").read_text()
    assert re.findall(r"^### Alert: (\S+)$", operations, re.MULTILINE) == sorted(ALERTS)


def test_every_alert_is_deployed_with_its_query() -> None:
    bicep = (ROOT / "infra" / "monitoring.bicep").read_text()
    deployed = re.findall(r"name: '([a-z-]+)'\n    query: loadTextContent\('monitoring/alerts/([a-z-]+).kql'\)", bicep)
    assert deployed == [(name, name) for name in sorted(ALERTS)]


def test_every_metric_that_is_read_is_told() -> None:
    told = set(re.findall(r'create_\w+\("(guestpass\.[a-z.]+)"', (ROOT / "shared" / "telemetry.py").read_text()))
    read = set(re.findall(r'"(guestpass\.[a-z.]+)"', "".join((*QUERIES.values(), *ALERTS.values()))))
    assert read == told


NOW = datetime.now(UTC).replace(tzinfo=None)


def ago(**time: float) -> datetime:
    return NOW - timedelta(**time)


def heartbeats(store: Store, *, late: str | None = None) -> None:
    for timer in TIMERS:
        if timer != late:
            store.measure(ago(minutes=3), "guestpass.timer.runs", 1, timer=timer)


def feeds(store: Store, *unhealthy: int) -> None:
    for minutes, number in zip((20, 15, 10, 5), unhealthy, strict=True):
        at = ago(minutes=minutes)
        store.measure(at, "guestpass.feeds", number, connection="box", health="poll-fails")
        store.measure(at, "guestpass.feeds", 9, connection="box", health="healthy")


def subscriptions(store: Store, *hours: float) -> None:
    for minutes, left in zip((20, 15, 10, 5), hours, strict=True):
        store.measure(ago(minutes=minutes), "guestpass.subscription.left", left * 3600, connection="box")


def waiting(store: Store, state: str, days: float) -> None:
    store.measure(ago(minutes=5), "guestpass.waiting.age", days * 86400, state=state)


def calls(store: Store, good: int, throttled: int) -> None:
    store.measure(ago(minutes=5), "guestpass.graph.calls", good, area="Sites", status=200)
    store.measure(ago(minutes=5), "guestpass.graph.calls", throttled, area="Sites", status=429)


def webhooks(store: Store, number: int, code: str) -> None:
    store.measure(ago(minutes=5), "guestpass.deliveries", number, connection="box", code=code)


def needing(store: Store, before: int, now: int) -> None:
    store.measure(ago(hours=24), "guestpass.waiting", before, state="needs-attention")
    store.measure(ago(minutes=5), "guestpass.waiting", now, state="needs-attention")
    store.measure(ago(minutes=5), "guestpass.waiting", 900, state="held")


CASES: list[tuple[str, Callable[[Store], None], bool]] = [
    ("heartbeat", heartbeats, False),
    ("heartbeat", lambda store: heartbeats(store, late="tend_sources"), True),
    ("heartbeat", lambda store: None, True),
    ("poison", lambda store: store.measure(ago(minutes=5), "guestpass.poison", 1, queue="grants"), True),
    ("poison", lambda store: store.measure(ago(minutes=20), "guestpass.poison", 1, queue="grants"), False),
    ("waiting", lambda store: waiting(store, "held", 3.1), True),
    ("waiting", lambda store: waiting(store, "held", 2.9), False),
    ("waiting", lambda store: waiting(store, "needs-attention", 1.1), True),
    ("waiting", lambda store: waiting(store, "granted", 400), False),
    ("subscription", lambda store: feeds(store, 1, 1, 1, 1), True),
    ("subscription", lambda store: feeds(store, 1, 1, 0, 1), False),
    ("subscription", lambda store: subscriptions(store, 1.5, 1.4, 1.3, 1.2), True),
    ("subscription", lambda store: subscriptions(store, 1.5, 1.4, 70, 70), False),
    ("refused-webhooks", lambda store: webhooks(store, 100, "signature-wrong"), True),
    ("refused-webhooks", lambda store: webhooks(store, 99, "signature-wrong"), False),
    ("refused-webhooks", lambda store: webhooks(store, 5000, "accepted"), False),
    ("throttled", lambda store: calls(store, 100, 20), True),
    ("throttled", lambda store: calls(store, 100, 5), False),
    ("throttled", lambda store: calls(store, 10, 10), False),
    ("needs-attention", lambda store: needing(store, 10, 16), True),
    ("needs-attention", lambda store: needing(store, 10, 14), False),
    ("needs-attention", lambda store: needing(store, 100, 106), False),
]


@pytest.mark.parametrize(("alert", "fill", "fires"), CASES)
def test_an_alert_fires_for_what_it_is_for(alert: str, fill: Callable[[Store], None], fires: bool) -> None:
    store = Store()
    fill(store)
    assert bool(store.ask(ALERTS[alert])) is fires


def test_every_alert_is_tried_both_ways() -> None:
    assert {(alert, fires) for alert, _, fires in CASES} == {(name, way) for name in ALERTS for way in (True, False)}
