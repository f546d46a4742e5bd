"""What an administrator sees is what is so, page by page, however many people there are; and acting on many of them."""

from collections import Counter
from datetime import timedelta

import pytest

from shared.domain.addresses import guest_key
from shared.domain.events import Change
from shared.domain.guests import Guest, GuestState, View
from shared.domain.ledger import Book, Changes
from shared.domain.messages import ListEntry
from shared.domain.terms import Kind
from shared.workflows.bulk import Action, Outcome, Result, act_on_people, act_on_view
from shared.workflows.review import count_people, explain_guest, list_people, search
from shared.workflows.status import measure
from shared.workflows.transaction import guest_listing
from tests.workflows.world import START, World, event


async def held(world: World, *people: str) -> None:
    for number, who in enumerate(people):
        world.clock.advance(timedelta(seconds=1))
        await world.handle(event(f"e-{who}", number, who=who))


async def addresses(world: World, view: View, domain: str | None = None) -> list[str | None]:
    found: list[str | None] = []
    after: str | None = ""
    while after is not None:
        page = await list_people(world.ports, view, domain=domain, limit=2, after=after)
        found += [person.address for person in page.people]
        after = page.next
    return found


async def test_people_stand_under_their_head_newest_first_and_by_domain() -> None:
    world = World()
    await held(world, "a@one.example", "b@two.example", "c@one.example", "d@one.example")
    assert await addresses(world, View.HELD) == ["d@one.example", "c@one.example", "b@two.example", "a@one.example"]
    assert await addresses(world, View.HELD, "one.example") == ["d@one.example", "c@one.example", "a@one.example"]
    await world.approve(guest_key("c@one.example"))
    assert await addresses(world, View.HELD, "one.example") == ["d@one.example", "a@one.example"]
    assert await addresses(world, View.INVITED) == ["c@one.example"]
    page = await list_people(world.ports, View.HELD)
    assert [share.item for share in page.people[0].shares] == ["/a"]
    assert (await count_people(world.ports)).people == {
        "held": 3,
        "invited": 1,
        "granted": 0,
        "needs-attention": 0,
        "ignored": 0,
    }


async def test_a_row_that_a_crash_left_behind_is_not_shown_and_taken_out() -> None:
    world = World()
    await held(world, "a@one.example")
    leftover = ListEntry(list="invited", key=guest_key("a@one.example"), at=START, guest=guest_key("a@one.example"))
    await world.worklist.put(leftover)
    assert (await list_people(world.ports, View.INVITED)).people == []
    assert await world.worklist.count("invited", 10) == 0
    assert len((await list_people(world.ports, View.HELD)).people) == 1


async def test_the_reconciler_writes_lost_rows_and_counts_again() -> None:
    world = World()
    await held(world, "a@one.example")
    world.worklist.rows.clear()
    partition = world.ledger.partitions[guest_key("a@one.example")]
    guest = Guest.model_validate_json(partition.guest)
    partition.guest = guest.model_copy(update={"tally": {"granted": 7}}).model_dump_json()
    await world.repair()
    assert await addresses(world, View.HELD, "one.example") == ["a@one.example"]
    assert (await list_people(world.ports, View.HELD)).people[0].tally == {"waiting": 1}
    assert len((await search(world.ports, "one.ex", [Kind.DOMAIN], None)).people) == 1


@pytest.mark.parametrize(
    ("text", "kinds", "found"),
    [
        ("a@", [Kind.PERSON], 1),
        ("ONE", [Kind.DOMAIN], 2),
        ("one", [Kind.PERSON], 0),
        ("/", [Kind.ITEM], 3),
        ("files", [Kind.CONNECTION], 3),
        ("sharer@", [Kind.SHARER], 3),
        ("sharer@", list(Kind), 3),
        ("nothing", list(Kind), 0),
    ],
)
async def test_people_are_found(text: str, kinds: list[Kind], found: int) -> None:
    world = World()
    await held(world, "a@one.example", "b@two.example", "c@one.example")
    assert len((await search(world.ports, text, kinds, None)).people) == found


async def test_a_search_under_a_head_pages_without_overlap() -> None:
    world = World()
    people = [f"p{number}@one.example" for number in range(9)]
    await held(world, *people)
    for who in people[:4]:
        await world.approve(guest_key(who))
    found: list[str | None] = []
    after: str | None = ""
    while after is not None:
        page = await search(world.ports, "one", [Kind.DOMAIN], View.HELD, limit=2, after=after)
        found += [person.address for person in page.people]
        after = page.next
    assert sorted(found, key=str) == people[4:]


async def test_who_lost_everything_is_still_found_by_it() -> None:
    world = World()
    await held(world, "a@one.example")
    await world.handle(event("gone", 5, Change.LOST, who="a@one.example"))
    (person,) = (await search(world.ports, "/a", [Kind.ITEM], None)).people
    assert person.views == [View.IGNORED]


@pytest.mark.parametrize("people", [60, 100_000])
async def test_a_page_of_50_takes_as_much_work_over_a_hundred_thousand_people_as_over_sixty(people: int) -> None:
    steps: Counter[str] = Counter()

    async def count(name: str) -> None:
        steps[name] += 1

    world = World(count)
    for number in range(people):
        at = START + timedelta(seconds=number)
        key = f"{number:032x}"
        entry = ListEntry(list="held", key=key, at=at, guest=key)
        world.worklist.rows[entry.list, entry.at, entry.key] = entry.model_dump_json()
        if number >= people - 60:
            guest = Guest(key=key, state=GuestState.HELD, since=at, tally={"waiting": 1})
            assert guest_listing(guest)["held", key] == entry
            await world.ledger.commit(Book(Guest(key=key)), Changes(guest))
    steps.clear()
    page = await list_people(world.ports, View.HELD)
    assert len(page.people) == 50
    assert page.next is not None
    assert steps == {"worklist.page": 1, "ledger.read": 50}
    steps.clear()
    counts = await count_people(world.ports)
    assert counts.people["held"] == min(people, 1000)
    assert steps["worklist.count"] == len(View)
    await measure(world.ports)
    counts = await count_people(world.ports)
    assert counts.people["held"] == people
    assert (counts.counted_at is not None) is (people > 1000)


async def test_a_view_is_worked_off_step_by_step_to_its_end() -> None:
    world = World()
    people = [f"p{number:03}@one.example" for number in range(120)]
    await held(world, *people, "x@two.example")
    steps, after = 0, ""
    results: list[Result] = []
    while True:
        done = await act_on_view(world.ports, Action.APPROVE, View.HELD, "one.example", after, "admin", None)
        steps, results = steps + 1, [*results, *done.results]
        if done.next is None:
            break
        after = done.next
    assert steps == 3
    assert {row.outcome for row in results} == {Outcome.DONE}
    assert sorted(row.address or "" for row in results) == people
    await world.drain()
    assert sorted(world.tenant.mails) == people


async def test_every_person_of_a_bulk_action_has_a_result() -> None:
    world = World()
    await held(world, "a@one.example", "b@one.example")
    keys = [guest_key(who) for who in ("a@one.example", "b@one.example")]
    seen = [(key, (await world.ledger.read(key, [])).guest.version) for key in keys]
    await world.deny(keys[0])
    done = await act_on_people(world.ports, Action.APPROVE, [*seen, ("0" * 32, None)], "admin", None)
    assert [row.outcome for row in done.results] == [Outcome.CHANGED, Outcome.DONE, Outcome.REFUSED]
    assert done.results[0].state == "denied"
    again = await act_on_people(world.ports, Action.APPROVE, seen[1:], "admin", None)
    assert [row.outcome for row in again.results] == [Outcome.DONE], "what is so already stays so"


async def test_everything_of_a_person_is_explained() -> None:
    world = World()
    await held(world, "a@one.example")
    person = await explain_guest(world.ports, guest_key("a@one.example"))
    assert person is not None
    assert [share.sentence for share in person.shares] == ["pending admin approval"]
    assert [entry.what for entry in person.history] == ["share given"]
    assert await explain_guest(world.ports, "0" * 32) is None
