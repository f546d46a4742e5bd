"""What an administrator sees: who is where, what each share came to, and why. Tokens are never in it."""

from typing import TypedDict

from shared.domain.decision import explain
from shared.domain.events import PrincipalKind
from shared.domain.guests import Guest, GuestState
from shared.domain.reasons import State
from shared.domain.shares import Share
from shared.workflows.ports import Ports
from shared.workflows.transaction import guest_listing

type Json = dict[str, object]


class People(TypedDict):
    """A list of people; `more` tells that it was cut."""

    people: list[Json]
    more: bool


async def list_guests(ports: Ports, states: list[GuestState], limit: int) -> People:
    """Return the people in these states, newest first in each, without their shares."""
    people: list[Json] = []
    for state in states:
        async for entry in ports.worklist.read(state):
            if len(people) == limit:
                return {"people": people, "more": True}
            guest = (await ports.ledger.read(entry.guest, [])).guest
            if guest_listing(guest).get((entry.list, entry.key)) == entry:
                people.append(_guest(guest))
            else:  # left behind by a crash between a commit and its effects
                await ports.worklist.put(entry.model_copy(update={"present": False}))
    return {"people": people, "more": False}


async def list_attention(ports: Ports, limit: int) -> People:
    """Return the people who need an administrator: blocked ones, and those with a share that cannot go on."""
    people = {person["guest"]: person for person in (await list_guests(ports, [GuestState.BLOCKED], limit))["people"]}
    async for entry in ports.worklist.read(State.NEEDS_ATTENTION):
        if len(people) >= limit:
            return {"people": list(people.values()), "more": True}
        book = await ports.ledger.read(entry.guest, [entry.key])
        share = book.shares.get(entry.key)
        if share is not None and explain(share, book.guest).state is State.NEEDS_ATTENTION:
            people.setdefault(entry.guest, _guest(book.guest))
    return {"people": list(people.values()), "more": False}


async def list_unreadable(ports: Ports) -> Json:
    """Return the newest 1000 deliveries and messages that could not be read, and why."""
    found: list[Json] = []
    async for entry in ports.worklist.read("unreadable"):
        found.append({"at": entry.at.isoformat(), "where": entry.guest, "what": entry.note})
        if len(found) == 1000:
            break
    return {"unreadable": found}


async def explain_guest(ports: Ports, key: str) -> Json | None:
    """Return one person with every share, its reason in a sentence, and the history; None when nothing is known."""
    book = await ports.ledger.read(key, None)
    if book.version is None:
        return None
    shares = [_share(share, book.guest) for share in book.shares.values() if not share.moved_to]
    history = [
        {
            "at": record.at.isoformat(),
            "what": record.what,
            "by": record.by,
            "share": record.share,
            "reason": record.reason,
            "detail": record.detail,
            "event": record.event,
        }
        async for record in ports.history.read(key)
    ]
    return {**_guest(book.guest), "shares": shares, "history": history}


def _guest(guest: Guest) -> Json:
    invitation = guest.invitation
    return {
        "guest": guest.key,
        "address": guest.address,
        "name": guest.name,
        "state": guest.state,
        "since": guest.since.isoformat() if guest.since else None,
        "wanting": guest.wanting,
        "approvedBy": guest.approval.by if guest.approval else None,
        "invitation": guest.invitation_state,
        "invitedAt": invitation.invited_at.isoformat() if invitation and invitation.invited_at else None,
        "acceptedAt": guest.accepted_at.isoformat() if guest.accepted_at else None,
        "trouble": guest.trouble,
        "detail": guest.detail,
    }


def _share(share: Share, guest: Guest) -> Json:
    reason, access, claim = explain(share, guest), share.access, next(iter(share.claims.values()))
    person = claim.principal
    return {
        "id": share.id,
        "connection": share.connection,
        "item": share.item.path or share.item.id if share.item else None,
        "kind": share.item.kind if share.item else None,
        "principal": person.address if person.kind is PrincipalKind.PERSON else person.name or person.kind,
        "roleAtSource": max((c for c in share.claims.values() if c.role), key=lambda c: c.at, default=claim).role,
        "role": access.role if access else None,
        "fidelity": access.fidelity if access else None,
        "destination": access.destination.model_dump() if access else None,
        "sharedAt": share.shared_at.isoformat() if share.shared_at else None,
        "expiresAt": access.expires_at.isoformat() if access and access.expires_at else None,
        "sharer": share.sharer.address,
        "state": reason.state,
        "reason": reason,
        "sentence": reason.sentence,
        "detail": share.settlement.detail if share.settlement and reason.state is not State.GRANTED else None,
    }
