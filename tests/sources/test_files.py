"""Files of existing shares: what each column means, and every fault with its line."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.batches import Batch, BatchKind, CheckedFile
from shared.domain.events import Change, ShareEvent
from shared.domain.platforms import ItemKind
from shared.sources.files import LineFiles

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
HEAD = "address,role,item_id,item_kind,path"
GOOD = "ben@partner.example,editor,42,folder,/Plans"
FILES = LineFiles()


def check(*lines: str, kind: BatchKind = BatchKind.CSV, as_of: datetime | None = NOW) -> CheckedFile:
    return FILES.check(kind, "\n".join(lines).encode(), as_of, NOW)


def read(content: bytes, as_of: datetime | None = NOW, part: int = 256 * 1024) -> list[ShareEvent]:
    batch = Batch(id="b", connection="box", kind=BatchKind.CSV, by="a", started_at=NOW, moved_at=NOW, as_of=as_of)
    found: list[ShareEvent] = []
    cursor: str | None = None
    while True:
        start = FILES.offset(cursor)
        events, cursor = FILES.read(batch, content[:8192], content[start : start + part], cursor)
        found += events
        if cursor is None:
            return found


def test_every_column_is_carried() -> None:
    head = f"{HEAD},name,sharer,shared_at,expires_at,pending,suspended,reference,seen_at"
    row = (
        'ben@partner.example,co-owner,folder:42,folder,"/Plans, old",Ben,anna@contoso.com,'
        "2024-02-29T10:00:00+01:00,2030-01-01T00:00:00Z,yes,no,c7,2026-11-01T00:00:00Z"
    )
    (event,) = read(f"{head}\r\n{row}\r\n".encode(), None)
    assert event.model_dump(exclude={"id"}) == {
        "connection": "box",
        "change": Change.KEPT,
        "at": datetime(2026, 11, 1, tzinfo=UTC),
        "principal": {
            "kind": "person",
            "address": "ben@partner.example",
            "source_id": None,
            "name": "Ben",
            "suspended": False,
            "group": None,
        },
        "role": "co-owner",
        "item": {"id": "folder:42", "kind": ItemKind.FOLDER, "path": "/Plans, old"},
        "reference": "c7",
        "sharer": {"address": "anna@contoso.com", "source_id": None, "may_invite": None},
        "shared_at": datetime(2024, 2, 29, 9, tzinfo=UTC),
        "expires_at": datetime(2030, 1, 1, tzinfo=UTC),
        "pending": True,
        "cross_organisation": False,
        "batch": None,
        "observed": True,
        "heard_at": None,
        "trace": None,
    }


def test_what_may_be_left_out_is_unknown_and_never_now() -> None:
    (event,) = read(f"{HEAD}\n{GOOD}".encode())
    assert (event.at, event.shared_at, event.expires_at, event.sharer.is_known) == (NOW, None, None, False)


def test_a_file_as_a_spreadsheet_saves_it() -> None:
    """With a byte order mark, another order of columns, blank lines, and CR LF."""
    content = b"\xef\xbb\xbfpath,Role,ADDRESS,item_id,item_kind\r\n/Plans,editor,ben@partner.example,42,folder\r\n\r\n"
    assert FILES.check(BatchKind.CSV, content, NOW, NOW) == CheckedFile(1, [], 0)
    assert [event.role for event in read(content)] == ["editor"]


def test_the_same_line_is_the_same_event() -> None:
    one, again, other = read(f"{HEAD}\n{GOOD}\n{GOOD}\n{GOOD}2".encode())
    assert one.id == again.id
    assert other.id != one.id


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([HEAD, "ben@partner.example,editor"], "has 2 values, the first line names 5 columns"),
        ([HEAD, ",editor,42,folder,/Plans"], "$.address"),
        ([HEAD, "ben@partner.example,,42,folder,/Plans"], "$.role"),
        ([HEAD, "ben@partner.example,editor,,folder,/Plans"], "$.item_id"),
        ([HEAD, "ben@partner.example,editor,42,directory,/Plans"], "$.item_kind"),
        ([HEAD, "ben@partner.example,editor,42,folder,Plans"], "$.path"),
        ([HEAD, 'ben@partner.example,editor,42,folder,"/Plans'], "quotes do not match"),
        ([f"{HEAD},shared_at", f"{GOOD},yesterday"], "$.shared_at"),
        ([f"{HEAD},shared_at", f"{GOOD},2026-01-01T00:00:00"], "$.shared_at"),
        ([f"{HEAD},pending", f"{GOOD},perhaps"], "$.pending"),
        ([f"{HEAD},seen_at", f"{GOOD},2026-11-25T12:00:01Z"], "lies in the future"),
    ],
)
def test_a_fault_has_its_line_and_says_what_is_wrong(lines: list[str], expected: str) -> None:
    checked = check(*lines, GOOD + "," * (lines[0].count(",") - 4))
    assert [fault.line for fault in checked.faults] == [2]
    assert expected in checked.faults[0].message
    assert "ben@" not in checked.faults[0].message


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("", "missing: address, role, item_id, item_kind, path"),
        ("address,role,item_id,item_kind", "missing: path"),
        (f"{HEAD},colour", "not known: colour"),
        (f"{HEAD},path", "named twice: path"),
        (HEAD.replace(",", ";"), "separated by commas"),
    ],
)
def test_the_first_line_must_name_the_columns(head: str, expected: str) -> None:
    checked = check(head, GOOD)
    assert [(fault.line, checked.fault_count) for fault in checked.faults] == [(1, 1)]
    assert expected in checked.faults[0].message


def test_without_a_time_for_the_file_every_line_needs_one() -> None:
    checked = check(HEAD, GOOD, GOOD, as_of=None)
    assert [fault.line for fault in checked.faults] == [2, 3]
    assert "seen_at" in checked.faults[0].message
    assert check(HEAD, GOOD, as_of=NOW + timedelta(seconds=1)).fault_count > 0


def test_every_fault_is_counted_and_the_first_thousand_are_listed() -> None:
    checked = check(HEAD, *(["x"] * 1500), GOOD)
    assert (checked.fault_count, len(checked.faults), checked.shares) == (1500, 1000, 1)
    assert [fault.line for fault in checked.faults[:2]] == [2, 3]


def test_bytes_that_are_no_text_and_lines_without_end_are_faults() -> None:
    content = f"{HEAD}\n".encode() + b"\xff\xfe,editor,42,folder,/Plans\n" + b"a" * 70_000 + b"\n"
    checked = FILES.check(BatchKind.CSV, content, NOW, NOW)
    assert [(fault.line, fault.message.split(";")[0]) for fault in checked.faults] == [
        (2, "is not UTF-8"),
        (3, "is longer than 65536 bytes"),
    ]


@pytest.mark.parametrize("content", ["", "\n\n", f"{HEAD}\n", f"{HEAD}\n\n\n"])
def test_a_file_without_a_share_is_a_mistake(content: str) -> None:
    assert check(content).fault_count == 1


def test_json_lines_are_judged_by_the_contract() -> None:
    checked = check('{"specversion": "1.0"}', "not json", "", kind=BatchKind.JSON_LINES)
    assert [fault.line for fault in checked.faults] == [1, 2]
    assert "$.data" in checked.faults[0].message


@given(sizes=st.lists(st.integers(0, 3000), max_size=120), part=st.integers(70_000, 300_000), ends=st.booleans())
def test_a_file_read_in_parts_of_any_size_is_the_same_file(sizes: list[int], part: int, ends: bool) -> None:
    lines = [f"p{n}@partner.example,editor,{n},folder,/{'x' * size}" for n, size in enumerate(sizes)]
    content = ("\n".join([HEAD, *lines]) + ("\n" if ends else "")).encode()
    found = read(content, part=part)
    assert [event.item.id for event in found if event.item] == [str(n) for n in range(len(sizes))]
