"""Box: which webhooks there should be, and that they are there."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shared.domain.reasons import Reason
from shared.domain.sources import FeedsPage, FoundFeed, Subscription
from shared.domain.trouble import RefusedError
from shared.sources.box.models import EntryPage, Webhook, WebhookPage, understood

if TYPE_CHECKING:
    from shared.sources.box.api import BoxApi

EVENTS = "events"
_FOLDER = "folder:"
_PAGE = 200
_MOST = 1000  # Box, "Webhook limitations": webhooks per app and user


def folder_feed(folder_id: str) -> str:
    """Return the name of the feed that a folder's webhook delivers."""
    return f"{_FOLDER}{folder_id}"


async def feeds(api: "BoxApi", cursor: str | None) -> FeedsPage:
    """The event log, and a webhook for each folder at the top: webhooks reach into sub-folders, the root can have none.

    Folders beyond Box's limit, and files, are covered by the log alone.
    """
    left, _, marker = (cursor or f"{_MOST} ").partition(" ")
    answer = await api.items("0", marker or None, _PAGE)
    if answer is None:
        raise RefusedError(
            Reason.SOURCE_REFUSED,
            "Box does not show the service account its own folders. Give the app the scope 'Read all files and "
            "folders' and have it authorised again in the Box Admin Console.",
        )
    page = understood(EntryPage, answer)
    ours = [entry.id for entry in page.entries if entry.type == "folder" and not entry.is_externally_owned]
    watched = [FoundFeed(folder_feed(one), polls=False, watches=True) for one in ours[: int(left)]]
    remaining = int(left) - len(watched)
    return FeedsPage(
        feeds=[*([FoundFeed(EVENTS)] if cursor is None else []), *watched],
        cursor=f"{remaining} {page.next_marker}" if page.next_marker and remaining else None,
    )


async def subscribe(
    api: "BoxApi", feed: str, held: Subscription | None, address: str, triggers: tuple[str, ...]
) -> Subscription:
    """Make the webhook, or see to it that the one that is there delivers all we read to our address."""
    folder = feed.removeprefix(_FOLDER)
    if not feed.startswith(_FOLDER) or folder == "0":
        raise RefusedError(Reason.SOURCE_REFUSED, "Box has webhooks on folders only, and none on the root folder.")
    webhook = await _held(api, folder, held)
    if webhook is None:
        made = await api.make_webhook(folder, address, triggers)
        if made is not None:
            return _subscription(understood(Webhook, made))
        webhook = await _adopted(api, folder, address)
    if webhook.address != address or set(webhook.triggers) != set(triggers):
        await api.change_webhook(webhook.id, address, triggers)
    return _subscription(webhook)


async def unsubscribe(api: "BoxApi", subscription: Subscription) -> None:
    """Delete a webhook."""
    await api.delete_webhook(subscription.id)


async def _held(api: "BoxApi", folder: str, held: Subscription | None) -> Webhook | None:
    answer = await api.webhook(held.id) if held is not None else None
    webhook = None if answer is None else understood(Webhook, answer)
    return webhook if webhook is not None and webhook.target.id == folder else None


async def _adopted(api: "BoxApi", folder: str, address: str) -> Webhook:
    """Find the webhook of this app on the folder: Box allows one only. Raises RefusedError if it is not ours."""
    marker: str | None = None
    while True:
        page = understood(WebhookPage, await api.webhooks(marker) or {"entries": []})
        for listed in page.entries:
            if (listed.target.type, listed.target.id) == ("folder", folder):
                webhook = understood(Webhook, await api.webhook(listed.id) or listed.model_dump())
                if webhook.address == address:
                    return webhook
        if not page.next_marker or page.next_marker == marker:
            raise RefusedError(
                Reason.SOURCE_REFUSED,
                "The app has a webhook on the folder already that delivers elsewhere, and Box allows only one. Delete "
                "it in the Box Developer Console, or use another app.",
            )
        marker = page.next_marker


def _subscription(webhook: Webhook) -> Subscription:
    """A webhook of Box never ends by date; it is looked at again every day."""
    return Subscription(id=webhook.id, made_at=datetime.now(UTC))
