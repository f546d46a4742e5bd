"""The source platforms: one room per platform, one common protocol (`shared.workflows.ports.Source`)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from shared.domain.connections import Connection
from shared.domain.platforms import Platform

if TYPE_CHECKING:
    from shared.workflows.ports import Source


@dataclass(frozen=True)
class SecretNames:
    """The secrets of a platform, by the names that a connection's `secrets` uses."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()


_MICROSOFT = SecretNames(
    required=("tenant_id", "client_id", "client_secret", "channel_secret"),
    optional=("previous_channel_secret", "api_url", "login_url"),
)

SECRETS: dict[Platform, SecretNames] = {
    Platform.ONEDRIVE: _MICROSOFT,
    Platform.OFFICE365: _MICROSOFT,
    Platform.BOX: SecretNames(
        required=("primary_key", "client_id", "client_secret", "enterprise_id"),
        optional=("secondary_key", "api_url"),
    ),
    Platform.DROPBOX: SecretNames(
        required=("app_key", "app_secret", "refresh_token"),
        optional=("previous_app_secret", "api_url"),
    ),
    Platform.GOOGLE_WORKSPACE: SecretNames(
        required=("service_account", "administrator", "channel_secret"),
        optional=("previous_channel_secret", "api_url"),
    ),
    Platform.SYNCPLICITY: SecretNames(
        required=("app_key", "app_secret", "application_token", "company_id"),
        optional=("api_url",),
    ),
    Platform.SECURISYNC: SecretNames(required=("signing_secret",), optional=("previous_signing_secret",)),
}

# Only the platform that is asked for is imported: a worker starts faster without the others.
_CLASSES: dict[Platform, tuple[str, str]] = {
    Platform.ONEDRIVE: ("microsoft365.source", "OneDriveSource"),
    Platform.OFFICE365: ("microsoft365.source", "Office365Source"),
    Platform.BOX: ("box.source", "BoxSource"),
    Platform.DROPBOX: ("dropbox.source", "DropboxSource"),
    Platform.GOOGLE_WORKSPACE: ("google_workspace.source", "GoogleWorkspaceSource"),
    Platform.SYNCPLICITY: ("syncplicity.source", "SyncplicitySource"),
    Platform.SECURISYNC: ("inbound", "InboundSource"),
}


def build_source(connection: Connection, secrets: Mapping[str, str]) -> "Source":
    """Return what speaks for the connection. `secrets`: the values, by the names in SECRETS.

    Raises ValueError with a sentence for who configures it: a secret is missing, unusable, or not one of the
    platform's (most likely a typing mistake).
    """
    names = SECRETS[connection.platform]
    unknown = secrets.keys() - {*names.required, *names.optional}
    missing = [name for name in names.required if not secrets.get(name)]
    if unknown or missing:
        raise ValueError(
            f"Connection {connection.id!r} ({connection.platform.value}) needs the secrets {', '.join(names.required)} "
            f"and may have {', '.join(names.optional)}."
            + (f" Missing: {', '.join(missing)}." if missing else "")
            + (f" Not known: {', '.join(sorted(unknown))}." if unknown else "")
        )
    module, name = _CLASSES[connection.platform]
    source: Callable[[Connection, Mapping[str, str]], Source] = getattr(import_module(f"shared.sources.{module}"), name)
    return source(connection, secrets)
