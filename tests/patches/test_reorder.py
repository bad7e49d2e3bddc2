"""Calls of the loop are put in order by moving, adding or removing whole statements."""

from __future__ import annotations

import pytest

from evengrad.core.plan import Act
from evengrad.errors import PatchError
from tests.patches.written import change, written

LOOP = """
import torch
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for x in data:
    {body}
"""


def loop(*lines: str) -> str:
    """Return a training loop with some statements."""
    return LOOP.format(body="\n    ".join(lines))


@pytest.mark.parametrize(
    ("fault", "before", "after"),
    [
        pytest.param(
            "zero-grad-missing",
            ["loss = f(x)", "loss.backward()", "opt.step()"],
            ["loss = f(x)", "opt.zero_grad()", "loss.backward()", "opt.step()"],
            id="zero_grad is missing",
        ),
        pytest.param(
            "zero-grad-missing",
            ["loss = f(x)", "opt.zero_grad", "loss.backward()", "opt.step()"],
            ["loss = f(x)", "opt.zero_grad()", "loss.backward()", "opt.step()"],
            id="zero_grad without its parentheses",
        ),
        pytest.param(
            "zero-grad-missing",
            ["f(x).backward()", "if last(x):", "    opt.step()"],
            ["f(x).backward()", "if last(x):", "    opt.step()", "    opt.zero_grad()"],
            id="zero_grad with accumulation",
        ),
        pytest.param(
            "zero-grad-missing",
            ["loss = f(x); loss.backward(); opt.step()"],
            ["loss = f(x); opt.zero_grad(); loss.backward(); opt.step()"],
            id="zero_grad on one line",
        ),
        pytest.param(
            "zero-grad-before-step",
            ["loss = f(x)", "loss.backward()", "# begin anew", "opt.zero_grad()", "opt.step()"],
            ["loss = f(x)", "# begin anew", "opt.zero_grad()", "loss.backward()", "opt.step()"],
            id="zero_grad between backward and step, with its comment",
        ),
        pytest.param(
            "zero-grad-before-step",
            ["loss.backward(); opt.zero_grad(); opt.step()"],
            ["opt.zero_grad()", "loss.backward(); opt.step()"],
            id="zero_grad between backward and step on one line",
        ),
        pytest.param(
            "clip-before-backward",
            ["loss = f(x)", "norm = nn.utils.clip_grad_norm_(ps, 1)  # tight", "loss.backward()", "opt.step()"],
            ["loss = f(x)", "loss.backward()", "norm = nn.utils.clip_grad_norm_(ps, 1)  # tight", "opt.step()"],
            id="clip before backward",
        ),
        pytest.param(
            "clip-before-backward",
            ["if clip:", "    clip_grad_norm_(ps, 1)", "f(x).backward()", "opt.step()"],
            ["f(x).backward()", "if clip:", "    clip_grad_norm_(ps, 1)", "opt.step()"],
            id="clip before backward, with its condition",
        ),
        pytest.param(
            "clip-before-backward",
            ["clip_grad_norm_(ps, 1)", "f(x).backward()", "if last(x):", "    opt.step()"],
            ["f(x).backward()", "if last(x):", "    clip_grad_norm_(ps, 1)", "    opt.step()"],
            id="clip before backward, with accumulation",
        ),
        pytest.param(
            "clip-after-step",
            ["loss.backward()", "opt.step()", "clip_grad_norm_(ps, 1)", "opt.zero_grad()"],
            ["loss.backward()", "clip_grad_norm_(ps, 1)", "opt.step()", "opt.zero_grad()"],
            id="clip after step",
        ),
        pytest.param(
            "clip-after-step",
            ["loss.backward(); opt.step(); clip_grad_norm_(ps, 1)"],
            ["loss.backward(); clip_grad_norm_(ps, 1); opt.step()"],
            id="clip after step on one line",
        ),
        pytest.param(
            "clip-before-unscale",
            ["scaler.scale(f(x)).backward()", "clip_grad_norm_(ps, 1)", "scaler.step(opt)"],
            ["scaler.scale(f(x)).backward()", "scaler.unscale_(opt)", "clip_grad_norm_(ps, 1)", "scaler.step(opt)"],
            id="no unscale",
        ),
        pytest.param(
            "clip-before-unscale",
            ["scaler.scale(f(x)).backward()", "clip_grad_norm_(ps, 1)", "scaler.unscale_(opt)", "scaler.step(opt)"],
            ["scaler.scale(f(x)).backward()", "scaler.unscale_(opt)", "clip_grad_norm_(ps, 1)", "scaler.step(opt)"],
            id="unscale too late",
        ),
        pytest.param(
            "double-step",
            ["loss.backward()", "opt.step()", "log(x)", "opt.step()"],
            ["loss.backward()", "opt.step()", "log(x)"],
            id="two steps",
        ),
        pytest.param(
            "double-step",
            ["scaler.scale(f(x)).backward()", "scaler.step(opt)", "scaler.update()", "opt.step()"],
            ["scaler.scale(f(x)).backward()", "scaler.step(opt)", "scaler.update()"],
            id="a step beside the scaler's",
        ),
        pytest.param(
            "step-without-backward",
            ["loss = f(x)", "opt.zero_grad()", "opt.step()", "loss.backward()"],
            ["loss = f(x)", "opt.zero_grad()", "loss.backward()", "opt.step()"],
            id="step before backward",
        ),
    ],
)
def test_one_fault_in_the_order_is_repaired(fault: str, before: list[str], after: list[str]) -> None:
    assert written(loop(*before), change(Act.REORDER, fault=fault)) == loop(*after).lstrip()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("indent", ["  ", "\t", "    "])
def test_the_file_keeps_its_line_ends_and_indentation(end: str, indent: str) -> None:
    script = loop("if x:", "    f(x).backward()", "    opt.step()").lstrip().replace("    ", indent).replace("\n", end)
    patched = written(script, change(Act.REORDER, fault="zero-grad-missing"))
    line = f"{indent * 2}opt.zero_grad(){end}"
    assert line in patched
    assert patched.replace(line, "") == script


@pytest.mark.parametrize(
    ("fault", "script", "instruction"),
    [
        ("double-step", loop("loss.backward()", "opt.step()"), "near train.py:5: step once for each backward pass"),
        ("clip-after-step", loop("loss.backward()", "opt.step()"), "move the clip to between backward and step"),
        ("step-without-backward", loop("f(x)", "opt.step()"), "call backward on the loss before the step"),
        ("clip-before-unscale", loop("l.backward()", "clip_grad_norm_(p, 1)", "opt.step()"), "scaler.unscale_"),
        (
            "clip-before-unscale",
            loop("s.scale(l).backward()", "s.unscale_(opt)", "clip_grad_norm_(p, 1)", "s.step(opt)"),
            "scaler.unscale_",
        ),
        ("zero-grad-missing", "for p in ps:\n    p.data -= p.grad\n", "no call of an optimizer's"),
    ],
)
def test_a_fault_that_is_not_in_the_source_given_is_told(fault: str, script: str, instruction: str) -> None:
    with pytest.raises(PatchError, match=instruction):
        written(script, change(Act.REORDER, fault=fault))
