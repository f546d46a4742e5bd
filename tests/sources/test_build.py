"""Every platform is built from its secrets alone, or says what it needs."""

import subprocess
import sys
from collections.abc import Mapping

import pytest

from shared.domain.connections import Connection
from shared.domain.platforms import Platform
from shared.sources import _CLASSES, SECRETS, build_source
from tests.sources import (
    box_samples,
    dropbox_samples,
    google_samples,
    inbound_samples,
    microsoft365_samples,
    syncplicity_samples,
)

VALUES: dict[Platform, Mapping[str, str]] = {
    Platform.BOX: box_samples.SECRETS,
    Platform.DROPBOX: dropbox_samples.SECRETS,
    Platform.GOOGLE_WORKSPACE: google_samples.SECRETS,
    Platform.ONEDRIVE: microsoft365_samples.SECRETS,
    Platform.OFFICE365: microsoft365_samples.SECRETS,
    Platform.SYNCPLICITY: syncplicity_samples.SECRETS,
    Platform.SECURISYNC: {"signing_secret": inbound_samples.SECRET},
}


def connection(platform: Platform) -> Connection:
    return box_samples.CONNECTION.model_copy(update={"platform": platform})


@pytest.mark.parametrize("platform", SECRETS)
def test_the_required_secrets_are_enough(platform: Platform) -> None:
    assert build_source(connection(platform), {name: VALUES[platform][name] for name in SECRETS[platform].required})


@pytest.mark.parametrize(("platform", "name"), [(p, name) for p, names in SECRETS.items() for name in names.required])
def test_each_required_secret_is_required(platform: Platform, name: str) -> None:
    secrets = {other: VALUES[platform][other] for other in SECRETS[platform].required if other != name}
    with pytest.raises(ValueError, match=f"Missing: {name}"):
        build_source(connection(platform), secrets)
    with pytest.raises(ValueError, match=f"Missing: {name}"):
        build_source(connection(platform), {**secrets, name: ""})


@pytest.mark.parametrize("platform", SECRETS)
def test_a_typing_mistake_does_not_go_unnoticed(platform: Platform) -> None:
    secrets = {name: VALUES[platform][name] for name in SECRETS[platform].required}
    with pytest.raises(ValueError, match="Not known: secondry_key") as caught:
        build_source(connection(platform), {**secrets, "secondry_key": "a-secret-value"})
    assert "a-secret-value" not in str(caught.value)


@pytest.mark.parametrize("platform", Platform)
def test_every_platform_has_a_row(platform: Platform) -> None:
    assert set(SECRETS[platform].required) <= VALUES[platform].keys()


@pytest.mark.parametrize("platform", Platform)
def test_no_platform_s_sdk_is_loaded_before_it_is_needed(platform: Platform) -> None:
    """They take half a second and more, which a webhook's answer need not wait for."""
    module = _CLASSES[platform][0]
    sdks = (
        "box_sdk_gen",
        "dropbox",
        "googleapiclient",
        "httplib2",
        "google.auth",
        "msgraph",
        "httpx",
        "azure.identity",
    )
    code = f"import sys, shared.sources.{module}; sys.exit(any(sdk in sys.modules for sdk in {sdks}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
