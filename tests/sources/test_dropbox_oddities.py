"""Dropbox: events of the team's log that cannot be read whole, or that change nobody's access."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.sources.dropbox.log import read_event
from tests.sources.box_samples import json_values
from tests.sources.dropbox_samples import ERIKA, REAL_EVENT, StandIn, changed, stand_in


@pytest.fixture
async def dropbox() -> AsyncIterator[StandIn]:
    async with stand_in() as one:
        yield one


@pytest.mark.parametrize(
    "event",
    [
        {**REAL_EVENT, "participants": [{".tag": "other"}]},
        {**REAL_EVENT, "participants": ["other"]},
        {**REAL_EVENT, "participants": [7]},
        {**REAL_EVENT, "participants": "other"},
        {**REAL_EVENT, "participants": []},
        {**REAL_EVENT, "participants": None},
        {**REAL_EVENT, "participants": [{".tag": "user", "user": {".tag": "non_team_member", "email": 7}}]},
        {**REAL_EVENT, "participants": [{".tag": "group", "display_name": "without an id"}]},
        changed("shared_content_add_member", {}),
        changed("shared_content_add_invitees", {"shared_content_access_level": "viewer", "invitees": []}),
        changed("shared_content_add_invitees", {"shared_content_access_level": "viewer", "invitees": None}),
        changed("shared_content_relinquish_membership", {}, actor={".tag": "anonymous"}),
        changed("shared_content_something_new", {}),
        changed("shared_folder_something_new", {}),
        changed("shared_folder_transfer_ownership", {"new_owner_email": ERIKA}),
        changed("shared_folder_nest", {}),
        changed("other", {}),
    ],
)
def test_what_cannot_be_read_is_looked_at_and_not_guessed(event: dict[str, Any]) -> None:
    entry = read_event(event)
    assert entry is not None
    assert entry.look
    assert entry.told == ()


KINDS = [
    "shared_content_add_member",
    "shared_content_add_invitees",
    "shared_content_change_invitee_role",
    "shared_content_relinquish_membership",
    "shared_content_unshare",
    "shared_link_share",
    "member_change_status",
    "other",
]
DETAILS = ["shared_content_access_level", "new_access_level", "invitees", "invitee", "external_users"]
ODD = json_values | st.text(st.characters(exclude_categories=()), max_size=20).map(lambda text: {".tag": text})


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    details=st.dictionaries(
        st.sampled_from(["shared_content_access_level", "new_access_level", "invitees", "invitee", "external_users"]),
        ODD,
    ),
    more=st.dictionaries(st.sampled_from(["actor", "context", "participants", "assets", "details"]), ODD),
    person=ODD,
)
def test_no_oddity_stops_the_log(kind: str, details: Any, more: Any, person: Any) -> None:
    """One event that nobody can read would hold up all that come after it."""
    participants = [{".tag": "user", "user": person}, {".tag": "group", "display_name": person}, person]
    event = {**changed(kind, details), "participants": participants, **more}
    entry = read_event(event)
    assert entry is None or all(one.principal for one in entry.told)


def test_one_who_cannot_be_read_does_not_hide_the_others() -> None:
    entry = read_event({**REAL_EVENT, "participants": [{".tag": "other"}, *REAL_EVENT["participants"]]})
    assert entry is not None
    assert len(entry.told) == 1
    assert entry.look


def test_who_has_no_address_is_told_and_looked_for() -> None:
    """The loss may be of somebody who is known by the address."""
    user = {".tag": "non_team_member", "account_id": "dbid:AAX"}
    entry = read_event(
        changed("shared_content_remove_member", {}, participants=[{".tag": "user", "user": user}]),
    )
    assert entry is not None
    assert [(one.principal.address, one.principal.source_id) for one in entry.told] == [(None, "dbid:AAX")]
    assert entry.look


def test_a_role_that_is_called_other_is_not_guessed() -> None:
    entry = read_event(changed("shared_content_add_member", {"shared_content_access_level": {".tag": "other"}}))
    assert entry is not None
    assert [one.role for one in entry.told] == ["other"]


@pytest.mark.parametrize(
    "kind",
    [
        "shared_content_view",
        "shared_content_download",
        "shared_content_copy",
        "shared_content_request_access",
        "shared_folder_mount",
        "shared_folder_unmount",
        "shared_folder_create",
        "shared_link_view",
        "shared_link_download",
        "shared_link_copy",
        "sf_team_invite",
        "sf_team_uninvite",
        "sf_external_invite_warn",
        "group_add_member",
        "file_add",
    ],
)
def test_what_changes_nobody_s_access_comes_to_nothing(kind: str) -> None:
    assert read_event(changed(kind, {})) is None


@pytest.mark.parametrize("tag", ["paper_document", "paper_folder", "showcase_document"])
def test_what_is_no_file_and_no_folder_comes_to_nothing(tag: str) -> None:
    assert read_event({**REAL_EVENT, "assets": [{".tag": tag, "doc_id": "x", "doc_title": "x"}]}) is None


@pytest.mark.parametrize(
    "assets",
    [
        None,
        [],
        [{".tag": "other"}],
        ["other"],
        "other",
        [{".tag": "file", "path": {}}],
        [{".tag": "file", "path": {"contextual": "/x"}}],
        [{".tag": "file", "path": {"namespace_relative": {"ns_id": "1", "relative_path": "/x"}}}],
    ],
)
async def test_an_event_without_an_item_leads_to_a_scan(dropbox: StandIn, assets: object) -> None:
    cursor = await dropbox.start()
    await dropbox.log({**REAL_EVENT, "timestamp": "2100-01-01T00:00:00Z", "assets": assets})
    page = await dropbox.polled(cursor)
    assert (page.events, page.seen, page.rescan) == ([], [], True)


def test_the_number_of_facts_is_people_times_items() -> None:
    asset = REAL_EVENT["assets"][0]
    entry = read_event({**REAL_EVENT, "assets": [asset, {**asset, "file_id": "id:second"}]})
    assert entry is not None
    assert [one.file_id for one in entry.assets] == [asset["file_id"], "id:second"]
