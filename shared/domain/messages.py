"""The messages on the queues and the effects that follow a commit."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from shared.domain.addresses import digest
from shared.domain.events import ShareEvent
from shared.domain.reasons import Reason
from shared.domain.value import Value

GRANTS_PER_MESSAGE = 20


class Queue(StrEnum):
    """The queues; each has a poison queue with the same name and `-poison` behind it."""

    DELIVERIES = "deliveries"
    SHARE_EVENTS = "share-events"
    INVITATIONS = "invitations"
    GRANTS = "grants"
    MOVES = "moves"
    FEEDS = "feeds"
    BATCHES = "batches"


class DeliveryMessage(Value):
    """An authenticated webhook as received. The body is here, or in a blob when a message could not hold it."""

    connection: str
    id: str
    received_at: AwareDatetime
    body: str | None = None
    blob: str | None = None


class InvitationMessage(Value):
    """Invite this guest, if that is still to be done."""

    guest: str


class GrantMessage(Value):
    """Bring the guest's permissions in line with their shares: all that wait, or up to 20 named ones.

    `slots` counts the sharing calls that the pacer has reserved for it, for the time `not_before`; without that the
    message has waited for its time.
    """

    guest: str
    shares: tuple[str, ...] = Field(default=(), max_length=GRANTS_PER_MESSAGE)
    slots: int = Field(default=0, ge=0)
    not_before: AwareDatetime | None = None


class MoveMessage(Value):
    """Bring what one source identity was given to where the account map leads now."""

    connection: str
    source: str


class FindFeedsMessage(Value):
    """List one page of a connection's feeds. `began`: when this listing of all of them began."""

    connection: str
    began: AwareDatetime
    cursor: str | None = None


class PollMessage(Value):
    """Read what is new in a feed."""

    connection: str
    feed: str


class RenewMessage(Value):
    """Make or renew the subscription of a feed."""

    connection: str
    feed: str


class BatchMessage(Value):
    """Do one step of a batch; `page` is the number of the step."""

    batch: str
    page: int = Field(ge=0)


type Message = (
    DeliveryMessage
    | ShareEvent
    | InvitationMessage
    | GrantMessage
    | MoveMessage
    | FindFeedsMessage
    | PollMessage
    | RenewMessage
    | BatchMessage
)


class Send(Value):
    """Effect: put a message on a queue."""

    effect: Literal["send"] = "send"
    queue: Queue
    body: InvitationMessage | GrantMessage | MoveMessage
    delay: timedelta = timedelta(0)


class Record(Value):
    """Effect: append to the history of a partition. The same record written twice is one entry."""

    effect: Literal["record"] = "record"
    partition: str
    at: AwareDatetime
    what: str
    by: str = "guestpass"
    share: str | None = None
    reason: Reason | None = None
    event: str | None = None
    detail: str | None = None

    @property
    def id(self) -> str:
        """The entry's identity: what happened, to which share, because of which event, when."""
        return digest(self.what, self.share or "", self.event or "", self.by, self.at.isoformat(), self.reason or "")


class ListEntry(Value):
    """Effect: put a row into the worklist, or take it out. `at` orders a list, newest first."""

    effect: Literal["list"] = "list"
    list: str
    key: str
    at: AwareDatetime
    guest: str
    present: bool = True
    note: str | None = None


type Effect = Annotated[Send | Record | ListEntry, Field(discriminator="effect")]


class Outbox(Value):
    """Effects of one commit, kept in the same transaction until they are carried out (law 7)."""

    id: str
    effects: tuple[Effect, ...]
