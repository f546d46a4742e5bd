"""What an administrator does to one person: approve, deny, reinvite, revoke, give again, try again.

Every action may be repeated: what is so already stays so. With `expected`, the version of the person that the
administrator saw (or the view in which they saw them), nothing is done when somebody else decided meanwhile.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import batched

from shared.domain.decision import explain
from shared.domain.guests import HELD, Approval, Guest, GuestState, IllegalMoveError, View
from shared.domain.ledger import Book
from shared.domain.mailing import Letter
from shared.domain.messages import Effect, GrantMessage, InvitationMessage, Queue, Record, Send
from shared.domain.reasons import Reason, State
from shared.domain.shares import Settlement, Share
from shared.workflows.deciding import Known, decide_again
from shared.workflows.ports import Ports
from shared.workflows.transaction import Draft, transact

# With the guest and the outbox, which holds up to a dozen effects for each, well below what a transaction takes.
_SHARES_PER_TRANSACTION = 40

type Expected = str | View | None


class StaleError(Exception):
    """Somebody decided about the person since the administrator looked."""

    def __init__(self, guest: Guest) -> None:
        """`guest` is the present state."""
        super().__init__("the person has changed meanwhile")
        self.guest = guest


def _check(guest: Guest, expected: Expected) -> None:
    if isinstance(expected, View):
        if expected not in guest.views:
            raise StaleError(guest)
    elif expected is not None and expected != guest.version:
        raise StaleError(guest)


async def approve(ports: Ports, key: str, by: str, expected: Expected = None) -> Guest:
    """Let a guest be invited; all their waiting shares follow, also those that wait for an approval of their own.

    A guest who holds an invitation already is not mailed again, except one whose invitation has expired.
    Returns the guest found or reached. Raises IllegalMoveError when nothing of theirs asks for access, StaleError.
    """

    async def step(book: Book) -> Draft | None:
        guest, now = book.guest, ports.clock.now()
        if guest.state in (GuestState.APPROVED, GuestState.INVITED, GuestState.USABLE):
            return None
        _check(guest, expected)
        if guest.state is GuestState.UNKNOWN:
            raise IllegalMoveError("nothing of this person asks for access")
        approval, record = Approval(by=by, at=now), _record(key, "approved", by, now)
        if guest.wanting == 0 and guest.invitation is None:
            return Draft(guest.move(GuestState.UNKNOWN, now, approval=approval), effects=[record])
        if guest.account is not None and not guest.account.pending and guest.account.enabled:
            guest = guest.move(GuestState.USABLE, now, approval=approval)
            return Draft(guest, effects=[record, Send(queue=Queue.GRANTS, body=GrantMessage(guest=key))])
        if guest.state is GuestState.EXPIRED:
            return _send_again(ports, guest, now, approval=approval, effects=[record])
        if guest.invitation is not None and guest.invitation.invited_at is not None:
            invitation = guest.invitation.renew(ports.mail_rules, now)
            guest = guest.move(GuestState.INVITED, now, approval=approval, invitation=invitation)
            return Draft(guest, effects=[record, _invite(key)] if invitation.owed else [record])
        return Draft(guest.move(GuestState.APPROVED, now, approval=approval), effects=[record, _invite(key)])

    before = (await transact(ports, key, [], step)).guest
    if before.tally.get(HELD):
        checked = expected if before.state is GuestState.USABLE or before.state is GuestState.INVITED else None
        await _rule(ports, key, None, by, "approved", lambda s: s.ruling is Reason.APPROVAL, None, expected=checked)
    return (await ports.ledger.read(key, [])).guest


async def deny(ports: Ports, key: str, by: str, why: str, expected: Expected = None) -> Guest:
    """Deny access to a guest who is not usable yet; stands until an administrator approves.

    Raises IllegalMoveError for a guest who accepted already: their access has to be revoked. Raises StaleError.
    """

    async def step(book: Book) -> Draft | None:
        guest, now = book.guest, ports.clock.now()
        if guest.state is GuestState.DENIED:
            return None
        if book.version is None:
            raise IllegalMoveError("nothing of this person is known")
        _check(guest, expected)
        if guest.state is GuestState.USABLE:
            raise IllegalMoveError("the person has accepted already; revoke their access")
        guest = guest.move(GuestState.DENIED, now, approval=None, detail=why, mail_at=None)
        return Draft(guest, effects=[_record(key, "denied", by, now, why)])

    await transact(ports, key, [], step)
    return (await ports.ledger.read(key, [])).guest


async def revoke(ports: Ports, key: str, by: str, why: str, expected: Expected = None) -> Guest:
    """Take everything back that we gave to a guest; stands against whatever the sources say, until one approves.

    Raises IllegalMoveError for a guest who has not accepted: they are denied instead. Raises StaleError.
    """

    async def step(book: Book) -> Draft | None:
        guest, now = book.guest, ports.clock.now()
        if guest.state is GuestState.DENIED:
            return None
        _check(guest, expected)
        if guest.state is not GuestState.USABLE:
            raise IllegalMoveError("the person has no access yet; deny them")
        guest = guest.move(GuestState.DENIED, now, approval=None, detail=why)
        send = Send(queue=Queue.GRANTS, body=GrantMessage(guest=key))
        return Draft(guest, effects=[_record(key, "revoked", by, now, why), send])

    await transact(ports, key, [], step)
    return (await ports.ledger.read(key, [])).guest


async def revoke_shares(
    ports: Ports, key: str, shares: Sequence[str], by: str, why: str, expected: Expected = None
) -> Guest:
    """Take single shares back, also against later confirmations of the source. Raises IllegalMoveError, StaleError."""
    await _rule(
        ports, key, shares, by, "revoked", lambda s: s.ruling is not Reason.REVOKED, Reason.REVOKED, why, expected
    )
    return (await ports.ledger.read(key, [])).guest


async def restore_shares(ports: Ports, key: str, shares: Sequence[str], by: str, expected: Expected = None) -> Guest:
    """Give single shares again that an administrator took back or that wait for their own approval."""
    await _rule(
        ports,
        key,
        shares,
        by,
        "given again",
        lambda s: s.ruling in (Reason.REVOKED, Reason.APPROVAL),
        None,
        expected=expected,
    )
    return (await ports.ledger.read(key, [])).guest


async def reinvite(ports: Ports, key: str, by: str, expected: Expected = None) -> Guest:
    """Send the invitation's mail again and begin its life anew; its token is kept. Raises IllegalMoveError, StaleError.

    A mail that is owed already is not doubled.
    """

    async def step(book: Book) -> Draft | None:
        guest, now = book.guest, ports.clock.now()
        invitation = guest.invitation
        if guest.state is GuestState.INVITED and invitation is not None and invitation.owed is not None:
            return None
        _check(guest, expected)
        if guest.state not in (GuestState.INVITED, GuestState.EXPIRED):
            raise IllegalMoveError("the person has no invitation that waits to be accepted")
        effects: list[Effect] = [_record(key, "reinvited", by, now)]
        if guest.account is not None and not guest.account.pending:
            guest = guest.move(GuestState.USABLE, now, approval=Approval(by=by, at=now))
            return Draft(guest, effects=[*effects, Send(queue=Queue.GRANTS, body=GrantMessage(guest=key))])
        return _send_again(ports, guest, now, approval=guest.approval or Approval(by=by, at=now), effects=effects)

    await transact(ports, key, [], step)
    return (await ports.ledger.read(key, [])).guest


async def retry(ports: Ports, key: str, by: str, expected: Expected = None) -> Guest:
    """Start again what needs attention: the identity and the invitation of a blocked guest, or failed shares.

    Raises IllegalMoveError when nothing needs attention, StaleError.
    """
    again = False

    async def step(book: Book) -> Draft | None:
        nonlocal again
        guest, now = book.guest, ports.clock.now()
        if not again:
            _check(guest, expected)
        effects: list[Effect] = [_record(key, "started again", by, now)]
        if guest.state is GuestState.BLOCKED and guest.trouble is Reason.WRONG_IDENTITY:
            raise IllegalMoveError("whether it is the same person has to be decided; approve or deny them")
        if guest.state is GuestState.BLOCKED:
            state = GuestState.APPROVED if guest.approval else GuestState.HELD
            guest = guest.move(state, now)
            if state is GuestState.APPROVED:
                effects.append(_invite(key))
            return Draft(guest, effects=effects)
        failed: dict[str, Share | None] = {
            share.id: share.model_copy(
                update={"settlement": Settlement(access=share.access, reason=Reason.GRANT, since=now)}
            )
            for share in book.shares.values()
            if share.settlement is not None
            and explain(share, guest) is share.settlement.reason
            and share.settlement.reason.state is State.NEEDS_ATTENTION
        }
        if not failed:
            if again:
                again = False
                return None
            raise IllegalMoveError("nothing of this person needs attention that could be tried again")
        failed = dict(list(failed.items())[:_SHARES_PER_TRANSACTION])
        effects.append(Send(queue=Queue.GRANTS, body=GrantMessage(guest=key)))
        again = len(failed) == _SHARES_PER_TRANSACTION
        return Draft(guest, failed, effects=effects)

    await transact(ports, key, None, step)
    while again:
        await transact(ports, key, None, step)
    return (await ports.ledger.read(key, [])).guest


async def _rule(
    ports: Ports,
    key: str,
    names: Sequence[str] | None,
    by: str,
    what: str,
    concerned: Callable[[Share], bool],
    ruling: Reason | None,
    why: str | None = None,
    expected: Expected = None,
) -> None:
    """Set or lift the ruling of the named shares (None: all) that are concerned, and do what follows from it."""
    if names is None:
        book = await ports.ledger.read(key, None)
        names = [share.id for share in book.shares.values() if concerned(share)]
    for number, part in enumerate(batched(dict.fromkeys(names), _SHARES_PER_TRANSACTION, strict=False)):

        async def step(book: Book, part: Sequence[str] = part, first: bool = number == 0) -> Draft | None:
            if missing := set(part) - set(book.shares):
                raise IllegalMoveError(f"the person has no share {min(missing)[:80]}")
            chosen = [share for share in book.shares.values() if concerned(share) and not share.moved_to]
            if not chosen:
                return None
            if first:
                _check(book.guest, expected)
            return await _ruled(ports, book.guest, chosen, by, what, ruling, why)

        await transact(ports, key, part, step)


async def _ruled(
    ports: Ports, guest: Guest, shares: list[Share], by: str, what: str, ruling: Reason | None, why: str | None
) -> Draft:
    now = ports.clock.now()
    known: Known = {}
    draft = Draft(guest)
    rows: dict[str, Share | None] = {}
    wanting, due = guest.wanting, []
    for share in shares:
        row = await decide_again(ports, share.model_copy(update={"ruling": ruling}), now, known)
        rows[share.id] = row
        wanting += (row.access is not None) - (share.access is not None)
        reason = explain(row, guest)
        draft.effects.append(
            Record(partition=guest.key, at=now, what=what, by=by, share=share.id, reason=reason, detail=why)
        )
        if reason in (Reason.GRANT, Reason.REVOCATION):
            due.append(share.id)
    guest = guest.model_copy(update={"wanting": wanting})
    draft.guest, draft.shares = guest.withdraw(now) if wanting == 0 else guest, rows
    draft.effects += [
        Send(queue=Queue.GRANTS, body=GrantMessage(guest=guest.key, shares=part))
        for part in batched(due, 20, strict=False)
    ]
    return draft


def _send_again(ports: Ports, guest: Guest, now: datetime, *, approval: Approval, effects: list[Effect]) -> Draft:
    """Return the guest with a mail owed and the invitation's life begun anew."""
    if guest.invitation is None:
        raise IllegalMoveError("the person has no invitation")
    invitation = guest.invitation.renew(ports.mail_rules, now)
    invitation = invitation.model_copy(update={"owed": Letter.AGAIN, "reminders": 0})
    guest = guest.move(GuestState.INVITED, now, approval=approval, invitation=invitation)
    return Draft(guest, effects=[*effects, _invite(guest.key)])


def _invite(key: str) -> Send:
    return Send(queue=Queue.INVITATIONS, body=InvitationMessage(guest=key))


def _record(key: str, what: str, by: str, now: datetime, detail: str | None = None) -> Record:
    return Record(partition=key, at=now, what=what, by=by, detail=detail)
