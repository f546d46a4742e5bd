"""Google Workspace: to whom a permission opens, and with which role."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.platforms.google_account import Member
from shared.domain.events import Change, Principal, PrincipalKind, ShareEvent
from shared.domain.platforms import RULES, Platform
from shared.sources.google_workspace.parts import Permission
from tests.sources.google_samples import EXA, MARA, OLGA, PAUL, Google, google_workspace

GROUP, TEAM = "project@contoso.com", "team@contoso.com"


@pytest.fixture
async def google() -> AsyncIterator[Google]:
    async with google_workspace() as one:
        yield one


@pytest.fixture
async def of_two_domains() -> AsyncIterator[Google]:
    """A company with a domain that the connection does not list."""
    async with google_workspace(("contoso.com", "sub.example")) as one:
        yield one


async def shared(google: Google, *grants: dict[str, Any], drive: bool = False) -> list[ShareEvent]:
    """The facts of a folder with these permissions."""
    root = google.account.add_drive("Sales", PAUL) if drive else google.account.root_of(OLGA)
    folder = google.account.add("Alpha", root)
    for grant in grants:
        google.give(folder, grant.pop("email", None), **grant)
    (facts,) = [seen.facts for page in await google.scanned() for seen in page.seen if seen.item.id == folder]
    assert all((fact.item and fact.item.id) == folder for fact in facts)
    return list(facts)


def who(facts: list[ShareEvent]) -> list[Principal]:
    return [fact.principal for fact in facts]


@pytest.mark.parametrize("drive", [False, True])
@pytest.mark.parametrize("role", ["reader", "commenter", "writer", "fileOrganizer", "organizer", "owner"])
async def test_every_role_is_told_by_drive_s_own_name(google: Google, role: str, drive: bool) -> None:
    assert role in RULES[Platform.GOOGLE_WORKSPACE].roles
    (fact,) = await shared(google, {"email": EXA, "role": role}, drive=drive)
    assert fact.role == role
    assert fact.reference == f"{fact.item.id if fact.item else ''}:{EXA}"


async def test_the_owner_is_no_share(google: Google) -> None:
    assert await shared(google, {"email": PAUL, "role": "reader"}) != []
    assert OLGA not in {fact.principal.address for fact in await shared(google, {"email": PAUL, "role": "reader"})}


async def test_an_expiry_is_carried(google: Google) -> None:
    ends = datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)
    facts = await shared(google, {"email": EXA, "expires_at": ends}, {"email": MARA})
    assert [fact.expires_at for fact in facts] == [ends, None]


async def test_who_shows_no_address_has_the_permission_s_id(google: Google) -> None:
    (fact,) = await shared(google, {"email": None, "type": "user", "id": "0815", "name": "Somebody"})
    assert fact.principal == Principal(source_id="0815", name="Somebody")
    assert fact.reference == f"{fact.item.id if fact.item else ''}:permission:0815"


async def test_an_address_that_is_none_is_passed_on(google: Google) -> None:
    (fact,) = await shared(google, {"email": "no address", "id": "0815"})
    assert fact.principal.address == "no address"
    assert (fact.reference or "").endswith(":permission:0815")


async def test_one_permission_whatever_the_letter_case(google: Google) -> None:
    (fact,) = await shared(google, {"email": "Exa@Partner.Example"})
    assert (fact.reference or "").endswith(f":{EXA}")


@pytest.mark.parametrize(("kind", "name"), [("anyone", None), ("domain", "partner.example")])
async def test_links_are_links(google: Google, kind: str, name: str | None) -> None:
    (fact,) = await shared(google, {"type": kind, "domain": name, "role": "reader"})
    assert (fact.principal.kind, fact.principal.name, fact.principal.address) == (
        PrincipalKind.ANONYMOUS_LINK,
        name,
        None,
    )
    assert fact.principal.source_id
    assert (fact.reference or "").endswith(f":permission:{fact.principal.source_id}")


async def test_a_link_for_the_company_is_for_nobody_outside(google: Google) -> None:
    assert await shared(google, {"type": "domain", "domain": "Contoso.com", "role": "reader"}) == []


@pytest.mark.parametrize("view", ["published", "metadata"])
async def test_a_permission_for_a_view_opens_nothing(google: Google, view: str) -> None:
    assert await shared(google, {"email": EXA, "view": view}) == []


# --- roles from above


def permission(role: str, *details: dict[str, Any]) -> Permission:
    return Permission.model_validate({"id": "1", "type": "user", "role": role, "permissionDetails": list(details)})


HERE, ABOVE = {"inherited": False, "permissionType": "file"}, {"inherited": True, "inheritedFrom": "f"}


@pytest.mark.parametrize(
    ("found", "role"),
    [
        (permission("writer"), "writer"),
        (permission("writer", {**HERE, "role": "writer"}), "writer"),
        (permission("writer", HERE), "writer"),
        (permission("writer", {**ABOVE, "role": "writer"}), None),
        (permission("writer", {**ABOVE, "role": "writer"}, {**HERE, "role": "reader"}), "reader"),
        (permission("writer", {**ABOVE, "role": "reader"}, {**HERE, "role": "writer"}), "writer"),
        (permission("organizer", {"inherited": False, "permissionType": "member", "role": "organizer"}), "organizer"),
    ],
)
def test_only_what_was_given_on_the_item_itself_is_a_fact_of_it(found: Permission, role: str | None) -> None:
    assert found.given_role == role


roles = st.sampled_from(["reader", "commenter", "writer", "organizer", "something new"])


@given(st.lists(st.tuples(roles, st.booleans()), min_size=1, max_size=4), roles)
def test_a_role_is_never_one_that_was_not_given_here(details: list[tuple[str, bool]], effective: str) -> None:
    found = permission(effective, *({"role": role, "inherited": inherited} for role, inherited in details))
    given_here = {role for role, inherited in details if not inherited}
    assert (found.given_role is None) == (not given_here)
    assert found.given_role is None or found.given_role in given_here


# --- groups


async def test_a_group_becomes_its_outside_members_also_through_other_groups(google: Google) -> None:
    google.account.groups[TEAM] = [Member(MARA), Member(PAUL)]
    google.account.groups[GROUP] = [
        Member(EXA),
        Member(OLGA),
        Member(TEAM, type="GROUP"),
        Member(None, type="CUSTOMER"),
        Member("theirs@partner.example", type="GROUP", status=None),
        Member("gone@partner.example", status="SUSPENDED"),
        Member("out@partner.example", type="EXTERNAL", status=None),
    ]
    facts = await shared(google, {"email": GROUP, "role": "reader"})
    found = {(p.kind, p.address or p.source_id): (p.group, p.suspended) for p in who(facts)}
    assert found == {
        (PrincipalKind.PERSON, EXA): (GROUP, False),
        (PrincipalKind.PERSON, MARA): (GROUP, False),
        (PrincipalKind.PERSON, "gone@partner.example"): (GROUP, True),
        (PrincipalKind.PERSON, "out@partner.example"): (GROUP, False),
        (PrincipalKind.GROUP, "theirs@partner.example"): (None, False),
    }
    assert {fact.reference for fact in facts} == {f"{facts[0].item.id if facts[0].item else ''}:{GROUP}"}
    assert {fact.role for fact in facts} == {"reader"}
    assert len({fact.id for fact in facts}) == len(facts)


async def test_a_group_of_the_company_alone_is_nobody(google: Google) -> None:
    google.account.groups[GROUP] = [Member(PAUL)]
    assert await shared(google, {"email": GROUP}) == []


@pytest.mark.parametrize("address", ["group@partner.example", "unknown@contoso.com"])
async def test_a_group_whose_members_google_does_not_tell_is_a_group(google: Google, address: str) -> None:
    (principal,) = who(await shared(google, {"email": address, "type": "group", "name": "Them"}))
    assert principal == Principal(kind=PrincipalKind.GROUP, source_id=address, name="Them")


async def test_a_deleted_group_is_nobody(google: Google) -> None:
    google.account.groups[GROUP] = [Member(EXA)]
    assert await shared(google, {"email": GROUP, "deleted": True}) == []


async def test_a_group_is_read_page_by_page_and_once(google: Google) -> None:
    inside = [Member(f"p{number}@contoso.com") for number in range(448)]
    google.account.groups[GROUP] = [Member(EXA), *inside, Member(MARA)]
    google.give(google.account.add("Other", google.account.root_of(OLGA)), GROUP)
    google.asked()
    assert len(await shared(google, {"email": GROUP})) == 2
    assert len([call for call in google.asked() if call.endswith("/members")]) == 3


async def test_many_members_make_short_steps(google: Google) -> None:
    google.account.groups[GROUP] = [Member(f"p{number}@partner.example") for number in range(150)]
    for number in range(5):
        google.give(google.account.add(f"Folder {number}", google.account.root_of(OLGA)), GROUP)
    found = [[seen.item.id for seen in page.seen] for page in await google.scanned()]
    assert [len(seen) for seen in found if seen] == [2, 2, 1]


async def test_a_group_that_is_too_large_is_a_group(google: Google) -> None:
    google.account.groups[GROUP] = [Member(f"p{number}@partner.example") for number in range(5001)]
    assert [principal.kind for principal in who(await shared(google, {"email": GROUP}))] == [PrincipalKind.GROUP]


async def test_reports_and_lists_tell_one_permission_of_a_group_s_member(google: Google) -> None:
    google.account.groups[GROUP] = [Member(EXA), Member(MARA), Member(PAUL)]
    reports = await google.start("reports")
    await google.act("share", GROUP, f"/{OLGA}/Alpha", "reader")
    given = await google.told(reports)
    (seen,) = [seen for page in await google.scanned() for seen in page.seen]
    assert {fact.permission for fact in given} == {fact.permission for fact in seen.facts}
    assert {fact.principal.address for fact in given} == {EXA, MARA}
    assert all(fact.change is Change.GIVEN and fact.sharer.address == OLGA for fact in given)
    assert len({fact.id for fact in given}) == 2


async def test_what_a_group_lost_is_told_of_the_group(google: Google) -> None:
    google.account.groups[GROUP] = [Member(EXA)]
    await google.act("share", GROUP, f"/{OLGA}/Alpha", "reader")
    reports = await google.start("reports")
    await google.act("remove", GROUP, f"/{OLGA}/Alpha")
    (lost,) = [fact for fact in await google.told(reports) if fact.change is Change.LOST]
    assert lost.principal == Principal(kind=PrincipalKind.GROUP, source_id=GROUP)
    assert lost.reference == f"{lost.item.id if lost.item else ''}:{GROUP}"


# --- suspended


async def test_an_account_that_was_deleted_is_suspended(google: Google) -> None:
    (principal,) = who(await shared(google, {"email": EXA, "deleted": True}))
    assert principal.suspended


@pytest.mark.parametrize(("flag", "suspended"), [("suspended", True), ("archived", True), ("has_drive", False)])
async def test_suspended_and_archived_accounts_of_another_domain_of_ours(
    of_two_domains: Google, flag: str, suspended: bool
) -> None:
    of_two_domains.account.add_person("max@sub.example", **{flag: True})
    of_two_domains.account.groups[GROUP] = [Member("max@sub.example", status=None)]
    facts = await shared(of_two_domains, {"email": "max@sub.example"}, {"email": GROUP}, {"email": EXA})
    assert [(p.address, p.suspended) for p in who(facts)] == [
        ("max@sub.example", suspended),
        ("max@sub.example", suspended),
        (EXA, False),
    ]


async def test_outside_accounts_are_not_asked_for(google: Google) -> None:
    google.asked()
    await shared(google, *({"email": f"p{number}@partner.example"} for number in range(20)))
    assert not [call for call in google.asked() if "partner.example" in call]
