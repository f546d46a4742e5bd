"""A batch: existing shares that come in at an administrator's wish, from a scan or from a file, or by a rescan."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydantic import AwareDatetime, Field

from shared.domain.reasons import Reason
from shared.domain.value import Value


class BatchKind(StrEnum):
    """Where the shares come from."""

    SCAN = "scan"
    CSV = "csv"
    JSON_LINES = "json-lines"


class BatchState(StrEnum):
    """Where a batch stands."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


class BatchPhase(StrEnum):
    """What a running batch does: read what is there, then look at what is known and was not seen while reading."""

    READING = "reading"
    MISSING = "looking-for-what-was-not-seen"


class Batch(Value):
    """One batch and how far it is. `pages` numbers its steps: a message for another step than the next is a repeat.

    `items` were looked at, `shares` were found and sent on to be decided, `internal` were found to be shared with the
    company's own people and left out, `unseen` are known items that the platform does not show any more: what is
    known of them stays as it is. `as_of`: when a file's shares were seen to exist, where the file does not say.
    """

    id: str
    connection: str
    kind: BatchKind
    by: str
    started_at: AwareDatetime
    state: BatchState = BatchState.RUNNING
    phase: BatchPhase = BatchPhase.READING
    cursor: str | None = None
    pages: int = 0
    items: int = 0
    shares: int = 0
    internal: int = 0
    unseen: int = 0
    moved_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    lines: int | None = Field(default=None, description="Of a file: how many shares it holds")
    as_of: AwareDatetime | None = None
    trouble: Reason | None = None
    detail: str | None = None

    @property
    def is_running(self) -> bool:
        """Tell whether it goes on."""
        return self.state is BatchState.RUNNING


@dataclass(frozen=True)
class Fault:
    """What is wrong in a line of a file; the first line is 1."""

    line: int
    message: str


@dataclass(frozen=True)
class CheckedFile:
    """What checking a whole file has found; `faults` are the first ones, `fault_count` counts all of them."""

    shares: int
    faults: Sequence[Fault]
    fault_count: int
