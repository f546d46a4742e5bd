"""The same action for many people at once, with a result for each of them.

The work of one call is bounded: named people up to a hundred, and of a view one page, with the place to go on from.
"""

import asyncio
from collections.abc import Sequence
from enum import StrEnum

from shared.domain.guests import Guest, GuestState, IllegalMoveError, View
from shared.domain.trouble import ConflictError, LaterError, RefusedError
from shared.workflows import approvals
from shared.workflows.approvals import Expected, StaleError
from shared.workflows.ports import Ports
from shared.workflows.review import PAGE, Answer
from shared.workflows.transaction import within

MOST = 100
_AT_ONCE = 8


class Action(StrEnum):
    """What can be done to people."""

    APPROVE = "approve"
    DENY = "deny"
    REINVITE = "reinvite"
    REVOKE = "revoke"
    RETRY = "retry"


class Outcome(StrEnum):
    """What came of it for one person."""

    DONE = "done"
    REFUSED = "refused"  # not possible in the person's state
    CHANGED = "changed"  # somebody else decided meanwhile; nothing was done
    FAILED = "failed"  # did not work just now


class Result(Answer):
    """What came of an action for one person, and how the person stands now."""

    guest: str
    address: str | None
    outcome: Outcome
    state: str | None
    version: str | None
    sentence: str


class Results(Answer):
    """The results of one call; `next` is the place to go on from."""

    results: list[Result]
    next: str | None = None


async def act(ports: Ports, action: Action, key: str, by: str, why: str | None, expected: Expected = None) -> Guest:
    """Carry out an action for one person. Raises IllegalMoveError, StaleError."""
    match action:
        case Action.APPROVE:
            return await approvals.approve(ports, key, by, expected)
        case Action.DENY:
            return await approvals.deny(ports, key, by, why or "", expected)
        case Action.REINVITE:
            return await approvals.reinvite(ports, key, by, expected)
        case Action.REVOKE:
            return await approvals.revoke(ports, key, by, why or "", expected)
        case Action.RETRY:
            return await approvals.retry(ports, key, by, expected)


async def act_on_people(
    ports: Ports, action: Action, people: Sequence[tuple[str, str | None]], by: str, why: str | None
) -> Results:
    """Carry out an action for named people, each with the version that the administrator saw."""
    return Results(results=await _each(ports, action, people, by, why))


async def act_on_view(
    ports: Ports, action: Action, view: View, domain: str | None, after: str, by: str, why: str | None
) -> Results:
    """Carry out an action for the next page of a view's people, perhaps of one domain only.

    Whoever is not under that head any more when their turn comes is left alone.
    """
    entries, place = await ports.worklist.page(within(view, domain) if domain else view.value, PAGE, after)
    people: list[tuple[str, Expected]] = [(entry.guest, view) for entry in entries]
    return Results(results=await _each(ports, action, people, by, why), next=place)


async def _each(
    ports: Ports, action: Action, people: Sequence[tuple[str, Expected]], by: str, why: str | None
) -> list[Result]:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(key: str, expected: Expected) -> Result:
        async with gate:
            return await _one(ports, action, key, by, why, expected)

    return list(await asyncio.gather(*(one(key, expected) for key, expected in people)))


async def _one(ports: Ports, action: Action, key: str, by: str, why: str | None, expected: Expected) -> Result:
    try:
        guest = await act(ports, action, key, by, why, expected)
    except StaleError as stale:
        return _result(
            stale.guest, Outcome.CHANGED, f"Changed meanwhile, now {name_of(stale.guest)}. Nothing was done."
        )
    except IllegalMoveError as illegal:
        guest = (await ports.ledger.read(key, [])).guest
        return _result(guest, Outcome.REFUSED, f"Not possible: {illegal}.")
    except (ConflictError, LaterError, RefusedError) as trouble:
        guest = (await ports.ledger.read(key, [])).guest
        sentence = trouble.reason.sentence if not isinstance(trouble, ConflictError) else "Too much changes just now."
        return _result(guest, Outcome.FAILED, f"{sentence} Try again.")
    return _result(guest, Outcome.DONE, f"Now {name_of(guest)}.")


def _result(guest: Guest, outcome: Outcome, sentence: str) -> Result:
    return Result(
        guest=guest.key,
        address=guest.address,
        outcome=outcome,
        state=guest.state.value,
        version=guest.version,
        sentence=sentence,
    )


_NAMES = {
    GuestState.UNKNOWN: "asking for nothing",
    GuestState.HELD: "pending admin approval",
    GuestState.APPROVED: "approved; the invitation is about to be made",
    GuestState.INVITED: "invited; has not accepted the invitation yet",
    GuestState.EXPIRED: "expired: nobody accepted the invitation in time",
    GuestState.USABLE: "ready",
    GuestState.DENIED: "denied",
    GuestState.BLOCKED: "in need of attention",
}


def name_of(guest: Guest) -> str:
    """Return the guest's state in words."""
    return _NAMES[guest.state]
