"""Guests and invitations: the port Directory on Microsoft Graph."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shared.domain.addresses import InvalidAddressError, normalise
from shared.domain.identity import Accepted, Account, Invited, Listed, UserType
from shared.domain.preflight import Tenant
from shared.domain.reasons import Reason
from shared.domain.trouble import LaterError, RefusedError
from shared.entra import tenant
from shared.graph.client import Graph
from shared.graph.errors import INVITING, USERS

if TYPE_CHECKING:
    from shared.workflows.ports import Directory

_ACCOUNT = [
    *("id", "userType", "externalUserState", "accountEnabled"),
    *("mail", "otherMails", "proxyAddresses", "userPrincipalName"),
]
_GUEST = ["id", "mail", "accountEnabled", "externalUserState", "externalUserStateChangeDateTime"]
_LARGEST_PAGE = 999


class EntraDirectory:
    """Looks for accounts, invites, and notices acceptance."""

    def __init__(self, graph: Graph, redirect_url: str, client_id: str | None = None) -> None:
        """`redirect_url` is where a person lands after accepting; `client_id` is ours, for the tenant check."""
        self._graph, self._redirect_url, self._client_id = graph, redirect_url, client_id

    async def find(self, address: str) -> Sequence[Account]:
        """Find all accounts with the (normalised) address: five clauses in one query, of 15 that Graph allows."""
        literal, guest_upn = _quoted(address), _quoted(_guest_upn_start(address))
        conditions = [
            f"mail eq {literal}",
            f"otherMails/any(a:a eq {literal})",
            f"proxyAddresses/any(a:a eq {_quoted(f'smtp:{address}')})",
            f"userPrincipalName eq {literal}",
            f"startsWith(userPrincipalName,{guest_upn})",
        ]
        users = self._graph.pages(self._graph.client.users, USERS, filter=" or ".join(conditions), select=_ACCOUNT)
        # Compared again here: what the directory takes for equal (accents, prefixes) is not ours to trust.
        found = {user["id"]: _account(user) async for user in users if _has_address(user, address)}
        return list(found.values())

    async def invite(self, address: str, name: str | None, *, mail: bool, language: str = "en") -> Invited:
        """Create the invitation; for a pending guest Entra answers with the same guest and a fresh redeem URL.

        A message of our own is never sent: Entra drops it when an app invites ("Create invitation").
        """
        body: dict[str, Any] = {
            "invitedUserEmailAddress": address,
            "inviteRedirectUrl": self._redirect_url,
            "sendInvitationMessage": mail,
        }
        if mail:
            body["invitedUserMessageInfo"] = {"messageLanguage": language}
        if name:
            body["invitedUserDisplayName"] = name
        invitation = (await self._graph.post(self._graph.client.invitations, INVITING, body)).body
        if invitation.get("status") == "Error":
            raise RefusedError(Reason.INVITATION_REFUSED, "Entra made the invitation with the status Error.")
        object_id = (invitation.get("invitedUser") or {}).get("id")
        if not (object_id and invitation.get("id") and invitation.get("inviteRedeemUrl")):
            raise LaterError(Reason.GRAPH, detail="Entra's answer lacks the invitation's ids or its redeem URL.")
        return Invited(invitation_id=invitation["id"], object_id=object_id, redeem_url=invitation["inviteRedeemUrl"])

    async def accepted_since(self, watermark: datetime | None) -> Sequence[Accepted]:
        """List who accepted since then; the caller lets watermarks overlap, for replication.

        The filter is by time alone and the state is tested here: Microsoft documents either filter, but nowhere that
        the two can be joined.
        """
        condition = "externalUserState eq 'Accepted'"
        if watermark is not None:
            condition = f"externalUserStateChangeDateTime ge {watermark.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        users = self._graph.pages(
            self._graph.client.users,
            USERS,
            filter=condition,
            select=_GUEST,
            top=_LARGEST_PAGE,
        )
        accepted = {user["id"]: _accepted(user) async for user in users if user.get("externalUserState") == "Accepted"}
        return list(accepted.values())

    async def guests(self) -> Sequence[Listed]:
        """List every guest account, page by page."""
        users = self._graph.pages(
            self._graph.client.users, USERS, filter="userType eq 'Guest'", select=_GUEST, top=_LARGEST_PAGE
        )
        return [
            Listed(
                object_id=user["id"],
                enabled=user.get("accountEnabled") is not False,
                accepted=_accepted(user) if user.get("externalUserState") == "Accepted" else None,
            )
            async for user in users
        ]

    async def inspect(self, sender: str | None) -> Tenant:
        """Read the tenant's settings for the tenant check."""
        return await tenant.inspect(self._graph, self._client_id, sender)


if TYPE_CHECKING:
    _: type[Directory] = EntraDirectory


def _quoted(text: str) -> str:
    """Return an OData string literal."""
    return "'" + text.replace("'", "''") + "'"


def _guest_upn_start(address: str) -> str:
    """Return how a guest's userPrincipalName starts: `user@fabrikam.com` is `user_fabrikam.com#EXT#@` our domain."""
    return address.replace("@", "_") + "#EXT#@"


def _has_address(user: Mapping[str, Any], address: str) -> bool:
    upn = (user.get("userPrincipalName") or "").lower()
    addresses = [upn, (user.get("mail") or "").lower(), *(other.lower() for other in user.get("otherMails") or ())]
    proxies = [proxy.lower() for proxy in user.get("proxyAddresses") or ()]
    return address in addresses or f"smtp:{address}" in proxies or upn.startswith(_guest_upn_start(address).lower())


def _account(user: Mapping[str, Any]) -> Account:
    return Account(
        object_id=user["id"],
        # Accounts from before userType existed have none, and are members.
        user_type=UserType.GUEST if user.get("userType") == "Guest" else UserType.MEMBER,
        pending=user.get("externalUserState") == "PendingAcceptance",
        enabled=user.get("accountEnabled") is not False,
    )


def _accepted(user: Mapping[str, Any]) -> Accepted:
    """Redemption writes the address of the account that redeemed into `mail`; without one nothing can be compared."""
    changed = user.get("externalUserStateChangeDateTime")
    try:
        address = normalise(user.get("mail") or "")
    except InvalidAddressError:
        address = None
    changed_at = datetime.fromisoformat(changed) if changed else None
    return Accepted(object_id=user["id"], changed_at=changed_at, address=address)
