"""The share event: one normalised fact that a source platform told us."""

from datetime import datetime
from enum import StrEnum
from typing import Self

from pydantic import AwareDatetime, Field, model_validator

from shared.domain.addresses import InvalidAddressError, digest, guest_key, normalise
from shared.domain.platforms import ItemKind
from shared.domain.value import Value


class PrincipalKind(StrEnum):
    """To whom something was shared."""

    PERSON = "person"
    GROUP = "group"
    ANONYMOUS_LINK = "anonymous-link"


class Change(StrEnum):
    """What the fact says: the role was given, was seen to stand (scan, role change), or is gone."""

    GIVEN = "given"
    KEPT = "kept"
    LOST = "lost"


class Principal(Value):
    """The receiver of a share, as the source names it."""

    kind: PrincipalKind = PrincipalKind.PERSON
    address: str | None = Field(default=None, max_length=500)
    source_id: str | None = Field(default=None, max_length=500)
    name: str | None = Field(default=None, max_length=500)
    suspended: bool = False
    group: str | None = Field(default=None, max_length=500, description="The group through which the person has it")


class Item(Value):
    """The shared item; `path` runs from the connection's root and starts with a slash."""

    id: str = Field(min_length=1, max_length=500)
    kind: ItemKind
    path: str | None = Field(default=None, max_length=4000)

    @model_validator(mode="after")
    def _path_is_absolute(self) -> Self:
        if self.path is not None and not self.path.startswith("/"):
            raise ValueError("path must start with '/'")
        return self


class Sharer(Value):
    """Who shared it; `may_invite` None means that the platform does not say."""

    address: str | None = Field(default=None, max_length=500)
    source_id: str | None = Field(default=None, max_length=500)
    may_invite: bool | None = None

    @property
    def is_known(self) -> bool:
        """Tell whether the platform said anything about the sharer."""
        return self != Sharer()


class ShareEvent(Value):
    """At time `at`, `principal` was given, kept or lost `role` on `item`, by `sharer`.

    `reference` is the source's own id of the permission (Box: the collaboration), the same for all events about it.
    `item` is None only where a platform hides it until acceptance. `pending` means not yet accepted at the source.
    `shared_at` is when it was first shared, None when the platform does not know: never "now".
    `batch` names the batch that brought the event. `observed`: it was read off a list of what stands, nobody told it.
    `heard_at` is when we heard of it, `trace` the W3C `traceparent` of that; they tell operators, and decide nothing.
    """

    id: str = Field(min_length=1, max_length=500)
    connection: str = Field(min_length=1, max_length=100)
    change: Change
    at: AwareDatetime
    principal: Principal
    role: str | None = Field(default=None, max_length=200)
    item: Item | None = None
    reference: str | None = Field(default=None, max_length=500)
    sharer: Sharer = Sharer()
    shared_at: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None
    pending: bool = False
    cross_organisation: bool = False
    batch: str | None = Field(default=None, max_length=100)
    observed: bool = False
    heard_at: AwareDatetime | None = None
    trace: str | None = Field(default=None, max_length=100)

    @classmethod
    def seen(
        cls,
        connection: str,
        at: datetime,
        item: Item,
        principal: Principal,
        role: str | None,
        reference: str,
        *,
        sharer: Sharer | None = None,
        shared_at: datetime | None = None,
        expires_at: datetime | None = None,
        pending: bool = False,
    ) -> Self:
        """Return the fact that a list of what stands shows: the same one whenever the same list is read again."""
        who = principal.address or principal.source_id or ""
        name = digest(connection, item.id, reference, principal.kind, who, principal.group or "", at.isoformat())
        return cls(
            id=f"seen:{name}",
            connection=connection,
            change=Change.KEPT,
            at=at,
            principal=principal,
            role=role,
            item=item,
            reference=reference,
            sharer=sharer or Sharer(),
            shared_at=shared_at,
            expires_at=expires_at,
            pending=pending,
        )

    @model_validator(mode="after")
    def _names_a_share(self) -> Self:
        if self.item is None and self.reference is None:
            raise ValueError("either item or reference is needed")
        return self

    @property
    def address(self) -> str | None:
        """The principal's normalised address; None when there is none or it is not an address."""
        if self.principal.kind is not PrincipalKind.PERSON or not self.principal.address:
            return None
        try:
            return normalise(self.principal.address)
        except InvalidAddressError:
            return None

    @property
    def partition(self) -> str:
        """The ledger partition: the guest key, or a key of its own for a principal that cannot be a guest."""
        if self.address is not None:
            return guest_key(self.address)
        principal = self.principal
        return digest("no-guest", self.connection, principal.kind, principal.source_id or principal.address or "")

    @property
    def permission(self) -> str:
        """What tells this permission of its item from others: the source's reference and who has it (a group's members
        share one reference)."""
        return digest(self.reference or "", self.partition)

    @property
    def tells_origin(self) -> bool:
        """Tell whether the fact says who shared it or when (what was read off a list often does not), or that
        whatever was known of that has ended."""
        return self.sharer.is_known or self.shared_at is not None or self.change is Change.LOST

    def completed_by(self, origin: Self) -> Self:
        """Return the fact with the sharer and the date that another fact about the same permission tells."""
        if origin.change is Change.LOST:
            return self
        sharer = self.sharer if self.sharer.is_known else origin.sharer
        return self.model_copy(update={"sharer": sharer, "shared_at": self.shared_at or origin.shared_at})

    def outranks(self, other: Self) -> bool:
        """Tell whether this fact replaces `other` about the same permission."""
        return self.rank > other.rank

    def says_the_same_as(self, other: Self) -> bool:
        """Tell whether two facts about one permission, seen at different times or in different ways, come to the same.

        Names and ids of the person do not count: one way of a platform tells them, another does not.
        """
        return self._content == other._content

    @property
    def _content(self) -> tuple[object, ...]:
        principal = self.principal
        person = (principal.kind, principal.suspended, principal.group)
        given = (self.role, self.sharer, self.shared_at, self.expires_at, self.pending, self.cross_organisation)
        return (self.change is Change.LOST, *person, *given)

    @property
    def rank(self) -> tuple[datetime, bool, bool, bool, str]:
        """What orders the facts about one permission: the one with the highest rank counts.

        The later one wins; at the same instant (Box counts in seconds) a loss wins, then acceptance, then a change
        over the gift that it changed, then the id: every order of arrival ends in the same fact.
        """
        return (self.at, self.change is Change.LOST, not self.pending, self.change is Change.KEPT, self.id)
