"""Law 4 among two workers: every interleaving of two workflows on one guest ends in the same, right state.

Both workflows are driven by hand, one effect at a time. The schedules form a tree; two prefixes that left the same
world and told each workflow the same things have the same future, so it is walked once and counted for both.
"""

import types
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from shared.domain.addresses import guest_key
from shared.domain.events import Change
from shared.domain.guests import GuestState, IllegalMoveError
from shared.domain.messages import GrantMessage, InvitationMessage, Message
from shared.domain.platforms import Role
from shared.domain.shares import share_id
from shared.workflows.invitations import poll_acceptance
from shared.workflows.reconciliation import expire_shares
from tests.conftest import COUNTS
from tests.workflows.world import START, World, event

GUEST = "guest@partner.example"
KEY = guest_key(GUEST)
E1 = event("e1", 1)
SHARE = share_id(E1)

type Act = Callable[[World], Awaitable[None]]


@types.coroutine
def _pause(name: str) -> Generator[str]:
    yield name


@dataclass
class Worker:
    """One workflow on its way: what it was told so far, and whether it has ended."""

    told: list[str] = field(default_factory=list)
    coroutine: Coroutine[Any, Any, None] | None = None
    ended: bool = False

    def advance(self) -> None:
        """Let it run up to its next effect."""
        assert self.coroutine is not None
        try:
            self.coroutine.send(None)
        except StopIteration:
            self.ended = True
        except IllegalMoveError:
            self.ended = True


class Watched:
    """A port that stops before each operation and notes what it answered."""

    def __init__(self, port: Any, worker: Worker) -> None:
        self._port, self._worker = port, worker

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._port, name)
        if name in ("keys",) or (name == "read" and type(self._port).__name__ != "MemoryLedger"):
            return lambda *args, **kwargs: self._listed(operation(*args, **kwargs))

        async def call(*args: Any, **kwargs: Any) -> Any:
            await _pause(name)
            try:
                answer = await operation(*args, **kwargs)
            except Exception as error:
                self._worker.told.append(repr(error))
                raise
            self._worker.told.append(repr(answer))
            return answer

        return call

    async def _listed(self, operation: AsyncIterator[Any]) -> AsyncIterator[Any]:
        await _pause("list")
        answers = [answer async for answer in operation]
        self._worker.told.append(repr(answers))
        for answer in answers:
            yield answer


_PORTS = (
    *("ledger", "history", "worklist", "scopes", "marks", "references", "queues", "directory", "sites", "pacer"),
    *("account_maps", "post", "postage"),
)


def _as_seen_by(world: World, worker: Worker) -> World:
    """The same world, as one worker reaches it."""
    seen = World.__new__(World)
    seen.__dict__ = dict(world.__dict__)
    watched: dict[str, Any] = {name: Watched(getattr(world.ports, name), worker) for name in _PORTS}
    seen.ports = replace(world.ports, **watched)
    return seen


def _run(coroutine: Awaitable[None]) -> None:
    """Run something that never waits for anything."""
    for _ in coroutine.__await__():
        pass


@dataclass
class Exploration:
    """The tree of schedules of two workflows."""

    prepare: Act
    acts: tuple[Act, Act]
    check: Callable[[World], None]
    known: dict[tuple[object, ...], int] = field(default_factory=dict)
    leaves: int = 0

    def count(self, schedule: tuple[int, ...] = ()) -> int:
        """Walk all schedules that begin like this one; return their number."""
        world = World()
        _run(self.prepare(world))
        workers = (Worker(), Worker())
        for worker, act in zip(workers, self.acts, strict=True):
            worker.coroutine = act(_as_seen_by(world, worker))  # type: ignore[assignment]
            worker.advance()
        for choice in schedule:
            workers[choice].advance()
        if all(worker.ended for worker in workers):
            self.leaves += 1
            _run(world.settle())
            _run(world.settle())
            self.check(world)
            return 1
        signature = (world.state(), *(tuple(worker.told) for worker in workers))
        if signature not in self.known:
            self.known[signature] = sum(
                self.count((*schedule, choice)) for choice in (0, 1) if not workers[choice].ended
            )
        return self.known[signature]


def message(body: Message) -> Act:
    async def act(world: World) -> None:
        await world.handle(body)

    return act


async def poll(world: World) -> None:
    await poll_acceptance(world.ports)


async def expire(world: World) -> None:
    await expire_shares(world.ports)


async def approve(world: World) -> None:
    await world.approve(KEY)


async def deny(world: World) -> None:
    await world.deny(KEY)


async def held(world: World) -> None:
    """A share waits for approval."""
    await world.handle(E1)


async def invited(world: World) -> None:
    """The guest is invited."""
    await held(world)
    await world.approve(KEY)
    await world.drain()


async def accepted(world: World) -> None:
    """The guest accepted at Entra; nobody has noticed yet."""
    await invited(world)
    world.tenant.accept(GUEST)


async def ready(world: World) -> None:
    """The guest is usable, the access is about to be given: the message is taken off its queue."""
    await accepted(world)
    await poll(world)
    world.queues.waiting.clear()


async def granted(world: World) -> None:
    """The guest has the access."""
    await accepted(world)
    await world.settle()


async def granted_for_a_while(world: World) -> None:
    """The guest has an access that is about to expire."""
    await world.handle(event("e1", 1, preapproved=True, expires=60 * 48))
    await world.drain()
    world.tenant.accept(GUEST)
    await world.settle()
    world.clock.at = max(world.clock.at, START.replace(day=10))


async def approved(world: World) -> None:
    """Approved; the invitation's message is taken off its queue."""
    await held(world)
    await world.approve(KEY)
    world.queues.waiting.clear()


def ends_with(
    access: dict[str, Role], *, mails: int = 1, state: GuestState = GuestState.USABLE
) -> Callable[[World], None]:
    def check(world: World) -> None:
        assert world.access() == {(GUEST, path): role for path, role in access.items()}
        assert len(world.tenant.mails) == mails
        assert len(world.tenant.invitations) == mails
        assert world.tenant.too_early == 0
        assert f'"state":"{state.value}"' in world.ledger.partitions[KEY].guest
        assert not world.ledger.partitions[KEY].outbox
        assert '"busy_until":null' in world.ledger.partitions[KEY].guest

    return check


LOST = event("e9", 9, Change.LOST)
GRANT = GrantMessage(guest=KEY, shares=(SHARE,))
INVITE = InvitationMessage(guest=KEY)

PAIRS: dict[str, tuple[Act, Act, Act, Callable[[World], None]]] = {
    "a share arrives while the guest accepts": (
        accepted,
        message(event("e2", 2, path="/c")),
        poll,
        ends_with({"/a": Role.READ, "/a/b": Role.READ, "/c": Role.READ}),
    ),
    "a removal arrives while the guest accepts": (accepted, message(LOST), poll, ends_with({})),
    "revoke against grant": (ready, message(LOST), message(GRANT), ends_with({})),
    "role change against grant": (
        ready,
        message(event("e2", 2, Change.KEPT, role="Modify")),
        message(GRANT),
        ends_with({"/a": Role.WRITE, "/a/b": Role.WRITE}),
    ),
    "the same event twice": (
        invited,
        message(event("e2", 2, path="/c")),
        message(event("e2", 2, path="/c")),
        ends_with({}, state=GuestState.INVITED),
    ),
    "the first event twice": (
        held,
        message(event("e2", 2, preapproved=True)),
        message(event("e2", 2, preapproved=True)),
        ends_with({}, state=GuestState.INVITED),
    ),
    "gift against removal": (
        held,
        message(LOST),
        message(event("e8", 8, Change.KEPT, role="Modify")),
        ends_with({}, mails=0, state=GuestState.UNKNOWN),
    ),
    "the same grant twice": (ready, message(GRANT), message(GRANT), ends_with({"/a": Role.READ, "/a/b": Role.READ})),
    "the same invitation twice": (approved, message(INVITE), message(INVITE), ends_with({}, state=GuestState.INVITED)),
    "approve twice": (held, approve, approve, ends_with({}, state=GuestState.INVITED)),
    "expiry against grant": (
        granted_for_a_while,
        expire,
        message(GRANT),
        ends_with({}),
    ),
    "two removals of what was granted": (
        granted,
        message(LOST),
        message(event("e10", 10, Change.LOST)),
        ends_with({}),
    ),
    "acceptance noticed twice": (accepted, poll, poll, ends_with({"/a": Role.READ, "/a/b": Role.READ})),
}


def explore(case: tuple[Act, Act, Act, Callable[[World], None]]) -> None:
    """Walk all interleavings of a case and count them."""
    prepare, first, second, check = case
    exploration = Exploration(prepare, (first, second), check)
    COUNTS["interleavings"] += exploration.count()
    COUNTS["interleavings with a different course"] += exploration.leaves


@pytest.mark.parametrize("pair", PAIRS)
def test_every_interleaving_ends_alike(pair: str) -> None:
    explore(PAIRS[pair])


def _either(*checks: Callable[[World], None]) -> Callable[[World], None]:
    """Real races, where whoever comes first decides: each outcome is right, but nothing in between."""

    def check(world: World) -> None:
        faults = []
        for one in checks:
            try:
                one(world)
            except AssertionError as fault:
                faults.append(fault)
        assert len(faults) < len(checks), faults

    return check


OTHER = "other@partner.example"
OTHERS_SHARE = event("x1", 2, who=OTHER, path="/a/b", preapproved=True)
OTHERS_GRANT = GrantMessage(guest=guest_key(OTHER), shares=(share_id(OTHERS_SHARE),))


async def _both_usable(world: World) -> None:
    for who in (GUEST, OTHER):
        await world.tenant.invite(who, None, mail=False)
        world.tenant.accept(who)


async def both_ready(world: World) -> None:
    """One has a share on the folder, the other one beneath it; nothing is given yet."""
    await _both_usable(world)
    await world.handle(E1)
    await world.handle(OTHERS_SHARE)
    world.queues.waiting.clear()


async def one_granted(world: World) -> None:
    """One has the folder, which is being taken back; the other's share beneath it is not given yet."""
    await _both_usable(world)
    await world.handle(E1)
    await world.drain()
    await world.handle(OTHERS_SHARE)
    world.queues.waiting.clear()
    await world.handle(LOST)
    world.queues.waiting.clear()


def _then_taken_back(folder: dict[tuple[str, str], Role]) -> Callable[[World], None]:
    """At first this access, and after the folder was taken back only the other's: no copy is left behind."""
    beneath = {(OTHER, "/a/b"): Role.READ}

    def check(world: World) -> None:
        assert world.access() == folder | beneath
        _run(world.handle(LOST))
        _run(world.settle())
        assert world.access() == beneath

    return check


FOLDER = {(GUEST, "/a"): Role.READ, (GUEST, "/a/b"): Role.READ}
TWO_GUESTS: dict[str, tuple[Act, Act, Act, Callable[[World], None]]] = {
    "a folder against the first permission beneath it": (
        both_ready,
        message(GRANT),
        message(OTHERS_GRANT),
        _then_taken_back(FOLDER),
    ),
    "a folder taken back against the first permission beneath it": (
        one_granted,
        message(GRANT),
        message(OTHERS_GRANT),
        _then_taken_back({}),
    ),
}


@pytest.mark.parametrize("pair", TWO_GUESTS)
def test_inheritance_that_another_guest_ends_leaves_nobody_out_and_nothing_behind(pair: str) -> None:
    explore(TWO_GUESTS[pair])


RACES: dict[str, tuple[Act, Act, Act, Callable[[World], None]]] = {
    "approve against revoke": (
        held,
        approve,
        message(LOST),
        _either(ends_with({}, mails=0, state=GuestState.UNKNOWN), ends_with({}, state=GuestState.INVITED)),
    ),
    "approve against deny": (
        held,
        approve,
        deny,
        _either(ends_with({}, mails=0, state=GuestState.DENIED), ends_with({}, state=GuestState.INVITED)),
    ),
    "deny against invite": (
        approved,
        deny,
        message(INVITE),
        _either(ends_with({}, mails=0, state=GuestState.DENIED), ends_with({}, state=GuestState.DENIED)),
    ),
    "revoke against invite": (
        approved,
        message(LOST),
        message(INVITE),
        _either(ends_with({}, mails=0, state=GuestState.UNKNOWN), ends_with({}, state=GuestState.INVITED)),
    ),
}


@pytest.mark.parametrize("race", RACES)
def test_every_race_ends_in_one_of_its_outcomes(race: str) -> None:
    explore(RACES[race])
