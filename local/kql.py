"""What the app exported, as the tables of Application Insights, to be asked in KQL as the portal does."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import duckdb
import duckdb_kql

_TABLES = """
create table customMetrics (timestamp timestamp, name varchar, valueCount bigint, valueSum double, valueMin double,
    valueMax double, customDimensions json, operation_Id varchar);
create table traces (timestamp timestamp, message varchar, severityLevel int, customDimensions json,
    operation_Id varchar);
create table requests (timestamp timestamp, id varchar, name varchar, success varchar, duration double,
    customDimensions json, operation_Id varchar);
"""


class Store:
    """Tables in memory. The columns are those of "Application Insights data model" that the exporter fills."""

    def __init__(self, envelopes: Iterable[Mapping[str, Any]] = ()) -> None:
        """Begin with what was exported."""
        self._tables = duckdb.connect()
        self._tables.execute(_TABLES)
        for envelope in envelopes:
            self._load(envelope)

    def measure(self, at: datetime, name: str, value: float, **dimensions: object) -> None:
        """Add a metric of one record."""
        self._insert("customMetrics", at, name, 1, value, value, value, json.dumps(dimensions), "")

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Answer a query in KQL; the rows, by column."""
        answer = duckdb_kql.execute(self._tables, query)
        names = [column[0] for column in answer.description or ()]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]

    def _load(self, envelope: Mapping[str, Any]) -> None:
        data, at = envelope["data"]["baseData"], envelope["time"].removesuffix("Z")
        properties, trace = json.dumps(data.get("properties") or {}), envelope["tags"].get("ai.operation.id", "")
        match envelope["name"].rpartition(".")[2]:
            case "Metric":
                for one in data["metrics"]:
                    value = one["value"]
                    numbers = (one.get("count") or 1, value, one.get("min", value), one.get("max", value))
                    self._insert("customMetrics", at, one["name"], *numbers, properties, trace)
            case "Message":
                self._insert("traces", at, data["message"], data.get("severityLevel", 1), properties, trace)
            case "Request":
                spent = _milliseconds(data["duration"])
                self._insert("requests", at, data["id"], data["name"], str(data["success"]), spent, properties, trace)

    def _insert(self, table: str, *row: object) -> None:
        self._tables.execute(f"insert into {table} values ({', '.join('?' * len(row))})", row)  # noqa: S608


def _milliseconds(duration: str) -> float:
    """Read `d.hh:mm:ss.fff`."""
    days, _, rest = duration.partition(".")
    hours, minutes, seconds = rest.split(":")
    return 1000 * (float(seconds) + 60 * (int(minutes) + 60 * (int(hours) + 24 * int(days))))
