"""A guest: the external person at the destination, the gate in front of the invitation, and the legal moves."""

from datetime import datetime
from enum import StrEnum
from typing import Self

from pydantic import AwareDatetime, Field

from shared.domain.addresses import digest
from shared.domain.identity import Account, Nobody, Resolution, Undecided
from shared.domain.mailing import Letter, MailRules
from shared.domain.reasons import Reason, State
from shared.domain.value import Value


class GuestState(StrEnum):
    """Where a guest stands."""

    UNKNOWN = "unknown"  # nothing of theirs asks for access (yet, or any more)
    HELD = "held"  # pending admin approval
    APPROVED = "approved"  # may be invited, the invitation is not made yet
    INVITED = "invited"  # has not accepted the invitation yet
    EXPIRED = "expired"  # nobody accepted the invitation in time
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
    GuestState.INVITED: frozenset({GuestState.EXPIRED, GuestState.USABLE, GuestState.DENIED, GuestState.BLOCKED}),
    GuestState.EXPIRED: frozenset({GuestState.INVITED, GuestState.USABLE, GuestState.DENIED, GuestState.BLOCKED}),
    GuestState.USABLE: frozenset({GuestState.DENIED, GuestState.BLOCKED}),
    GuestState.DENIED: frozenset({GuestState.UNKNOWN, GuestState.APPROVED, GuestState.INVITED, GuestState.USABLE}),
    GuestState.BLOCKED: frozenset(
        {GuestState.UNKNOWN, GuestState.HELD, GuestState.APPROVED, GuestState.USABLE, GuestState.DENIED}
    ),
}


class View(StrEnum):
    """Under which heads an administrator finds a person."""

    HELD = "held"  # pending admin approval
    INVITED = "invited"  # has not accepted the invitation yet
    GRANTED = "granted"
    ATTENTION = "needs-attention"
    IGNORED = "ignored"


HELD = "held"
"""In a tally: shares that wait for an approval of their own."""


class IllegalMoveError(ValueError):
    """The guest cannot go from its state to that one."""


class Approval(Value):
    """Who let the invitation leave: an administrator, for good, or a sharer, for as long as their share stands."""

    by: str
    at: AwareDatetime
    by_administrator: bool = True


class Invitation(Value):
    """The guest's invitation. `redeem_url` is the stored token: it holds a ticket and is never logged or shown.

    `started_at` is written before Entra is asked, so that a crash in between is noticed and nobody is mailed twice;
    `mailing_since` does the same for a mail of our own, and for every later one. `owed` is the mail that is to leave
    next. The invitation's life counts from `valid_from`. At `due_at` something is to be
    done about it: a reminder, or its end.
    """

    started_at: AwareDatetime
    id: str | None = None
    redeem_url: str | None = Field(default=None, repr=False)
    invited_at: AwareDatetime | None = None
    valid_from: AwareDatetime | None = None
    owed: Letter | None = None
    mailing_since: AwareDatetime | None = None
    mailed_at: AwareDatetime | None = None
    mails: int = 0
    reminders: int = 0
    unconfirmed: bool = False
    due_at: AwareDatetime | None = None

    def renew(self, rules: MailRules, at: datetime) -> Self:
        """Return the invitation with its life begun anew, as when an administrator sends it again."""
        return self.model_copy(update={"valid_from": at, "due_at": rules.due(at, self.mailed_at, self.reminders)})

    def mailed(self, rules: MailRules, at: datetime, letter: Letter, *, unconfirmed: bool = False) -> Self:
        """Return the invitation after a mail left; `unconfirmed` when its answer was lost, so that it may not have."""
        reminders = self.reminders + (letter is Letter.REMINDER)
        update: dict[str, object] = {
            "owed": None,
            "mailing_since": None,
            "mailed_at": at,
            "mails": self.mails + 1,
            "reminders": reminders,
            "unconfirmed": unconfirmed,
            "due_at": rules.due(self.valid_from or at, at, reminders),
        }
        return self.model_copy(update=update)


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
    """The first row of a partition. `wanting` counts the shares that ask for access.

    `tally` counts the shares by the state in which they would stand if the person were ready, so that lists need not
    read them; those that wait for an approval of their own are counted as `held`. `mail_at` is the time that was
    reserved for the next mail.
    """

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
    tally: dict[str, int] = Field(default={})
    mail_at: AwareDatetime | None = None

    @property
    def invitation_state(self) -> InvitationState:
        """Where the invitation stands; a guest who was never invited by us has none, also when they are usable."""
        if self.invitation is None:
            return InvitationState.NONE
        if self.account is not None and not self.account.pending:
            return InvitationState.ACCEPTED
        return InvitationState.PENDING if self.invitation.invited_at else InvitationState.STARTED

    @property
    def version(self) -> str:
        """What an administrator has seen when they act: it changes whenever somebody decides about the person."""
        invitation = self.invitation
        mails = (str(invitation.mails), invitation.owed or "") if invitation else ()
        approval = (self.approval.by, self.approval.at.isoformat()) if self.approval else ()
        since = self.since.isoformat() if self.since else ""
        return digest(self.key, self.state, since, *approval, *mails, str(self.tally.get(HELD, 0)))

    @property
    def views(self) -> tuple[View, ...]:
        """The heads under which the person stands; one of whom nothing is known stands nowhere."""
        attention = self.tally.get(State.NEEDS_ATTENTION, 0) > 0
        found = {
            View.HELD: self.state is GuestState.HELD or self.tally.get(HELD, 0) > 0,
            View.INVITED: self.state in (GuestState.APPROVED, GuestState.INVITED),
            View.GRANTED: self.state is GuestState.USABLE
            and self.tally.get(State.GRANTED, 0) + self.tally.get(State.WAITING, 0) > 0,
            View.ATTENTION: self.state in (GuestState.BLOCKED, GuestState.EXPIRED) or attention,
        }
        views = tuple(view for view, stands in found.items() if stands)
        return views or ((View.IGNORED,) if self.tally or self.since else ())

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
        """Return the guest after Entra told that the account is usable now.

        A denial stands, and who accepts after the invitation has expired needs a new approval.
        """
        if self.state in (GuestState.DENIED, GuestState.EXPIRED):
            return self.model_copy(update={"account": account, "accepted_at": at})
        return self.move(GuestState.USABLE, at, account=account, accepted_at=at)
