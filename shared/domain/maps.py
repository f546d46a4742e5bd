"""The account map: which source identity is which account at the destination. Its CSV form is read whole or not at all.

The map is the first rung of the identity ladder; the table `account_maps` is the only place where it is kept.
"""

import csv
import io
from collections.abc import Collection, Iterable
from typing import Self

from pydantic import AwareDatetime

from shared.domain.addresses import InvalidAddressError, digest, guest_key, normalise
from shared.domain.connections import Connection
from shared.domain.value import Value

HEADER = ("connection", "source", "destination")
EXCLUDED = "exclude"
_FORMULA = "=+-@"
MOST_LINES = 2000
"""So that all people whom an import concerns can be looked at within one request."""


class Mapped(Value):
    """One entry. `destination` None excludes the person; equal to `source` it is as if there were no entry.

    `moving_from` are the partitions whose shares are on their way to where the entry leads. `version` is the stored
    row's, None for one that does not exist yet.
    """

    connection: str
    source: str
    destination: str | None
    by: str = ""
    at: AwareDatetime | None = None
    moving_from: tuple[str, ...] = ()
    version: str | None = None

    @property
    def key(self) -> str:
        """The ledger partition in which the person's shares lie; for one who is excluded it is their own."""
        return guest_key(self.destination or self.source)

    def lead(self, connection: Connection) -> Connection:
        """Return the connection as it is for this person: its map holds this entry."""
        return connection.model_copy(update={"account_map": {self.source: self.destination}})


class Change(Value):
    """A change of the map that was asked for: an entry now and then."""

    connection: str
    source: str
    before: str | None
    after: str | None

    @classmethod
    def of(cls, wanted: Mapped, known: Mapped | None) -> Self:
        """Return the change from what is known to what is wanted."""
        before = known.destination if known else wanted.source
        return cls(connection=wanted.connection, source=wanted.source, before=before, after=wanted.destination)


class FaultyFileError(ValueError):
    """A CSV file with faults; each is a line number and a sentence."""

    def __init__(self, faults: list[tuple[int, str]]) -> None:
        """Nothing of the file is taken over."""
        super().__init__("; ".join(f"line {line}: {sentence}" for line, sentence in faults))
        self.faults = faults


def read_csv(text: str, connections: Collection[str]) -> list[Mapped]:
    """Read `connection,source,destination` lines; a destination of `exclude` excludes, an empty one ends the entry.

    Raises FaultyFileError with every fault and its line; a quoted field may span lines, its last one counts.
    """
    faults: list[tuple[int, str]] = []
    found: dict[tuple[str, str], int] = {}
    entries: list[Mapped] = []
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        for number, row in enumerate(reader):
            line = reader.line_num
            if number == 0:
                if tuple(cell.strip().lower() for cell in row) != HEADER:
                    raise FaultyFileError([(line, f"the first line must be {','.join(HEADER)}")])
                continue
            if not any(cell.strip() for cell in row):
                continue
            entry = _entry([_plain(cell.strip()) for cell in row], connections)
            if isinstance(entry, str):
                faults.append((line, entry))
                continue
            earlier = found.setdefault((entry.connection, entry.source), line)
            if earlier != line:
                faults.append((line, f"the same person stands in line {earlier} already"))
            entries.append(entry)
    except csv.Error as error:
        raise FaultyFileError([*faults, (reader.line_num, f"not CSV: {error}")]) from None
    if not entries and not faults:
        faults.append((max(1, reader.line_num), "there is no entry"))
    if len(entries) > MOST_LINES:
        faults.append((reader.line_num, f"more than {MOST_LINES} entries; divide the file"))
    if faults:
        raise FaultyFileError(faults)
    return entries


def _plain(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and cell[1:2] and cell[1] in _FORMULA else cell


def _entry(row: list[str], connections: Collection[str]) -> Mapped | str:
    if len(row) != len(HEADER):
        return f"{len(row)} columns instead of {len(HEADER)}"
    connection, source, destination = row
    if connection not in connections:
        return f"there is no connection of the name {connection[:80]!r}"
    try:
        source = normalise(source)
    except InvalidAddressError:
        return f"the source {source[:80]!r} is not an e-mail address"
    if destination.lower() == EXCLUDED:
        return Mapped(connection=connection, source=source, destination=None)
    try:
        return Mapped(connection=connection, source=source, destination=normalise(destination or source))
    except InvalidAddressError:
        return f"the destination {destination[:80]!r} is neither an e-mail address nor {EXCLUDED!r}"


def write_csv(entries: Iterable[Mapped]) -> str:
    """Write entries so that `read_csv` reads them back; entries that lead nowhere else are left out.

    What a spreadsheet would take for a formula gets an apostrophe in front and is text (OWASP, "CSV Injection").
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(HEADER)
    for entry in entries:
        if entry.destination != entry.source:
            row = (entry.connection, entry.source, entry.destination or EXCLUDED)
            writer.writerow([f"'{cell}" if cell[0] in _FORMULA else cell for cell in row])
    return text.getvalue()


def fingerprint(changes: Iterable[Change]) -> str:
    """Return what stands for a list of changes: a confirmation is good only for what was shown."""
    return digest(*(change.model_dump_json() for change in changes))
