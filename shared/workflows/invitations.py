"""From approval to acceptance: one invitation and one mail for a person, whatever crashes."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from shared.domain.addresses import domain_of
from shared.domain.guests import LEGAL_MOVES, Guest, GuestState, Invitation
from shared.domain.identity import Accepted, Account, Invited, Listed, Nobody, Resolution, Undecided, UserType
from shared.domain.ledger import Book
from shared.domain.mailing import Letter, Mail, MailKind, WaitingItem
from shared.domain.messages import Effect, GrantMessage, InvitationMessage, Queue, Record, Send
from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError, RefusedError, UnansweredError
from shared.workflows.ports import Ports
from shared.workflows.shares import look_up
from shared.workflows.transaction import Draft, open_book, transact

_WATERMARK = "accepted-until"
_ITEMS_PER_MAIL = 50
# "201 but the user appears minutes later, in lists as well" (msgraph-sdk-dotnet #2508); no bound is published.
_HIDDEN_AT_MOST = timedelta(hours=1)


async def work_on_invitation(ports: Ports, key: str) -> None:
    """Do what is to be done for a person's invitation: make it, or send the mail that is owed.

    May raise LaterError.
    """
    guest = (await open_book(ports, key, [])).guest
    if guest.state is GuestState.APPROVED:
        await _invite(ports, key, guest)
    elif guest.state is GuestState.INVITED and guest.invitation is not None and guest.invitation.owed is not None:
        await _write(ports, key, guest, guest.invitation, guest.invitation.owed)


async def _invite(ports: Ports, key: str, guest: Guest) -> None:
    """Invite an approved guest, unless they turn out to be usable or nothing of theirs asks any more.

    Before Entra is asked, the start is written down. A repeat after a crash (or after a 504, which may hide a success)
    finds it, waits until Entra shows what it has, and then fetches the token without a second mail.
    """
    found = await look_up(ports, guest)
    if isinstance(found, Undecided):
        await _block(ports, key, guest, found.reason, found.detail)
        return
    if isinstance(found, Account) and not found.pending:
        await _become_usable(ports, key, found)
        return

    mail = ports.mail_rules.kind is MailKind.MICROSOFT
    if guest.invitation is not None:
        if isinstance(found, Account):
            mail = False
        else:
            hidden_until = guest.invitation.started_at + ports.timing.lag
            if ports.clock.now() < hidden_until:
                raise LaterError(Reason.INVITATION, hidden_until - ports.clock.now())
    if mail and not await _may_mail(ports, key):
        return
    if not await _start(ports, key, guest.invitation, found):
        return
    try:
        invited = await ports.directory.invite(
            guest.address or "", guest.name, mail=mail, language=_language(ports, guest)
        )
    except RefusedError as refusal:
        await _block(ports, key, guest, refusal.reason, refusal.detail)
        return
    await _keep(ports, key, invited)


def _language(ports: Ports, guest: Guest) -> str:
    return ports.mail_rules.language_of(domain_of(guest.address or ""))


async def _may_mail(ports: Ports, key: str) -> bool:
    """Tell whether a mail to the person may leave now. If not, the work waits in the queue for its time.

    The time is reserved in the hourly budget once for each mail and kept on the guest, so that a second message about
    the same mail neither takes a slot nor overtakes it. After quiet hours it is reserved anew.
    """
    delay: timedelta | None = None
    allowed = False

    async def step(book: Book) -> Draft | None:
        nonlocal delay, allowed
        guest, now = book.guest, ports.clock.now()
        quiet = ports.mail_rules.quiet(now)
        allowed = guest.mail_at is not None and guest.mail_at <= now and not quiet
        if allowed or (guest.mail_at is not None and guest.mail_at > now):
            return None
        if delay is None and not quiet:
            delay = await ports.postage.delay(1)
        wait = quiet or delay or timedelta(0)
        allowed = not wait
        guest = guest.model_copy(update={"mail_at": None if quiet else now + wait})
        send = Send(queue=Queue.INVITATIONS, body=InvitationMessage(guest=key), delay=wait)
        return Draft(guest, effects=[send] if wait else [])

    await transact(ports, key, [], step)
    return allowed


async def _write(ports: Ports, key: str, guest: Guest, invitation: Invitation, letter: Letter) -> None:
    """Send the mail that is owed. The beginning is written down first: after a crash, or when the answer is lost, the
    mail counts as sent and is marked as unconfirmed, because one too many is worse than a reminder (law 6)."""
    now = ports.clock.now()
    if invitation.mailing_since is not None:
        left = invitation.mailing_since + ports.timing.busy - now
        if left > timedelta(0):
            raise LaterError(Reason.INVITATION, left)  # another worker is at it, or died
        await _note_mail(ports, key, letter, unconfirmed=True)
        return
    if not await _may_mail(ports, key):
        return
    if not await _begin_mail(ports, key, invitation):
        return
    try:
        if ports.mail_rules.kind is MailKind.OWN:
            await ports.post.send(await _mail(ports, guest, invitation, letter))
        else:
            await ports.directory.invite(guest.address or "", guest.name, mail=True, language=_language(ports, guest))
    except UnansweredError:
        await _note_mail(ports, key, letter, unconfirmed=True)
    except LaterError:
        await _begin_mail(ports, key, None)
        raise
    except RefusedError as refusal:
        await _block_mail(ports, key, refusal)
    else:
        await _note_mail(ports, key, letter)


async def _begin_mail(ports: Ports, key: str, before: Invitation | None) -> bool:
    """Note that a mail is being sent, unless another worker took it up; with None note that it was not sent."""
    begun = False

    async def step(book: Book) -> Draft | None:
        nonlocal begun
        guest = book.guest
        invitation = guest.invitation
        begun = invitation is not None and guest.state is GuestState.INVITED and before in (None, invitation)
        if not begun or invitation is None:
            return None
        since = ports.clock.now() if before is not None else None
        return Draft(guest.model_copy(update={"invitation": invitation.model_copy(update={"mailing_since": since})}))

    await transact(ports, key, [], step)
    return begun


async def _note_mail(ports: Ports, key: str, letter: Letter, *, unconfirmed: bool = False) -> None:
    async def step(book: Book) -> Draft | None:
        guest, now = book.guest, ports.clock.now()
        if guest.invitation is None or guest.invitation.mailing_since is None:
            return None
        invitation = guest.invitation.mailed(ports.mail_rules, now, letter, unconfirmed=unconfirmed)
        record = Record(partition=key, at=now, what="mailed", detail=f"{letter}{', unconfirmed' * unconfirmed}")
        return Draft(guest.model_copy(update={"invitation": invitation, "mail_at": None}), effects=[record])

    await transact(ports, key, [], step)


async def _block_mail(ports: Ports, key: str, refusal: RefusedError) -> None:
    """Leave a person whom no mail reaches to an administrator; the invitation's token is kept."""

    async def step(book: Book) -> Draft | None:
        guest, now = book.guest, ports.clock.now()
        if guest.state is not GuestState.INVITED or guest.invitation is None:
            return None
        invitation = guest.invitation.model_copy(update={"mailing_since": None})
        record = Record(partition=key, at=now, what="mail", reason=refusal.reason, detail=refusal.detail)
        blocked = guest.move(
            GuestState.BLOCKED,
            now,
            trouble=refusal.reason,
            detail=refusal.detail,
            invitation=invitation,
            mail_at=None,
        )
        return Draft(blocked, effects=[record])

    await transact(ports, key, [], step)


async def _mail(ports: Ports, guest: Guest, invitation: Invitation, letter: Letter) -> Mail:
    """Return the mail: everything that waits for the person stands in it."""
    book = await ports.ledger.read(guest.key, None)
    items = {
        WaitingItem(path=share.item.path, role=share.access.role, sharer=share.sharer.address)
        for share in book.shares.values()
        if share.access is not None and share.item is not None and share.item.path is not None
    }
    listed = sorted(items, key=lambda item: item.path)
    end = (invitation.valid_from or ports.clock.now()) + ports.mail_rules.lifetime
    return Mail(
        letter=letter,
        to=guest.address or "",
        name=guest.name,
        language=_language(ports, guest),
        redeem_url=invitation.redeem_url or "",
        items=tuple(listed[:_ITEMS_PER_MAIL]),
        more=len(listed[_ITEMS_PER_MAIL:]),
        expires_on=end.date().isoformat(),
    )


async def follow_up(ports: Ports) -> int:
    """Remind whom it is time to remind, end invitations that nobody accepted in time; return how many were due."""
    due = 0
    async for entry in ports.worklist.read("inviting", until=ports.clock.now()):
        if not await _follow_up(ports, entry.guest):
            await ports.worklist.put(entry.model_copy(update={"present": False}))
        due += 1
    return due


async def _follow_up(ports: Ports, key: str) -> bool:
    """False when nothing was due, so that the row in the worklist was a leftover."""
    changed = False

    async def step(book: Book) -> Draft | None:
        nonlocal changed
        guest, now = book.guest, ports.clock.now()
        invitation = guest.invitation
        changed = (
            guest.state is GuestState.INVITED
            and invitation is not None
            and invitation.due_at is not None
            and invitation.due_at <= now
        )
        if not changed or invitation is None or invitation.valid_from is None:
            return None
        if invitation.valid_from + ports.mail_rules.lifetime <= now:
            record = Record(partition=key, at=now, what="invitation", reason=Reason.INVITATION_EXPIRED)
            return Draft(guest.move(GuestState.EXPIRED, now, mail_at=None), effects=[record])
        # Until the mail has left, the next thing to look for is the end.
        end = invitation.valid_from + ports.mail_rules.lifetime
        invitation = invitation.model_copy(update={"owed": invitation.owed or Letter.REMINDER, "due_at": end})
        send = Send(queue=Queue.INVITATIONS, body=InvitationMessage(guest=key))
        return Draft(guest.model_copy(update={"invitation": invitation}), effects=[send])

    await transact(ports, key, [], step)
    return changed


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
        now = ports.clock.now()
        invitation = (guest.invitation or Invitation(started_at=now)).model_copy(update={"started_at": now})
        return Draft(guest.model_copy(update={"invitation": invitation}))

    await transact(ports, key, [], step)
    return started


async def _keep(ports: Ports, key: str, invited: Invited) -> None:
    """Keep the invitation's token. A denial that came meanwhile stands; the token is kept all the same."""

    async def step(book: Book) -> Draft | None:
        guest, now = book.guest, ports.clock.now()
        rules = ports.mail_rules
        known = guest.invitation or Invitation(started_at=now)
        made = known.model_copy(
            update={"id": invited.invitation_id, "redeem_url": invited.redeem_url, "invited_at": now}
        ).renew(rules, now)
        effects: list[Effect] = [Record(partition=key, at=now, what="invited", reason=Reason.ACCEPTANCE)]
        if rules.kind is MailKind.MICROSOFT and made.owed is None:
            made = made.mailed(rules, now, Letter.INVITATION)
        elif rules.kind is not MailKind.NONE:
            made = made.model_copy(update={"owed": made.owed or Letter.INVITATION, "mailing_since": None})
            effects.append(Send(queue=Queue.INVITATIONS, body=InvitationMessage(guest=key)))
        update: dict[str, object] = {
            "account": Account(object_id=invited.object_id, user_type=UserType.GUEST, pending=True),
            "invitation": made,
            "mail_at": None,
        }
        if guest.state is not GuestState.APPROVED:
            if guest.state is GuestState.USABLE:
                del update["account"]
            return Draft(guest.model_copy(update=update))
        return Draft(guest.move(GuestState.INVITED, now, **update), effects=effects)

    await transact(ports, key, [], step)


async def _block(ports: Ports, key: str, before: Guest, reason: Reason, detail: str | None) -> None:
    """Leave the guest to an administrator. An earlier start is kept: it may have succeeded, mail and all."""

    async def step(book: Book) -> Draft | None:
        guest, now = book.guest, ports.clock.now()
        if guest.state is not GuestState.APPROVED:
            return None
        record = Record(partition=key, at=now, what="invitation", reason=reason, detail=detail)
        blocked = guest.move(
            GuestState.BLOCKED, now, trouble=reason, detail=detail, invitation=before.invitation, mail_at=None
        )
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
    """Note that an invited guest accepted; tell whether that was new.

    Who accepted with another account than the one invited is left to an administrator.
    """
    new = False

    async def step(book: Book) -> Draft | None:
        nonlocal new
        guest, now = book.guest, ports.clock.now()
        account = guest.account
        new = account is not None and account.object_id == accepted.object_id and account.pending
        if not new or account is None:
            return None
        account = account.model_copy(update={"pending": False})
        if accepted.address is None or accepted.address == guest.address or guest.state is GuestState.DENIED:
            return _usable(guest, account, now)
        detail = f"accepted by {accepted.address}"
        record = Record(partition=key, at=now, what="accepted", reason=Reason.WRONG_IDENTITY, detail=detail)
        blocked = guest.move(
            GuestState.BLOCKED, now, trouble=Reason.WRONG_IDENTITY, detail=detail, account=account, accepted_at=now
        )
        return Draft(blocked, effects=[record])

    await transact(ports, key, [], step)
    return new


async def notice_account(ports: Ports, key: str, accounts: Mapping[str, Listed]) -> bool:
    """Compare a guest with the tenant's list of guests: one accepted unnoticed, was blocked, or is gone.

    Only guests are in the list. One that is missing there is looked for by the address before it counts as deleted:
    the list may lag behind. Returns whether something was new.
    """
    guest = (await ports.ledger.read(key, [])).guest
    account = guest.account
    if account is None or account.user_type is not UserType.GUEST:
        return False
    listed = accounts.get(account.object_id)
    if listed is not None and listed.accepted is not None and account.pending:
        return await accept(ports, key, listed.accepted)
    if guest.state not in (GuestState.INVITED, GuestState.EXPIRED, GuestState.USABLE):
        return False
    if listed is not None:
        return not listed.enabled and await _lose(ports, key, account, Reason.ACCOUNT_DISABLED)
    invitation = guest.invitation
    if invitation and invitation.invited_at and ports.clock.now() < invitation.invited_at + _HIDDEN_AT_MOST:
        return False
    found = await ports.directory.find(guest.address or "")
    if any(one.object_id == account.object_id for one in found):
        return False
    return await _lose(ports, key, account, Reason.ACCOUNT_DELETED)


async def _lose(ports: Ports, key: str, account: Account, reason: Reason) -> bool:
    lost = False

    async def step(book: Book) -> Draft | None:
        nonlocal lost
        guest, now = book.guest, ports.clock.now()
        lost = guest.account == account and GuestState.BLOCKED in LEGAL_MOVES[guest.state]
        if not lost:
            return None
        record = Record(partition=key, at=now, what="account", reason=reason)
        changes: dict[str, object] = {"account": account.model_copy(update={"enabled": False})}
        if reason is Reason.ACCOUNT_DELETED:  # a retry begins anew, with a new invitation
            changes = {"account": None, "invitation": None}
        effects: list[Effect] = [record, Send(queue=Queue.GRANTS, body=GrantMessage(guest=key))]
        return Draft(guest.move(GuestState.BLOCKED, now, trouble=reason, detail=None, **changes), effects=effects)

    await transact(ports, key, [], step)
    return lost
