"""python -m local.portal: the workbook's panels as a picture, from the telemetry of a demo."""

import argparse
import asyncio
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment

from local.browser import headless
from local.demo.__main__ import TELEMETRY
from local.kql import Store
from local.world import ROOT

WORKBOOK = ROOT / "infra" / "monitoring" / "workbook.json"
PICTURE = ROOT / "docs" / "pictures" / "workbook.png"
_ROWS = 12  # of a panel; the portal scrolls

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Workbook</title><style>
body { font: 13px/1.4 "Segoe UI", "DejaVu Sans", sans-serif; margin: 0; padding: 20px; background: #faf9f8; }
main { display: flex; flex-wrap: wrap; gap: 16px; width: 1320px; }
section { background: #fff; border: 1px solid #e1dfdd; padding: 12px 16px; box-sizing: border-box; }
h2 { font-size: 15px; margin: 0 0 8px; } p { margin: 6px 0 0; color: #605e5c; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: 3px 10px 3px 0; }
th { color: #605e5c; border-bottom: 1px solid #e1dfdd; } td { overflow-wrap: anywhere; }
.bar { display: inline-block; height: 12px; background: #0078d4; vertical-align: middle; margin-right: 8px; }
</style><main>{% for panel in panels %}<section style="width: {{ 652 if panel.width == '50' else 1320 }}px">
<h2>{{ panel.title }}</h2>{% set rows = panel.rows[:most] %}
{% if not rows %}<p>No rows in this time.</p>{% elif panel.bars %}
{% set top = rows | map(attribute=panel.columns[1]) | max %}
<table>{% for row in rows %}<tr><td style="width: 210px">{{ row[panel.columns[0]] }}</td><td>
<span class="bar" style="width: {{ (row[panel.columns[1]] / top * 330) | round }}px"></span>
{{ row[panel.columns[1]] | cell }}</td></tr>{% endfor %}</table>{% else %}
<table><tr>{% for name in panel.columns %}<th>{{ name }}</th>{% endfor %}</tr>
{% for row in rows %}<tr>{% for name in panel.columns %}<td>{{ row[name] | cell }}</td>{% endfor %}</tr>{% endfor %}
</table>{% if panel.rows | length > most %}<p>and {{ panel.rows | length - most }} more</p>{% endif %}{% endif %}
</section>{% endfor %}</main></html>"""


def panels(store: Store) -> list[dict[str, Any]]:
    """Return each panel of the workbook with its rows; the parameter Share is one that needs attention."""
    queries = [item for item in json.loads(WORKBOOK.read_text())["items"] if item["type"] == 3]
    failures = next(item["content"]["query"] for item in queries if item["name"] == "failures")
    failed = store.ask(with_parameters(failures, ""))
    share = failed[0]["share"] if failed else ""
    found = []
    for item in queries:
        content = item["content"]
        rows = store.ask(with_parameters(content["query"], share))
        found.append(
            {
                "name": item["name"],
                "title": content["title"],
                "width": item["customWidth"],
                "bars": content["visualization"] == "barchart",
                "columns": list(rows[0]) if rows else [],
                "rows": rows,
            }
        )
    return found


def with_parameters(query: str, share: str) -> str:
    """Put the workbook's parameters in, as the portal does."""
    return query.replace("timestamp {TimeRange}", "timestamp > ago(1d)").replace("{Share}", share)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if value == round(value) else f"{value:,.2f}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return "" if value is None else str(value)


async def run(exported: str, picture: Path) -> int:
    """Draw the picture."""
    environment = Environment(autoescape=True)
    environment.filters["cell"] = _cell
    store = Store(json.loads(exported))
    async with headless() as browser:
        page = await browser.new_page(viewport={"width": 1360, "height": 900})
        await page.set_content(environment.from_string(_PAGE).render(panels=panels(store), most=_ROWS))
        await page.screenshot(path=picture, full_page=True)
    return 0


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m local.portal", description="The workbook as a picture.")
    parser.add_argument("telemetry", nargs="?", type=Path, default=TELEMETRY)
    parser.add_argument("picture", nargs="?", type=Path, default=PICTURE)
    options = parser.parse_args()
    return asyncio.run(run(options.telemetry.read_text(), options.picture))


if __name__ == "__main__":
    sys.exit(main())
