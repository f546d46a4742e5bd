"""What an administrator does: approve, deny, try again."""

from datetime import datetime

from shared.domain.decision import explain
from shared.domain.guests import Approval, GuestState, IllegalMoveError
from shared.domain.ledger import Book
from shared.domain.messages import Effect, GrantMessage, InvitationMessage, Queue, Record, Send
from shared.domain.reasons import Reason, State
from shared.domain.shares import Settlement, Share
from shared.workflows.ports import Ports
from shared.workflows.transaction import Draft, transact

# With the guest and the outbox well below the 100 rows of a transaction.
_SHARES_PER_TRANSACTION = 90


async def approve(ports: Ports, key: str, by: str) -> GuestState:
    """Let a held, denied or blocked guest be invited; all their waiting shares follow. Repeats change nothing.

    A denied guest who holds an invitation already is not mailed again.
    Returns the state found or reached. Raises IllegalMoveError when nothing of theirs asks for access.
    """

    async def step(book: Book) -> Draft | None:
        guest, now = book.guest, ports.clock.now()
        if guest.state in (GuestState.APPROVED, GuestState.INVITED, GuestState.USABLE):
            return None
        if guest.state is GuestState.UNKNOWN:
            raise IllegalMoveError("nothing of this person asks for access")
        approval, record = Approval(by=by, at=now), _record(key, "approved", by, now)
        if guest.wanting == 0 and guest.invitation is None:
            return Draft(guest.move(GuestState.UNKNOWN, now, approval=approval), effects=[record])
        if guest.account is not None and not guest.account.pending:
            guest = guest.move(GuestState.USABLE, now, approval=approval)
            return Draft(guest, effects=[record, Send(queue=Queue.GRANTS, body=GrantMessage(guest=key))])
        if guest.invitation is not None and guest.invitation.invited_at is not None:
            return Draft(guest.move(GuestState.INVITED, now, approval=approval), effects=[record])
        return Draft(guest.move(GuestState.APPROVED, now, approval=approval), effects=[record, _invite(key)])

    await transact(ports, key, [], step)
    return (await ports.ledger.read(key, [])).guest.state


async def deny(ports: Ports, key: str, by: str, why: str) -> GuestState:
    """Deny access to a guest who is not usable yet; stands until an administrator approves. Repeats change nothing.

    Raises IllegalMoveError for a guest who accepted already: their shares have to be taken back.
    """

    async def step(book: Book) -> Draft | None:
        guest, now = book.guest, ports.clock.now()
        if guest.state is GuestState.DENIED:
            return None
        if book.version is None:
            raise IllegalMoveError("nothing of this person is known")
        if guest.state is GuestState.USABLE:
            raise IllegalMoveError("the person has accepted already; take their shares back at the source")
        guest = guest.move(GuestState.DENIED, now, approval=None, detail=why)
        return Draft(guest, effects=[_record(key, "denied", by, now, why)])

    await transact(ports, key, [], step)
    return GuestState.DENIED


async def retry(ports: Ports, key: str, by: str) -> GuestState:
    """Start again what needs attention: the identity and the invitation of a blocked guest, or failed shares.

    Raises IllegalMoveError when nothing needs attention.
    """
    again = False

    async def step(book: Book) -> Draft | None:
        nonlocal again
        guest, now = book.guest, ports.clock.now()
        effects: list[Effect] = [_record(key, "started again", by, now)]
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
            raise IllegalMoveError("nothing of this person needs attention")
        failed = dict(list(failed.items())[:_SHARES_PER_TRANSACTION])
        effects.append(Send(queue=Queue.GRANTS, body=GrantMessage(guest=key)))
        again = len(failed) == _SHARES_PER_TRANSACTION
        return Draft(guest, failed, effects=effects)

    await transact(ports, key, None, step)
    while again:
        await transact(ports, key, None, step)
    return (await ports.ledger.read(key, [])).guest.state


def _invite(key: str) -> Send:
    return Send(queue=Queue.INVITATIONS, body=InvitationMessage(guest=key))


def _record(key: str, what: str, by: str, now: datetime, detail: str | None = None) -> Record:
    return Record(partition=key, at=now, what=what, by=by, detail=detail)
