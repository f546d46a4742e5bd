"""What all tests share: the counts of the exhaustive runs, printed at the end whichever process they ran in."""

from collections import Counter
from typing import Any

import pytest

COUNTS: Counter[str] = Counter()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand this worker's counts to the process that prints."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["counts"] = dict(COUNTS)


class _Collector:
    """Takes the workers' counts; a plugin of its own because the hook exists only with pytest-xdist."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Add what a worker counted."""
        COUNTS.update(getattr(node, "workeroutput", {}).get("counts", {}))


def pytest_configure(config: pytest.Config) -> None:
    """Listen to the workers."""
    config.pluginmanager.register(_Collector())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how much the exhaustive tests covered."""
    for what, number in sorted(COUNTS.items()):
        terminalreporter.write_line(f"{what}: {number:,}")
