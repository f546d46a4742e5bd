"""A share is the same whatever order its facts come in, and keeps who shared it when a list does not tell."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.events import Change, Item, Principal, ShareEvent, Sharer
from shared.domain.platforms import ItemKind
from shared.domain.shares import Share

START = datetime(2026, 1, 1, tzinfo=UTC)
SVEN, ANNA = Sharer(address="sven@home.example"), Sharer(address="anna@home.example")


def fact(
    at: int,
    change: Change = Change.KEPT,
    *,
    reference: str | None = "r",
    sharer: Sharer | None = None,
    shared_at: int | None = None,
    role: str = "editor",
    observed: bool = False,
    name: str = "",
) -> ShareEvent:
    return ShareEvent(
        id=f"{name or change}-{at}-{reference}",
        connection="c",
        change=change,
        at=START + timedelta(minutes=at),
        principal=Principal(address="ben@partner.example"),
        role=None if change is Change.LOST else role,
        item=Item(id="1", kind=ItemKind.FOLDER, path="/a"),
        reference=reference,
        sharer=sharer or Sharer(),
        shared_at=START + timedelta(minutes=shared_at) if shared_at is not None else None,
        observed=observed,
    )


def folded(*facts: ShareEvent) -> Share:
    share = Share(id="s", connection="c")
    for one in facts:
        share = share.fold(one)
    return share


def sharers(*facts: ShareEvent) -> list[str | None]:
    return [claim.sharer.address for claim in folded(*facts).live_claims]


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[ShareEvent], list[ShareEvent]]:
    facts = []
    for number in range(draw(st.integers(1, 7))):
        change = draw(st.sampled_from(Change))
        facts.append(
            fact(
                draw(st.integers(0, 4)),
                change,
                reference=draw(st.sampled_from(["r", "s", None])),
                sharer=draw(st.sampled_from([None, SVEN, ANNA])),
                shared_at=draw(st.sampled_from([None, 0])),
                role=draw(st.sampled_from(["editor", "viewer"])),
                observed=draw(st.booleans()),
                name=str(number),
            )
        )
    again = draw(st.permutations([*facts, *draw(st.lists(st.sampled_from(facts), max_size=3))]))
    return facts, again


@given(histories())
def test_any_order_and_any_repetition_fold_into_the_same_share(both: tuple[list[ShareEvent], list[ShareEvent]]) -> None:
    once, again = both
    assert folded(*once) == folded(*again)


def test_who_shared_it_and_when_is_kept_when_a_list_tells_less() -> None:
    told, seen = fact(1, Change.GIVEN, sharer=SVEN, shared_at=0), fact(5, role="viewer", observed=True)
    for facts in ((told, seen), (seen, told)):
        (claim,) = folded(*facts).live_claims
        assert (claim.role, claim.sharer, claim.shared_at) == ("viewer", SVEN, START)


def test_a_later_sharer_takes_the_place_of_an_earlier_one() -> None:
    assert sharers(fact(1, sharer=SVEN), fact(2, sharer=ANNA), fact(3)) == ["anna@home.example"]


def test_who_shared_it_before_it_was_taken_back_is_not_who_shares_it_now() -> None:
    """Somebody who may invite had shared it once; whoever shared it again may not."""
    facts = fact(1, Change.GIVEN, sharer=SVEN), fact(2, Change.LOST, sharer=SVEN), fact(3, observed=True)
    assert sharers(*facts) == [None]
    assert sharers(*reversed(facts)) == [None]


def test_what_a_file_saw_gives_way_to_any_newer_fact_of_the_platform() -> None:
    filed = fact(1, reference=None, observed=True)
    assert len(folded(filed).live_claims) == 1
    assert len(folded(filed, fact(0)).live_claims) == 2
    assert len(folded(filed, fact(2)).live_claims) == 1
    assert folded(filed, fact(2, Change.LOST)).live_claims == []


def test_what_a_relay_told_without_a_reference_stands_by_itself() -> None:
    assert len(folded(fact(1, reference=None), fact(2, Change.LOST)).live_claims) == 1


def test_seen_again_it_is_the_same_share_to_an_administrator() -> None:
    share = folded(fact(1, Change.GIVEN, sharer=SVEN))
    again = share.fold(fact(9, observed=True))
    assert again != share
    assert again.comes_to_the_same_as(share)
    assert not share.fold(fact(9, role="viewer")).comes_to_the_same_as(share)
    assert not share.fold(fact(9, Change.LOST)).comes_to_the_same_as(share)
    assert not share.fold(fact(9, sharer=ANNA)).comes_to_the_same_as(share)
