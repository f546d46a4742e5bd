"""A SecuriSync account behind a relay, and the document of the contract's page."""

import base64
import copy
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.platforms.relay import delivery
from shared.domain.connections import Connection
from shared.sources.inbound import InboundSource

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "inbound-contract.md").read_text()
(EXAMPLE_TEXT,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
(RELAY,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
EXAMPLE: dict[str, Any] = json.loads(EXAMPLE_TEXT)

SECRET = "whsec_" + base64.b64encode(bytes(range(24))).decode()
OTHER_SECRET = "whsec_" + base64.b64encode(bytes(range(1, 33))).decode()
NOW = datetime(2026, 11, 22, 8, 45, tzinfo=UTC)
CONNECTION = Connection.model_validate(
    {
        "id": "securisync",
        "platform": "securisync",
        "internal_domains": ["contoso.example"],
        "routes": [{"source": "/", "drive": "d"}],
        "secrets": {},
    }
)
SOURCE = InboundSource(CONNECTION, {"signing_secret": SECRET})


def changed(path: str, value: Any) -> dict[str, Any]:
    """The example with one value put at a path like `data.item.id`; `...` takes it out."""
    document = copy.deepcopy(EXAMPLE)
    *parents, last = path.split(".")
    part = document
    for name in parents:
        part = part[name]
    part[last] = value
    if value is ...:
        del part[last]
    return document


def post(document: Any = EXAMPLE, at: datetime = NOW, source: InboundSource = SOURCE) -> str:
    return source.authenticate(*delivery(document, SECRET, at, "msg_1"), NOW).id
