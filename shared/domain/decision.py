"""The decision, in the order of the design; the first match ends it."""

from datetime import datetime

from shared.domain.addresses import InvalidAddressError, domain_of, normalise
from shared.domain.connections import Connection, Destination
from shared.domain.events import Item, PrincipalKind, ShareEvent
from shared.domain.guests import HELD, Guest, GuestState
from shared.domain.platforms import RULES, Fidelity, Role, map_role
from shared.domain.reasons import Reason, State
from shared.domain.shares import Access, Share


def assess(event: ShareEvent, item: Item | None, connection: Connection, now: datetime) -> Access | Reason:
    """Decide what one claim asks for, by the source and the policy alone (steps 1 to 8)."""
    policy, rules = connection.policy, RULES[connection.platform]

    if event.principal.kind is PrincipalKind.GROUP:
        return Reason.GROUP
    if event.principal.kind is PrincipalKind.ANONYMOUS_LINK:
        return Reason.ANONYMOUS_LINK

    if not event.principal.address:
        return Reason.ADDRESS_MISSING
    if connection.is_internal(event.principal.address):
        return Reason.INTERNAL
    try:
        address = normalise(event.principal.address)
    except InvalidAddressError:
        return Reason.ADDRESS_INVALID
    domain = domain_of(address)

    if event.principal.suspended:
        return Reason.SUSPENDED

    if item is not None and item.kind not in rules.carried | set(policy.extra_scopes):
        return Reason.UNSUPPORTED_SCOPE

    if rules.must_accept_at_source and event.pending:
        return Reason.SOURCE_ACCEPTANCE
    if item is None or item.path is None:
        return Reason.PATH_UNKNOWN

    mapping = map_role(connection.platform, event.role or "", policy.roles)
    if mapping is None:
        return Reason.UNKNOWN_ROLE
    if mapping.role is None:
        return Reason.ROLE_NOT_CARRIED

    if address in policy.denied_people:
        return Reason.PERSON_DENIED
    if domain in policy.denied_domains:
        return Reason.DOMAIN_DENIED
    if _is_listed(event.sharer.address, policy.denied_sharers):
        return Reason.SHARER_DENIED
    if policy.allowed_domains and domain not in policy.allowed_domains:
        return Reason.DOMAIN_NOT_ALLOWED
    if policy.shared_since and event.shared_at is None:
        return Reason.AGE_UNKNOWN
    if policy.shared_since and event.shared_at and event.shared_at < policy.shared_since:
        return Reason.TOO_OLD
    if event.expires_at and event.expires_at <= now:
        return Reason.EXPIRED
    if connection.account_map.get(address, address) is None:
        return Reason.EXCLUDED
    role, fidelity = mapping.role, mapping.fidelity
    if role.width > policy.role_ceiling.width:
        role, fidelity = policy.role_ceiling, Fidelity.NARROWER

    destination = connection.destination_of(item.path)
    if isinstance(destination, Reason):
        return destination
    return Access(
        role=role,
        fidelity=fidelity,
        destination=destination,
        link=event.cross_organisation or domain in policy.link_domains or address in policy.link_people,
        expires_at=event.expires_at,
    )


def assess_share(share: Share, connection: Connection, now: datetime) -> Access | Reason:
    """Decide what a share asks for: its widest carried claim, else the reason that leaves the most hope.

    A ruling stands above a claim that would give something.
    """
    verdicts = [assess(claim, share.item, connection, now) for claim in share.live_claims]
    if not verdicts:
        return Reason.REMOVED_AT_SOURCE
    carried = [verdict for verdict in verdicts if isinstance(verdict, Access)]
    if carried and share.ruling is not None:
        return share.ruling
    if carried:
        return max(carried, key=lambda access: (access.role.width, not access.link))
    reasons = [verdict for verdict in verdicts if isinstance(verdict, Reason)]
    return max(reasons, key=lambda reason: (_HOPE.index(reason.state), reason))


_HOPE = [State.REVOKED, State.IGNORED, State.REFUSED, State.NEEDS_ATTENTION, State.WAITING]


def pre_approval(share: Share, connection: Connection, now: datetime) -> str | None:
    """Return what opens the gate for this share (step 10): its sharer's right, or the policy for its domain or its
    connection; None when an administrator has to approve.

    Only a claim that gives something counts: one with a refused role does not open the gate for the others.
    """
    policy = connection.policy
    for claim in share.live_claims:
        if not isinstance(assess(claim, share.item, connection, now), Access):
            continue
        if claim.sharer.may_invite or _is_listed(claim.sharer.address, policy.pre_approved_sharers):
            return f"sharer {claim.sharer.address or claim.sharer.source_id or 'unknown'}"
        if domain_of(claim.address or "") in policy.pre_approved_domains:
            return f"policy of {connection.id} for {domain_of(claim.address or '')}"
        if policy.pre_approved:
            return f"policy of {connection.id}"
    return None


def _is_listed(address: str | None, addresses: tuple[str, ...]) -> bool:
    try:
        return address is not None and normalise(address) in addresses
    except InvalidAddressError:
        return False


_BY_GUEST = {
    GuestState.UNKNOWN: Reason.APPROVAL,
    GuestState.HELD: Reason.APPROVAL,
    GuestState.APPROVED: Reason.INVITATION,
    GuestState.INVITED: Reason.ACCEPTANCE,
    GuestState.EXPIRED: Reason.INVITATION_EXPIRED,
    GuestState.DENIED: Reason.DENIED,
}


def wanted(share: Share, guest: Guest) -> Access | None:
    """Return what the share gives now: nothing before the guest is usable (law 2)."""
    return share.access if guest.state is GuestState.USABLE else None


def explain(share: Share, guest: Guest) -> Reason:
    """Return where the share stands and why (steps 1 to 11), from what is known about it and about its guest."""
    settled = share.settlement
    if isinstance(share.verdict, Reason) or share.verdict is None:
        return _leftover(share) or share.verdict or Reason.PROCESSING_FAILED
    if guest.state is GuestState.BLOCKED:
        return guest.trouble or Reason.PROCESSING_FAILED
    if guest.state is not GuestState.USABLE:
        return _leftover(share) or _BY_GUEST[guest.state]
    if settled is None or settled.access != share.verdict:
        return Reason.GRANT
    return settled.reason


def _leftover(share: Share) -> Reason | None:
    """Return where taking back what was given stands; None when nothing of it is left."""
    settled = share.settlement
    if settled is None:
        return None
    if settled.access is not None:
        return Reason.REVOCATION
    return settled.reason if settled.reason.state in (State.WAITING, State.NEEDS_ATTENTION) else None


_READY = Guest(key="", state=GuestState.USABLE)


def standing(share: Share) -> str | None:
    """Return under what a tally counts the share: its state if the person were ready, or that it is held."""
    if share.moved_to or not share.claims:
        return None
    return HELD if share.verdict is Reason.APPROVAL else explain(share, _READY).state


def wanted_role(shares: list[Share], guest: Guest, place: Destination, *, link: bool) -> Role | None:
    """Return the widest role that any of the guest's shares gives at a place, directly or through a link.

    Roles and links reach down: what lies beneath inherits them.
    """
    accesses = [access for share in shares if (access := wanted(share, guest)) is not None]
    roles = [access.role for access in accesses if access.link is link and access.destination.covers(place)]
    return max(roles, key=lambda role: role.width, default=None)
