"""More share events over several people and items, with their own expectations, added to a story.

Every share of the load changes its role, is taken back and is given again several times; what was said last at the
source counts. The events arrive shuffled, and before anybody has accepted.
"""

import random
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

from local.demo.steps import Change, Chapter, Permission, Share, Source, Step, Story

# 10 people on 3 folders of 2 sources are 60 shares. Of those about a third remain, so that Microsoft's budget of
# sharing calls does not make the demo wait.
_PEOPLE, _FOLDERS, _REMAINING = 10, 3, 0.35
_AT_ONCE = 8
_SEED = 20261122

# The role table of the design, as far as these events need it.
_ROLES: Mapping[Source, Mapping[str, str]] = {
    "box": {"editor": "write", "viewer": "read"},
    "securisync": {"Modify": "write", "View": "read"},
}
_PLACES: Mapping[Source, tuple[str, str]] = {"box": ("drive-box", ""), "securisync": ("drive-sync", "/SecuriSync")}


def with_load(story: Story, events: int) -> Story:
    """Return the story with a chapter of so many events more; the same events each time."""
    if not events:
        return story
    chance = random.Random(_SEED)  # noqa: S311  a story, not a secret
    people = [f"loader{number}@load.example" for number in range(_PEOPLE)]
    folders = [f"/Load/Folder {number}" for number in range(_FOLDERS)]
    subjects = list(product(_ROLES, people, folders))[:events]
    steps: list[Step] = []
    for number, (source, person, folder) in enumerate(subjects):
        count = events // len(subjects) + (number < events % len(subjects))
        steps += _life(chance, source, person, folder, count)
    last = {(step.source, step.person, step.item): step for step in sorted(steps, key=lambda step: step.at)}
    chance.shuffle(steps)
    asking = frozenset(person for (_, person, _), step in last.items() if step.change != "lost")
    chapter = Chapter(f"{events} share events more", tuple(steps), asking, accepting=asking, at_once=_AT_ONCE)
    return replace(
        story,
        tenant=_with_folders(story.tenant, folders),
        chapters=(*story.chapters, chapter),
        invited=story.invited | asking,
        shares=(*story.shares, *(_share(step) for step in last.values())),
        given=(*story.given, *(_permission(step) for step in last.values() if step.change != "lost")),
    )


def _life(chance: random.Random, source: Source, person: str, folder: str, count: int) -> list[Step]:
    """The events of one share, a second of the source's time apart."""
    steps = []
    for at in range(count):
        change: Change = "given" if at == 0 else "kept" if chance.random() < _REMAINING else "lost"
        steps.append(
            Step(
                "load",
                source,
                person,
                folder,
                chance.choice(list(_ROLES[source])),
                change,
                at=at,
                again=int(chance.random() < 0.1),
            )
        )
    return steps


def _share(step: Step) -> Share:
    reason = "revoked/removed-at-source" if step.change == "lost" else "granted/direct"
    return Share(step.source, step.person, step.item, reason)


def _permission(step: Step) -> Permission:
    drive, above = _PLACES[step.source]
    role = _ROLES[step.source][step.role or ""]
    return Permission(step.person, drive, above + step.item, "write" if role == "write" else "read", "the last word")


def _with_folders(tenant: Mapping[str, Any], folders: list[str]) -> dict[str, Any]:
    above = dict(_PLACES.values())
    drives = [
        {**drive, "items": [*drive["items"], *({"path": above[drive["id"]] + folder} for folder in folders)]}
        if drive["id"] in above
        else drive
        for drive in tenant["drives"]
    ]
    return {**tenant, "drives": drives}
