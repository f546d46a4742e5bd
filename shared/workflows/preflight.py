"""The tenant check: ask Microsoft Graph for what would make everything fail, and judge it."""

from shared.domain.addresses import domain_of
from shared.domain.guests import View
from shared.domain.preflight import Check, check
from shared.domain.reasons import Reason
from shared.workflows.ports import Ports

_LOOKED_AT = 200  # newest people in need of attention


async def check_tenant(ports: Ports) -> list[Check]:
    """Return every check. What the app may not read is said to be unknown. May raise LaterError."""
    tenant = await ports.directory.inspect(ports.sender)
    entries, _ = await ports.worklist.page(View.ATTENTION.value, _LOOKED_AT, "")
    blocked: set[str] = set()
    for entry in entries:
        guest = (await ports.ledger.read(entry.guest, [])).guest
        if guest.trouble is Reason.DOMAIN_BLOCKED and guest.address:
            blocked.add(domain_of(guest.address))
    internal = {domain for connection in ports.connections.values() for domain in connection.internal_domains}
    return check(tenant, kind=ports.mail_rules.kind, sender=ports.sender, internal=internal, blocked=sorted(blocked))
