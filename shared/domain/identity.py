"""The identity ladder: which account at the destination is this person?"""

from collections.abc import Sequence
from enum import StrEnum

from pydantic import AwareDatetime, Field

from shared.domain.addresses import is_invitable
from shared.domain.reasons import Reason
from shared.domain.value import Value


class UserType(StrEnum):
    """Entra's userType. External members exist: the type alone says nothing about where a person comes from."""

    MEMBER = "Member"
    GUEST = "Guest"


class Account(Value):
    """An account of the destination tenant, as found by an address.

    `pending` is externalUserState == PendingAcceptance. A null state means usable: such guests were not made by an
    invitation and will never turn Accepted.
    """

    object_id: str
    user_type: UserType
    pending: bool = False
    enabled: bool = True


class Invited(Value):
    """Entra's answer to an invitation. The redeem URL holds a ticket: never log it."""

    invitation_id: str
    object_id: str
    redeem_url: str = Field(repr=False)


class Accepted(Value):
    """A guest who accepted, as Entra lists it. `address` is that of the account which redeemed the invitation."""

    object_id: str
    changed_at: AwareDatetime | None = None
    address: str | None = None


class Listed(Value):
    """A guest account as Entra's list of all of them shows it."""

    object_id: str
    enabled: bool = True
    accepted: Accepted | None = None


class Nobody(Value):
    """No account fits; the person has to be invited."""


class Undecided(Value):
    """Who the person is cannot be told without an administrator."""

    reason: Reason
    detail: str | None = None


type Resolution = Account | Nobody | Undecided


def resolve(address: str, found: Sequence[Account], *, as_is: bool) -> Resolution:
    """Climb the ladder: member, usable guest, pending guest, nobody. Two hits are never a guess.

    The explicit account map stands above it: it decides which address is looked for. With `as_is` (a setting of the
    connection) the person passes through as a guest, also when a member has the address.
    """
    accounts = [account for account in found if not (as_is and account.user_type is UserType.MEMBER)]
    if len(accounts) > 1:
        return Undecided(reason=Reason.AMBIGUOUS_IDENTITY)
    if accounts:
        return accounts[0] if accounts[0].enabled else Undecided(reason=Reason.ACCOUNT_DISABLED)
    return Nobody() if is_invitable(address) else Undecided(reason=Reason.ADDRESS_NOT_INVITABLE)
