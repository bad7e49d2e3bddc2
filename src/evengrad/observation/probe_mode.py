"""The mode that torch is in while a probe step runs: eager, and with operations that remember who called them."""

from __future__ import annotations

import torch


class ProbeMode:
    """Enters and leaves that mode; leaves alone what the user has set.

    Compiled code runs eagerly on probe steps only where its backend rounds as eager code does. Others (inductor fuses
    kernels) are left alone and looked at from outside: a watched run must stay identical to the bit.
    """

    def __init__(self) -> None:
        self.compiled = False  # whether the run compiles anything
        self.exact = True  # whether running that eagerly gives the same bits
        self.lines_wanted = 1  # probes whose operations are to be traced back to source lines
        self._traces_lines = False

    def enter(self) -> None:
        """Prepare torch for the forward pass of a probe step."""
        self.force_eager()
        if self.lines_wanted > 0 and not torch.is_anomaly_enabled():
            self.lines_wanted -= 1
            self._traces_lines = True
            # Only so that operations remember who called them; nothing is checked.
            torch.set_anomaly_enabled(True, False)

    def force_eager(self) -> None:
        """Run compiled code as it was written: no hook of ours may exist while it is traced."""
        if self.compiled and self.exact:
            torch.compiler.set_stance("force_eager")

    def stop_tracing_lines(self) -> None:
        """Let operations forget their callers again."""
        if self._traces_lines:
            self._traces_lines = False
            if torch.is_anomaly_enabled() and not torch.is_anomaly_check_nan_enabled():
                torch.set_anomaly_enabled(False)

    def leave(self) -> None:
        """Bring torch back to what it was."""
        self.stop_tracing_lines()
        if self.compiled and self.exact:
            torch.compiler.set_stance("default")
