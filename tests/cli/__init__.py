"""The command line, run as a user runs it."""

import pytest

pytest.register_assert_rewrite("tests.cli.harness")
