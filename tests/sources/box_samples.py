"""A Box account and what it sends."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from local.platforms.box_webhooks import delivery
from shared.domain.connections import Connection
from shared.domain.events import ShareEvent
from shared.domain.sources import Hint
from shared.sources.box.source import BoxSource

PRIMARY, SECONDARY = "SamplePrimaryKey", "SampleSecondaryKey"  # those of the vectors in the tests of Box's SDKs
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=timezone(timedelta(hours=-7)))
SECRETS = {
    "primary_key": PRIMARY,
    "secondary_key": SECONDARY,
    "client_id": "app",
    "client_secret": "app-secret",
    "enterprise_id": "4711",
}
CONNECTION = Connection.model_validate(
    {
        "id": "box-main",
        "platform": "box",
        "internal_domains": ["contoso.com"],
        "routes": [{"source": "/", "drive": "d"}],
        "secrets": {},
    }
)
# The collaboration of the tests of box-java-sdk, with the fields that it leaves out as Box's API reference has them.
COLLABORATION: dict[str, Any] = {
    "type": "collaboration",
    "id": "12345",
    "created_by": {"type": "user", "id": "1111", "name": "Test User", "login": "test@user.com"},
    "created_at": "2018-04-18T15:05:29-07:00",
    "modified_at": "2018-04-18T15:05:29-07:00",
    "expires_at": "2020-04-07T12:51:30-07:00",
    "status": "accepted",
    "accessible_by": {"type": "user", "id": "2222", "name": "Example User", "login": "example@user.com"},
    "invite_email": None,
    "role": "editor",
    "acknowledged_at": "2018-04-18T15:05:28-07:00",
    "item": {"type": "folder", "id": "5678", "sequence_id": "2", "etag": "2", "name": "Ball Valve Diagram"},
    "is_access_only": False,
}
PENDING = {
    **COLLABORATION,
    "status": "pending",
    "item": None,
    "accessible_by": {"type": "user", "id": "2222", "name": "", "login": "example@user.com"},
}


type Delivered = tuple[dict[str, str], bytes]


def make(**secrets: str) -> BoxSource:
    return BoxSource(CONNECTION, {**SECRETS, **secrets})


SOURCE = make()


def attempt(
    trigger: str = "COLLABORATION.ACCEPTED", source: Mapping[str, Any] = COLLABORATION, **more: Any
) -> Delivered:
    return delivery(trigger, source, PRIMARY, SECONDARY, NOW, **more)


def facts(found: Iterable[ShareEvent | Hint]) -> list[ShareEvent]:
    """What was read when it can only be share events."""
    events = [one for one in found if isinstance(one, ShareEvent)]
    assert events == list(found)
    return events


def read(trigger: str, source: Mapping[str, Any]) -> ShareEvent:
    (event,) = facts(SOURCE.read(attempt(trigger, source)[1]))
    return event


# The service account, as Box's "User types" has it.
APP = {"type": "user", "id": "33458195409", "name": "App", "login": "AutomationUser_2238660_SeKeLw@boxdevedition.com"}
FILE = {"type": "file", "id": "77", "name": "plan.pdf"}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
