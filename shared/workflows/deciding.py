"""Decide shares by today's policy, account map and time."""

from datetime import datetime

from shared.domain.connections import Connection
from shared.domain.decision import assess_share
from shared.domain.reasons import Reason
from shared.domain.shares import Share
from shared.workflows.ports import Ports


async def connection_for(ports: Ports, name: str, address: str | None) -> Connection | None:
    """Return the connection as it is for this person, with their entry of the account map; None if not configured."""
    connection = ports.connections.get(name)
    if connection is None or address is None:
        return connection
    entry = await ports.account_maps.find(name, address)
    return entry.lead(connection) if entry else connection


def source_address(share: Share) -> str | None:
    """Return the address under which the source knows the share's person; None for one without an address."""
    return next((claim.address for _, claim in sorted(share.claims.items()) if claim.address), None)


type Known = dict[tuple[str, str | None], Connection | None]


async def decide_again(ports: Ports, share: Share, now: datetime, known: Known) -> Share:
    """Return the share as decided now. Without its connection only its ruling and its expiry date still count.

    `known` keeps what the account map says, so that many shares of one person ask only once.
    """
    person = (share.connection, source_address(share))
    if person not in known:
        known[person] = await connection_for(ports, *person)
    connection = known[person]
    if connection is not None:
        return share.model_copy(update={"verdict": assess_share(share, connection, now)})
    access = share.access
    if access is not None and share.ruling is not None:
        return share.model_copy(update={"verdict": share.ruling})
    expired = access is not None and access.expires_at is not None and access.expires_at <= now
    return share.model_copy(update={"verdict": Reason.EXPIRED}) if expired else share
