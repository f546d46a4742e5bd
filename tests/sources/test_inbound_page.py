"""The page of the inbound contract tells the truth, and its relay runs."""

import asyncio
import inspect
import json
import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from aiohttp import web

from shared.domain.events import ShareEvent
from shared.domain.trouble import RejectedError
from shared.sources import inbound
from shared.sources.inbound import contract_schema
from shared.sources.wire import Rejection
from tests.sources.inbound_samples import (
    DOCS,
    EXAMPLE,
    OTHER_SECRET,
    PAGE,
    RELAY,
    SECRET,
    SOURCE,
    changed,
    post,
)


def test_the_schema_file_is_that_of_the_models() -> None:
    assert json.loads((DOCS / "inbound-contract.schema.json").read_text()) == contract_schema()
    jsonschema.Draft202012Validator.check_schema(contract_schema())


def test_the_example_keeps_the_contract() -> None:
    jsonschema.validate(EXAMPLE, contract_schema(), jsonschema.Draft202012Validator)
    assert post()


def _fields(schema: Mapping[str, Any], part: Mapping[str, Any], prefix: str = "") -> dict[str, bool]:
    """Every field by its path, with whether the object that holds it requires it."""
    found = {}
    for name, field in part["properties"].items():
        found[prefix + name] = name in part.get("required", [])
        for choice in [field, *field.get("anyOf", [])]:
            inner = schema["$defs"].get(choice.get("$ref", "").rpartition("/")[2], {})
            if "properties" in inner:
                found |= _fields(schema, inner, f"{prefix}{name}.")
    return found


def test_the_page_names_every_field_and_every_code() -> None:
    schema = contract_schema()
    fields, _, answers = PAGE.partition("## Fields")[2].partition("## Answers")
    told = dict(re.findall(r"^\| `([\w.]+)` \| (yes|no|\(yes\)) \|", fields, re.MULTILINE))
    assert {name: required == "yes" for name, required in told.items()} == _fields(schema, schema)
    codes = dict(re.findall(r"^\| `([\w-]+)` \| (\d+) \|", answers, re.MULTILINE))
    of_the_host = {"connection-unknown": "404", "body-too-large": "413", "not-ready": "503"}
    names = {"HEADER_REPEATED", *re.findall(r"Rejection\.([A-Z_]+)", inspect.getsource(inbound))}
    ours = {code.value: str(code.status) for code in Rejection if code.name in names}
    assert codes == {**of_the_host, **ours}


@pytest.mark.parametrize(("secret", "status"), [(SECRET, 202), (OTHER_SECRET, 401)])
async def test_the_page_s_relay_runs(tmp_path: Path, secret: str, status: int) -> None:
    seen: list[ShareEvent] = []

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        try:
            SOURCE.authenticate(request.headers, body, datetime.now(UTC))
        except RejectedError as rejected:
            return web.json_response({"code": rejected.code, "message": rejected.sentence}, status=rejected.status)
        seen.extend(SOURCE.read(body))
        return web.json_response({"code": "accepted"}, status=202)

    app = web.Application()
    app.router.add_post("/api/webhooks/securisync", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    document = changed("time", datetime.now(UTC).isoformat())
    (tmp_path / "document.json").write_text(json.dumps(document, ensure_ascii=False))
    (tmp_path / "relay.py").write_text(RELAY)
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/webhooks/securisync"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "relay.py",
        "document.json",
        cwd=tmp_path,
        env={**os.environ, "GUESTPASS_URL": url, "GUESTPASS_SIGNING_SECRET": secret, "NO_PROXY": "127.0.0.1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    await runner.cleanup()
    assert err.decode() == ""
    assert out.decode().startswith(str(status))
    assert process.returncode == (0 if status == 202 else 1)
    assert [event.reference for event in seen] == (["share-12345"] if status == 202 else [])
