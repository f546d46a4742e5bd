"""From approval to acceptance: one invitation and one mail for a person, whatever crashes."""

from datetime import datetime

from shared.domain.guests import Guest, GuestState, Invitation
from shared.domain.identity import Accepted, Account, Invited, Nobody, Resolution, Undecided, UserType
from shared.domain.ledger import Book
from shared.domain.messages import GrantMessage, Queue, Record, Send
from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError, RefusedError
from shared.workflows.ports import Ports
from shared.workflows.shares import look_up
from shared.workflows.transaction import Draft, open_book, transact

_WATERMARK = "accepted-until"


async def invite_guest(ports: Ports, key: str) -> None:
    """Invite an approved guest, unless they turn out to be usable or nothing of theirs asks any more.

    Before Entra is asked, the start is written down. A repeat after a crash (or after a 504, which may hide a success)
    finds it, waits until Entra shows what it has, and then fetches the token without a second mail.
    May raise LaterError.
    """
    guest = (await open_book(ports, key, [])).guest
    if guest.state is not GuestState.APPROVED:
        return
    found = await look_up(ports, guest)
    if isinstance(found, Undecided):
        await _block(ports, key, guest, found.reason, found.detail)
        return
    if isinstance(found, Account) and not found.pending:
        await _become_usable(ports, key, found)
        return

    mail = True
    if guest.invitation is not None:
        if isinstance(found, Account):
            mail = False
        else:
            hidden_until = guest.invitation.started_at + ports.timing.lag
            if ports.clock.now() < hidden_until:
                raise LaterError(Reason.INVITATION, hidden_until - ports.clock.now())
    if not await _start(ports, key, guest.invitation, found):
        return
    try:
        invited = await ports.directory.invite(guest.address or "", guest.name, mail=mail)
    except RefusedError as refusal:
        await _block(ports, key, guest, refusal.reason, refusal.detail)
        return
    await _keep(ports, key, invited)


async def _start(ports: Ports, key: str, before: Invitation | None, found: Resolution) -> bool:
    """Write the start down; False when the guest was withdrawn, denied, or taken up by another worker meanwhile."""
    started = False

    async def step(book: Book) -> Draft | None:
        nonlocal started
        guest = book.guest
        started = False
        if guest.state is not GuestState.APPROVED or guest.invitation != before:
            return None
        if guest.wanting == 0 and isinstance(found, Nobody):
            return Draft(guest.model_copy(update={"invitation": None}).withdraw(ports.clock.now()))
        started = True
        return Draft(guest.model_copy(update={"invitation": Invitation(started_at=ports.clock.now())}))

    await transact(ports, key, [], step)
    return started


async def _keep(ports: Ports, key: str, invited: Invited) -> None:
    """Keep the invitation's token. A denial that came meanwhile stands; the token is kept all the same."""

    async def step(book: Book) -> Draft | None:
        guest, now = book.guest, ports.clock.now()
        started = guest.invitation.started_at if guest.invitation else now
        update: dict[str, object] = {
            "account": Account(object_id=invited.object_id, user_type=UserType.GUEST, pending=True),
            "invitation": Invitation(
                started_at=started, id=invited.invitation_id, redeem_url=invited.redeem_url, invited_at=now
            ),
        }
        if guest.state is not GuestState.APPROVED:
            if guest.state is GuestState.USABLE:
                del update["account"]
            return Draft(guest.model_copy(update=update))
        record = Record(partition=key, at=now, what="invited", reason=Reason.ACCEPTANCE)
        return Draft(guest.move(GuestState.INVITED, now, **update), effects=[record])

    await transact(ports, key, [], step)


async def _block(ports: Ports, key: str, before: Guest, reason: Reason, detail: str | None) -> None:
    """Leave the guest to an administrator. An earlier start is kept: it may have succeeded, mail and all."""

    async def step(book: Book) -> Draft | None:
        guest, now = book.guest, ports.clock.now()
        if guest.state is not GuestState.APPROVED:
            return None
        record = Record(partition=key, at=now, what="invitation", reason=reason, detail=detail)
        blocked = guest.move(GuestState.BLOCKED, now, trouble=reason, detail=detail, invitation=before.invitation)
        return Draft(blocked, effects=[record])

    await transact(ports, key, [], step)


async def _become_usable(ports: Ports, key: str, account: Account) -> None:
    async def step(book: Book) -> Draft | None:
        guest = book.guest
        if guest.state in (GuestState.USABLE, GuestState.UNKNOWN):
            return None
        return _usable(guest, account, ports.clock.now())

    await transact(ports, key, [], step)


def _usable(guest: Guest, account: Account, at: datetime) -> Draft:
    guest = guest.refresh(account, at)
    record = Record(partition=guest.key, at=at, what="accepted")
    send = Send(queue=Queue.GRANTS, body=GrantMessage(guest=guest.key))
    return Draft(guest, effects=[record, send] if guest.state is GuestState.USABLE else [record])


async def poll_acceptance(ports: Ports) -> int:
    """Ask once who accepted since the watermark, let their waiting shares follow; return how many were new."""
    started = ports.clock.now()
    mark = await ports.marks.get(_WATERMARK)
    watermark = datetime.fromisoformat(mark) - ports.timing.overlap if mark else None
    new = 0
    for accepted in await ports.directory.accepted_since(watermark):
        entry = await ports.worklist.find("account", accepted.object_id)
        if entry is not None:
            new += await accept(ports, entry.guest, accepted)
    await ports.marks.set(_WATERMARK, started.isoformat())
    return new


async def accept(ports: Ports, key: str, accepted: Accepted) -> bool:
    """Note that an invited guest accepted; tell whether that was new."""
    new = False

    async def step(book: Book) -> Draft | None:
        nonlocal new
        guest = book.guest
        account = guest.account
        new = account is not None and account.object_id == accepted.object_id and account.pending
        if not new or account is None:
            return None
        return _usable(guest, account.model_copy(update={"pending": False}), ports.clock.now())

    await transact(ports, key, [], step)
    return new
