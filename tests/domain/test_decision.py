"""The decision, in its order: each rule alone, and each rule before the ones after it."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.connections import Connection, Destination, Policy, Route
from shared.domain.decision import assess, assess_share, explain, pre_approval, wanted, wanted_role
from shared.domain.events import Change, Item, Principal, PrincipalKind, ShareEvent, Sharer
from shared.domain.guests import Guest, GuestState
from shared.domain.platforms import Fidelity, ItemKind, Platform, Role
from shared.domain.reasons import Reason, State
from shared.domain.shares import Access, Settlement, Share

NOW = datetime(2026, 6, 1, tzinfo=UTC)
FOLDER = Item(id="1", kind=ItemKind.FOLDER, path="/Projects/Alpha")


def connection(
    platform: Platform = Platform.SECURISYNC,
    policy: dict[str, object] | None = None,
    account_map: dict[str, str | None] | None = None,
) -> Connection:
    return Connection(
        id="source",
        platform=platform,
        internal_domains=("home.example", "corp.local"),
        routes=(Route(source="/Projects", drive="d", path="/Clients"), Route(source="/Projects/Alpha/Deep", drive="e")),
        secrets={},
        policy=Policy.model_validate(policy or {}),
        account_map=account_map or {},
    )


def share_event(**changes: object) -> ShareEvent:
    base: dict[str, object] = {
        "id": "e",
        "connection": "source",
        "change": Change.GIVEN,
        "at": NOW - timedelta(days=1),
        "principal": Principal(address="anna@partner.example"),
        "role": "Modify",
        "item": FOLDER,
        "shared_at": NOW - timedelta(days=365 * 5),
    }
    return ShareEvent.model_validate(base | changes)


def decide(event: ShareEvent, to: Connection | None = None) -> Access | Reason:
    return assess(event, event.item, to or connection(), NOW)


def person(address: str | None, **more: object) -> Principal:
    return Principal.model_validate({"address": address, **more})


# Each case breaks one rule and, where it can, also those after it: the first match must end it.
ORDER = [
    (share_event(principal=Principal(kind=PrincipalKind.GROUP, name="All", suspended=True), role="?"), Reason.GROUP),
    (share_event(principal=Principal(kind=PrincipalKind.ANONYMOUS_LINK), role="?"), Reason.ANONYMOUS_LINK),
    (share_event(principal=person(None, suspended=True)), Reason.ADDRESS_MISSING),
    (share_event(principal=person("not an address", suspended=True)), Reason.ADDRESS_INVALID),
    (share_event(principal=person("Boss@HOME.example", suspended=True), pending=True, role="?"), Reason.INTERNAL),
    (share_event(principal=person("root@corp.local")), Reason.INTERNAL),
    (share_event(principal=person("anna@partner.example", suspended=True), pending=True, role="?"), Reason.SUSPENDED),
    (share_event(pending=True, role="?", item=None, reference="r"), Reason.SOURCE_ACCEPTANCE),
    (share_event(pending=True, role="?"), Reason.SOURCE_ACCEPTANCE),
    (share_event(item=Item(id="1", kind=ItemKind.FOLDER)), Reason.PATH_UNKNOWN),
    (share_event(role="Superuser", expires_at=NOW), Reason.UNKNOWN_ROLE),
    (share_event(role=None), Reason.UNKNOWN_ROLE),
    (share_event(expires_at=NOW), Reason.EXPIRED),
    (share_event(item=Item(id="1", kind=ItemKind.FOLDER, path="/Elsewhere")), Reason.NO_ROUTE),
    (share_event(item=Item(id="1", kind=ItemKind.FOLDER, path="/Projects/../Secret")), Reason.NAME_NOT_ALLOWED),
    (share_event(item=Item(id="1", kind=ItemKind.FOLDER, path="/Projects/a:b")), Reason.NAME_NOT_ALLOWED),
]


@pytest.mark.parametrize(("event", "reason"), ORDER, ids=lambda value: str(value) if isinstance(value, Reason) else "")
def test_the_first_match_ends_it(event: ShareEvent, reason: Reason) -> None:
    assert decide(event) is reason


@pytest.mark.parametrize(
    ("policy", "changes", "reason"),
    [
        ({"denied_domains": ("partner.example",), "allowed_domains": ("partner.example",)}, {}, Reason.DOMAIN_DENIED),
        ({"allowed_domains": ("friend.example",)}, {}, Reason.DOMAIN_NOT_ALLOWED),
        ({"shared_since": NOW - timedelta(days=365 * 2)}, {}, Reason.TOO_OLD),
        ({"shared_since": NOW - timedelta(days=365 * 2)}, {"shared_at": None}, Reason.AGE_UNKNOWN),
    ],
)
def test_the_policy_refuses(policy: dict[str, object], changes: dict[str, object], reason: Reason) -> None:
    assert decide(share_event(**changes), connection(policy=policy)) is reason


def test_a_share_of_five_years_ago_is_carried_by_default() -> None:
    assert isinstance(decide(share_event()), Access)
    assert isinstance(decide(share_event(shared_at=None)), Access)


def test_a_refused_role_is_not_an_unknown_one() -> None:
    box = connection(Platform.BOX)
    assert decide(share_event(role="previewer"), box) is Reason.ROLE_NOT_CARRIED
    assert decide(share_event(role="owner"), box) is Reason.UNKNOWN_ROLE


def test_a_file_of_box_is_carried_only_by_an_explicit_setting() -> None:
    file = share_event(role="viewer", item=Item(id="1", kind=ItemKind.FILE, path="/Projects/a.pdf"))
    assert decide(file, connection(Platform.BOX)) is Reason.UNSUPPORTED_SCOPE
    assert isinstance(decide(file, connection(Platform.BOX, {"extra_scopes": ("file",)})), Access)


def test_a_pending_share_counts_where_acceptance_is_not_asked_for() -> None:
    assert isinstance(decide(share_event(role="editor", pending=True), connection(Platform.DROPBOX)), Access)


def test_the_ceiling_makes_a_role_narrower_and_says_so() -> None:
    access = decide(share_event(), connection(policy={"role_ceiling": "read"}))
    assert isinstance(access, Access)
    assert (access.role, access.fidelity) == (Role.READ, Fidelity.NARROWER)


@pytest.mark.parametrize(("role", "given"), [("Co-owner", Role.WRITE), ("Modify", Role.WRITE), ("View", Role.READ)])
def test_the_cross_organisation_rule_makes_links(role: str, given: Role) -> None:
    by_event = decide(share_event(role=role, cross_organisation=True))
    by_domain = decide(share_event(role=role), connection(policy={"link_domains": ("@Partner.example",)}))
    by_person = decide(share_event(role=role), connection(policy={"link_people": ("ANNA@partner.example",)}))
    for access in (by_event, by_domain, by_person):
        assert isinstance(access, Access)
        assert (access.link, access.role) == (True, given)


def test_the_account_map_excludes_and_the_longest_route_wins() -> None:
    assert decide(share_event(), connection(account_map={"Anna@partner.example": None})) is Reason.EXCLUDED
    deep = decide(share_event(item=Item(id="2", kind=ItemKind.FOLDER, path="/projects/ALPHA/deep/x#1 %")))
    assert isinstance(deep, Access)
    assert deep.destination == Destination(drive="e", path="/x#1 %")
    near = decide(share_event(item=Item(id="2", kind=ItemKind.FOLDER, path="/Projects/Alpha/Deeper")))
    assert isinstance(near, Access)
    assert near.destination == Destination(drive="d", path="/Clients/Alpha/Deeper")


def test_the_widest_of_several_claims_counts_and_a_lost_one_does_not() -> None:
    share = Share(id="s", connection="source")
    share = share.fold(share_event(id="1", role="View", reference="direct"))
    share = share.fold(share_event(id="2", role="Modify", reference="group"))
    verdict = assess_share(share, connection(), NOW)
    assert isinstance(verdict, Access)
    assert verdict.role is Role.WRITE
    share = share.fold(share_event(id="3", change=Change.LOST, role=None, reference="group", at=NOW))
    verdict = assess_share(share, connection(), NOW)
    assert isinstance(verdict, Access)
    assert verdict.role is Role.READ
    share = share.fold(share_event(id="4", change=Change.LOST, role=None, reference="direct", at=NOW))
    assert assess_share(share, connection(), NOW) is Reason.REMOVED_AT_SOURCE


def test_who_may_invite() -> None:
    def shared_by(**sharer: object) -> Share:
        return Share(id="s", connection="source").fold(share_event(sharer=Sharer.model_validate(sharer)))

    listed = connection(policy={"pre_approved_sharers": ("boss@home.example",)})
    assert pre_approval(shared_by(may_invite=True), connection(), NOW)
    assert pre_approval(shared_by(address="Boss@Home.example"), listed, NOW)
    assert not pre_approval(shared_by(address="boss@home.example"), connection(), NOW)
    assert not pre_approval(shared_by(address="someone@home.example", may_invite=False), listed, NOW)
    assert not pre_approval(shared_by(address="boss@home.example, x"), listed, NOW)
    refused = Share(id="s", connection="source").fold(share_event(role="?", sharer=Sharer(may_invite=True)))
    assert not pre_approval(refused, connection(), NOW)


ACCESS = Access(role=Role.READ, fidelity=Fidelity.EXACT, destination=Destination(drive="d", path="/a"))


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (GuestState.HELD, Reason.APPROVAL),
        (GuestState.APPROVED, Reason.INVITATION),
        (GuestState.INVITED, Reason.ACCEPTANCE),
        (GuestState.DENIED, Reason.DENIED),
        (GuestState.USABLE, Reason.GRANT),
    ],
)
def test_law_2_nothing_is_given_before_the_guest_is_usable(state: GuestState, reason: Reason) -> None:
    share, guest = Share(id="s", connection="source", verdict=ACCESS), Guest(key="k", state=state)
    assert explain(share, guest) is reason
    assert (wanted(share, guest) is not None) is (state is GuestState.USABLE)


def test_the_two_columns_that_users_know_are_word_for_word() -> None:
    assert Reason.APPROVAL.sentence == "pending admin approval"
    assert Reason.ACCEPTANCE.sentence == "has not accepted the invitation yet"


def test_a_settlement_counts_only_for_the_access_that_it_was_about() -> None:
    guest = Guest(key="k", state=GuestState.USABLE)
    done = Settlement(access=ACCESS, reason=Reason.GRANTED, since=NOW)
    share = Share(id="s", connection="source", verdict=ACCESS, settlement=done)
    assert explain(share, guest) is Reason.GRANTED
    wider = ACCESS.model_copy(update={"role": Role.WRITE})
    assert explain(share.model_copy(update={"verdict": wider}), guest) is Reason.GRANT
    lost = share.model_copy(update={"verdict": Reason.REMOVED_AT_SOURCE})
    assert explain(lost, guest) is Reason.REVOCATION
    gone = Settlement(access=None, reason=Reason.REMOVED_AT_SOURCE, since=NOW)
    assert explain(lost.model_copy(update={"settlement": gone}), guest) is Reason.REMOVED_AT_SOURCE
    failed = Settlement(access=None, reason=Reason.SHARING_DISABLED, since=NOW)
    assert explain(lost.model_copy(update={"settlement": failed}), guest) is Reason.SHARING_DISABLED


@pytest.mark.parametrize("link", [False, True])
def test_a_role_reaches_down_and_not_aside(link: bool) -> None:
    guest = Guest(key="k", state=GuestState.USABLE)
    share = Share(id="s", connection="source", verdict=ACCESS.model_copy(update={"link": link}))
    beneath, beside = Destination(drive="d", path="/A/b"), Destination(drive="d", path="/ab")
    assert wanted_role([share], guest, beneath, link=link) is Role.READ
    assert wanted_role([share], guest, beneath, link=not link) is None
    assert wanted_role([share], guest, beside, link=link) is None
    assert wanted_role([share], guest, Destination(drive="other", path="/a"), link=link) is None


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_state_and_a_sentence(reason: Reason) -> None:
    assert reason.state in State
    assert reason.value.count("/") == 1
    assert reason.sentence
    assert (reason.sentence[0].isupper() and reason.sentence.endswith(".")) or reason in (
        Reason.APPROVAL,
        Reason.ACCEPTANCE,
    )
