"""The states of a guest, the gate and the identity ladder."""

from datetime import UTC, datetime

import pytest

from shared.domain.guests import LEGAL_MOVES, Approval, Guest, GuestState, IllegalMoveError, Invitation
from shared.domain.identity import Account, Nobody, Undecided, UserType, resolve
from shared.domain.reasons import Reason

NOW = datetime(2026, 6, 1, tzinfo=UTC)
MEMBER = Account(object_id="m", user_type=UserType.MEMBER)
GUEST = Account(object_id="g", user_type=UserType.GUEST)
PENDING = Account(object_id="p", user_type=UserType.GUEST, pending=True)
BLOCKED = Account(object_id="b", user_type=UserType.GUEST, enabled=False)
APPROVAL = Approval(by="boss", at=NOW)


@pytest.mark.parametrize(
    ("found", "as_is", "who"),
    [
        ([], False, Nobody()),
        ([MEMBER], False, MEMBER),
        ([MEMBER], True, Nobody()),
        ([MEMBER, GUEST], False, Undecided(reason=Reason.AMBIGUOUS_IDENTITY)),
        ([MEMBER, GUEST], True, GUEST),
        ([GUEST], False, GUEST),
        ([PENDING], False, PENDING),
        ([GUEST, PENDING], False, Undecided(reason=Reason.AMBIGUOUS_IDENTITY)),
        ([BLOCKED], False, Undecided(reason=Reason.ACCOUNT_DISABLED)),
    ],
)
def test_the_identity_ladder(found: list[Account], as_is: bool, who: object) -> None:
    assert resolve("anna@partner.example", found, as_is=as_is) == who


def test_an_address_that_cannot_be_invited_is_fine_for_who_is_there_already() -> None:
    assert resolve("anna+x@partner.example", [GUEST], as_is=False) == GUEST
    assert resolve("anna+x@partner.example", [], as_is=False) == Undecided(reason=Reason.ADDRESS_NOT_INVITABLE)


@pytest.mark.parametrize(
    ("found", "approval", "state"),
    [
        (Nobody(), None, GuestState.HELD),
        (Nobody(), APPROVAL, GuestState.APPROVED),
        (PENDING, None, GuestState.HELD),
        (PENDING, APPROVAL, GuestState.APPROVED),
        (GUEST, None, GuestState.USABLE),
        (MEMBER, None, GuestState.USABLE),
        (Undecided(reason=Reason.AMBIGUOUS_IDENTITY), APPROVAL, GuestState.BLOCKED),
    ],
)
def test_the_gate(found: Account | Nobody | Undecided, approval: Approval | None, state: GuestState) -> None:
    guest = Guest(key="k").admit(found, approval, NOW)
    assert guest.state is state
    assert guest.since == NOW
    assert (guest.trouble is not None) is (state is GuestState.BLOCKED)


def test_a_person_approved_once_stays_approved() -> None:
    assert Guest(key="k", approval=APPROVAL).admit(Nobody(), None, NOW).state is GuestState.APPROVED


@pytest.mark.parametrize("here", GuestState)
@pytest.mark.parametrize("there", GuestState)
def test_only_legal_moves_are_made(here: GuestState, there: GuestState) -> None:
    guest = Guest(key="k", state=here)
    if there is here or there in LEGAL_MOVES[here]:
        assert guest.move(there, NOW).state is there
    else:
        with pytest.raises(IllegalMoveError, match="cannot go from"):
            guest.move(there, NOW)


def test_nobody_is_usable_without_leaving_the_gate_and_a_usable_guest_is_never_invited_again() -> None:
    assert GuestState.INVITED not in LEGAL_MOVES[GuestState.HELD]
    assert LEGAL_MOVES[GuestState.USABLE] == {GuestState.BLOCKED, GuestState.DENIED}


@pytest.mark.parametrize("state", [GuestState.HELD, GuestState.APPROVED, GuestState.BLOCKED])
def test_an_unsent_invitation_is_withdrawn_with_the_last_share(state: GuestState) -> None:
    assert Guest(key="k", state=state).withdraw(NOW).state is GuestState.UNKNOWN


def test_a_sharer_s_approval_goes_with_the_share_and_an_administrator_s_stays() -> None:
    for by_administrator in (True, False):
        approval = Approval(by="x", at=NOW, by_administrator=by_administrator)
        guest = Guest(key="k", state=GuestState.APPROVED, approval=approval).withdraw(NOW)
        assert guest.approval == (approval if by_administrator else None)


def test_a_started_invitation_is_seen_through() -> None:
    guest = Guest(key="k", state=GuestState.APPROVED, invitation=Invitation(started_at=NOW))
    assert guest.withdraw(NOW).state is GuestState.APPROVED


def test_a_denial_outlives_acceptance() -> None:
    assert Guest(key="k", state=GuestState.DENIED).refresh(GUEST, NOW).state is GuestState.DENIED
    assert Guest(key="k", state=GuestState.INVITED).refresh(GUEST, NOW).state is GuestState.USABLE


def test_the_token_is_not_in_the_text_of_a_guest() -> None:
    guest = Guest(key="k", invitation=Invitation(started_at=NOW, redeem_url="https://secret"))
    assert "secret" not in repr(guest)
    assert "secret" not in str(guest)
