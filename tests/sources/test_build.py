"""Every platform is built from its secrets alone, or says what it needs."""

import subprocess
import sys

import pytest

from shared.domain.connections import Connection
from shared.domain.platforms import Platform
from shared.sources import SECRETS, build_source
from tests.sources import box_samples, inbound_samples

VALUES = {**box_samples.SECRETS, "signing_secret": inbound_samples.SECRET}


def connection(platform: Platform) -> Connection:
    return box_samples.CONNECTION.model_copy(update={"platform": platform})


@pytest.mark.parametrize("platform", SECRETS)
def test_the_required_secrets_are_enough(platform: Platform) -> None:
    assert build_source(connection(platform), {name: VALUES[name] for name in SECRETS[platform].required})


@pytest.mark.parametrize(("platform", "name"), [(p, name) for p, names in SECRETS.items() for name in names.required])
def test_each_required_secret_is_required(platform: Platform, name: str) -> None:
    secrets = {other: VALUES[other] for other in SECRETS[platform].required if other != name}
    with pytest.raises(ValueError, match=f"Missing: {name}"):
        build_source(connection(platform), secrets)
    with pytest.raises(ValueError, match=f"Missing: {name}"):
        build_source(connection(platform), {**secrets, name: ""})


@pytest.mark.parametrize("platform", SECRETS)
def test_a_typing_mistake_does_not_go_unnoticed(platform: Platform) -> None:
    secrets = {name: VALUES[name] for name in SECRETS[platform].required}
    with pytest.raises(ValueError, match="Not known: secondry_key") as caught:
        build_source(connection(platform), {**secrets, "secondry_key": "a-secret-value"})
    assert "a-secret-value" not in str(caught.value)


@pytest.mark.parametrize("platform", sorted(set(Platform) - set(SECRETS)))
def test_other_platforms_are_not_supported_yet(platform: Platform) -> None:
    with pytest.raises(ValueError, match=f"'{platform.value}' is not supported yet"):
        build_source(connection(platform), {})


def test_box_s_sdk_is_not_loaded_before_it_is_needed() -> None:
    """It takes half a second, which a webhook's answer need not wait for."""
    code = "import sys, shared.sources.box; sys.exit('box_sdk_gen' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
