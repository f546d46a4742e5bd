"""A backup of the tables comes back as it was, in Azurite."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from azure.data.tables import EntityProperty, TableServiceClient

from infra.tables import CopyError, backup, restore
from shared.storage.account import TABLES
from tests.azurite import Azurite

# More rows than a transaction takes, rows that are too large for one together, and every kind of value.
ROWS: list[dict[str, Any]] = [
    *({"PartitionKey": "many", "RowKey": f"{number:04}", "text": "ü\n" * number} for number in range(250)),
    *(
        {"PartitionKey": "large", "RowKey": str(row), **{f"column{number}": "x" * 30_000 for number in range(14)}}
        for row in range(12)
    ),
    {"PartitionKey": "kinds", "RowKey": "0", "number": 7, "truth": True, "long": EntityProperty(2**40, "Edm.Int64")},
]


@pytest.fixture
async def service() -> AsyncIterator[TableServiceClient]:
    """An account whose tables are there, and empty."""
    async with Azurite() as azurite:
        with TableServiceClient.from_connection_string(azurite.connection_string) as opened:
            for name in TABLES:
                opened.create_table(name)
            yield opened


def rows(service: TableServiceClient, table: str) -> list[dict[str, Any]]:
    return [dict(row) for row in service.get_table_client(table).list_entities()]


def test_a_backup_comes_back_as_it_was(service: TableServiceClient, tmp_path: Path) -> None:
    guests, history = service.get_table_client("guests"), service.get_table_client("history")
    for row in ROWS:
        guests.upsert_entity(row)
    history.upsert_entity({"PartitionKey": "p", "RowKey": "r", "json": '{"edm": 1, "value": 2}'})
    before = {name: rows(service, name) for name in TABLES}
    assert backup(service, tmp_path / "backup") == {name: len(found) for name, found in before.items()}
    for row in ROWS:
        guests.delete_entity(row)
    history.delete_entity("p", "r")
    assert restore(service, tmp_path / "backup")["guests"] == len(ROWS)
    assert {name: rows(service, name) for name in TABLES} == before


def test_nothing_is_overwritten(service: TableServiceClient, tmp_path: Path) -> None:
    service.get_table_client("worklist").upsert_entity({"PartitionKey": "p", "RowKey": "r"})
    backup(service, tmp_path)
    with pytest.raises(CopyError, match="not empty: a backup goes into a folder of its own"):
        backup(service, tmp_path)
    with pytest.raises(CopyError, match="table worklist is not empty"):
        restore(service, tmp_path)


def test_half_a_backup_is_refused_before_anything_is_written(service: TableServiceClient, tmp_path: Path) -> None:
    service.get_table_client("guests").upsert_entity({"PartitionKey": "p", "RowKey": "r"})
    backup(service, tmp_path)
    service.get_table_client("guests").delete_entity("p", "r")
    (tmp_path / "batches.jsonl").unlink()
    with pytest.raises(CopyError, match="has no batches"):
        restore(service, tmp_path)
    assert rows(service, "guests") == []
