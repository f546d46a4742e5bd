"""user: sendMail, as an app calls it: JSON, or MIME in base64 as text/plain."""

import base64
import binascii
import email
import re
from collections.abc import Mapping
from email.message import EmailMessage
from email.policy import default
from typing import Any

from local.tenant.calls import Call
from local.tenant.errors import GraphError
from local.tenant.state import Mail, World

_REDEEM = re.compile(r"https?://\S+/redeem\?ticket=[\w-]+")
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|[^@\s]+@[^@\s]+")


def send(world: World, call: Call, sender: str, now: float) -> None:
    """Take a mail. What cannot be delivered is accepted all the same: the bounce goes to the sender's mailbox."""
    if "Mail.Send" not in world.settings.app_permissions:
        raise GraphError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
    user = world.users.get(sender) or world.user_by_address(sender)
    if user is None:
        raise GraphError(404, "ErrorInvalidUser", f"The requested user '{sender}' is invalid.")
    if not user.internal:
        message = "The mailbox is either inactive, soft-deleted, or is hosted on-premise."
        raise GraphError(404, "MailboxNotEnabledForRESTAPI", message)
    kind = call.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    recipients, subject, text, html = _mime(call.body) if kind == "text/plain" else _json(call)
    if not recipients or not all(_ADDRESS.fullmatch(address) for address in recipients):
        raise GraphError(400, "ErrorInvalidRecipients", "At least one recipient is not valid.")
    redeem = _REDEEM.search(text) or _REDEEM.search(html)
    unreachable = {address.lower() for address in world.settings.unreachable_addresses}
    world.mails += [
        Mail(
            to=address,
            kind="invitation" if redeem else "message",
            subject=subject,
            url=redeem[0] if redeem else "",
            sent=now,
            sender=user.mail,
            text=text,
            html=html,
        )
        for address in recipients
        if address.lower() not in unreachable
    ]


def _mime(body: bytes) -> tuple[list[str], str, str, str]:
    try:
        raw = base64.b64decode(body, validate=True)
    except binascii.Error:
        raise GraphError(
            400, "ErrorMimeContentInvalidBase64String", "Invalid base64 string for MIME content."
        ) from None
    message = email.message_from_bytes(raw, policy=default)
    assert isinstance(message, EmailMessage)
    addresses = [a.addr_spec for name in ("To", "Cc", "Bcc") if message[name] for a in message[name].addresses]
    parts = {kind: message.get_body((kind,)) for kind in ("plain", "html")}
    text, html = (part.get_content() if part is not None else "" for part in parts.values())
    return addresses, str(message["Subject"] or ""), text, html


def _json(call: Call) -> tuple[list[str], str, str, str]:
    message = call.json({"message", "saveToSentItems"}).get("message")
    if not isinstance(message, dict):
        raise GraphError(400, "ErrorInvalidRequest", "The message is missing.")
    body: Mapping[str, Any] = message.get("body") or {}
    content = str(body.get("content", ""))
    is_html = str(body.get("contentType", "text")).lower() == "html"
    recipients = [str(r.get("emailAddress", {}).get("address", "")) for r in message.get("toRecipients") or ()]
    return recipients, str(message.get("subject", "")), "" if is_html else content, content if is_html else ""
