"""The sender mailbox: the port Post on Microsoft Graph.

A mail is sent in MIME format, the only one in which Graph takes plain text beside HTML ("user: sendMail").
"""

import base64
from email.message import EmailMessage
from email.policy import SMTP
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from shared.domain.mailing import Mail
from shared.graph.client import Graph
from shared.graph.errors import MAILING

if TYPE_CHECKING:
    from jinja2 import Environment

    from shared.workflows.ports import Post

TEMPLATES = Path(__file__).parent / "mails"


class SenderMailbox:
    """Sends mails from one mailbox. Templates of the company's own stand before those that come with Guestpass."""

    def __init__(self, graph: Graph, sender: str, own_templates: Path | None = None) -> None:
        """`sender` is the address or object id of the mailbox; the app needs Mail.Send for it."""
        self._graph, self._sender, self._templates = graph, sender, own_templates

    async def send(self, mail: Mail) -> None:
        """Send a mail; see the port."""
        message = write(mail, self._sender, self._templates)
        content = base64.b64encode(message.as_bytes()).decode()
        await self._graph.post_text(self._graph.client.users.by_user_id(self._sender).send_mail, MAILING, content)


if TYPE_CHECKING:
    _: type[Post] = SenderMailbox


def languages(own_templates: Path | None = None) -> set[str]:
    """Return the languages in which mails can be written."""
    folders = [folder for folder in (TEMPLATES, own_templates) if folder is not None]
    return {path.name.partition(".")[0] for folder in folders for path in folder.glob("*.subject.txt")}


def write(mail: Mail, sender: str, own_templates: Path | None = None) -> EmailMessage:
    """Return the mail with its subject, plain text and HTML from the templates of its language."""
    templates = _environment(own_templates)
    values = mail.model_dump() | {"letter": mail.letter.value, "redeem_url": mail.redeem_url}
    subject, text, html = (
        templates.get_template(f"{mail.language}.{part}").render(values) for part in ("subject.txt", "txt", "html")
    )
    message = EmailMessage(policy=SMTP.clone(utf8=not mail.to.isascii()))
    message["To"] = mail.to
    if "@" in sender:
        message["From"] = sender
    message["Subject"] = " ".join(subject.split())
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation answers, please
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    return message


@cache
def _environment(own_templates: Path | None) -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    folders = [folder for folder in (own_templates, TEMPLATES) if folder is not None]
    return Environment(
        loader=FileSystemLoader(folders),
        autoescape=select_autoescape(("html",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
