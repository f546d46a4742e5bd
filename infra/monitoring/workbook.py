"""Writes workbook.json, the Azure Monitor workbook, from the queries beside it: `make docs`. A test keeps it fresh."""

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
WORKBOOK = HERE / "workbook.json"
_RESOURCE = "microsoft.insights/components"
_HOUR = 3_600_000  # milliseconds
_SCHEMA = "https://github.com/Microsoft/Application-Insights-Workbooks/blob/master/schema/workbook.json"

_INTRODUCTION = """# Guestpass

Outside people's access on its way from the source platforms to SharePoint. People are guest keys here and shares are
ids; the administrators' page says whom and what they mean. What each alert asks for stands in docs/operations.md."""

# Query, title, how it is drawn, and the width in percent.
_PANELS = (
    ("funnel", "From webhook to access", "barchart", 50),
    ("waiting", "People waiting, and the age of the oldest", "table", 50),
    ("platforms", "Source accounts: feeds by health", "table", 50),
    ("subscriptions", "Source accounts: hours until the next subscription ends", "table", 50),
    ("decisions", "What share events came to", "table", 50),
    ("delays", "Delays in seconds", "table", 50),
    ("graph", "Calls of Microsoft Graph", "table", 50),
    ("budget", "Budgets: most of the burst that was used", "table", 50),
    ("deliveries", "Webhooks", "table", 50),
    ("queues", "Queues", "table", 50),
    ("timers", "Timers and reconciliation", "table", 50),
    ("poison", "Failed for good", "table", 50),
    ("failures", "Shares that need attention", "table", 100),
    ("share", "The story of the share in the parameter", "table", 50),
    ("trace", "The work in its traces", "table", 50),
)


def workbook() -> dict[str, Any]:
    """Return the workbook."""
    items = [
        {"type": 1, "content": {"json": _INTRODUCTION}, "name": "introduction"},
        {"type": 9, "content": _parameters(), "name": "parameters"},
        *(_panel(*panel) for panel in _PANELS),
    ]
    return {"version": "Notebook/1.0", "items": items, "fallbackResourceIds": [], "$schema": _SCHEMA}


def _parameters() -> dict[str, Any]:
    version = "KqlParameterItem/1.0"
    spans = [{"durationMs": hours * _HOUR} for hours in (1, 4, 24, 72, 168, 720)]
    time_range = {
        "id": "6b2f7a0e-5a52-4b0f-8f0a-4f3f0b8f6c01",
        "version": version,
        "name": "TimeRange",
        "label": "Time range",
        "type": 4,
        "isRequired": True,
        "value": {"durationMs": 24 * _HOUR},
        "typeSettings": {"selectableValues": spans, "allowCustom": True},
    }
    share = {
        "id": "6b2f7a0e-5a52-4b0f-8f0a-4f3f0b8f6c02",
        "version": version,
        "name": "Share",
        "label": "Share (id)",
        "type": 1,
        "value": "",
    }
    return {
        "version": version,
        "parameters": [time_range, share],
        "style": "pills",
        "queryType": 0,
        "resourceType": _RESOURCE,
    }


def _panel(name: str, title: str, visualization: str, width: int) -> dict[str, Any]:
    return {
        "type": 3,
        "content": {
            "version": "KqlItem/1.0",
            "query": (HERE / "queries" / f"{name}.kql").read_text(),
            "size": 0,
            "title": title,
            "timeContextFromParameter": "TimeRange",
            "queryType": 0,
            "resourceType": _RESOURCE,
            "visualization": visualization,
        },
        "customWidth": str(width),
        "name": name,
    }


def text() -> str:
    """Return the file's content."""
    return json.dumps(workbook(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    WORKBOOK.write_text(text())
    sys.exit(0)
