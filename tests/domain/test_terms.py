"""By what a person is found, and under which heads they stand."""

from datetime import UTC, datetime

import pytest

from shared.domain.events import Change, Item, Principal, ShareEvent, Sharer
from shared.domain.guests import HELD, Guest, GuestState, View
from shared.domain.platforms import ItemKind
from shared.domain.shares import Share
from shared.domain.terms import Kind, fold, guest_terms, share_terms

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def test_a_person_is_found_by_address_domain_and_each_word_of_the_name() -> None:
    terms = guest_terms(Guest(key="k", address="ada@partner.example", name="Ada  LINDGREN-Öst"))
    assert {term for kind, term in terms if kind is Kind.PERSON} == {
        "ada@partner.example",
        "ada lindgren-öst",
        "ada",
        "lindgren",
        "öst",
    }
    assert (Kind.DOMAIN, "partner.example") in terms
    assert guest_terms(Guest(key="k")) == set()


def test_a_share_is_found_by_path_name_connection_and_sharer() -> None:
    event = ShareEvent(
        id="e",
        connection="Box-1",
        change=Change.GIVEN,
        at=NOW,
        principal=Principal(address="a@b.example"),
        item=Item(id="1", kind=ItemKind.FOLDER, path="/Projects/Harbour Bridge"),
        sharer=Sharer(address="Sven@home.example"),
    )
    assert share_terms(Share(id="s", connection="Box-1").fold(event)) == {
        (Kind.CONNECTION, "box-1"),
        (Kind.ITEM, "/projects/harbour bridge"),
        (Kind.ITEM, "harbour bridge"),
        (Kind.ITEM, "harbour"),
        (Kind.ITEM, "bridge"),
        (Kind.SHARER, "sven@home.example"),
    }
    assert share_terms(Share(id="s", connection="Box-1", moved_to="x")) == set()


def test_a_term_has_one_spelling() -> None:
    assert fold("  E\u0301A  b ") == fold("éa B") == "éa b"
    assert len(fold("x" * 500)) == 80


@pytest.mark.parametrize(
    ("state", "tally", "views"),
    [
        (GuestState.HELD, {"waiting": 1}, (View.HELD,)),
        (GuestState.APPROVED, {"waiting": 1}, (View.INVITED,)),
        (GuestState.INVITED, {"waiting": 1, "needs-attention": 1}, (View.INVITED, View.ATTENTION)),
        (GuestState.EXPIRED, {"waiting": 1}, (View.ATTENTION,)),
        (GuestState.BLOCKED, {"waiting": 1}, (View.ATTENTION,)),
        (GuestState.USABLE, {"granted": 1}, (View.GRANTED,)),
        (GuestState.USABLE, {"waiting": 1}, (View.GRANTED,)),
        (GuestState.USABLE, {"granted": 1, "needs-attention": 1}, (View.GRANTED, View.ATTENTION)),
        (GuestState.USABLE, {"granted": 1, HELD: 1}, (View.HELD, View.GRANTED)),
        (GuestState.USABLE, {"needs-attention": 1}, (View.ATTENTION,)),
        (GuestState.USABLE, {"revoked": 2}, (View.IGNORED,)),
        (GuestState.DENIED, {"waiting": 1}, (View.IGNORED,)),
        (GuestState.UNKNOWN, {"ignored": 1}, (View.IGNORED,)),
        (GuestState.UNKNOWN, {"needs-attention": 1}, (View.ATTENTION,)),
        (GuestState.UNKNOWN, {}, ()),
    ],
)
def test_everybody_of_whom_something_is_known_stands_under_a_head(
    state: GuestState, tally: dict[str, int], views: tuple[View, ...]
) -> None:
    assert Guest(key="k", state=state, tally=tally).views == views


def test_the_version_changes_with_every_decision_and_not_with_what_the_source_says() -> None:
    guest = Guest(key="k", state=GuestState.HELD, since=NOW, wanting=1, tally={"waiting": 1})
    assert guest.model_copy(update={"wanting": 5, "tally": {"waiting": 5}}).version == guest.version
    assert guest.move(GuestState.DENIED, NOW).version != guest.version
    assert guest.model_copy(update={"tally": {HELD: 1}}).version != guest.version
