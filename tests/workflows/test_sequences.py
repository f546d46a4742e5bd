"""Laws 1, 2, 4 and 6 over generated histories: several guests and items, any order, duplicates, crashes.

The end state is compared with a short, obvious oracle that knows nothing of tables, messages or Graph.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings

from shared.domain import guests, shares
from shared.domain.addresses import digest, guest_key
from shared.domain.decision import explain
from shared.domain.events import Change, ShareEvent
from shared.domain.guests import Guest, IllegalMoveError
from shared.domain.ledger import Book, Changes
from shared.domain.messages import Queue
from shared.domain.platforms import Role
from shared.domain.reasons import State
from shared.domain.shares import Share
from tests.conftest import COUNTS
from tests.memory import MemoryLedger
from tests.workflows.world import ITEMS, START, Crash, Fuse, World, event

GUESTS = ("anna@partner.example", "ben@other.example", "cleo@partner.example")
ROLES = {"View": Role.READ, "Modify": Role.WRITE, "Co-owner": Role.WRITE}


@st.composite
def events(draw: st.DrawFn) -> ShareEvent:
    """A share event about one of the guests and items, at one of a few moments, so that ties happen."""
    change = draw(st.sampled_from([Change.GIVEN, Change.KEPT, Change.LOST]))
    made = event(
        "to be named",
        draw(st.integers(1, 12)),
        change,
        who=draw(st.sampled_from([*GUESTS, "ANNA@Partner.Example"])),
        path=draw(st.sampled_from(sorted(ITEMS))),
        role=draw(st.sampled_from(sorted(ROLES))),
        preapproved=draw(st.booleans()),
        expires=draw(st.sampled_from([None, None, 60 * 24 * 2, 60 * 24 * 20])),
        reference=draw(st.sampled_from([None, "r1", "r2"])),
    )
    return made.model_copy(update={"id": digest(made.model_dump_json())})  # the same content is the same event


ACTS = st.one_of(
    events(),
    st.tuples(st.sampled_from(["approve", "deny", "accept"]), st.sampled_from(GUESTS)),
    st.tuples(st.just("wait"), st.integers(1, 15)),
)


@dataclass
class Oracle:
    """What must come out, said as directly as possible."""

    facts: dict[tuple[str, str, str], ShareEvent] = field(default_factory=dict)
    state: dict[str, str] = field(default_factory=dict)
    approved: set[str] = field(default_factory=set)
    invited: set[str] = field(default_factory=set)
    accepted: set[str] = field(default_factory=set)

    @staticmethod
    def _is_current(fact: ShareEvent, now: datetime) -> bool:
        return fact.change is not Change.LOST and not (fact.expires_at and fact.expires_at <= now)

    def live(self, who: str, now: datetime) -> dict[str, Role]:
        """The roles a guest has at the source now, by item."""
        roles: dict[str, Role] = {}
        for (guest, path, _), fact in self.facts.items():
            if guest == who and self._is_current(fact, now):
                roles[path] = max(roles.get(path, Role.READ), ROLES[fact.role or ""], key=lambda role: role.width)
        return roles

    def hear(self, fact: ShareEvent, now: datetime) -> None:
        """Take an event in and let the gate decide."""
        who, path = (fact.principal.address or "").lower(), fact.item.path if fact.item else ""
        key = (who, path or "", fact.reference or "")
        if key in self.facts and not fact.outranks(self.facts[key]):
            return
        self.facts[key] = fact
        may_invite = any(
            other.sharer.may_invite and self._is_current(other, now)
            for (guest, item, _), other in self.facts.items()
            if guest == who and item == path
        )
        wants_here = (path or "") in self.live(who, now)
        self.gate(who, now, pre_approved=may_invite and wants_here)

    def gate(self, who: str, now: datetime, *, pre_approved: bool = False) -> None:
        """Hold, invite or withdraw."""
        state, live = self.state.get(who, "none"), self.live(who, now)
        if state in ("none", "held"):
            if not live:
                self.state[who] = "none"
            elif pre_approved or who in self.approved:
                self.invite(who)
            else:
                self.state[who] = "held"

    def invite(self, who: str) -> None:
        """One invitation for a person, ever."""
        self.approved.add(who)
        self.invited.add(who)
        self.state[who] = "usable" if who in self.accepted else "invited"

    def approve(self, who: str, now: datetime) -> None:
        """An administrator approves."""
        state = self.state.get(who, "none")
        if state in ("held", "denied"):
            self.approved.add(who)
            if who in self.invited or self.live(who, now):
                self.invite(who)
            else:
                self.state[who] = "none"

    def deny(self, who: str) -> None:
        """An administrator denies."""
        if any(guest == who for guest, _, _ in self.facts) and self.state.get(who, "none") != "usable":
            self.state[who] = "denied"
            self.approved.discard(who)

    def access(self, now: datetime) -> dict[tuple[str, str], Role]:
        """Who reaches what: roles reach down."""
        result: dict[tuple[str, str], Role] = {}
        for who in GUESTS:
            if self.state.get(who) != "usable":
                continue
            for shared, role in self.live(who, now).items():
                for path in ITEMS:
                    if path == shared or path.startswith(shared + "/"):
                        known = result.get((who, path), Role.READ)
                        result[who, path] = max(known, role, key=lambda r: r.width)
        return result


class WatchedLedger(MemoryLedger):
    """The ledger in memory; every commit is held against the tables of legal moves."""

    async def commit(self, book: Book, changes: Changes) -> None:
        """Write, and compare what was with what is."""
        before = self._states(book.guest.key)
        await super().commit(book, changes)
        after = self._states(book.guest.key)
        guest, now = before[0], after[0]
        assert now.state is guest.state or now.state in guests.LEGAL_MOVES[guest.state]
        invitation = guest.invitation_state
        assert now.invitation_state in guests.LEGAL_INVITATION_MOVES[invitation] | {invitation}
        for name, state in after[1].items():
            was = before[1].get(name)
            assert state in shares.LEGAL_MOVES[was] or state is was, f"{was} -> {state}"

    def _states(self, key: str) -> tuple[Guest, dict[str, State]]:
        rows = self.partitions.get(key)
        if rows is None:
            return Guest(key=key), {}
        guest = Guest.model_validate_json(rows.guest)
        found = [Share.model_validate_json(text) for text in rows.shares.values()]
        return guest, {share.id: explain(share, guest).state for share in found}


async def play(acts: list[object], fuse: Fuse) -> tuple[World, Oracle]:
    """Play the acts in the world and tell them to the oracle; every act comes to rest before the next.

    The budget of sharing calls is so small that work is often cut and goes on later.
    """
    world, oracle = World(fuse, calls=4), Oracle()
    world.ledger = WatchedLedger(fuse)
    world.ports = replace(world.ports, ledger=world.ledger)
    for act in acts:
        match act:
            case ShareEvent():
                armed, fuse.armed = fuse.armed, False
                await world.queues.send(Queue.SHARE_EVENTS, act)
                fuse.armed = armed
                oracle.hear(act, world.clock.now())
            case ("wait", int(days)):
                world.clock.at += timedelta(days=days)
            case ("accept", str(who)):
                if who in world.tenant.users:
                    world.tenant.accept(who)
                    oracle.accepted.add(who)
                    if oracle.state.get(who) == "invited":
                        oracle.state[who] = "usable"
            case (str(what), str(who)):
                await _ask(world, what, guest_key(who))
                if what == "approve":
                    oracle.approve(who, world.clock.now())
                else:
                    oracle.deny(who)
        await _rest(world)
        for who in GUESTS:
            oracle.gate(who, world.clock.now())
    return world, oracle


async def _ask(world: World, what: str, key: str) -> None:
    try:
        await (world.approve(key) if what == "approve" else world.deny(key))
    except Crash:
        await _ask(world, what, key)
    except IllegalMoveError:
        return


async def _rest(world: World) -> None:
    for _ in range(3):
        try:
            await world.settle()
        except Crash:  # a timer comes again
            await world.settle()


@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(acts=st.lists(ACTS, min_size=1, max_size=14), crash=st.one_of(st.none(), st.integers(0, 300)))
async def test_any_history_ends_as_the_oracle_says(acts: list[object], crash: int | None) -> None:
    COUNTS["sequences"] += 1
    fuse = Fuse(10**9 if crash is None else crash)
    world, oracle = await play(acts, fuse)
    fuse.armed = False
    now = world.clock.now()
    assert world.access() == oracle.access(now)
    assert sorted(world.tenant.mails) == sorted(oracle.invited)
    assert sorted(world.tenant.invitations) == sorted(oracle.invited)
    assert world.tenant.too_early == 0
    for one in acts:
        if isinstance(one, ShareEvent):
            recorded = {record.event async for record in world.history.read(one.partition)}
            assert one.id in recorded, "law 3"
    for who in GUESTS:
        guest = (await world.ledger.read(guest_key(who), [])).guest
        words = {"none": "unknown"}
        state = oracle.state.get(who, "none")
        assert guest.state == words.get(state, state)


@settings(max_examples=250, deadline=None)
@given(facts=st.lists(events(), min_size=1, max_size=8), data=st.data())
async def test_order_and_repetition_do_not_matter(facts: list[ShareEvent], data: st.DataObject) -> None:
    COUNTS["sequences"] += 2
    shuffled = data.draw(st.permutations([*facts, *data.draw(st.lists(st.sampled_from(facts), max_size=4))]))
    ends = []
    for sequence in (sorted(facts, key=lambda e: e.at), shuffled):
        world = World(calls=4)
        for who in GUESTS:  # everybody is a usable guest, so that only the shares decide
            await world.tenant.invite(who, None, mail=False)
            world.tenant.accept(who)
        for fact in sequence:
            await world.queues.send(Queue.SHARE_EVENTS, fact)
        await world.settle()
        ends.append((world.access(), START))
    assert ends[0] == ends[1]
