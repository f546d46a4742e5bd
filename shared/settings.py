"""Typed settings from the environment, and the connections file. Nothing is read at import.

Every mistake becomes one clear message that names the setting or the place in the file, and never a value.
"""

import json
import os
from collections.abc import Mapping
from datetime import time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.domain.connections import Connection
from shared.domain.mailing import MailKind, MailRules, QuietHours

_REFERENCE = "@Microsoft.KeyVault("


class SettingsError(Exception):
    """A setting is missing or wrong; the message says which, and what is expected."""


class Settings(BaseSettings):
    """The app settings of the function app."""

    model_config = SettingsConfigDict(case_sensitive=True, extra="ignore", populate_by_name=False)

    storage: SecretStr | None = Field(
        default=None,
        alias="AzureWebJobsStorage",
        description="Connection string of the storage account. Local only; in Azure use the account name instead.",
    )
    storage_account: str | None = Field(
        default=None,
        alias="AzureWebJobsStorage__accountName",
        pattern="^[a-z0-9]{3,24}$",
        description="Name of the storage account, reached with the app's managed identity.",
    )
    connections_file: Path = Field(
        default=Path("connections.json"),
        alias="GUESTPASS_CONNECTIONS_FILE",
        description="The connections file, relative to the app's folder.",
    )
    graph_url: str = Field(
        default="https://graph.microsoft.com/v1.0",
        alias="GUESTPASS_GRAPH_URL",
        pattern="^https?://",
        description="Address of Microsoft Graph, with its version.",
    )
    identity_client_id: str | None = Field(
        default=None, alias="AZURE_CLIENT_ID", description="Client id of the user-assigned managed identity."
    )
    redirect_url: str = Field(
        default="https://myapplications.microsoft.com",
        alias="GUESTPASS_REDIRECT_URL",
        pattern="^https?://",
        description="Where a guest lands after accepting.",
    )
    own_url: str | None = Field(
        default=None,
        alias="GUESTPASS_PUBLIC_URL",
        pattern="^https?://[^/]+$",
        description="Where the platforms reach this app, `https://host`; default: the app's own name in Azure.",
    )
    host_name: str | None = Field(
        default=None, alias="WEBSITE_HOSTNAME", description="Set by App Service itself: the app's own host name."
    )
    acceptance_schedule: str = Field(
        alias="GUESTPASS_ACCEPTANCE_SCHEDULE",
        pattern=r"^\s*\S+(\s+\S+){5}\s*$",
        description="NCRONTAB (six fields): how often Entra is asked who accepted, for example `0 * * * * *`.",
    )
    sharing_calls: int = Field(
        default=270,
        alias="GUESTPASS_SHARING_CALLS",
        ge=120,
        le=300,
        description="Sharing calls per 5 minutes, 120 to 300; Microsoft allows 300 to an app in a tenant.",
    )
    lag_seconds: float = Field(
        default=120,
        alias="GUESTPASS_LAG_SECONDS",
        gt=0,
        description="How long Entra may hide what was just written to it.",
    )
    retry_seconds: float = Field(
        default=30,
        alias="GUESTPASS_RETRY_SECONDS",
        gt=0,
        description="The first wait before something is tried again; doubles up to an hour.",
    )
    mail: MailKind = Field(
        default=MailKind.MICROSOFT,
        alias="GUESTPASS_MAIL",
        description="Who mails invitations: `microsoft` (Entra's stock mail), `own` (one mail a person from the sender "
        "mailbox, listing what waits), `none` (nobody).",
    )
    mail_sender: str | None = Field(
        default=None,
        alias="GUESTPASS_MAIL_SENDER",
        description="Address of the sender mailbox, for `own`; the app needs the permission Mail.Send.",
    )
    mail_templates: Path | None = Field(
        default=None,
        alias="GUESTPASS_MAIL_TEMPLATES",
        description="Folder with templates of your own, relative to the app's folder; see docs/mails.md.",
    )
    mail_language: str = Field(
        default="en", alias="GUESTPASS_MAIL_LANGUAGE", description="Language of mails: `en`, `de`, `fr`, or your own."
    )
    mail_languages: dict[str, str] = Field(
        default={},
        alias="GUESTPASS_MAIL_LANGUAGES",
        description='Other languages, as JSON: `{"partner.example": "fr", ".de": "de"}`; what begins with a dot is an '
        "ending.",
    )
    mails_per_hour: int = Field(
        default=150,
        alias="GUESTPASS_MAILS_PER_HOUR",
        ge=30,
        le=200,
        description="Mails an hour, 30 to 200; Microsoft publishes a limit of 200 for sharing mails. The rest waits.",
    )
    quiet_hours: str | None = Field(
        default=None,
        alias="GUESTPASS_QUIET_HOURS",
        description="When no mail leaves, for example `20:00-07:00 Europe/Berlin`. What is due waits.",
    )
    reminder_days: float = Field(
        default=7,
        alias="GUESTPASS_REMINDER_DAYS",
        gt=0,
        description="A reminder follows so many days after the last mail.",
    )
    reminders: int = Field(
        default=1, alias="GUESTPASS_REMINDERS", ge=0, le=5, description="At most so many reminders for an invitation."
    )
    invitation_days: float = Field(
        default=30,
        alias="GUESTPASS_INVITATION_DAYS",
        gt=0,
        description="An invitation that nobody accepts in so many days expires; later acceptance needs a new approval.",
    )
    development_principal: str | None = Field(
        default=None,
        alias="GUESTPASS_DEVELOPMENT_PRINCIPAL",
        description="Local only: the name under which every request reviews access requests. Refused in Azure. "
        "`name (AccessRequests.Read)` may only read.",
    )
    app_service_authentication: bool = Field(
        default=False,
        alias="WEBSITE_AUTH_ENABLED",
        description="Set by App Service itself when its authentication is on; never set it by hand.",
    )
    instance_id: str | None = Field(
        default=None, alias="WEBSITE_INSTANCE_ID", description="Set by App Service itself: tells that this is Azure."
    )
    pod_name: str | None = Field(
        default=None, alias="WEBSITE_POD_NAME", description="Set by Flex Consumption itself: tells that this is Azure."
    )

    @field_validator("storage", "storage_account", mode="before")
    @classmethod
    def _empty_is_absent(cls, value: object) -> object:
        return value or None

    @field_validator("quiet_hours")
    @classmethod
    def _is_quiet_hours(cls, value: str | None) -> str | None:
        if value:
            _quiet_hours(value)
        return value or None

    @field_validator("storage")
    @classmethod
    def _is_connection_string(cls, value: SecretStr | None) -> SecretStr | None:
        text = value.get_secret_value().lower() if value else ""
        if value and not ("accountname=" in text or text.startswith("usedevelopmentstorage=true")):
            raise ValueError("not a connection string of a storage account")
        return value

    @model_validator(mode="after")
    def _is_consistent(self) -> "Settings":
        if self.storage is None and self.storage_account is None:
            raise ValueError("AzureWebJobsStorage__accountName (or, locally, AzureWebJobsStorage) is missing")
        if self.mail is MailKind.OWN and not self.mail_sender:
            raise ValueError("GUESTPASS_MAIL is own, so GUESTPASS_MAIL_SENDER is needed")
        if self.development_principal is not None and self.in_azure:
            raise ValueError("GUESTPASS_DEVELOPMENT_PRINCIPAL must not be set in Azure")
        return self

    @property
    def in_azure(self) -> bool:
        """Tell whether the app runs in Azure."""
        return self.instance_id is not None or self.pod_name is not None

    @property
    def mail_rules(self) -> MailRules:
        """When and how people are mailed."""
        return MailRules(
            kind=self.mail,
            language=self.mail_language,
            languages={domain.lower(): language for domain, language in self.mail_languages.items()},
            quiet_hours=_quiet_hours(self.quiet_hours) if self.quiet_hours else None,
            remind_after=timedelta(days=self.reminder_days),
            reminders=self.reminders,
            lifetime=timedelta(days=self.invitation_days),
        )

    @property
    def public_url(self) -> str | None:
        """Where the platforms reach this app; None on a developer's machine that says nothing."""
        if self.own_url is not None:
            return self.own_url
        return f"https://{self.host_name}" if self.host_name and self.in_azure else None

    @property
    def lag(self) -> timedelta:
        """How long Entra may hide what was just written to it."""
        return timedelta(seconds=self.lag_seconds)

    @property
    def retry(self) -> timedelta:
        """The first wait before something is tried again."""
        return timedelta(seconds=self.retry_seconds)


def _quiet_hours(text: str) -> QuietHours:
    """Raises ValueError."""
    hours, _, zone = text.strip().partition(" ")
    start, _, end = hours.partition("-")
    try:
        quiet = QuietHours(start=time.fromisoformat(start), end=time.fromisoformat(end), zone=zone.strip() or "UTC")
        ZoneInfo(quiet.zone)
    except (ValueError, ZoneInfoNotFoundError):
        raise ValueError("not quiet hours such as 20:00-07:00 Europe/Berlin") from None
    return quiet


class _ConnectionsFile(BaseModel):
    connections: list[Connection]

    @model_validator(mode="after")
    def _maps_are_elsewhere(self) -> "_ConnectionsFile":
        if any(connection.account_map for connection in self.connections):
            raise ValueError("account_map: import it on the page Account maps; the file does not hold it any more")
        return self

    @model_validator(mode="after")
    def _ids_differ(self) -> "_ConnectionsFile":
        ids = [connection.id for connection in self.connections]
        if len(set(ids)) != len(ids):
            raise ValueError("two connections have the same id")
        return self


def load_settings() -> Settings:
    """Read the settings. Raises SettingsError, naming every setting that is missing or wrong."""
    try:
        return Settings()  # the values come from the environment
    except ValidationError as error:
        raise SettingsError(f"Settings are missing or wrong. {_faults(error)}") from None


def load_connections(path: Path) -> dict[str, Connection]:
    """Read the connections file. Raises SettingsError, naming every fault with its place; nothing is half read."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise SettingsError(f"GUESTPASS_CONNECTIONS_FILE: there is no file {path}") from None
    except ValueError as error:
        raise SettingsError(f"{path} is not JSON: {error}") from None
    try:
        connections = _ConnectionsFile.model_validate(content).connections
    except ValidationError as error:
        raise SettingsError(f"{path} has faults. {_faults(error)}") from None
    return {connection.id: connection for connection in connections}


def load_secrets(connection: Connection) -> Mapping[str, str]:
    """Read the settings that hold a connection's secrets.

    Raises SettingsError for one that is missing or empty, or that Azure could not read from the vault: its value is
    then the reference itself ("Use Key Vault references", Microsoft), which is no secret.
    """
    for setting in connection.secrets.values():
        value = os.environ.get(setting, "")
        if not value or value.startswith(_REFERENCE):
            fault = "Azure could not read from the Key Vault" if value else "is missing or empty"
            raise SettingsError(
                f"Connection {connection.id!r} takes a secret from the setting {setting}, which {fault}"
            )
    return {name: os.environ[setting] for name, setting in connection.secrets.items()}


def _faults(error: ValidationError) -> str:
    faults = (
        f"{'.'.join(str(part) for part in fault['loc']) or 'settings'}: {fault['msg']}"
        for fault in error.errors(include_url=False, include_input=False, include_context=False)
    )
    return "; ".join(faults)
