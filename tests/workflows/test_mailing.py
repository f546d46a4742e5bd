"""Mails: one to a person, at the right hours, within the budget, again when asked, and an end to every invitation."""

from datetime import UTC, datetime, time, timedelta

import pytest

from shared.domain.addresses import guest_key
from shared.domain.guests import GuestState, IllegalMoveError, View
from shared.domain.mailing import Letter, MailKind, MailRules, QuietHours
from shared.domain.messages import InvitationMessage
from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError, RefusedError, UnansweredError
from shared.workflows.approvals import approve, deny, reinvite, retry
from shared.workflows.invitations import follow_up, poll_acceptance
from shared.workflows.reconciliation import repair
from tests.workflows.world import Crash, Fuse, World, event

GUEST = "guest@partner.example"
KEY = guest_key(GUEST)
DAY = timedelta(days=1)
OWN = MailRules(kind=MailKind.OWN)


async def invited(rules: MailRules, **options: object) -> World:
    """A person who was invited by these rules and mailed."""
    world = World(rules=rules, **options)  # type: ignore[arg-type]
    await world.handle(event("e1", 1, preapproved=True))
    await world.handle(event("e2", 2, path="/c", role="Modify", preapproved=True))
    await world.drain()
    return world


async def state(world: World) -> GuestState:
    return (await world.ledger.read(KEY, [])).guest.state


async def test_one_own_mail_lists_everything_that_waits() -> None:
    world = await invited(OWN)
    (letter,) = world.tenant.letters
    assert (letter.to, letter.letter, letter.redeem_url) == (GUEST, Letter.INVITATION, "https://redeem")
    assert [(item.path, item.role.value) for item in letter.items] == [("/a", "read"), ("/c", "write")]
    assert await state(world) is GuestState.INVITED


async def test_no_mail_is_a_choice() -> None:
    world = await invited(MailRules(kind=MailKind.NONE))
    assert world.tenant.mails == []
    assert await state(world) is GuestState.INVITED
    await world.settle()
    assert world.tenant.mails == []


@pytest.mark.parametrize("kind", [MailKind.OWN, MailKind.MICROSOFT])
async def test_reinviting_sends_again_and_keeps_the_token(kind: MailKind) -> None:
    world = await invited(MailRules(kind=kind))
    before = (await world.ledger.read(KEY, [])).guest.invitation
    await reinvite(world.ports, KEY, "admin")
    await reinvite(world.ports, KEY, "admin")  # one is owed already
    await world.drain()
    after = (await world.ledger.read(KEY, [])).guest.invitation
    assert world.tenant.mails == [GUEST, GUEST]
    assert before is not None
    assert after is not None
    assert (after.redeem_url, after.id, after.mails) == (before.redeem_url, before.id, 2)
    assert len(world.tenant.invitations) == 1


async def test_who_has_no_open_invitation_cannot_be_reinvited() -> None:
    world = World(rules=OWN)
    await world.handle(event("e1", 1))
    with pytest.raises(IllegalMoveError, match="no invitation"):
        await reinvite(world.ports, KEY, "admin")


async def test_reminders_come_in_time_at_most_so_many_and_then_the_invitation_ends() -> None:
    rules = MailRules(kind=MailKind.OWN, remind_after=7 * DAY, reminders=2, lifetime=30 * DAY)
    world = await invited(rules)
    days = []
    for day in range(1, 41):
        world.clock.advance(DAY)
        before = len(world.tenant.mails)
        await follow_up(world.ports)
        await world.drain()
        if len(world.tenant.mails) > before:
            days.append(day)
    assert days == [7, 14]
    assert [letter.letter for letter in world.tenant.letters] == [Letter.INVITATION, Letter.REMINDER, Letter.REMINDER]
    assert await state(world) is GuestState.EXPIRED
    guest = (await world.ledger.read(KEY, [])).guest
    assert guest.views == (View.ATTENTION,)
    records = [record.reason async for record in world.history.read(KEY)]
    assert Reason.INVITATION_EXPIRED in records


async def test_who_accepts_after_the_end_needs_an_approval_anew() -> None:
    world = await invited(MailRules(reminders=0, lifetime=3 * DAY))
    world.clock.advance(4 * DAY)
    await follow_up(world.ports)
    world.tenant.accept(GUEST)
    await world.settle()
    assert await state(world) is GuestState.EXPIRED
    assert world.access() == {}
    await approve(world.ports, KEY, "admin")
    await world.drain()
    assert {path for who, path in world.access() if who == GUEST} == {"/a", "/a/b", "/c"}


@pytest.mark.parametrize("act", [approve, reinvite])
async def test_an_ended_invitation_begins_anew_with_a_mail(act: object) -> None:
    world = await invited(MailRules(kind=MailKind.OWN, reminders=0, lifetime=3 * DAY))
    world.clock.advance(4 * DAY)
    await follow_up(world.ports)
    await act(world.ports, KEY, "admin")  # type: ignore[operator]
    await world.drain()
    assert world.tenant.mails == [GUEST, GUEST]
    await follow_up(world.ports)
    assert await state(world) is GuestState.INVITED


async def test_the_hourly_budget_spreads_mails_and_drops_none() -> None:
    world = World(rules=OWN, mails=5)
    people = [f"p{number:02}@partner.example" for number in range(17)]
    for number, who in enumerate(people):
        await world.handle(event(f"e{number}", 1, who=who, preapproved=True))
    started, sent = world.clock.now(), []
    while (waiting := world.take()) is not None:
        before = len(world.tenant.mails)
        await world.handle(waiting.body, waiting.attempt)
        sent += [world.clock.now()] * (len(world.tenant.mails) - before)
    assert sorted(world.tenant.mails) == people
    for moment in sent:
        assert sum(moment <= other < moment + timedelta(hours=1) for other in sent) <= 5
    assert sent[-1] - started < timedelta(hours=4)


async def test_the_reconciler_doubles_no_mail_that_waits_for_its_slot() -> None:
    world = World(rules=OWN, mails=1)
    for number in range(4):
        await world.handle(event(f"e{number}", 1, who=f"p{number}@partner.example", preapproved=True))
    for _ in range(20):
        if (waiting := world.take()) is not None:
            await world.handle(waiting.body, waiting.attempt)
    before = len(world.queues.waiting)
    await world.ports.marks.set("repaired-until", "")
    await repair(world.ports)
    assert len(world.queues.waiting) == before
    await world.drain()
    assert sorted(world.tenant.mails) == [f"p{number}@partner.example" for number in range(4)]


async def test_no_mail_leaves_in_quiet_hours_and_none_is_lost() -> None:
    quiet = QuietHours(start=time(20), end=time(7), zone="Europe/Berlin")
    world = World(rules=MailRules(kind=MailKind.OWN, quiet_hours=quiet))
    world.clock.at = datetime(2026, 3, 10, 22, tzinfo=UTC)
    await world.handle(event("e1", 1, preapproved=True))
    for _ in range(10):
        await world.handle(InvitationMessage(guest=KEY))  # the reconciler, or a repeat
    assert world.tenant.mails == []
    await world.drain()
    assert world.tenant.mails == [GUEST]
    assert world.clock.now() == datetime(2026, 3, 11, 6, tzinfo=UTC), "seven o'clock in Berlin"


async def test_a_crash_at_any_effect_never_sends_two_mails_and_ends_in_an_invitation() -> None:
    fuse = Fuse(10**9)
    await _own_mail_story(fuse)
    effects = 10**9 - fuse.left
    lost = 0
    for at in range(effects):
        fuse = Fuse(at)
        world = await _own_mail_story(fuse)
        assert not fuse.armed
        assert len(world.tenant.mails) <= 1, at
        guest = (await world.ledger.read(KEY, [])).guest
        assert guest.state is GuestState.INVITED, at
        assert guest.invitation is not None
        assert guest.invitation.mails == 1, at
        if not world.tenant.mails:
            assert guest.invitation.unconfirmed, "told that it may not have left"
            lost += 1
    assert lost <= 2


async def _own_mail_story(fuse: Fuse) -> World:
    world = World(fuse, rules=OWN)
    try:
        await world.handle(event("e1", 1, preapproved=True))
    except Crash:
        await world.handle(event("e1", 1, preapproved=True))
    await world.drain()
    try:
        await world.repair()
    except Crash:
        await world.repair()
    return world


@pytest.mark.parametrize(
    ("trouble", "mails", "unconfirmed"),
    [(LaterError(Reason.GRAPH), 1, False), (UnansweredError(Reason.GRAPH), 0, True)],
)
async def test_a_mail_that_was_not_taken_is_tried_again_and_one_without_an_answer_is_not(
    trouble: LaterError, mails: int, unconfirmed: bool
) -> None:
    world = World(rules=OWN)
    send, troubles = world.tenant.send, [trouble]

    async def fail_once(mail: object) -> None:
        if troubles:
            raise troubles.pop()
        await send(mail)  # type: ignore[arg-type]

    world.tenant.send = fail_once  # type: ignore[method-assign]
    await world.handle(event("e1", 1, preapproved=True))
    await world.drain()
    guest = (await world.ledger.read(KEY, [])).guest
    assert len(world.tenant.mails) == mails
    assert guest.invitation is not None
    assert guest.invitation.unconfirmed is unconfirmed


@pytest.mark.parametrize("reason", [Reason.MAIL_REFUSED, Reason.UNDELIVERABLE])
async def test_a_refused_mail_needs_attention_and_can_be_started_again(reason: Reason) -> None:
    world = World(rules=OWN)
    send = world.tenant.send

    async def refuse(_: object) -> None:
        raise RefusedError(reason)

    world.tenant.send = refuse  # type: ignore[method-assign,assignment]
    await world.handle(event("e1", 1, preapproved=True))
    await world.drain()
    guest = (await world.ledger.read(KEY, [])).guest
    assert (guest.state, guest.trouble) == (GuestState.BLOCKED, reason)
    world.tenant.send = send  # type: ignore[method-assign]
    await retry(world.ports, KEY, "admin")
    await world.drain()
    assert world.tenant.mails == [GUEST]
    assert await state(world) is GuestState.INVITED


async def test_a_denial_stops_the_mail_that_waits() -> None:
    world = World(rules=OWN)
    await world.handle(event("e1", 1, preapproved=True))
    await deny(world.ports, KEY, "admin", "no")
    await world.drain()
    assert world.tenant.mails == []


async def test_nobody_is_reminded_who_accepted() -> None:
    world = await invited(MailRules(kind=MailKind.OWN, remind_after=DAY, reminders=3))
    world.tenant.accept(GUEST)
    await poll_acceptance(world.ports)
    world.clock.advance(10 * DAY)
    await follow_up(world.ports)
    await world.drain()
    assert world.tenant.mails == [GUEST]
