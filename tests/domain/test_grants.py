"""What to do at one place: every case of wanted, ours, and really there."""

import pytest

from shared.domain.connections import Destination
from shared.domain.grants import Grant, Permission, Step, plan
from shared.domain.platforms import Role

READ, WRITE = Role.READ, Role.WRITE
PLACE = Destination(drive="d", path="/a")


def ours(role: Role) -> Grant:
    return Grant(item_id="i", place=PLACE, link=False, role=role)


def own(role: Role | None) -> Permission:
    return Permission(id="p", role=role, inherited=False, mine=True)


def above(role: Role | None) -> Permission:
    return Permission(id="p", role=role, inherited=True, mine=True)


SOMEBODY = Permission(id="q", role=WRITE, inherited=False)


@pytest.mark.parametrize(
    ("want", "grant", "present", "copied", "step"),
    [
        (READ, None, [], False, Step.GRANT),
        (READ, None, [SOMEBODY], False, Step.GRANT),
        (READ, ours(READ), [], False, Step.GRANT),
        (READ, ours(READ), [own(READ)], False, Step.NOTHING),
        (WRITE, ours(READ), [own(READ)], False, Step.CHANGE),
        (READ, ours(WRITE), [own(WRITE)], False, Step.CHANGE),
        (None, ours(READ), [own(READ)], False, Step.REMOVE),
        (None, ours(READ), [], False, Step.NOTHING),
        (None, None, [], False, Step.NOTHING),
        # law 5: what others gave is neither changed nor removed
        (None, None, [own(READ)], False, Step.NOTHING),
        (READ, None, [own(READ)], False, Step.ALREADY),
        (READ, None, [own(WRITE)], False, Step.ALREADY),
        (READ, None, [own(None)], False, Step.ALREADY),
        (WRITE, None, [own(READ)], False, Step.CONFLICT),
        # what comes from above
        (READ, None, [above(WRITE)], False, Step.ALREADY),
        (WRITE, None, [above(READ)], False, Step.GRANT),
        (None, None, [above(READ)], False, Step.NOTHING),
        # a copy of ours is ours
        (None, None, [own(READ)], True, Step.REMOVE),
        (WRITE, None, [own(READ)], True, Step.CHANGE),
        (READ, None, [own(READ)], True, Step.NOTHING),
    ],
)
def test_the_next_step(
    want: Role | None, grant: Grant | None, present: list[Permission], copied: bool, step: Step
) -> None:
    assert plan(want, grant, present, copied=copied)[0] is step
