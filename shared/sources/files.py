"""Files of existing shares: CSV with the columns below, or JSON lines of the inbound contract. docs/batches.md.

One share is one line in both. So a file is read in parts of any size, and a fault has a line.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from shared.domain.addresses import digest
from shared.domain.batches import Batch, BatchKind, CheckedFile, Fault
from shared.domain.events import Change, Item, Principal, ShareEvent, Sharer
from shared.domain.platforms import ItemKind
from shared.sources.inbound import Document, share_event
from shared.sources.wire import Timestamp, faults

_LINES_PER_PAGE = 100
_MOST_FAULTS = 1000
_LONGEST_LINE = 64 * 1024
_BOM = b"\xef\xbb\xbf"

_Text = Annotated[str, Field(min_length=1, max_length=500)]


def _empty_is_absent(value: object) -> object:
    return value or None


def _yes_or_no(value: object) -> object:
    return {"": False, "no": False, "false": False, "yes": True, "true": True}.get(str(value).strip().lower(), value)


_Optional = BeforeValidator(_empty_is_absent)
_YesNo = Annotated[bool, BeforeValidator(_yes_or_no)]


class Row(BaseModel):
    """One line of a CSV file. The order of the columns does not matter; what may be empty may be left out."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    address: _Text = Field(description="E-mail address of the person it is shared with")
    role: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        description="The role, by the platform's own name (docs/platforms.md)"
    )
    item_id: _Text = Field(description="The platform's id of the item, as the platform's page writes it")
    item_kind: ItemKind = Field(description="`root`, `folder` or `file`")
    path: Annotated[str, Field(pattern="^/", max_length=4000)] = Field(
        description="Where the item lies, as the connection's routes have it"
    )
    name: Annotated[_Text | None, _Optional] = Field(default=None, description="The person's name")
    sharer: Annotated[_Text | None, _Optional] = Field(default=None, description="Address of who shared it")
    shared_at: Annotated[Timestamp | None, _Optional] = Field(
        default=None, description="When it was first shared, as 2026-11-25T14:30:00Z; empty: not known"
    )
    expires_at: Annotated[Timestamp | None, _Optional] = Field(default=None, description="When it ends by itself")
    pending: _YesNo = Field(default=False, description="`yes`: the person has not accepted it at the platform yet")
    suspended: _YesNo = Field(default=False, description="`yes`: the person's account there is suspended")
    reference: Annotated[_Text | None, _Optional] = Field(
        default=None, description="The platform's id of the permission, as the platform's page writes it"
    )
    seen_at: Annotated[Timestamp | None, _Optional] = Field(
        default=None, description="When it was seen to be shared; empty: at the time given for the whole file"
    )

    def event(self, connection: str, as_of: datetime | None) -> ShareEvent:
        """Return the share that the line tells of. Raises ValueError when nothing says when it was seen."""
        at = self.seen_at or as_of
        if at is None:
            raise ValueError("seen_at: is empty, and no time (asOf) is given for the whole file")
        return ShareEvent(
            id=f"file:{digest(connection, self.model_dump_json(), at.isoformat())}",
            connection=connection,
            change=Change.KEPT,
            at=at,
            principal=Principal(address=self.address, name=self.name, suspended=self.suspended),
            role=self.role,
            item=Item(id=self.item_id, kind=self.item_kind, path=self.path),
            reference=self.reference,
            sharer=Sharer(address=self.sharer),
            shared_at=self.shared_at,
            expires_at=self.expires_at,
            pending=self.pending,
            observed=True,
        )


class LineFiles:
    """Both formats: implements the port ShareFiles. The cursor is the offset of the next line."""

    def check(self, kind: BatchKind, content: bytes, as_of: datetime | None, now: datetime) -> CheckedFile:
        """Check every line."""
        faults: list[Fault] = []
        shares = count = 0

        def blame(line: int, message: str) -> None:
            nonlocal count
            count += 1
            if len(faults) < _MOST_FAULTS:
                faults.append(Fault(line, message))

        if as_of is not None and as_of > now:
            blame(1, "asOf lies in the future")
        try:
            reader = _Reader(kind, "check", as_of, content[:_LONGEST_LINE])
        except ValueError as error:
            return CheckedFile(0, [Fault(1, str(error))], 1)
        for number, line in enumerate(io.BytesIO(content), start=1):
            if number == 1 and reader.has_head:
                continue
            try:
                event = reader.event(line)
            except ValueError as error:
                blame(number, str(error))
                continue
            if event is not None and event.at > now:  # it would outrank every later fact about the share
                blame(number, "the time when it was seen lies in the future")
            shares += event is not None
        if not shares and not count:
            blame(1, "the file holds no share")
        return CheckedFile(shares, faults, count)

    def read(
        self, batch: Batch, head: bytes, part: bytes, cursor: str | None
    ) -> tuple[Sequence[ShareEvent], str | None]:
        """Read the next shares of a checked file, and where to go on; None at its end."""
        reader = _Reader(batch.kind, batch.connection, batch.as_of, head)
        offset = self.offset(cursor)
        events: list[ShareEvent] = []
        for count, line in enumerate(_whole_lines(part)):
            if count == _LINES_PER_PAGE:
                return events, str(offset)
            is_head = offset == 0 and reader.has_head
            offset += len(line)
            if not is_head and (event := reader.event(line)) is not None:
                events.append(event)
        return events, str(offset) if part else None

    def offset(self, cursor: str | None) -> int:
        """Where in the file the next shares begin."""
        return int(cursor) if cursor else 0


class _Reader:
    """Reads the lines of one file. Raises ValueError for a file that begins with the wrong columns."""

    def __init__(self, kind: BatchKind, connection: str, as_of: datetime | None, head: bytes) -> None:
        self.has_head = kind is BatchKind.CSV
        self._connection, self._as_of = connection, as_of
        self._columns = _columns(head.split(b"\n", 1)[0]) if self.has_head else []

    def event(self, line: bytes) -> ShareEvent | None:
        """Return the share of a line, None for an empty one. Raises ValueError, without the line's content."""
        if len(line) > _LONGEST_LINE:
            raise ValueError(f"is longer than {_LONGEST_LINE} bytes")
        text = _text(line)
        if not text:
            return None
        try:
            if not self.has_head:
                return share_event(Document.model_validate_json(text), self._connection)
            return Row.model_validate(self._cells(text)).event(self._connection, self._as_of)
        except ValidationError as error:
            raise ValueError(faults(error)) from None

    def _cells(self, text: str) -> dict[str, str]:
        cells = _split(text)
        if len(cells) != len(self._columns):
            raise ValueError(f"has {len(cells)} values, the first line names {len(self._columns)} columns")
        return dict(zip(self._columns, (cell.strip() for cell in cells), strict=True))


def _columns(line: bytes) -> list[str]:
    columns = [name.strip().lower() for name in _split(_text(line))]
    known = Row.model_fields
    unknown = [name[:40] for name in columns if name not in known]
    missing = [name for name, field in known.items() if field.is_required() and name not in columns]
    twice = sorted({name for name in columns if columns.count(name) > 1} - set(unknown))
    complaints = [("columns that are not known: ", unknown), ("missing: ", missing), ("named twice: ", twice)]
    if any(names for _, names in complaints):
        found = "; ".join(f"{what}{', '.join(names)}" for what, names in complaints if names)
        raise ValueError(f"the first line must name the columns, separated by commas: {found}")
    return columns


def _split(text: str) -> list[str]:
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error:
        raise ValueError("is not CSV: quotes do not match, or a value holds a line break") from None
    return rows[0] if rows else []


def _text(line: bytes) -> str:
    try:
        return line.removeprefix(_BOM).decode().strip("\r\n")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8; save the file as UTF-8") from None


def _whole_lines(part: bytes) -> Iterator[bytes]:
    """The lines of a part; of one that the part cuts, nothing, unless the part is the end of the file without a line
    end. The longest line fits into a part several times, so a part always holds a whole line."""
    lines = io.BytesIO(part).readlines()
    cut = len(lines) > 1 and not lines[-1].endswith(b"\n") and len(part) > _LONGEST_LINE
    yield from lines[:-1] if cut else lines
