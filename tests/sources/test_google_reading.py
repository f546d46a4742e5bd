"""Google Workspace: what the administrator's reports mean."""

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.domain.events import Change, PrincipalKind, ShareEvent, Sharer
from shared.domain.platforms import RULES, ItemKind, Platform
from shared.sources.google_workspace import reports as google_reports
from shared.sources.google_workspace.parts import Activity
from shared.sources.google_workspace.reports import ACCESS, MEMBERSHIP, Told
from tests.sources.google_samples import CONNECTION, EXA, MARA, OLGA, activity, event

AT = datetime(2026, 11, 22, 9, 30, 0, 123000, tzinfo=UTC)


def told(*events: dict[str, Any], name: str = ACCESS, **more: Any) -> list[Told]:
    return list(google_reports.read(Activity.model_validate(activity(*events, **more)), name, CONNECTION))


def only(**values: Any) -> ShareEvent:
    (one,) = told(event(**values))
    return one.event


def test_a_share_is_read_whole() -> None:
    (one,) = told(event())
    fact = one.event
    assert fact.id.startswith("google-workspace:2026-11-22T09:30:00.123000+00:00/-4477/")
    assert fact.connection == "google-main"
    assert (fact.change, fact.role) == (Change.GIVEN, "writer")
    assert fact.at == fact.shared_at == AT
    assert (fact.principal.kind, fact.principal.address) == (PrincipalKind.PERSON, EXA)
    assert fact.item is not None
    assert (fact.item.id, fact.item.kind, fact.item.path) == ("1AbC-x_9", ItemKind.FOLDER, None)
    assert fact.reference == f"1AbC-x_9:{EXA}"
    assert fact.sharer == Sharer(address=OLGA, source_id="100000000000000000001")
    assert fact.expires_at is None
    assert not fact.pending
    assert (one.lives.owner, one.lives.drive) == (OLGA, None)


@pytest.mark.parametrize(
    ("old", "new", "change", "role", "tells_origin"),
    [
        (["none"], ["can_view"], Change.GIVEN, "reader", True),
        ("none", "can_view", Change.GIVEN, "reader", True),
        (["none"], ["can_comment"], Change.GIVEN, "commenter", True),
        (["none"], ["can_edit"], Change.GIVEN, "writer", True),
        (["none"], ["owner"], Change.GIVEN, "owner", True),
        (["none"], ["organizer"], Change.GIVEN, "organizer", True),
        (["none"], ["content_manager"], Change.GIVEN, "fileOrganizer", True),
        (["none"], ["can_manage_everything"], Change.GIVEN, "can_manage_everything", True),
        (["none"], ["can_view", "can_edit"], Change.GIVEN, "reader+writer", True),
        (["can_view"], ["can_edit"], Change.KEPT, "writer", False),
        (["can_edit"], ["can_view"], Change.KEPT, "reader", False),
        (None, ["can_view"], Change.KEPT, "reader", False),
        (["can_edit"], ["none"], Change.LOST, None, False),
        ("can_edit", "none", Change.LOST, None, False),
        (None, "none", Change.LOST, None, False),
    ],
)
def test_roles(old: Any, new: Any, change: Change, role: str | None, tells_origin: bool) -> None:
    fact = only(old_value=old, new_value=new)
    assert (fact.change, fact.role) == (change, role)
    assert fact.sharer.is_known == tells_origin  # who changes a role did not share it
    assert (fact.shared_at == AT) == tells_origin


def test_every_role_that_is_carried_has_a_name_in_the_reports() -> None:
    words = ["can_view", "can_comment", "can_edit", "content_manager", "organizer", "owner"]
    assert {only(new_value=[word]).role for word in words} == set(RULES[Platform.GOOGLE_WORKSPACE].roles)


def test_an_activity_has_an_event_for_each_person() -> None:
    facts = [one.event for one in told(event(), event(target_user=MARA), event(doc_id="2"))]
    assert [fact.reference for fact in facts] == [f"1AbC-x_9:{EXA}", f"1AbC-x_9:{MARA}", f"2:{EXA}"]
    assert len({fact.id for fact in facts}) == 3
    again = [one.event for one in told(event(doc_id="2"), event(target_user=MARA), event())]
    assert {fact.id for fact in again} == {fact.id for fact in facts}


@pytest.mark.parametrize("target", ["paul@contoso.com", EXA])
@pytest.mark.parametrize("visibility", ["external", "internal", "none", None])
def test_the_target_says_who_is_outside_and_not_the_visibility(target: str, visibility: str | None) -> None:
    fact = only(target_user=target, visibility_change=visibility)
    assert CONNECTION.is_internal(fact.principal.address or "") == (target != EXA)


def test_both_ways_of_writing_an_address_are_one_permission() -> None:
    assert only(target_user="Exa@Partner.Example").reference == f"1AbC-x_9:{EXA}"


@pytest.mark.parametrize(
    "values",
    [
        {"name": "change_user_access_hierarchy_reconciled"},
        {"name": "change_document_visibility"},
        {"name": "change_document_access_scope"},
        {"name": "change_document_visibility_hierarchy_reconciled"},
        {"name": "change_acl_editors"},
        {"name": "change_owner"},
        {"name": "shared_drive_settings_change"},
        {"name": "view"},
        {"name": "an event that is not known yet"},
        {"doc_id": None},
        {"doc_id": ""},
        {"doc_id": "../../x"},
        {"doc_id": "x" * 151},
        {"target_user": None},
        {"target_user": "partner.example"},
        {"new_value": None},
        {"new_value": []},
        {"owner": "somebody@partner.example"},
    ],
)
def test_events_that_are_no_facts_of_ours(values: dict[str, Any]) -> None:
    assert told(event(**values), event(target_user=MARA)) == told(event(target_user=MARA))


@pytest.mark.parametrize("kind", [("folder", ItemKind.FOLDER), ("pdf", ItemKind.FILE), (None, ItemKind.FILE)])
def test_kinds(kind: tuple[str | None, ItemKind]) -> None:
    fact = only(doc_type=kind[0])
    assert fact.item is not None
    assert fact.item.kind is kind[1]


@pytest.mark.parametrize("flag", ["owner_is_shared_drive", "owner_is_team_drive"])
@pytest.mark.parametrize("name", ["shared_drive_id", "owner_shared_drive_id", "team_drive_id"])
def test_in_a_shared_drive_the_owner_is_a_name(flag: str, name: str) -> None:
    (one,) = told(event(owner="Sales", **{"owner_is_shared_drive": None, flag: True, name: "0AB"}))
    assert (one.lives.owner, one.lives.drive) == (None, "0AB")


@pytest.mark.parametrize(
    "actor", [{}, {"email": ""}, {"callerType": "KEY", "key": "SYSTEM"}, {"profileId": "105250506097979753968"}]
)
def test_an_actor_without_an_address_is_nobody(actor: dict[str, str]) -> None:
    (one,) = told(event(), actor=actor)
    assert one.event.sharer == Sharer()
    assert one.event.shared_at == AT


MEMBER = {"name": MEMBERSHIP, "doc_id": None, "target_user": None, "old_value": None, "new_value": None}


@pytest.mark.parametrize(
    ("values", "change", "role"),
    [
        (("add_to_shared_drive", "none", "viewer"), Change.GIVEN, "reader"),
        (("add_to_shared_drive", None, "commenter"), Change.GIVEN, "commenter"),
        (("add_to_shared_drive", "none", "editor"), Change.GIVEN, "writer"),
        (("add_to_shared_drive", "none", "content_manager"), Change.GIVEN, "fileOrganizer"),
        (("add_to_shared_drive", "none", "organizer"), Change.GIVEN, "organizer"),
        (("change_roles", "viewer", "editor"), Change.KEPT, "writer"),
        (("re_share", "viewer", "something new"), Change.KEPT, "something new"),
        (("remove_from_shared_drive", "editor", "none"), Change.LOST, None),
        (("remove_from_shared_drive", "editor", None), Change.LOST, None),
    ],
)
def test_members_of_a_shared_drive(
    values: tuple[str, str | None, str | None], change: Change, role: str | None
) -> None:
    kind, removed, added = values
    about = {"membership_change_type": kind, "removed_role": removed, "added_role": added, "shared_drive_id": "0AB"}
    (one,) = told(event(**MEMBER, **about, target=EXA), name=MEMBERSHIP)
    fact = one.event
    assert (fact.change, fact.role, fact.reference) == (change, role, f"0AB:{EXA}")
    assert fact.item is not None
    assert (fact.item.id, fact.item.kind) == ("0AB", ItemKind.ROOT)
    assert one.lives.drive == "0AB"
