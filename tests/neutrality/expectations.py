"""What each script of tests/scripts is, and what a watched run must say of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(__file__).parents[1] / "scripts"


@dataclass(frozen=True)
class Expected:
    """What to run and what to expect.

    Attributes:
        verdict: The report's verdict.
        rules: Rules of which at least one must be among the findings; empty for healthy scripts.
        arguments: The script's command line.
        alone: It changes or reads the state of its process, so it can share one with no other script.
        report: The script leaves a report (``os._exit`` does not let us write one).
        module: It is started with ``-m``.
    """

    verdict: str = "healthy"
    rules: frozenset[str] = frozenset()
    arguments: tuple[str, ...] = ()
    alone: bool = False
    report: bool = True
    module: bool = False


def _sick(*rules: str) -> Expected:
    return Expected(verdict="sick", rules=frozenset(rules))


_UNKNOWN = Expected(verdict="unknown")
_ALONE = Expected(alone=True)

# Everything that is not named here is healthy, takes no arguments and may share a process with others.
_SPECIAL: dict[str, Expected] = {
    "sick_clip_scaled": _sick("loop-order"),
    "sick_dead_relu": _sick("dead-units"),
    "sick_deep_sigmoid": _sick("vanishing-gradient"),
    "sick_exploding_rnn": _sick("exploding-gradient"),
    "sick_forgotten_parameters": _sick("loop-order", "no-gradient"),
    "sick_learning_rate": _sick("update-too-large"),
    "sick_nan_loss": _sick("non-finite"),
    "sick_no_zero_grad": _sick("loop-order"),
    "sick_saturated_inputs": _sick("saturated-activation", "input-scale"),
    # No optimizer's step is ever seen.
    "functorch_only": _UNKNOWN,
    "manual_update": _UNKNOWN,
    "no_training": _UNKNOWN,
    "no_torch": Expected(verdict="unknown", alone=True, arguments=("--flag", "value")),
    "hogwild": Expected(verdict="unknown", alone=True),
    "argparse_main": Expected(
        alone=True, arguments=("--lr", "0.02", "--epochs", "6", "--seed", "3", "--verbose", "a b")
    ),
    "package_demo": Expected(alone=True, module=True, arguments=("--anything", "x")),
    "os_exit": Expected(alone=True, report=False),
} | dict.fromkeys(
    (
        "anomaly_mode",
        "async_training",
        "compile_aot_eager",
        "compile_eager",
        "compile_inductor",
        "compile_step_function",
        "dataloader_fork",
        "dataloader_spawn",
        "ddp_gloo",
        "double_precision",
        "exception_backward_twice",
        "exception_in_backward",
        "exception_in_closure",
        "exception_midway",
        "exit_message",
        "jit_script",
        "keyboard_interrupt",
        "late_import",
        "main_introspection",
        "meta_device",
        "mp_fork_children",
        "mp_spawn_children",
        "mp_threads",
        "profiler_and_modes",
        "replaced_streams",
        "save_whole_model",
        "self_subprocess",
        "strict_warnings",
        "sys_exit_3",
        "thread_env",
        "warning_lines",
    ),
    _ALONE,
)

EXPECTED: dict[str, Expected] = {
    path.stem: _SPECIAL.get(path.stem, Expected())
    for path in sorted(SCRIPTS.iterdir())
    if path.stem != "fingerprint" and (path.suffix == ".py" or (path / "__main__.py").exists())
}

# The default suite runs these; the others are marked slow. One of each kind that once was a trap somewhere.
QUICK_ALONE = ("argparse_main", "exception_backward_twice", "late_import", "mp_fork_children")
QUICK_TOGETHER = (
    "adam_closure",
    "autocast_bf16",
    "checkpoint_nonreentrant",
    "checkpoint_reentrant",
    "clip_variants",
    "complex_params",
    "conv_bn_inplace",
    "custom_function",
    "custom_optimizer",
    "ema_deepcopy",
    "evolution_strategy",
    "frozen_backbone",
    "functorch_per_sample",
    "fused_optimizers",
    "gan_two_optimizers",
    "grad_accumulation",
    "gradscaler_cpu",
    "gru_bidirectional",
    "jit_trace",
    "lbfgs_closure",
    "leaf_tensors",
    "manual_update",
    "no_training",
    "optimizer_in_backward",
    "packed_lstm",
    "parametrizations",
    "pinn_burgers",
    "rebuilt_model",
    "retain_graph_twice",
    "save_resume",
    "saved_tensors_hooks",
    "sick_exploding_rnn",
    "sick_nan_loss",
    "sparse_embedding",
    "structured_outputs",
    "tensor_subclass",
    "tiny_gpt",
    "user_hooks",
)
