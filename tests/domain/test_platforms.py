"""The promise of the product: the carried scopes and the roles, written here a second time, by hand."""

import pytest

from shared.domain.platforms import RULES, Fidelity, ItemKind, Platform, Role, map_role

# platform | batch mode | root folder | folder | files | must accept at the source first
SCOPES = """
onedrive         | yes | yes | yes | yes | yes
office365        | yes | yes | yes | yes | yes
box              | yes | yes | yes | no  | yes
dropbox          | yes | no  | yes | no  | no
syncplicity      | yes | yes | no  | no  | no
google-workspace | yes | no  | yes | yes | no
securisync       | yes | yes | yes | yes | yes
"""

# platform | write | write, narrower | read | read, narrower | refused
ROLES = """
box              | editor    | co-owner                        | viewer                    | viewer uploader | {box}
dropbox          | editor    | owner                           | viewer, viewer_no_comment |                 | {dropbox}
google-workspace | writer    | fileOrganizer, organizer, owner | reader                    | commenter       |
onedrive         | write     | owner, full control             | read                      |                 |
office365        | write     | owner, full control             | read                      |                 |
syncplicity      | ReadWrite | Owner                           | ReadOnly                  | Contributor     | None
securisync       | Modify    | Co-owner                        | View                      |                 |
""".format(box="previewer, previewer uploader, uploader", dropbox="traverse, no_access")

COLUMNS = [
    (Role.WRITE, Fidelity.EXACT),
    (Role.WRITE, Fidelity.NARROWER),
    (Role.READ, Fidelity.EXACT),
    (Role.READ, Fidelity.NARROWER),
    (None, Fidelity.EXACT),
]


def rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]


@pytest.mark.parametrize("row", rows(SCOPES), ids=lambda row: row[0])
def test_the_carried_scopes(row: list[str]) -> None:
    name, batch, root, folder, files, accept_first = row
    rules = RULES[Platform(name)]
    assert rules.batch is (batch == "yes")
    assert (ItemKind.ROOT in rules.carried) is (root == "yes")
    assert (ItemKind.FOLDER in rules.carried) is (folder == "yes")
    assert (ItemKind.FILE in rules.carried) is (files == "yes")
    assert rules.must_accept_at_source is (accept_first == "yes")


@pytest.mark.parametrize("row", rows(ROLES), ids=lambda row: row[0])
def test_the_roles(row: list[str]) -> None:
    name, *cells = row
    known = set()
    for (role, fidelity), cell in zip(COLUMNS, cells, strict=True):
        for source_role in filter(None, (part.strip() for part in cell.split(","))):
            mapping = map_role(Platform(name), source_role, {})
            assert mapping is not None
            assert (mapping.role, mapping.fidelity) == (role, fidelity), source_role
            known.add(source_role)
    assert set(RULES[Platform(name)].roles) == known, "no role beyond the table"


def test_every_platform_is_in_both_tables() -> None:
    assert {row[0] for row in rows(SCOPES)} == {row[0] for row in rows(ROLES)} == set(Platform)


@pytest.mark.parametrize("role", ["", "root", "editor2", "viewer uploader previewer", "Owner"])
def test_an_unknown_role_is_not_guessed(role: str) -> None:
    assert map_role(Platform.BOX, role, {}) is None


def test_letter_case_of_a_role_does_not_matter() -> None:
    assert map_role(Platform.SECURISYNC, " co-OWNER ", {}) == map_role(Platform.SECURISYNC, "Co-owner", {})


def test_a_refused_role_is_carried_only_by_an_explicit_setting() -> None:
    mapping = map_role(Platform.BOX, "previewer", {"Previewer": Role.READ})
    assert mapping is not None
    assert (mapping.role, mapping.fidelity) == (Role.READ, Fidelity.AS_CONFIGURED)
    assert map_role(Platform.BOX, "uploader", {"previewer": Role.READ}) == map_role(Platform.BOX, "uploader", {})
