"""One partition of the ledger as it is read and as it is written."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.domain.grants import Grant
from shared.domain.guests import Guest
from shared.domain.messages import Outbox
from shared.domain.shares import Share


@dataclass
class Book:
    """What was read of one partition. `version` guards the commit; `outbox` is what a crash left undone."""

    guest: Guest
    shares: dict[str, Share] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    outbox: list[Outbox] = field(default_factory=list)
    version: str | None = None


@dataclass
class Changes:
    """What one transaction writes to a partition. A share or a grant of None is removed."""

    guest: Guest
    shares: Mapping[str, Share | None] = field(default_factory=dict)
    grants: Mapping[str, Grant | None] = field(default_factory=dict)
    outbox: Outbox | None = None
