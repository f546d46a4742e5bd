"""A missing or wrong setting is one clear message that names it and never repeats its value."""

import json
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.domain.connections import Connection
from shared.domain.mailing import MailKind, MailRules, QuietHours
from shared.settings import SettingsError, load_connections, load_secrets, load_settings

ENOUGH = {"AzureWebJobsStorage": "UseDevelopmentStorage=true", "GUESTPASS_ACCEPTANCE_SCHEDULE": "0 * * * * *"}
CONNECTION: dict[str, Any] = {
    "id": "box-1",
    "platform": "box",
    "internal_domains": ["home.example"],
    "routes": [{"source": "/", "drive": "d"}],
    "secrets": {"primary_key": "BOX_KEY"},
}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AzureWebJobsStorage", "WEBSITE_INSTANCE_ID", "WEBSITE_POD_NAME", "WEBSITE_AUTH_ENABLED"):
        monkeypatch.delenv(name, raising=False)


def set_all(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_enough_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, ENOUGH)
    settings = load_settings()
    assert settings.graph_url == "https://graph.microsoft.com/v1.0"
    assert not settings.in_azure


def test_the_rules_for_mails_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(
        monkeypatch,
        ENOUGH
        | {
            "GUESTPASS_MAIL": "own",
            "GUESTPASS_MAIL_SENDER": "mail@home.example",
            "GUESTPASS_MAIL_LANGUAGES": '{".DE": "de", "partner.example": "fr"}',
            "GUESTPASS_QUIET_HOURS": "20:00-07:30 Europe/Berlin",
            "GUESTPASS_REMINDER_DAYS": "3",
            "GUESTPASS_REMINDERS": "2",
            "GUESTPASS_INVITATION_DAYS": "14",
        },
    )
    assert load_settings().mail_rules == MailRules(
        kind=MailKind.OWN,
        languages={".de": "de", "partner.example": "fr"},
        quiet_hours=QuietHours(start=time(20), end=time(7, 30), zone="Europe/Berlin"),
        remind_after=timedelta(days=3),
        reminders=2,
        lifetime=timedelta(days=14),
    )


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"AzureWebJobsStorage": None}, "AzureWebJobsStorage__accountName"),
        ({"AzureWebJobsStorage": ""}, "AzureWebJobsStorage__accountName"),
        ({"AzureWebJobsStorage": "value-xyz"}, "AzureWebJobsStorage"),
        ({"AzureWebJobsStorage": None, "AzureWebJobsStorage__accountName": "Value-xyz!"}, "AzureWebJobsStorage__acc"),
        ({"GUESTPASS_ACCEPTANCE_SCHEDULE": "every minute please"}, "GUESTPASS_ACCEPTANCE_SCHEDULE"),
        ({"GUESTPASS_ACCEPTANCE_SCHEDULE": None}, "GUESTPASS_ACCEPTANCE_SCHEDULE"),
        ({"GUESTPASS_GRAPH_URL": "value-xyz"}, "GUESTPASS_GRAPH_URL"),
        ({"GUESTPASS_SHARING_CALLS": "301"}, "GUESTPASS_SHARING_CALLS"),
        ({"GUESTPASS_SHARING_CALLS": "value-xyz"}, "GUESTPASS_SHARING_CALLS"),
        ({"GUESTPASS_LAG_SECONDS": "0"}, "GUESTPASS_LAG_SECONDS"),
        ({"GUESTPASS_MAIL": "own"}, "GUESTPASS_MAIL_SENDER"),
        ({"GUESTPASS_MAIL": "value-xyz"}, "GUESTPASS_MAIL"),
        ({"GUESTPASS_MAILS_PER_HOUR": "201"}, "GUESTPASS_MAILS_PER_HOUR"),
        ({"GUESTPASS_QUIET_HOURS": "value-xyz"}, "GUESTPASS_QUIET_HOURS"),
        ({"GUESTPASS_QUIET_HOURS": "20:00-07:00 value-xyz"}, "GUESTPASS_QUIET_HOURS"),
        ({"GUESTPASS_REMINDERS": "-1"}, "GUESTPASS_REMINDERS"),
        ({"GUESTPASS_INVITATION_DAYS": "0"}, "GUESTPASS_INVITATION_DAYS"),
        (
            {"GUESTPASS_DEVELOPMENT_PRINCIPAL": "value-xyz", "WEBSITE_INSTANCE_ID": "1"},
            "GUESTPASS_DEVELOPMENT_PRINCIPAL",
        ),
        ({"GUESTPASS_DEVELOPMENT_PRINCIPAL": "value-xyz", "WEBSITE_POD_NAME": "1"}, "GUESTPASS_DEVELOPMENT_PRINCIPAL"),
    ],
)
def test_a_missing_or_wrong_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str | None], named: str
) -> None:
    set_all(monkeypatch, {name: value for name, value in (ENOUGH | changes).items() if value is not None})
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert named in str(caught.value)
    assert "value-xyz" not in str(caught.value)
    assert "\n" not in str(caught.value)


def write(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "connections.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_good_connections_file(tmp_path: Path) -> None:
    connections = load_connections(write(tmp_path, {"connections": [CONNECTION]}))
    assert list(connections) == ["box-1"]


def test_the_example_files_are_good(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[2]
    set_all(monkeypatch, json.loads((root / "local.settings.json.example").read_text())["Values"])
    load_settings()
    connections = load_connections(root / "connections.example.json")
    for connection in connections.values():  # and hold no secret that somebody could leave in place
        with pytest.raises(SettingsError, match=connection.platform.value.upper()):
            load_secrets(connection)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("{", "is not JSON"),
        ({}, "connections"),
        ({"connections": [CONNECTION, CONNECTION]}, "two connections have the same id"),
        ({"connections": [CONNECTION | {"id": "Box 1"}]}, "connections.0.id"),
        ({"connections": [CONNECTION | {"platform": "boxx"}]}, "connections.0.platform"),
        ({"connections": [CONNECTION | {"internal_domains": []}]}, "connections.0.internal_domains"),
        ({"connections": [CONNECTION | {"routes": []}]}, "connections.0.routes"),
        ({"connections": [CONNECTION | {"routes": [{"source": "x", "drive": "d"}]}]}, "connections.0.routes.0.source"),
        (
            {
                "connections": [
                    CONNECTION | {"routes": [{"source": "/a", "drive": "d"}, {"source": "/A/", "drive": "e"}]}
                ]
            },
            "two routes have the same source path",
        ),
        ({"connections": [CONNECTION | {"polcy": {}}]}, "connections.0.polcy"),
        ({"connections": [CONNECTION | {"account_map": {"a@b.example": None}}]}, "account_map: import it on the page"),
        ({"connections": [CONNECTION | {"policy": {"role_ceiling": "owner"}}]}, "connections.0.policy.role_ceiling"),
    ],
)
def test_a_bad_connections_file_is_refused_with_the_place(tmp_path: Path, content: object, named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        load_connections(write(tmp_path, content))


def test_a_missing_connections_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="GUESTPASS_CONNECTIONS_FILE"):
        load_connections(tmp_path / "nowhere.json")


@pytest.mark.parametrize("value", [None, ""])
def test_an_empty_secret_is_refused(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("BOX_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("BOX_KEY", value)
    with pytest.raises(SettingsError, match="BOX_KEY"):
        load_secrets(Connection.model_validate(CONNECTION))


def test_a_reference_to_the_vault_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Azure leaves it as it is when it cannot read the vault; it can be guessed, and signatures be made with it."""
    monkeypatch.setenv("BOX_KEY", "@Microsoft.KeyVault(VaultName=kv;SecretName=BOX-KEY)")
    with pytest.raises(SettingsError, match="BOX_KEY, which Azure could not read from the Key Vault"):
        load_secrets(Connection.model_validate(CONNECTION))
