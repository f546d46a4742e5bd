"""Health for probes, open to anybody: alive, and ready to work. Counts for dashboards, for whoever may read."""

import asyncio
import json
import time
from datetime import timedelta

import azure.functions as func

from functions.answers import document, guarded
from functions.principal import Caller
from shared.settings import SettingsError
from shared.wiring import get_ports
from shared.workflows.ports import Ports
from shared.workflows.status import dependencies, status

blueprint = func.Blueprint()

_PATIENCE = timedelta(seconds=10)
_KEPT_SECONDS = 30  # whoever asks more often gets the answer from before: a stranger must not make us call Graph
_kept: tuple[float, dict[str, bool]] | None = None
_checking = asyncio.Lock()


@blueprint.route("health", methods=["GET"])
async def tell_alive(req: func.HttpRequest) -> func.HttpResponse:
    """200: the worker runs."""
    return _answer({"status": "alive"}, 200)


@blueprint.route("health/ready", methods=["GET"])
async def tell_ready(req: func.HttpRequest) -> func.HttpResponse:
    """200: configured, and everything that it needs answers; 503 names what does not."""
    global _kept
    try:
        ports = await get_ports()
        async with _checking:
            if _kept is None or time.monotonic() - _kept[0] > _KEPT_SECONDS:
                _kept = time.monotonic(), await dependencies(ports, _PATIENCE)
            found = {"settings": True, **_kept[1]}
    except SettingsError:
        found = {"settings": False}
    except Exception:  # the storage account did not answer while the worker was set up
        found = {"settings": True, "tables": False}
    ready = all(found.values())
    checks = {name: "ok" if answers else "does not answer" for name, answers in found.items()}
    return _answer({"status": "ready" if ready else "not ready", "checks": checks}, 200 if ready else 503)


@blueprint.route("status", methods=["GET"])
async def show_status(req: func.HttpRequest) -> func.HttpResponse:
    """Counts of people, messages and feeds."""

    async def work(ports: Ports, who: Caller) -> func.HttpResponse:
        return document(await status(ports))

    return await guarded(req, work)


def _answer(content: object, code: int) -> func.HttpResponse:
    return func.HttpResponse(
        json.dumps(content), status_code=code, mimetype="application/json", headers={"Cache-Control": "no-store"}
    )
