"""A guest: the external person at the destination, the gate in front of the invitation, and the legal moves."""

from enum import StrEnum
from typing import Self

from pydantic import AwareDatetime, Field

from shared.domain.identity import Account, Nobody, Resolution, Undecided
from shared.domain.reasons import Reason
from shared.domain.value import Value


class GuestState(StrEnum):
    """Where a guest stands."""

    UNKNOWN = "unknown"  # nothing of theirs asks for access (yet, or any more)
    HELD = "held"  # pending admin approval
    APPROVED = "approved"  # may be invited, the invitation is not made yet
    INVITED = "invited"  # has not accepted the invitation yet
    USABLE = "usable"  # can hold permissions
    DENIED = "denied"  # an administrator said no
    BLOCKED = "blocked"  # cannot go on without an administrator; `trouble` says why


LEGAL_MOVES: dict[GuestState, frozenset[GuestState]] = {
    GuestState.UNKNOWN: frozenset(
        {GuestState.HELD, GuestState.APPROVED, GuestState.USABLE, GuestState.DENIED, GuestState.BLOCKED}
    ),
    GuestState.HELD: frozenset(
        {GuestState.UNKNOWN, GuestState.APPROVED, GuestState.USABLE, GuestState.DENIED, GuestState.BLOCKED}
    ),
    GuestState.APPROVED: frozenset(
        {GuestState.UNKNOWN, GuestState.INVITED, GuestState.USABLE, GuestState.DENIED, GuestState.BLOCKED}
    ),
    GuestState.INVITED: frozenset({GuestState.USABLE, GuestState.DENIED, GuestState.BLOCKED}),
    GuestState.USABLE: frozenset({GuestState.BLOCKED}),
    GuestState.DENIED: frozenset({GuestState.UNKNOWN, GuestState.APPROVED, GuestState.INVITED, GuestState.USABLE}),
    GuestState.BLOCKED: frozenset(
        {GuestState.UNKNOWN, GuestState.HELD, GuestState.APPROVED, GuestState.USABLE, GuestState.DENIED}
    ),
}


class IllegalMoveError(ValueError):
    """The guest cannot go from its state to that one."""


class Approval(Value):
    """Who let the invitation leave: an administrator, for good, or a sharer, for as long as their share stands."""

    by: str
    at: AwareDatetime
    by_administrator: bool = True


class Invitation(Value):
    """The guest's invitation. `redeem_url` is the stored token: it holds a ticket and is never logged or shown.

    `started_at` is written before Entra is asked, so that a crash in between is noticed and nobody is mailed twice.
    """

    started_at: AwareDatetime
    id: str | None = None
    redeem_url: str | None = Field(default=None, repr=False)
    invited_at: AwareDatetime | None = None


class InvitationState(StrEnum):
    """Where a guest's invitation stands."""

    NONE = "none"
    STARTED = "started"  # Entra may have been asked; nothing is known of its answer
    PENDING = "pending"  # made, its token is kept
    ACCEPTED = "accepted"


LEGAL_INVITATION_MOVES: dict[InvitationState, frozenset[InvitationState]] = {
    InvitationState.NONE: frozenset({InvitationState.STARTED}),
    # Back to none: Entra refused, or nobody asks any more and Entra never heard of it.
    InvitationState.STARTED: frozenset({InvitationState.NONE, InvitationState.PENDING, InvitationState.ACCEPTED}),
    InvitationState.PENDING: frozenset({InvitationState.ACCEPTED}),
    InvitationState.ACCEPTED: frozenset(),
}


class Guest(Value):
    """The first row of a partition. `wanting` counts the shares that ask for access."""

    key: str
    address: str | None = None
    name: str | None = None
    state: GuestState = GuestState.UNKNOWN
    since: AwareDatetime | None = None
    account: Account | None = None
    approval: Approval | None = None
    invitation: Invitation | None = None
    accepted_at: AwareDatetime | None = None
    trouble: Reason | None = None
    detail: str | None = None
    as_is: bool = False
    wanting: int = 0
    busy_until: AwareDatetime | None = None

    @property
    def invitation_state(self) -> InvitationState:
        """Where the invitation stands; a guest who was never invited by us has none, also when they are usable."""
        if self.invitation is None:
            return InvitationState.NONE
        if self.account is not None and not self.account.pending:
            return InvitationState.ACCEPTED
        return InvitationState.PENDING if self.invitation.invited_at else InvitationState.STARTED

    def move(self, to: GuestState, at: AwareDatetime, **changes: object) -> Self:
        """Return the guest in another state. Raises IllegalMoveError; staying is always legal."""
        if to is not self.state and to not in LEGAL_MOVES[self.state]:
            raise IllegalMoveError(f"a guest cannot go from {self.state} to {to}")
        if to is not self.state:
            changes["since"] = at
        if to is not GuestState.BLOCKED:
            changes.setdefault("trouble", None)
            changes.setdefault("detail", None)
        return self.model_copy(update={"state": to, **changes})

    def admit(self, resolution: Resolution, approval: Approval | None, at: AwareDatetime) -> Self:
        """Return the guest after the identity ladder and the gate: usable, approved, held or blocked.

        `approval` is given when the sharer may invite; an earlier approval of the person counts as well.
        """
        if isinstance(resolution, Undecided):
            return self.move(GuestState.BLOCKED, at, trouble=resolution.reason, detail=resolution.detail)
        approval = self.approval or approval
        account = None if isinstance(resolution, Nobody) else resolution
        if account is not None and not account.pending:
            return self.move(GuestState.USABLE, at, account=account, approval=approval)
        state = GuestState.APPROVED if approval else GuestState.HELD
        return self.move(state, at, account=account, approval=approval)

    def withdraw(self, at: AwareDatetime) -> Self:
        """Return the guest after the last of their shares stopped asking: an unsent invitation is not sent any more."""
        if self.state in (GuestState.HELD, GuestState.APPROVED, GuestState.BLOCKED) and self.invitation is None:
            lasting = self.approval if self.approval and self.approval.by_administrator else None
            return self.move(GuestState.UNKNOWN, at, approval=lasting)
        return self

    def refresh(self, account: Account, at: AwareDatetime) -> Self:
        """Return the guest after Entra told that the account is usable now; a denial stands."""
        if self.state is GuestState.DENIED:
            return self.model_copy(update={"account": account, "accepted_at": at})
        return self.move(GuestState.USABLE, at, account=account, accepted_at=at)
