"""Builds the object graph once per worker, at the first use; heavy libraries are imported only then."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from shared.settings import Settings, SettingsError, load_connections, load_secrets, load_settings
from shared.workflows.ports import Ports, Source, Timing

_SHARING_PERIOD = timedelta(minutes=5)
# Microsoft also counts resource units, 1,250 a minute for the smallest tenants and about 16 for a grant ("Avoid getting
# throttled or blocked in SharePoint"). A burst of this size can meet that limit once; the steady rate stays below it.
_SHARING_BURST = 80
_HOUR = timedelta(hours=1)
_APP = Path(__file__).resolve().parent.parent


class _SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


@cache
def get_settings() -> Settings:
    """Return the settings. Raises SettingsError."""
    return load_settings()


_building: asyncio.Task[Ports] | None = None


async def get_ports() -> Ports:
    """Return the ports of this worker. Raises SettingsError; a failed attempt is tried again at the next call."""
    global _building
    if _building is None or (_building.done() and (_building.cancelled() or _building.exception() is not None)):
        _building = asyncio.create_task(_build())
    return await asyncio.shield(_building)


async def _build() -> Ports:
    from azure.identity.aio import DefaultAzureCredential

    from shared.entra.directory import EntraDirectory
    from shared.entra.mail import SenderMailbox, languages
    from shared.graph.client import Graph
    from shared.sharepoint.sites import SharePointSites
    from shared.sources import build_source
    from shared.sources.files import LineFiles
    from shared.storage.account import CONTAINER, StorageAccount
    from shared.storage.blobs import BlobBodies
    from shared.storage.ledger import TableHistory, TableLedger
    from shared.storage.pacer import TablePacer
    from shared.storage.queues import StorageQueues
    from shared.storage.sources import TableBatches, TableFeeds, TablePermissions
    from shared.storage.tables import TableAccountMaps, TableMarks, TableReferences, TableScopes, TableWorklist

    settings = get_settings()
    connections = load_connections(_APP / settings.connections_file)
    sources: dict[str, Source] = {}
    for connection in connections.values():
        try:
            sources[connection.id] = build_source(connection, load_secrets(connection))
        except ValueError as error:
            raise SettingsError(f"Connection {connection.id!r}: {error}") from None

    templates = _APP / settings.mail_templates if settings.mail_templates else None
    unknown = {settings.mail_language, *settings.mail_languages.values()} - languages(templates)
    if unknown:
        raise SettingsError(f"There are no mail templates for the language {min(unknown)}; see docs/mails.md")

    credential = DefaultAzureCredential(managed_identity_client_id=settings.identity_client_id)
    if settings.storage is not None:
        account = StorageAccount.from_connection_string(settings.storage.get_secret_value())
    else:
        account = StorageAccount.from_name(settings.storage_account or "", credential)
    await account.ensure()
    graph, tables, clock = Graph(settings.graph_url, credential), account.tables, _SystemClock()
    return Ports(
        connections=connections,
        sources=sources,
        ledger=TableLedger(tables.get_table_client("guests")),
        history=TableHistory(tables.get_table_client("history")),
        worklist=TableWorklist(tables.get_table_client("worklist")),
        scopes=TableScopes(tables.get_table_client("scopes")),
        marks=TableMarks(tables.get_table_client("sources")),
        references=TableReferences(tables.get_table_client("sources")),
        permissions=TablePermissions(tables.get_table_client("permissions")),
        feeds=TableFeeds(tables.get_table_client("sources")),
        batches=TableBatches(tables.get_table_client("batches")),
        files=LineFiles(),
        bodies=BlobBodies(account.blobs.get_container_client(CONTAINER)),
        queues=StorageQueues(account.queues),
        directory=EntraDirectory(graph, settings.redirect_url, settings.identity_client_id),
        sites=SharePointSites(graph),
        pacer=TablePacer(
            tables.get_table_client("sources"),
            limit=settings.sharing_calls,
            period=_SHARING_PERIOD,
            burst=_SHARING_BURST,
            clock=clock,
        ),
        clock=clock,
        account_maps=TableAccountMaps(tables.get_table_client("accountmaps")),
        post=SenderMailbox(graph, settings.mail_sender or "", templates),
        postage=TablePacer(
            tables.get_table_client("sources"),
            limit=settings.mails_per_hour,
            period=_HOUR,
            burst=settings.mails_per_hour // 2,
            clock=clock,
            name="mails",
        ),
        mail_rules=settings.mail_rules,
        sender=settings.mail_sender,
        timing=Timing(lag=settings.lag, retry=settings.retry),
        public_url=settings.public_url,
    )
