"""What Graph's permission lists say: both generations, every kind of link, every role, every kind of holder."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.events import Item, PrincipalKind, ShareEvent, Sharer
from shared.domain.platforms import RULES, ItemKind, Platform, Role, map_role
from shared.domain.trouble import LaterError
from shared.sources.microsoft365.facts import Directory, facts_of, read_grants
from shared.sources.microsoft365.facts import _User as User
from shared.sources.microsoft365.permissions import Grant, Group, Person, address_of_login, read_permission
from tests.sources.microsoft365_samples import ANN, BEN, GROUP_ID, OLGA, connection, direct, guest_login, link

CONNECTION = connection("onedrive")
ITEM = Item(id="d:1", kind=ItemKind.FOLDER, path="/olga@contoso.com/Alpha")
AT = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
TEAM_LOGIN = f"c:0o.c|federateddirectoryclaimprovider|{GROUP_ID}"
NOBODY = Directory(frozenset(), {}, {})


def grant_of(entry: Mapping[str, Any]) -> Grant:
    grant = read_permission(entry)
    assert grant is not None
    return grant


def user(**more: Any) -> User:
    told = {
        "id": "u-ann",
        "mail": ANN,
        "userPrincipalName": "ann_fabrikam.com#EXT#@contoso.onmicrosoft.com",
        "userType": "Guest",
        "externalUserState": "Accepted",
        "accountEnabled": True,
        "displayName": "Ann",
    }
    return User.model_validate({**told, **more})


def facts(*entries: Mapping[str, Any], users: Mapping[str, User] | None = None, **more: Any) -> list[ShareEvent]:
    asked = frozenset(["u-ann", *(users or {})]) if users is not None else frozenset[str]()
    directory = Directory(asked, users or {}, more.get("members", {}))
    return list(facts_of(CONNECTION, ITEM, AT, read_grants(entries), directory))


# Roles.


@pytest.mark.parametrize(
    ("told", "role"),
    [
        (["read"], "read"),
        (["write"], "write"),
        (["owner"], "owner"),
        (["sp.full control"], "full control"),
        (["read", "write"], "write"),
        (["owner", "write"], "owner"),
        (["read", "sp.restricted view"], "read"),
        (["sp.restricted view"], "sp.restricted view"),
        (["sp.edit"], "sp.edit"),
        (["sp.edit", "sp.view only"], "sp.edit, sp.view only"),
        ([], None),
        ([None, "read"], "read"),
    ],
)
def test_direct_roles(told: list[str], role: str | None) -> None:
    assert grant_of(direct(roles=told)).role == role


@pytest.mark.parametrize(
    ("kind", "roles", "more", "role"),
    [
        ("view", ["read"], {}, "read"),
        ("edit", ["write"], {}, "write"),
        ("view", [], {}, "read"),
        ("view", ["read"], {"preventsDownload": True}, "view, download prevented"),
        ("blocksDownload", ["read"], {"preventsDownload": True}, "blocksDownload"),
        ("review", ["review"], {}, "review"),
        ("embed", ["read"], {}, "embed"),
        ("createOnly", ["write"], {}, "createOnly"),
        ("addressBar", ["read"], {}, "addressBar"),
        ("adminDefault", ["read"], {}, "adminDefault"),
        ("edit", ["read"], {}, "edit: read"),
        ("view", ["write"], {}, "view: write"),
        (None, ["write"], {}, "write"),
    ],
)
def test_roles_of_links(kind: str, roles: list[str], more: dict[str, Any], role: str) -> None:
    assert grant_of(link("users", kind, roles, {"id": "u-ann", "email": ANN}, **more)).role == role


@pytest.mark.parametrize("platform", [Platform.ONEDRIVE, Platform.OFFICE365])
def test_every_role_of_the_platform_is_read_as_the_table_has_it(platform: Platform) -> None:
    written = {"full control": "sp.full control"}
    for role in RULES[platform].roles:
        assert grant_of(direct(roles=[written.get(role, role)])).role == role


@pytest.mark.parametrize(
    ("entry", "carried"),
    [
        (direct(roles=["sp.full control"]), Role.WRITE),
        (direct(roles=["sp.edit"]), None),
        (link("users", "review", ["review"], {"email": ANN}), None),
        (link("users", "view", ["read"], {"email": ANN}, preventsDownload=True), None),
        (link("users", "edit", ["read"], {"email": ANN}), None),
    ],
)
def test_what_is_not_known_is_never_guessed(entry: Mapping[str, Any], carried: Role | None) -> None:
    mapping = map_role(Platform.ONEDRIVE, grant_of(entry).role or "", {})
    assert (mapping.role if mapping else None) == carried


# Links.


def test_a_link_for_anyone_is_one_fact_about_nobody() -> None:
    (fact,) = facts(link("anonymous", "view", ["read"]))
    assert (fact.principal.kind, fact.principal.address, fact.role) == (PrincipalKind.ANONYMOUS_LINK, None, "read")


@pytest.mark.parametrize("scope", ["organization", "existingAccess"])
def test_links_for_the_organisation_and_for_who_has_access_already_give_nobody_outside_anything(scope: str) -> None:
    assert read_permission(link(scope, "edit", ["write"], {"id": "u-ann", "email": ANN})) is None


def test_a_link_for_specific_people_is_one_fact_for_each_with_one_reference() -> None:
    found = facts(link("users", "edit", ["write"], {"id": "u-ann", "email": ANN}, {"email": BEN}))
    assert [(f.principal.address, f.role) for f in found] == [(ANN, "write"), (BEN, "write")]
    assert {f.reference for f in found} == {"d:1:5f1b5d0a-9b53-4f0c-8d57-1c5ae2b9f7f1"}
    assert len({f.id for f in found}) == 2


def test_a_link_for_specific_people_that_nobody_holds_gives_nothing() -> None:
    assert read_permission(link("users", "edit", ["write"])) is None


def test_somebody_named_twice_by_a_link_is_one_fact() -> None:
    people = ({"id": "u-ann", "email": ANN}, {"email": ANN.upper()})
    assert len(facts(link("users", "view", ["read"], *people))) == 1


def test_an_unredeemed_invitation_to_a_link_is_pending() -> None:
    entry = {**link("users", "view", ["read"], {"id": "u-ann", "email": ANN}), "invitation": {"email": BEN}}
    assert [(f.principal.address, f.pending) for f in facts(entry)] == [(ANN, False), (BEN, True)]


# People.


def test_the_address_stands_in_either_generation() -> None:
    for left_out in (["grantedTo"], ["grantedToV2"]):
        entry = {name: value for name, value in direct().items() if name not in left_out}
        assert grant_of(entry).people == (Person("u-ann", ANN, "Ann"),)
    old = {k: v for k, v in link("users", "view", ["read"], {"email": ANN}).items() if k != "grantedToIdentitiesV2"}
    assert [person.address for person in grant_of(old).people] == [ANN]


def test_the_older_generation_lends_its_address() -> None:
    entry = direct()
    entry["grantedToV2"] = {"user": {"id": "u-ann", "displayName": "Ann"}}
    assert grant_of({**entry, "id": "1"}).people == (Person("u-ann", ANN, "Ann"),)


@pytest.mark.parametrize(
    ("login", "address"),
    [
        ("i:0#.f|membership|ann_fabrikam.com#ext#@contoso.onmicrosoft.com", "ann@fabrikam.com"),
        ("i:0#.f|membership|ann_b_fabrikam.com#EXT#@contoso.onmicrosoft.com", "ann_b@fabrikam.com"),
        ("i:0#.f|membership|urn:spo:guest#ann@fabrikam.com", "ann@fabrikam.com"),
        ("urn:spo:guest#Ann@Fabrikam.com", "ann@fabrikam.com"),
        ("i:0#.f|membership|olga@contoso.com", "olga@contoso.com"),
        ("i:0#.f|membership|#ext#@contoso.onmicrosoft.com", None),
        ("i:0#.f|membership|nobody#ext#@contoso.onmicrosoft.com", None),
        ("i:0#.w|contoso\\olga", None),
        ("urn:spo:guest#", None),
        ("", None),
    ],
)
def test_addresses_in_logins(login: str, address: str | None) -> None:
    assert address_of_login(login) == address


def test_the_login_tells_the_address_where_nothing_else_does() -> None:
    site_user = {"id": "9", "loginName": "i:0#.f|membership|urn:spo:guest#ann@fabrikam.com"}
    entry = {"id": "1", "roles": ["read"], "grantedToV2": {"siteUser": site_user}}
    assert grant_of(entry).people == (Person(None, ANN, None),)
    old = {"id": "1", "roles": ["read"], "grantedToV2": {"user": {"displayName": "Ann"}, "siteUser": site_user}}
    assert grant_of(old).people == (Person(None, ANN, "Ann"),)


def test_so_does_the_login_in_the_id_of_a_direct_permission() -> None:
    key = base64.urlsafe_b64encode(guest_login(ANN).encode()).decode().rstrip("=")
    entry = {"id": key, "roles": ["read"], "grantedTo": {"user": {"displayName": "Ann"}}}
    assert grant_of(entry).people == (Person(None, ANN, "Ann"),)


def test_a_guest_s_principal_name_is_not_taken_for_an_address() -> None:
    upn = "ann_fabrikam.com#EXT#@contoso.onmicrosoft.com"
    entry = {"id": "1", "roles": ["read"], "grantedToV2": {"user": {"id": "u-ann", "email": upn}}}
    assert grant_of(entry).people == (Person("u-ann", None, None),)
    (fact,) = facts(entry, users={"u-ann": user(mail=None)})
    assert fact.principal.address == ANN


def test_apps_and_devices_are_nobody() -> None:
    for holder in (
        {"application": {"id": "1", "displayName": "A service"}},
        {"device": {"id": "1"}},
        {"siteUser": {"loginName": "i:0i.t|00000003-0000-0ff1-ce00-000000000000|app@sharepoint"}},
        {"siteUser": {"loginName": "SHAREPOINT\\system"}},
    ):
        assert read_permission({"id": "1", "roles": ["write"], "grantedToV2": holder}) is None
    assert read_permission({"id": "1", "roles": ["write"]}) is None


def test_suspended_and_deleted_accounts_are_flagged() -> None:
    assert [f.principal.suspended for f in facts(direct(), users={"u-ann": user()})] == [False]
    assert [f.principal.suspended for f in facts(direct(), users={"u-ann": user(accountEnabled=False)})] == [True]
    assert [(f.principal.suspended, f.principal.address) for f in facts(direct(), users={})] == [(True, ANN)]


def test_who_was_not_looked_up_is_not_flagged() -> None:
    assert [f.principal.suspended for f in facts(direct())] == [False]


@pytest.mark.parametrize(("state", "pending"), [("PendingAcceptance", True), ("Accepted", False), (None, False)])
def test_a_guest_who_has_not_accepted_is_pending(state: str | None, pending: bool) -> None:
    (fact,) = facts(direct(), users={"u-ann": user(externalUserState=state)})
    assert fact.pending is pending


def test_accounts_at_home_in_the_tenant_are_left_out_whatever_their_domain() -> None:
    entry = direct("olga@contoso.onmicrosoft.com")
    inside = user(userType="Member", userPrincipalName="olga@contoso.onmicrosoft.com", externalUserState=None)
    assert facts(entry, users={"u-ann": inside}) == []


def test_external_members_and_internal_guests_are_outside_people() -> None:
    for account in (user(userType="Member"), user(userPrincipalName="ann@contoso.onmicrosoft.com")):
        assert [f.principal.address for f in facts(direct(), users={"u-ann": account})] == [ANN]


# Invitations.


def test_an_invitation_that_was_not_redeemed_is_pending_and_tells_who_shared() -> None:
    entry = {
        "id": "1",
        "roles": ["write"],
        "invitation": {"email": ANN, "signInRequired": True, "invitedBy": {"user": {"id": "u-olga", "email": OLGA}}},
    }
    (fact,) = facts(entry)
    assert (fact.principal.address, fact.pending, fact.sharer) == (ANN, True, Sharer(address=OLGA, source_id="u-olga"))


def test_a_redeemed_invitation_is_the_account_that_redeemed_it() -> None:
    entry = {**direct(), "invitation": {"email": "ann.private@home.example", "invitedBy": {"user": {"email": OLGA}}}}
    (fact,) = facts(entry)
    assert (fact.principal.address, fact.pending, fact.sharer.address) == (ANN, False, OLGA)


def test_an_invitation_that_tells_who_redeemed_it_is_not_pending() -> None:
    (fact,) = facts({"id": "1", "roles": ["read"], "invitation": {"email": ANN, "redeemedBy": ANN}})
    assert not fact.pending


def test_the_address_by_which_an_invitation_is_accepted_is_no_link() -> None:
    (fact,) = facts({"id": "1", "roles": ["read"], "link": {"webUrl": "https://x"}, "invitation": {"email": ANN}})
    assert (fact.role, fact.pending) == ("read", True)


def test_without_an_id_the_address_names_the_permission() -> None:
    (fact,) = facts({"roles": ["read"], "invitation": {"email": "Ann@Fabrikam.com"}})
    assert fact.reference == f"d:1:{ANN}"


def test_the_sharer_and_the_time_are_unknown_where_graph_does_not_tell() -> None:
    (fact,) = facts(direct())
    assert (fact.sharer, fact.shared_at) == (Sharer(), None)


# Groups.


def test_a_group_of_the_directory_is_expanded_to_its_outside_people() -> None:
    entry = {"id": "1", "roles": ["write"], "grantedToV2": {"group": {"id": GROUP_ID, "displayName": "Partners"}}}
    found = facts(entry, members={GROUP_ID: [user(), user(id="u-ben", mail=BEN, accountEnabled=False)]})
    assert [(f.principal.address, f.principal.group, f.principal.suspended) for f in found] == [
        (ANN, "Partners", False),
        (BEN, "Partners", True),
    ]
    assert {f.reference for f in found} == {"d:1:1"}


@pytest.mark.parametrize(
    "holder",
    [
        {"group": {"id": GROUP_ID, "displayName": "Partners"}},
        {"siteUser": {"displayName": "Partners", "loginName": f"c:0t.c|tenant|{GROUP_ID}"}},
        {"siteUser": {"displayName": "Partners", "loginName": TEAM_LOGIN}},
        {"user": {"displayName": "Partners"}, "siteUser": {"loginName": f"c:0t.c|tenant|{GROUP_ID.upper()}"}},
    ],
)
def test_groups_are_recognised_wherever_graph_puts_them(holder: Mapping[str, Any]) -> None:
    entry = {"id": "1", "roles": ["write"], "grantedToV2": holder, "grantedTo": {"user": {"displayName": "Partners"}}}
    assert grant_of(entry).groups == (Group(GROUP_ID, "Partners"),)


@pytest.mark.parametrize(
    "holder",
    [
        {"siteGroup": {"id": "5", "displayName": "Team Members", "loginName": "Team Members"}},
        {"sharePointGroup": {"id": "5", "title": "Team Members", "displayName": "Team Members"}},
        {
            "siteUser": {
                "displayName": "Team Members",
                "loginName": f"c:0o.c|federateddirectoryclaimprovider|{GROUP_ID}_o",
            }
        },
        {"siteUser": {"displayName": "Team Members", "loginName": "c:0(.s|true"}},
        {"user": {"displayName": "Team Members"}},
    ],
)
def test_groups_whose_members_graph_does_not_tell_are_one_fact(holder: Mapping[str, Any]) -> None:
    (fact,) = facts({"id": "1", "roles": ["write"], "grantedToV2": holder})
    assert (fact.principal.kind, fact.principal.name) == (PrincipalKind.GROUP, "Team Members")
    assert fact.principal.source_id


def test_a_group_with_hidden_members_is_one_fact() -> None:
    entry = {"id": "1", "roles": ["write"], "grantedToV2": {"group": {"id": GROUP_ID, "displayName": "Partners"}}}
    (fact,) = facts(entry)
    assert (fact.principal.kind, fact.principal.source_id) == (PrincipalKind.GROUP, GROUP_ID)


def test_everybody_but_external_users_is_nobody_outside() -> None:
    login = "c:0-.f|rolemanager|spo-grid-all-users/1a2b3c4d-0000-0000-0000-000000000000"
    entry = {"id": "1", "roles": ["read"], "grantedToV2": {"siteUser": {"displayName": "Everyone", "loginName": login}}}
    assert read_permission(entry) is None


# Dates, inheritance, references.


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("0001-01-01T00:00:00Z", None),
        (None, None),
        ("2027-03-01T00:00:00Z", datetime(2027, 3, 1, tzinfo=UTC)),
        ("2027-03-01T00:00:00.1234567Z", datetime(2027, 3, 1, 0, 0, 0, 123456, tzinfo=UTC)),
    ],
)
def test_expiry_dates(told: str | None, expected: datetime | None) -> None:
    assert grant_of(direct(expirationDateTime=told)).expires_at == expected


def test_an_empty_object_says_that_a_permission_is_inherited() -> None:
    assert grant_of(direct(inheritedFrom={})).inherited
    assert grant_of(direct(inheritedFrom={"id": "1"})).inherited
    assert not grant_of(direct(inheritedFrom=None)).inherited
    assert not grant_of(direct()).inherited


def test_one_person_s_permission_has_the_same_id_on_every_item_and_therefore_a_reference_with_the_item() -> None:
    other = Item(id="d:2", kind=ItemKind.FILE)
    (here,) = facts_of(CONNECTION, ITEM, AT, read_grants([direct()]), NOBODY)
    (there,) = facts_of(CONNECTION, other, AT, read_grants([direct()]), NOBODY)
    assert here.reference != there.reference


def test_a_reference_stays_as_it_is_from_reading_to_reading_and_an_event_id_does_not() -> None:
    later = AT.replace(minute=45)
    (first,) = facts_of(CONNECTION, ITEM, AT, read_grants([direct()]), NOBODY)
    (second,) = facts_of(CONNECTION, ITEM, later, read_grants([direct()]), NOBODY)
    (again,) = facts_of(CONNECTION, ITEM, AT, read_grants([direct()]), NOBODY)
    assert first.reference == second.reference
    assert first.id == again.id != second.id


def test_a_very_long_id_is_shortened() -> None:
    (fact,) = facts(direct() | {"id": "x" * 600})
    assert len(fact.reference or "") < 100


# What Graph does not document.


@pytest.mark.parametrize(
    "entry",
    [
        {"id": 7},
        {"id": "1", "roles": "read"},
        {"id": "1", "grantedToV2": ["x"]},
        {"id": "1", "link": "secret-link"},
        {"id": "1", "expirationDateTime": "tomorrow"},
        {"id": "1", "invitation": {"email": ["ann@fabrikam.com"]}},
    ],
)
def test_an_undocumented_answer_is_told_without_its_values(entry: Mapping[str, Any]) -> None:
    with pytest.raises(LaterError) as caught:
        read_permission(entry)
    assert "ann@" not in (caught.value.detail or "")
    assert "secret" not in (caught.value.detail or "")


text = st.text(max_size=30) | st.sampled_from([ANN, guest_login(BEN), "c:0(.s|true", f"c:0t.c|tenant|{GROUP_ID}"])
identity = st.none() | st.fixed_dictionaries(
    {}, optional={name: st.none() | text for name in ("id", "email", "displayName", "loginName")}
)
holders = st.none() | st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("user", "siteUser", "group", "siteGroup", "sharePointGroup"), identity)
)
facets = {"scope": text | st.just("users"), "type": text, "preventsDownload": st.booleans()}
permissions = st.fixed_dictionaries(
    {},
    optional={
        "id": st.none() | text,
        "roles": st.none() | st.lists(st.none() | text, max_size=3),
        "link": st.none()
        | st.fixed_dictionaries(
            {}, optional={"scope": text | st.just("users"), "type": text, "preventsDownload": st.booleans()}
        ),
        "invitation": st.none() | st.fixed_dictionaries({}, optional={"email": text, "redeemedBy": text}),
        "grantedTo": holders,
        "grantedToV2": holders,
        "grantedToIdentities": st.lists(holders, max_size=2),
        "grantedToIdentitiesV2": st.lists(holders, max_size=2),
        "inheritedFrom": st.none() | st.just({}),
    },
)


@settings(max_examples=400, deadline=None)
@given(entries=st.lists(permissions, max_size=3))
def test_whatever_is_left_out_the_facts_are_sound(entries: list[dict[str, Any]]) -> None:
    found = facts(*entries)
    assert len({(fact.reference, fact.partition) for fact in found}) == len(found)
    for fact in found:
        assert fact.reference is not None
        assert fact.principal.kind is not PrincipalKind.PERSON or fact.principal.address or fact.principal.source_id
