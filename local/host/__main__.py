"""python -m local.host --app DIR --port N: host one function app until interrupted."""

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from local.host.errors import HostError
from local.host.host import Host


async def host_app(app_dir: Path, port: int) -> None:
    serving = asyncio.current_task()
    assert serving is not None
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_number, serving.cancel)
    async with Host(app_dir, port=port) as host:
        print(f"host listening on {host.url}", flush=True)
        await host.serve()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.host", description="The local Functions host.")
    parser.add_argument("--app", type=Path, required=True, help="directory of function_app.py and host.json")
    parser.add_argument("--port", type=int, default=7071, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--verbose", action="store_true", help="print each invocation, and stack traces")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO if arguments.verbose else logging.WARNING, format="%(name)s: %(message)s")
    logging.getLogger("azure").setLevel(logging.WARNING)
    try:
        asyncio.run(host_app(arguments.app, arguments.port))
    except asyncio.CancelledError:
        return 0
    except HostError as error:
        details = getattr(error, "__notes__", []) if arguments.verbose else []
        print("\n".join([str(error), *details]), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
