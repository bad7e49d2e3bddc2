"""Scripts whose mistake hangs on a switch: an argument, a condition, a loop, a conditional expression."""

import pytest

from evengrad.core.info import ModuleInfo, ParamInfo, SourceLine
from evengrad.core.plan import Act
from evengrad.errors import PatchError
from evengrad.patches import Facts
from tests.patches.written import PATH, assert_written, change, ran, written


def test_the_log_of_a_softmax_module_becomes_a_function_of_torch() -> None:
    script = """
        import torch
        from torch import nn

        class Head(nn.Module):
            def __init__(self):
                super().__init__()
                self.soft = nn.Softmax(dim=1)

            def forward(self, x):
                return torch.log(self.soft(x))

        finite = bool(Head()(torch.tensor([[0.0, 1000.0]])).isfinite().all())
    """
    new = assert_written(
        script,
        change(Act.GUARD, operation="log", lines=(10,)),
        """
        -        return torch.log(self.soft(x))
        +        return torch.log_softmax(x, dim=1)
        """,
    )
    assert not ran(script)["finite"]
    assert ran(new)["finite"]


def test_a_short_format_that_is_a_default_argument_or_a_variable_becomes_long() -> None:
    assert_written(
        """
        import torch

        kind = torch.bfloat16
        amp = torch.float16
        with torch.autocast("cpu", dtype=amp):
            pass

        def cast(x, dtype: torch.dtype = torch.float16):
            return x.to(dtype) if x.dtype != torch.float16 else x.to(kind)
        """,
        change(Act.PRECISION, dtype="float32"),
        """
        -kind = torch.bfloat16
        +kind = torch.float32
        -with torch.autocast("cpu", dtype=amp):
        +with torch.autocast("cpu", dtype=amp, enabled=False):
        -def cast(x, dtype: torch.dtype = torch.float16):
        +def cast(x, dtype: torch.dtype = torch.float32):
        """,
    )


READER = """
    import torch
    from torch import nn

    class Reader(nn.Module):
        def __init__(self, frozen):
            super().__init__()
            self.frozen = frozen
            self.body = nn.Linear(2, 2)

        def forward(self, x):
            with torch.set_grad_enabled({switch}):
                return self.body(x)
"""


def test_a_gradient_switch_that_is_off_is_turned_on() -> None:
    assert_written(
        READER.format(switch="not self.frozen"),
        change(Act.RECONNECT, modules=("body",), fault="no-grad"),
        """
        -        with torch.set_grad_enabled(not self.frozen):
        +        with torch.enable_grad():
        """,
    )


def test_a_gradient_switch_that_is_on_or_holds_the_whole_step_is_left() -> None:
    step = """
        import torch

        def epoch(model, x, optimizer, training):
            with torch.set_grad_enabled(training):
                loss = model.body(x).sum()
                if training:
                    loss.backward()
                    optimizer.step()
    """
    for script in (READER.format(switch="True"), step):
        with pytest.raises(PatchError, match="look between body and the loss"):
            written(script, change(Act.RECONNECT, modules=("body",), fault="no-grad"))


def test_an_optimizer_of_a_part_chosen_by_a_condition_gets_the_whole_model() -> None:
    parameters = tuple(
        ParamInfo(name, (2, 2), "float32", optimizer=optimizer, module=module)
        for name, module, optimizer in (("body.weight", "body", 0), ("head.weight", "head", -1))
    )
    modules = tuple(
        ModuleInfo(name, kind, SourceLine(PATH, line)) for name, kind, line in (("", "Net", 3), ("head", "Linear", 99))
    )
    assert_written(
        """
        import torch
        whole = False
        model = Net()
        optimizer = torch.optim.Adam((model if whole else model.body).parameters(), lr=3e-3)
        """,
        change(Act.RECONNECT, parameters=("head.weight",), fault="missing"),
        """
        -optimizer = torch.optim.Adam((model if whole else model.body).parameters(), lr=3e-3)
        +optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
        """,
        Facts(modules=modules, parameters=parameters),
    )


LOOP = """
    import torch
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu")
    for x in torch.randn(4, 3, 2):
        optimizer.zero_grad()
        {backward}
        {between}
"""


def test_a_loop_around_the_step_is_taken_away() -> None:
    between = "for _ in range(2):\n            optimizer.step()"
    assert_written(
        LOOP.format(backward="model(x).sum().backward()", between=between),
        change(Act.REORDER, fault="double-step"),
        """
        -    for _ in range(2):
        -        optimizer.step()
        +    optimizer.step()
        """,
    )


def test_an_unscale_under_a_condition_before_the_clip_always_runs() -> None:
    between = """if unscale:
            scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)"""
    assert_written(
        LOOP.format(backward="scaler.scale(model(x).sum()).backward()", between=between),
        change(Act.REORDER, fault="clip-before-unscale"),
        """
        -    if unscale:
        -        scaler.unscale_(optimizer)
        +    scaler.unscale_(optimizer)
        """,
    )


def test_a_clip_that_its_own_bound_switches_off_always_runs() -> None:
    between = """if max_norm is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()"""
    assert_written(
        LOOP.format(backward="model(x).sum().backward()", between=between),
        change(Act.CLIP, kind="norm", threshold=2.0),
        """
        -    if max_norm is not None:
        -        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        +    torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        """,
    )


def test_a_shortcut_goes_into_the_branch_that_has_none() -> None:
    block = ModuleInfo("blocks.0", "Linear", SourceLine(PATH, 99), called=SourceLine(PATH, 4))
    assert_written(
        """
        import torch.nn.functional as F
        def forward(self, x):
            for block in self.blocks:
                x = x + 0.2 * F.gelu(block(x)) if self.skip else F.gelu(block(x))
            return x
        """,
        change(Act.SKIP, modules=("blocks.0",), scale=0.15),
        """
        -        x = x + 0.2 * F.gelu(block(x)) if self.skip else F.gelu(block(x))
        +        x = x + 0.2 * F.gelu(block(x)) if self.skip else x + 0.15 * F.gelu(block(x))
        """,
        Facts(modules=(block,)),
    )


def test_a_scheduler_is_no_longer_handed_to_a_loop_that_can_do_without() -> None:
    assert_written(
        """
        import torch

        def fit(model, optimizer, *, scheduler=None):
            optimizer.step()
            if scheduler is not None:
                scheduler.step()

        model = torch.nn.Linear(2, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        fit(model, optimizer, scheduler=schedule)
        """,
        change(Act.OPTIMIZE, schedule="constant"),
        """
        -fit(model, optimizer, scheduler=schedule)
        +fit(model, optimizer)
        """,
    )
