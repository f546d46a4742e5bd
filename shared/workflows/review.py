"""What an administrator sees: who is where, what each share came to, and why. Tokens are never in it.

The models here are the answers of the JSON interface; the pages show the same.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import TypedDict

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from shared.domain.connections import Destination
from shared.domain.decision import explain
from shared.domain.events import PrincipalKind
from shared.domain.guests import Guest, View
from shared.domain.reasons import Reason, State
from shared.domain.shares import Share
from shared.domain.terms import Kind, fold
from shared.workflows.ports import Ports
from shared.workflows.transaction import guest_listing, within

PAGE = 50
_SHARES_SHOWN = 5  # of each person in a list
COUNTED = 1000  # one request; what is more was counted by the timer
_FOUND = 1000  # search hits of each kind that are looked at
COUNTS = "people-counted"


class Answer(BaseModel):
    """A JSON document of the interface: camelCase."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class ShareView(Answer):
    """One share: what it is at the source, what it gives here, where it stands and why."""

    id: str
    connection: str
    item: str | None = Field(description="Path at the source")
    kind: str | None
    principal: str | None = Field(description="The person as the source names them")
    role_at_source: str | None
    role: str | None = Field(description="Role here")
    fidelity: str | None
    destination: Destination | None
    link: bool = Field(description="Given through a link of the person's own")
    on_site: bool = Field(description="The item was found at the destination, so it can be opened there")
    shared_at: AwareDatetime | None
    expires_at: AwareDatetime | None
    sharer: str | None
    state: State
    reason: Reason
    sentence: str
    detail: str | None
    ruling: Reason | None = Field(description="An administrator's or the map's word against the source")


class EntryView(Answer):
    """One entry of the history: what happened, when, because of whom or what."""

    at: AwareDatetime
    what: str
    by: str
    share: str | None
    reason: Reason | None
    sentence: str | None
    detail: str | None
    event: str | None


class PersonView(Answer):
    """One person as a list shows them. `version` is what If-Match takes."""

    guest: str
    address: str | None
    name: str | None
    state: str
    version: str
    views: list[View]
    since: AwareDatetime | None
    wanting: int
    tally: dict[str, int] = Field(description="Number of shares by state, as if the person were ready")
    approved_by: str | None
    approved_at: AwareDatetime | None
    invitation: str
    invited_at: AwareDatetime | None
    mailed_at: AwareDatetime | None
    mails: int
    reminders: int
    mail_owed: str | None = Field(description="A mail that waits to leave")
    mail_unconfirmed: bool = Field(description="The answer to the last mail was lost; it may not have left")
    due_at: AwareDatetime | None = Field(description="Next reminder, or end of the invitation")
    accepted_at: AwareDatetime | None
    account: str | None = Field(description="Object id of the account at the destination")
    account_type: str | None
    trouble: Reason | None
    sentence: str | None = Field(description="The trouble, and what to do about it")
    detail: str | None
    shares: list[ShareView] = Field(description="In a list the first few only")
    more_shares: bool


class ExplainedView(PersonView):
    """One person with everything that is known."""

    history: list[EntryView]


class PeopleView(Answer):
    """A page of people. `next` is where the following page begins; `cut` tells that a search found too much."""

    people: list[PersonView]
    next: str | None
    cut: bool = False

    @property
    def more(self) -> bool:
        """Tell whether there are more."""
        return self.next is not None


class Counts(Answer):
    """How many people stand under each head; exact up to a thousand, above that as of `counted_at`."""

    people: dict[str, int]
    counted_at: AwareDatetime | None = None


class Unreadable(TypedDict):
    """A delivery or message that could not be read."""

    at: str
    where: str
    what: str | None


async def list_people(
    ports: Ports, view: View, *, domain: str | None = None, limit: int = PAGE, after: str = ""
) -> PeopleView:
    """Return a page of the people under a head, newest first, perhaps of one domain only.

    Every row of the index is held against the ledger; what a crash left behind is taken out and not shown.
    """
    name = within(view, domain) if domain else view.value
    entries, place = await ports.worklist.page(name, limit, after)
    books = await asyncio.gather(*(ports.ledger.glance(entry.guest, _SHARES_SHOWN) for entry in entries))
    people, leftover = [], []
    for entry, book in zip(entries, books, strict=True):
        if guest_listing(book.guest).get((entry.list, entry.key)) == entry:
            people.append(_person(book.guest, list(book.shares.values())))
        else:
            leftover.append(entry.model_copy(update={"present": False}))
    await ports.worklist.put(*leftover)
    return PeopleView(people=people, next=place)


async def search(
    ports: Ports, text: str, kinds: Sequence[Kind], view: View | None, *, limit: int = PAGE, after: str = ""
) -> PeopleView:
    """Return a page of the people who have a term that begins like the text, perhaps under one head only.

    `after` is the number of people before the page. The order is that of their keys, so that pages do not overlap.
    """
    beginning = fold(text)
    lists = await asyncio.gather(*(ports.worklist.starting(f"search-{kind}", beginning, _FOUND) for kind in kinds))
    found = sorted({entry.guest for entries in lists for entry in entries})
    people: list[PersonView] = []
    start = int(after or 0)
    place = start
    while place < len(found) and len(people) < limit:
        part = found[place : place + limit - len(people)]
        books = await asyncio.gather(*(ports.ledger.glance(key, _SHARES_SHOWN) for key in part))
        people += [
            _person(book.guest, list(book.shares.values()))
            for book in books
            if book.version is not None and (view is None or view in book.guest.views)
        ]
        place += len(part)
    return PeopleView(
        people=people,
        next=str(place) if place < len(found) else None,
        cut=any(len(entries) == _FOUND for entries in lists),
    )


async def count_people(ports: Ports) -> Counts:
    """Return how many people stand under each head."""
    numbers = await asyncio.gather(*(ports.worklist.count(view.value, COUNTED) for view in View))
    people = {view.value: number for view, number in zip(View, numbers, strict=True)}
    if max(numbers) < COUNTED:
        return Counts(people=people)
    known = json.loads(await ports.marks.get(COUNTS) or "{}")
    for view, number in people.items():
        if number == COUNTED:
            people[view] = max(number, known.get("people", {}).get(view, 0))
    return Counts(people=people, counted_at=known.get("at"))


async def list_unreadable(ports: Ports) -> list[Unreadable]:
    """Return the newest 1000 deliveries and messages that could not be read, and why."""
    entries, _ = await ports.worklist.page("unreadable", 1000, "")
    return [{"at": entry.at.isoformat(), "where": entry.guest, "what": entry.note} for entry in entries]


async def explain_guest(ports: Ports, key: str) -> ExplainedView | None:
    """Return one person with every share, its reason in a sentence, and the history; None when nothing is known."""
    book = await ports.ledger.read(key, None)
    if book.version is None:
        return None
    shares = [share for share in book.shares.values() if share.claims]
    person = _person(book.guest, sorted(shares, key=lambda s: (s.connection, s.item.path or "" if s.item else "")))
    history = [
        EntryView(
            at=record.at,
            what=record.what,
            by=record.by,
            share=record.share,
            reason=record.reason,
            sentence=record.reason.sentence if record.reason else None,
            detail=record.detail,
            event=record.event,
        )
        async for record in ports.history.read(key)
    ]
    return ExplainedView(**(dict(person) | {"more_shares": False}), history=history)


async def see_person(ports: Ports, key: str) -> PersonView | None:
    """Return one person as a list shows them; None when nothing is known."""
    book = await ports.ledger.glance(key, _SHARES_SHOWN)
    return None if book.version is None else _person(book.guest, list(book.shares.values()))


async def open_share(ports: Ports, key: str, name: str) -> str | None:
    """Return the address in a browser of a share's item at the destination; None when it is not there (yet)."""
    share = (await ports.ledger.read(key, [name])).shares.get(name)
    if share is None or share.access is None:
        return None
    place = share.access.destination
    item_id = await ports.sites.resolve(place, share.item_id)
    return await ports.sites.address(place.drive, item_id) if item_id else None


def view_of(guest: Guest) -> PersonView:
    """Return a person without shares."""
    return _person(guest, [])


def _person(guest: Guest, shares: list[Share]) -> PersonView:
    invitation, account, approval = guest.invitation, guest.account, guest.approval
    shown = [share for share in shares if share.claims and not share.moved_to]
    return PersonView(
        guest=guest.key,
        address=guest.address,
        name=guest.name,
        state=guest.state.value,
        version=guest.version,
        views=list(guest.views),
        since=guest.since,
        wanting=guest.wanting,
        tally=guest.tally,
        approved_by=approval.by if approval else None,
        approved_at=approval.at if approval else None,
        invitation=guest.invitation_state.value,
        invited_at=invitation.invited_at if invitation else None,
        mailed_at=invitation.mailed_at if invitation else None,
        mails=invitation.mails if invitation else 0,
        reminders=invitation.reminders if invitation else 0,
        mail_owed=invitation.owed if invitation else None,
        mail_unconfirmed=invitation.unconfirmed if invitation else False,
        due_at=invitation.due_at if invitation else None,
        accepted_at=guest.accepted_at,
        account=account.object_id if account else None,
        account_type=account.user_type if account else None,
        trouble=guest.trouble,
        sentence=guest.trouble.sentence if guest.trouble else None,
        detail=guest.detail,
        shares=[_share(share, guest) for share in shown],
        more_shares=len(shown) < sum(guest.tally.values()),
    )


def _share(share: Share, guest: Guest) -> ShareView:
    reason, access, claim = explain(share, guest), share.access, next(iter(share.claims.values()))
    person = claim.principal
    return ShareView(
        id=share.id,
        connection=share.connection,
        item=share.item.path or share.item.id if share.item else None,
        kind=share.item.kind if share.item else None,
        principal=person.address if person.kind is PrincipalKind.PERSON else person.name or person.kind,
        role_at_source=max((c for c in share.claims.values() if c.role), key=lambda c: c.at, default=claim).role,
        role=access.role if access else None,
        fidelity=access.fidelity if access else None,
        destination=access.destination if access else None,
        link=access.link if access else False,
        on_site=access is not None and share.item_id is not None,
        shared_at=share.shared_at,
        expires_at=access.expires_at if access else None,
        sharer=share.sharer.address,
        state=reason.state,
        reason=reason,
        sentence=reason.sentence,
        detail=share.settlement.detail if share.settlement and reason.state is not State.GRANTED else None,
        ruling=share.ruling,
    )
