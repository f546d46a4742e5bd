"""The demo's verdict must be able to fail: each kind of difference, made by hand."""

from collections.abc import Callable
from typing import Any

import pytest

from local.demo.deliver import Answer
from local.demo.play import Outcome
from local.demo.steps import Chapter, Permission, Share, Step, Story
from local.demo.verdict import differences, leaks

ADA = "ada@partner.example"
STEP = Step("a share", "box", ADA, "/Plans", "viewer")
FORGED = Step("forged", "box", ADA, "/Plans", damage="forged signature", answer=(401, "signature-wrong"))
STORY = Story(
    tenant={},
    groups={},
    chapters=(Chapter("all", (STEP, FORGED)),),
    invited=frozenset({ADA}),
    shares=(Share("box", ADA, "/Plans", "granted/direct"),),
    given=(Permission(ADA, "d", "/Plans", "read", "viewer"),),
)


def row(path: str, role: str = "read", mail: str = ADA, **more: Any) -> dict[str, Any]:
    return {
        **{"drive": "d", "path": path, "mail": mail, "role": role},
        **{"via": "direct", "inherited": False, "copied": False, **more},
    }


def good() -> Outcome:
    return Outcome(
        answers=[Answer(STEP, "box:1", 202, "accepted"), Answer(FORGED, "box:2", 401, "signature-wrong")],
        people=[
            {
                "shares": [
                    {"connection": "box", "principal": ADA, "item": "/Plans", "reason": "granted/direct"},
                ],
                "history": [{"event": "box:1"}, {"event": None}],
            }
        ],
        tenant={
            "items": [{"drive": "d", "path": path} for path in ("/", "/Plans", "/Plans/Old", "/Plans B")],
            "permissions": [row("/Plans"), row("/Plans/Old", inherited=True)],
            "invitationCounts": {ADA: 1},
            "mailCounts": {ADA: 1},
        },
        host={"failures": 0, "poisoned": 0},
    )


def test_nothing_differs() -> None:
    assert differences(STORY, good()) == []


def put(*path: Any, value: Any) -> Callable[[Outcome], None]:
    name, *rest, last = path

    def change(outcome: Outcome) -> None:
        part = getattr(outcome, name)
        for step in rest:
            part = part[step]
        part[last] = value

    return change


def allow(permission: dict[str, Any]) -> Callable[[Outcome], None]:
    return lambda outcome: outcome.tenant["permissions"].append(permission)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put("tenant", "permissions", value=[]), "missing: read of ada"),
        (put("tenant", "permissions", 0, "role", value="write"), "expected read"),
        (put("tenant", "permissions", 0, "via", value="link"), "missing: read of ada"),
        (allow(row("/Plans B")), "not expected: read of ada"),
        (allow(row("/Plans")), "twice: read of ada"),
        (allow(row("/Plans", mail="eve@evil.example")), "eve@evil.example has read on d:/Plans, expected nothing"),
        (allow(row("/Plans/Old", "write", copied=True)), "ada@partner.example has write on d:/Plans/Old"),
        (put("tenant", "invitationCounts", ADA, value=2), "2 invitations"),
        (put("tenant", "mailCounts", "eve@evil.example", value=1), "eve@evil.example: 1 mails, expected 0"),
        (put("people", 0, "shares", 0, "reason", value="waiting/grant"), "waiting/grant, expected granted/direct"),
        (put("people", 0, "shares", value=[]), "none, expected granted/direct"),
        (put("people", 0, "history", value=[]), "not explained: a share"),
        (put("answers", 1, value=Answer(FORGED, "box:2", 202, "accepted")), "answered 202 accepted, expected 401"),
        (put("host", "poisoned", value=1), "1 function runs: poisoned"),
        (lambda outcome: outcome.unfinished.append("Invitations accepted: 1 of 2"), "1 of 2"),
    ],
)
def test_each_difference_is_found(change: Callable[[Outcome], None], words: str) -> None:
    outcome = good()
    change(outcome)
    assert any(words in fault for fault in differences(STORY, outcome))


def test_a_role_repeated_where_an_item_does_not_inherit_is_no_difference() -> None:
    outcome = good()
    outcome.tenant["permissions"][1] = row("/Plans/Old")
    assert differences(STORY, outcome) == []


def test_leaks_are_found_and_not_repeated() -> None:
    assert leaks("nothing to see", {"whsec_1"}, {ADA}) == []
    (found,) = leaks("signed with whsec_1", {"whsec_1"}, {ADA})
    assert "whsec_1" not in found
    assert leaks("hello Ada@Partner.Example", (), {ADA})
