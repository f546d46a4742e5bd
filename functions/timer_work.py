"""What every timer does around its workflow: a heartbeat when the work came to its end."""

from collections.abc import Awaitable, Callable

from shared import telemetry
from shared.wiring import get_ports
from shared.workflows.ports import Ports


async def on_time(timer: str, *workflows: Callable[[Ports], Awaitable[int | None]]) -> None:
    """Run the workflows one after the other. An exception is the host's to report, and leaves no heartbeat."""
    ports = await get_ports()
    found = 0
    for workflow in workflows:
        found += await workflow(ports) or 0
    telemetry.ran(timer, found)
