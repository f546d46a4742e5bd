"""Box: what a delivery means."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from box_sdk_gen import CreateWebhookTriggers
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.domain.events import Change, PrincipalKind, ShareEvent, Sharer
from shared.domain.platforms import ItemKind
from shared.domain.sources import Hint
from shared.domain.trouble import UnreadableError
from tests.sources.box_samples import (
    APP,
    COLLABORATION,
    FILE,
    NOW,
    PENDING,
    SOURCE,
    attempt,
    facts,
    json_values,
    read,
)


def test_a_collaboration_is_read_whole() -> None:
    event = read("COLLABORATION.ACCEPTED", COLLABORATION)
    assert event.change is Change.GIVEN
    assert event.id.startswith("box:")
    assert event.connection == "box-main"
    assert event.at == NOW
    assert event.reference == "12345"
    assert event.role == "editor"
    assert event.principal.kind is PrincipalKind.PERSON
    assert (event.principal.address, event.principal.source_id) == ("example@user.com", "2222")
    assert event.item is not None
    assert (event.item.id, event.item.kind, event.item.path) == ("folder:5678", ItemKind.FOLDER, None)
    assert event.shared_at == datetime(2018, 4, 18, 22, 5, 29, tzinfo=UTC)
    assert event.expires_at == datetime(2020, 4, 7, 19, 51, 30, tzinfo=UTC)
    assert event.sharer.address == "test@user.com"
    assert not event.pending


def test_the_sharer_is_who_made_the_collaboration_not_who_caused_the_event() -> None:
    body = attempt(created_by={"type": "user", "id": "2", "name": "", "login": "other@user.com"})[1]
    (event,) = facts(SOURCE.read(body))
    assert event.sharer.address == "test@user.com"


@pytest.mark.parametrize(
    ("trigger", "status", "change", "pending"),
    [
        ("COLLABORATION.CREATED", "pending", Change.GIVEN, True),
        ("COLLABORATION.CREATED", "accepted", Change.GIVEN, False),
        ("COLLABORATION.CREATED", None, Change.GIVEN, True),
        ("COLLABORATION.ACCEPTED", None, Change.GIVEN, False),
        ("COLLABORATION.ACCEPTED", "pending", Change.GIVEN, True),
        ("COLLABORATION.UPDATED", "accepted", Change.KEPT, False),
        ("COLLABORATION.UPDATED", None, Change.KEPT, True),
        ("COLLABORATION.UPDATED", "rejected", Change.LOST, False),
        ("COLLABORATION.REJECTED", "rejected", Change.LOST, False),
        ("COLLABORATION.REMOVED", "pending", Change.LOST, False),
        ("COLLABORATION.REMOVED", "accepted", Change.LOST, False),
    ],
)
def test_triggers(trigger: str, status: str | None, change: Change, pending: bool) -> None:
    event = read(trigger, {**COLLABORATION, "status": status})
    assert (event.change, event.pending) == (change, pending)


def test_a_pending_invitation_hides_its_item() -> None:
    event = read("COLLABORATION.CREATED", PENDING)
    assert event.item is None
    assert event.reference == "12345"
    assert event.principal.name is None
    assert event.pending


PERSON = PrincipalKind.PERSON


@pytest.mark.parametrize(
    ("grantee", "invited", "address", "kind", "suspended"),
    [
        (None, "new@user.com", "new@user.com", PERSON, False),
        (None, None, None, PERSON, False),
        ({"type": "user", "id": "3", "login": ""}, "new@user.com", "new@user.com", PERSON, False),
        ({"type": "user", "id": "3", "login": "user tag@x.com"}, None, "user+tag@x.com", PERSON, False),
        ({"type": "user", "id": "3", "login": "a@x.com", "is_active": False}, None, "a@x.com", PERSON, True),
        ({"type": "user", "id": "3", "login": "a@x.com", "is_active": True}, None, "a@x.com", PERSON, False),
        ({"type": "group", "id": "9", "name": "Partners"}, None, None, PrincipalKind.GROUP, False),
    ],
)
def test_principals(
    grantee: dict[str, Any] | None, invited: str | None, address: str | None, kind: PrincipalKind, suspended: bool
) -> None:
    principal = read("COLLABORATION.CREATED", {**PENDING, "accessible_by": grantee, "invite_email": invited}).principal
    assert (principal.address, principal.kind, principal.suspended) == (address, kind, suspended)
    assert principal.source_id == (grantee["id"] if grantee else None)


@pytest.mark.parametrize(
    ("item", "item_id", "kind", "path"),
    [
        ({"type": "folder", "id": "0", "name": "All Files"}, "folder:0", ItemKind.ROOT, "/"),
        ({"type": "folder", "id": "7"}, "folder:7", ItemKind.FOLDER, None),
        ({"type": "file", "id": "7"}, "file:7", ItemKind.FILE, None),
        ({"type": "web_link", "id": "7"}, "web_link:7", ItemKind.FILE, None),
    ],
)
def test_items(item: dict[str, str], item_id: str, kind: ItemKind, path: str | None) -> None:
    found = read("COLLABORATION.ACCEPTED", {**COLLABORATION, "item": item}).item
    assert found is not None
    assert (found.id, found.kind, found.path) == (item_id, kind, path)


@pytest.mark.parametrize(
    ("trigger", "link", "change"),
    [
        ("SHARED_LINK.CREATED", {"access": "open", "effective_permission": "can_download"}, Change.GIVEN),
        ("SHARED_LINK.CREATED", {"access": "company"}, None),
        ("SHARED_LINK.CREATED", {"access": "collaborators"}, None),
        ("SHARED_LINK.CREATED", None, None),
        ("SHARED_LINK.CREATED", {"access": "open", "effective_access": "company"}, None),
        ("SHARED_LINK.UPDATED", {"access": "open"}, Change.KEPT),
        ("SHARED_LINK.UPDATED", {"access": "open", "effective_access": "collaborators"}, Change.LOST),
        ("SHARED_LINK.UPDATED", {"access": "company"}, Change.LOST),
        ("SHARED_LINK.DELETED", None, Change.LOST),
        ("SHARED_LINK.DELETED", {"access": "open"}, Change.LOST),
    ],
)
def test_shared_links(trigger: str, link: dict[str, str] | None, change: Change | None) -> None:
    events = facts(SOURCE.read(attempt(trigger, {**FILE, "shared_link": link})[1]))
    assert [event.change for event in events] == ([change] if change else [])
    for event in events:
        assert event.principal.kind is PrincipalKind.ANONYMOUS_LINK
        assert event.reference == "shared-link:file:77"


def test_an_anonymous_user_is_nobody_s_sharer() -> None:
    link = {**FILE, "shared_link": {"access": "open", "unshared_at": "2027-01-01T00:00:00Z"}}
    (event,) = facts(SOURCE.read(attempt("SHARED_LINK.CREATED", link, created_by={"type": "user", "id": "2"})[1]))
    assert event.sharer == Sharer()
    assert event.expires_at == datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("trigger", ["COLLABORATION.CREATED", "COLLABORATION.ACCEPTED", "COLLABORATION.REMOVED"])
def test_the_app_s_own_access_is_no_share(trigger: str) -> None:
    assert SOURCE.read(attempt(trigger, {**COLLABORATION, "accessible_by": APP})[1]) == []


def test_a_hub_has_no_item() -> None:
    event = read("COLLABORATION.ACCEPTED", {**COLLABORATION, "item": None, "app_item": {"type": "hubs", "id": "3"}})
    assert (event.item, event.reference) == (None, "12345")


@pytest.mark.parametrize("trigger", [trigger.value for trigger in CreateWebhookTriggers])
def test_every_trigger_that_box_offers_is_known(trigger: str) -> None:
    if trigger == "WEBHOOK.DELETED":
        return
    source = {**FILE, "shared_link": None} if trigger.startswith("SHARED_LINK") else COLLABORATION
    concerns_shares = trigger.startswith("COLLABORATION") or trigger in ("SHARED_LINK.DELETED", "SHARED_LINK.UPDATED")
    assert bool(SOURCE.read(attempt(trigger, source)[1])) is concerns_shares


@pytest.mark.parametrize(
    ("trigger", "advice"),
    [("NO_ACTIVE_SESSION", "Authorise the app"), ("HUB.EATEN", "Take it off")],
)
def test_triggers_that_need_somebody_are_recorded_with_what_to_do(trigger: str, advice: str) -> None:
    with pytest.raises(UnreadableError, match=advice):
        SOURCE.read(attempt(trigger, {})[1])


@pytest.mark.parametrize(
    ("more", "hints"),
    [
        ({"source": {"type": "folder", "id": "5678"}}, [Hint("folder:5678", renew=True), Hint("events")]),
        (
            {"webhook": {"id": "53", "type": "webhook", "target": {"type": "folder", "id": "7"}}, "source": None},
            [Hint("folder:7", renew=True), Hint("events")],
        ),
        ({"source": {"type": "file", "id": "5678"}}, [Hint("events")]),
        ({"source": {}}, [Hint("events")]),
        ({"source": None}, [Hint("events")]),
    ],
)
def test_a_webhook_that_box_deleted_is_made_again(more: dict[str, Any], hints: list[Hint]) -> None:
    envelope = json.loads(attempt("WEBHOOK.DELETED", {})[1])
    body = json.dumps({**envelope, "additional_info": {"reason": "auto_cleanup"}, **more}).encode()
    assert SOURCE.read(body) == hints


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"id": 12345}, r"\$\.id"),
        ({"id": "../users/1"}, r"\$\.id"),
        ({"role": ["editor"]}, r"\$\.role"),
        ({"status": "unheard of"}, r"\$\.status"),
        ({"item": {"type": "folder", "id": 5678}}, r"\$\.item\.id"),
        ({"item": {"type": "hub", "id": "5678"}}, r"\$\.item\.type"),
        ({"accessible_by": {"type": "robot", "id": "1"}}, r"\$\.accessible_by\.type"),
        ({"accessible_by": {"type": "user", "id": "1", "is_active": "false"}}, r"\$\.accessible_by\.is_active"),
        ({"created_at": 1524089129}, r"\$\.created_at"),
        ({"expires_at": "2020-04-07T12:51:30"}, r"\$\.expires_at"),
        ({"invite_email": "x" * 501}, r"\$\.invite_email"),
    ],
)
def test_wrong_types_are_unreadable_and_say_where(change: dict[str, Any], path: str) -> None:
    with pytest.raises(UnreadableError, match=path) as caught:
        read("COLLABORATION.CREATED", {**COLLABORATION, **change})
    assert "example@user.com" not in caught.value.detail


@settings(max_examples=300, deadline=None)
@given(
    trigger=st.sampled_from(["COLLABORATION.CREATED", "COLLABORATION.REMOVED", "SHARED_LINK.UPDATED", "FILE.MOVED"]),
    changes=st.dictionaries(
        st.sampled_from([*COLLABORATION, "shared_link"]), json_values | st.sampled_from(["\ud800", "", "0"]), max_size=3
    ),
)
@example("COLLABORATION.CREATED", {"role": "\ud800"})
def test_nothing_but_unreadable_comes_out_of_reading(trigger: str, changes: dict[str, Any]) -> None:
    try:
        events = SOURCE.read(attempt(trigger, {**COLLABORATION, **changes})[1])
    except UnreadableError as error:
        error.detail.encode()
    else:
        for event in facts(events):
            assert event == ShareEvent.model_validate_json(event.model_dump_json())


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_read_or_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        SOURCE.read(body)
