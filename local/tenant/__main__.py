"""Run the simulated tenant on the loopback interface."""

import argparse
import asyncio
import signal

from aiohttp import web

from local.tenant.app import create_app
from local.tenant.login import Registration


async def serve(port: int, identity_secret: str, registration: Registration) -> None:
    """Listen until the process is told to end; port 0 takes a free one and the line on stdout names it."""
    runner = web.AppRunner(create_app(identity_secret, registration))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    print(f"tenant listening on http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()
    await runner.cleanup()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m local.tenant", description="A simulated Microsoft 365 tenant.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--identity-secret", default="local")
    parser.add_argument("--tenant-id", default=Registration.tenant_id)
    parser.add_argument("--client-id", default="", help="of the app that may sign in with a secret")
    parser.add_argument("--client-secret", default="")
    arguments = parser.parse_args()
    registration = Registration(arguments.tenant_id, arguments.client_id, arguments.client_secret)
    asyncio.run(serve(arguments.port, arguments.identity_secret, registration))


if __name__ == "__main__":
    main()
