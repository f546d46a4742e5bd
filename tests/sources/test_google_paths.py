"""Google Workspace: where an item lies. Names may repeat in a folder, and a wrong path would open a wrong place."""

from collections.abc import AsyncIterator

import pytest

from local.platforms.google_account import FILE
from tests.sources.google_samples import EXA, OLGA, PAUL, Google, google_workspace


@pytest.fixture
async def google() -> AsyncIterator[Google]:
    async with google_workspace() as one:
        yield one


async def path_of(google: Google, ident: str) -> str | None:
    """The path of an item that is shared, as a scan has it."""
    if not google.account.grant_of(ident, EXA):
        google.give(ident, EXA)
    (seen,) = [seen for page in await google.scanned() for seen in page.seen if seen.item.id == ident]
    return seen.item.path


def tree(google: Google, drive: bool) -> tuple[str, str, str, str]:
    """Ids of `Projects`, `Alpha` in it, `plan.pdf` in that, and the prefix of their paths."""
    root = google.account.add_drive("Sales", PAUL) if drive else google.account.root_of(OLGA)
    projects = google.account.add("Projects", root)
    alpha = google.account.add("Alpha", projects)
    return projects, alpha, google.account.add("plan.pdf", alpha, FILE), "/Shared drives/Sales" if drive else f"/{OLGA}"


@pytest.mark.parametrize("drive", [False, True])
async def test_a_path_runs_from_the_owner_or_the_shared_drive(google: Google, drive: bool) -> None:
    projects, alpha, plan, prefix = tree(google, drive)
    assert await path_of(google, projects) == f"{prefix}/Projects"
    assert await path_of(google, alpha) == f"{prefix}/Projects/Alpha"
    assert await path_of(google, plan) == f"{prefix}/Projects/Alpha/plan.pdf"


@pytest.mark.parametrize("drive", [False, True])
@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("name", ["same", "other case"])
@pytest.mark.parametrize("kind", ["folder", "file"])
async def test_a_name_that_is_there_twice_on_any_level_leaves_no_path(
    google: Google, drive: bool, level: int, name: str, kind: str
) -> None:
    *idents, _ = tree(google, drive)
    entry = google.account.entries[idents[level]]
    other = entry.name if name == "same" else entry.name.upper()
    google.account.add(other, entry.parent or "", FILE if kind == "file" else "application/vnd.google-apps.folder")
    assert await path_of(google, idents[2]) is None


async def test_a_namesake_elsewhere_or_in_the_trash_does_no_harm(google: Google) -> None:
    projects, alpha, plan, prefix = tree(google, False)
    google.account.add("Alpha", plan)
    google.account.add("Alpha", google.account.root_of(OLGA))
    google.account.add("Alpha", google.account.root_of(PAUL))
    google.account.trash(google.account.add("Alpha", projects))
    google.account.add("Alpha 2", projects)
    assert await path_of(google, alpha) == f"{prefix}/Projects/Alpha"


async def test_shared_drives_of_one_name_leave_no_path(google: Google) -> None:
    _, alpha, _, _ = tree(google, True)
    google.account.add_drive("sales", OLGA)
    assert await path_of(google, alpha) is None


async def test_a_name_with_a_slash_leaves_no_path(google: Google) -> None:
    projects = google.account.add("Projects", google.account.root_of(OLGA))
    for name in ("A/B", "/", ""):
        assert await path_of(google, google.account.add(name, projects)) is None
    inside = google.account.add("inside", google.account.add("A/B", projects))
    assert await path_of(google, inside) is None
    drive = google.account.add_drive("Sales/EMEA", PAUL)
    assert await path_of(google, google.account.add("Offers", drive)) is None


@pytest.mark.parametrize(
    "name", ["O'Neill's", "back\\slash", "\\'", "' or name = 'x", "Größe 日本 😀", "a  b", ".", " x "]
)
@pytest.mark.parametrize("drive", [False, True])
async def test_odd_names_are_asked_for_as_they_are(google: Google, name: str, drive: bool) -> None:
    root = google.account.add_drive(name, PAUL) if drive else google.account.root_of(OLGA)
    prefix = f"/Shared drives/{name}" if drive else f"/{OLGA}"
    folder = google.account.add(name, root)
    assert await path_of(google, folder) == f"{prefix}/{name}"


async def test_what_lies_in_somebody_else_s_folder_has_no_path_of_ours(google: Google) -> None:
    theirs = google.account.add("Shared with Olga", google.account.root_of(PAUL))
    google.give(theirs, OLGA)
    ours = google.account.add("Mine in theirs", theirs, owner=OLGA)
    assert await path_of(google, ours) is None


async def test_what_lies_nowhere_has_no_path(google: Google) -> None:
    orphan = google.account.add("Orphan", google.account.root_of(OLGA))
    hidden = google.account.add("Hidden", google.account.root_of(PAUL))
    google.account.entries[orphan].parent = hidden
    google.account.entries[orphan].owner = OLGA
    assert await path_of(google, orphan) is None


async def test_a_path_that_nothing_can_hold_is_none(google: Google) -> None:
    place = google.account.root_of(OLGA)
    for _ in range(17):
        place = google.account.add("x" * 240, place)
    assert await path_of(google, place) is None


async def test_every_folder_is_asked_for_once(google: Google) -> None:
    _, alpha, _, _ = tree(google, False)
    for number in range(10):
        google.give(google.account.add(f"{number}.pdf", alpha, FILE), EXA)
    google.asked()
    pages = await google.scanned()
    assert len([seen for page in pages for seen in page.seen if seen.item.path]) == 10
    asked = google.asked()
    assert len([call for call in asked if call == f"GET /drive/v3/files/{alpha}"]) == 1
    assert len([call for call in asked if call == "GET /drive/v3/files/root"]) == 1
