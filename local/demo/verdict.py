"""Compares what stands in the end with what the story says: every difference is one sentence."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from local.demo.places import Json
from local.demo.play import Outcome, ShareKey, shares_of
from local.demo.steps import Permission, Story

_WIDTH = {"read": 1, "write": 2, "owner": 3}

type Holding = tuple[str, str, str]  # person, drive, path


def differences(story: Story, outcome: Outcome) -> list[str]:
    """Everything that is not as the story says; empty if there is nothing."""
    return [
        *outcome.unfinished,
        *_permissions(story, outcome.tenant),
        *_access(story, outcome.tenant),
        *_invitations(story, outcome.tenant),
        *_shares(story, outcome.people),
        *_answers(outcome),
        *_explanations(outcome),
        *_host(outcome.host),
    ]


def leaks(log: str, hidden: Iterable[str], addresses: Iterable[str]) -> list[str]:
    """What a log or the telemetry must not hold. `hidden`: secrets and redeem URLs; the finding names none of them."""
    low = log.lower()
    found = [f"it holds the address of {address}" for address in addresses if address.lower() in low]
    count = sum(secret in log for secret in hidden)
    return found + ([f"it holds {count} secrets"] if count else [])


def _permissions(story: Story, tenant: Json) -> list[str]:
    """What was written on items, against the list. A person who has a role on a folder above may have it repeated on
    an item that does not inherit: SharePoint needs it there."""
    own = {_held(row): row for row in tenant["permissions"] if not row["inherited"]}
    expected = {_listed(permission): permission for permission in (*story.given, *story.foreign)}
    effective = _expected_access(story, tenant)
    missing = [
        f"missing: {_text(permission)} ({permission.why})" for key, permission in expected.items() if key not in own
    ]
    extra = [
        f"not expected: {row['role']} of {row['mail']} on {row['drive']}:{row['path']} ({row['via']})"
        for key, row in own.items()
        if key not in expected and not row["copied"] and effective.get(key[0]) != row["role"]
    ]
    twice = [
        f"twice: {role} of {person} on {drive}:{path} ({via})"
        for ((person, drive, path), role, via), number in Counter(
            _held(row) for row in tenant["permissions"] if not row["inherited"] and not row["copied"]
        ).items()
        if number > 1
    ]
    return missing + extra + twice


def _access(story: Story, tenant: Json) -> list[str]:
    """What every person can really do with every item, own and inherited together."""
    expected, real = _expected_access(story, tenant), real_access(tenant)
    return [
        f"{person} has {real.get(key, 'nothing')} on {drive}:{path}, expected {expected.get(key, 'nothing')}"
        for key in sorted(real.keys() | expected.keys())
        if real.get(key) != expected.get(key)
        for person, drive, path in [key]
    ]


def real_access(tenant: Json) -> dict[Holding, str]:
    """The widest role that a person really holds on an item, however they came to it."""
    return _widest(
        ((row["mail"] or f"anyone ({row['linkScope']})").lower(), row["drive"], row["path"], row["role"])
        for row in tenant["permissions"]
    )


def _expected_access(story: Story, tenant: Json) -> dict[Holding, str]:
    return _widest(
        (permission.person, permission.drive, item["path"], permission.role)
        for permission in (*story.given, *story.foreign)
        for item in tenant["items"]
        if item["drive"] == permission.drive and _is_in(item["path"], permission.path)
    )


def _widest(held: Iterable[tuple[str, str, str, str]]) -> dict[Holding, str]:
    roles: dict[Holding, str] = {}
    for person, drive, path, role in held:
        key = person, drive, path
        if key not in roles or _WIDTH[role] > _WIDTH[roles[key]]:
            roles[key] = role
    return roles


def _is_in(path: str, folder: str) -> bool:
    return folder == "/" or path == folder or path.startswith(f"{folder}/")


def _held(row: Json) -> tuple[Holding, str, str]:
    return ((row["mail"] or "anyone").lower(), row["drive"], row["path"]), row["role"], row["via"]


def _listed(permission: Permission) -> tuple[Holding, str, str]:
    via = "link" if permission.link else "direct"
    return (permission.person, permission.drive, permission.path), permission.role, via


def _text(permission: Permission) -> str:
    return f"{permission.role} of {permission.person} on {permission.drive}:{permission.path}"


def _invitations(story: Story, tenant: Json) -> list[str]:
    expected = dict.fromkeys(story.invited, 1)
    faults = []
    for what in ("invitation", "mail"):
        real = tenant[f"{what}Counts"]
        faults += [
            f"{person}: {real.get(person, 0)} {what}s, expected {expected.get(person, 0)}"
            for person in sorted(real.keys() | expected.keys())
            if real.get(person, 0) != expected.get(person, 0)
        ]
    return faults


def _shares(story: Story, people: list[Json]) -> list[str]:
    expected: dict[ShareKey, str] = {(share.source, share.person, share.item): share.reason for share in story.shares}
    real = shares_of(people)
    return [
        f"share of {person} at {source} on {item}: {real.get(key, 'none')}, expected {expected.get(key, 'none')}"
        for key in sorted(real.keys() | expected.keys(), key=str)
        if real.get(key) != expected.get(key)
        for source, person, item in [key]
    ]


def _answers(outcome: Outcome) -> list[str]:
    return [
        f"{answer.step.why} ({answer.step.person}): answered {answer.status} {answer.code}, "
        f"expected {answer.step.answer[0]} {answer.step.answer[1]}"
        for answer in outcome.answers
        if not answer.expected
    ]


def _explanations(outcome: Outcome) -> list[str]:
    """Every event that was taken is in somebody's history; one of a group is there once for each member."""
    recorded = {record["event"] for person in outcome.people for record in person["history"] if record["event"]}
    explained = {part for event in recorded for part in (event, event.rpartition(":")[0])}
    return [
        f"not explained: {answer.step.why} ({answer.step.person} on {answer.step.item})"
        for answer in {answer.event_id: answer for answer in outcome.answers}.values()
        if answer.status == 202 and answer.event_id not in explained
    ]


def _host(status: Json) -> list[str]:
    counted = Counter({name: status[name] for name in ("failures", "poisoned")})
    return [f"{number} function runs: {name}" for name, number in counted.items() if number]


def read_logs(logs: Path) -> dict[str, str]:
    """Each part's log, by the part's name."""
    return {log.stem: log.read_text(errors="replace") for log in sorted(logs.glob("*.log"))}
