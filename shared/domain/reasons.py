"""Every reason why a share or a guest is where it is: a stable code and a sentence for people.

The code's first half is the state. The same word stands on the share, in the history, in logs and metrics.
docs/reasons.md is generated from here.
"""

from enum import StrEnum


class State(StrEnum):
    """Where a share stands, as an administrator sees it."""

    IGNORED = "ignored"
    REFUSED = "refused"
    WAITING = "waiting"
    GRANTED = "granted"
    REVOKED = "revoked"
    NEEDS_ATTENTION = "needs-attention"


class Reason(StrEnum):
    """A reason code, `state/slug`."""

    sentence: str

    def __new__(cls, code: str, sentence: str) -> "Reason":
        """Make a member whose value is the code and which carries its sentence."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.sentence = sentence
        return member

    @property
    def state(self) -> State:
        """The state that the reason belongs to."""
        return State(self.value.partition("/")[0])

    GROUP = "ignored/group", "It was shared with a group whose members the platform does not tell."
    ANONYMOUS_LINK = "ignored/anonymous-link", "It is a link for anyone; such links are not carried."
    INTERNAL = "ignored/internal", "The address belongs to the company itself; only outside people pass through here."
    SUSPENDED = "ignored/suspended", "The account is suspended or deactivated at the source."
    UNSUPPORTED_SCOPE = (
        "ignored/unsupported-scope",
        "Shares of this kind of item are not carried from this platform. The connection's setting can widen that.",
    )
    SUPERSEDED = "ignored/superseded", "A newer fact about the same share was known already; this one changed nothing."

    UNKNOWN_ROLE = "refused/unknown-role", "The role at the source is not one we know, and we never guess a role."
    ROLE_NOT_CARRIED = (
        "refused/role-not-carried",
        "SharePoint has no role that gives this much and no more. A setting of the connection can map it.",
    )
    DOMAIN_DENIED = "refused/domain-denied", "The person's domain is on the deny list."
    DOMAIN_NOT_ALLOWED = "refused/domain-not-allowed", "The person's domain is not on the allow list."
    TOO_OLD = "refused/too-old", "It was shared before the date from which shares are carried."
    AGE_UNKNOWN = (
        "refused/age-unknown",
        "The policy has a cut-off date and the platform does not tell when this was shared.",
    )
    EXCLUDED = "refused/excluded", "The account map excludes this person."
    PERSON_DENIED = "refused/person-denied", "The person is on the deny list."
    SHARER_DENIED = "refused/sharer-denied", "Whoever shared it is on the list of those whose shares are not carried."
    DENIED = "refused/denied", "An administrator denied access to this person."
    ADDRESS_MISSING = "refused/address-missing", "The platform does not tell the person's e-mail address."
    ADDRESS_INVALID = "refused/address-invalid", "What the platform gives as the address is not an e-mail address."
    PATH_UNKNOWN = "refused/path-unknown", "The platform does not tell where the item lies, so it has no destination."
    UNREADABLE = "refused/unreadable", "The delivery was authentic, but its content is not what the platform documents."

    SOURCE_ACCEPTANCE = (
        "waiting/source-acceptance",
        "The person has not accepted the share at the source yet; until then they have no access there either.",
    )
    APPROVAL = "waiting/approval", "pending admin approval"
    INVITATION = "waiting/invitation", "Approved; the invitation is about to be made."
    ACCEPTANCE = "waiting/acceptance", "has not accepted the invitation yet"
    GRANT = "waiting/grant", "The person is ready; the access is about to be given."
    DESTINATION_ITEM = "waiting/destination-item", "The item has not arrived at the destination yet; we look again."
    REPLICATION = "waiting/replication", "SharePoint does not know the new guest yet; we try again."
    READ_BACK = "waiting/read-back", "The access was given but does not show yet when read back; we look again."
    GRAPH = "waiting/graph", "Microsoft 365 asks to wait or is not available; we try again."
    SOURCE = "waiting/source", "The source platform asks to wait or is not available; we try again."
    REVOCATION = "waiting/revocation", "The access is about to be taken back."

    GRANTED = "granted/direct", "The person has this role on the item, given and read back."
    GRANTED_LINK = "granted/link", "The person has a link of their own to the item, made and read back."
    ALREADY_HAD_ACCESS = (
        "granted/already-had-access",
        "The person has at least this access already, given by somebody else or on a folder above; nothing was added.",
    )

    REMOVED_AT_SOURCE = "revoked/removed-at-source", "The share was taken back at the source; nothing of ours is left."
    EXPIRED = "revoked/expired", "The share's expiry date has passed; nothing of ours is left."
    REVOKED = (
        "revoked/by-administrator",
        "An administrator took this share back. It stays so, whatever the source says, until one gives it again.",
    )
    MOVED = (
        "revoked/moved",
        "The account map leads to another account now: the access was given there and taken back here.",
    )

    NO_ROUTE = "needs-attention/no-route", "No route of the connection says where this path goes. Add a route."
    NAME_NOT_ALLOWED = (
        "needs-attention/name-not-allowed",
        "A name in the path cannot exist in SharePoint. See how the content migration renamed it and add a route.",
    )
    AMBIGUOUS_IDENTITY = (
        "needs-attention/ambiguous-identity",
        "More than one account at the destination fits this address. Choose one in the account map.",
    )
    ACCOUNT_DISABLED = (
        "needs-attention/account-disabled",
        "The account at the destination is blocked from signing in. Unblock it or map the person to another account.",
    )
    ADDRESS_NOT_INVITABLE = (
        "needs-attention/address-not-invitable",
        "Microsoft Entra does not accept this address for an invitation (for example because of a '+'). "
        "Create the guest with another address and map it.",
    )
    DOMAIN_BLOCKED = (
        "needs-attention/domain-blocked",
        "Entra's collaboration settings block this domain. Allow it under External Identities, then retry.",
    )
    INVITING_NOT_ALLOWED = (
        "needs-attention/inviting-not-allowed",
        "The tenant does not let this app invite guests. Check 'Guest invite settings' and the permission "
        "User.Invite.All.",
    )
    EXISTING_ACCOUNT = (
        "needs-attention/existing-account",
        "Entra says that an account with this address exists, but it was not found by the address. Map the person.",
    )
    INVITATION_REFUSED = "needs-attention/invitation-refused", "Entra refused the invitation; its answer is kept here."
    INVITATION_EXPIRED = (
        "needs-attention/invitation-expired",
        "Nobody accepted the invitation in time. Reinvite the person, or deny.",
    )
    UNDELIVERABLE = (
        "needs-attention/undeliverable",
        "No mail can be delivered to this address. Ask the sharer for the right one and map the person to it.",
    )
    MAIL_REFUSED = (
        "needs-attention/mail-refused",
        "Microsoft 365 did not take the mail. Check the sender mailbox and the permission Mail.Send, then retry.",
    )
    WRONG_IDENTITY = (
        "needs-attention/wrong-identity",
        "The invitation was accepted with another account than the one invited. Approve if it is the same person; "
        "otherwise deny, and remove the guest in Entra.",
    )
    ACCOUNT_DELETED = (
        "needs-attention/account-deleted",
        "The guest's account was deleted at the destination. Retry to invite the person anew, or deny.",
    )
    PRINCIPAL_NOT_RESOLVED = (
        "needs-attention/principal-not-resolved",
        "SharePoint still does not accept the guest a day after the invitation. Check the site's sharing settings.",
    )
    SHARING_DISABLED = (
        "needs-attention/sharing-disabled",
        "Sharing with outside people is switched off or restricted for the tenant, the site or the domain.",
    )
    DESTINATION_ITEM_MISSING = (
        "needs-attention/destination-item-missing",
        "The item did not arrive at the destination in time. Check the content migration and the route, then retry.",
    )
    EXISTING_PERMISSION = (
        "needs-attention/existing-permission",
        "Somebody else gave this person a narrower role on the item. Guestpass changes only what it gave itself.",
    )
    WITHOUT_EFFECT = (
        "needs-attention/without-effect",
        "Microsoft 365 reported success several times, but the access does not show when read back.",
    )
    GRAPH_REFUSED = "needs-attention/graph-refused", "Microsoft 365 refused the request; its answer is kept here."
    SOURCE_REFUSED = (
        "needs-attention/source-refused",
        "The source platform refused the request; its answer is kept here. Check the app's permissions there.",
    )
    PROCESSING_FAILED = (
        "needs-attention/processing-failed",
        "The work on this share failed again and again. It is kept here and can be started again.",
    )
