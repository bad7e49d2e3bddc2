"""One server for all tests: to start it costs a second."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from evengrad.trials.job import Target
from evengrad.trials.process import Launcher

ARM = ("-m", "evengrad.cli.arm")


@pytest.fixture(autouse=True, scope="session")
def _importable() -> Iterator[None]:
    """Let the processes that tests start in other folders find the package."""
    import os

    source = str(Path(__file__).resolve().parents[2] / "src")
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = source
    yield
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


@pytest.fixture(scope="session")
def launcher(tmp_path_factory: pytest.TempPathFactory, _importable: None) -> Iterator[Launcher]:
    target = Target("none.py", False, (), str(tmp_path_factory.mktemp("server")))
    made = Launcher(ARM, target)
    made.warm_up()
    yield made
    made.close()
