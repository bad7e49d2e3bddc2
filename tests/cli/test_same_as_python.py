"""A watched program cannot tell the difference: every kind of start, of ending and of output is python's own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.harness import assert_same_as_python, environment
from tests.cli.programs import IDENTITY, PARALLEL, PROGRAMS


def write(folder: Path, text: str | bytes, name: str = "script.py") -> None:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)


@pytest.mark.parametrize("kind", PROGRAMS)
def test_script_shows_what_python_shows(kind: str, tmp_path: Path) -> None:
    write(tmp_path, PROGRAMS[kind])
    write(tmp_path, "x = 1\ndef f(:\n", "broken.py")
    for name in ("calendar", "click", "typer", "evengrad_helper"):
        write(tmp_path, "mine = True", f"{name}.py")
    assert_same_as_python(tmp_path, ["script.py", "--lr", "0.1", "-h", "--", "--json", "x"], stdin="typed in\n")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_finds_the_script(method: str, tmp_path: Path) -> None:
    write(tmp_path, PARALLEL.format(method=method))
    assert "[2, 4]" in assert_same_as_python(tmp_path, ["script.py"]).stdout


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbfprint('with a mark \xc3\xa9')\n1/0\n",
        b"# coding: latin-1\nprint('caf\xe9')\n1/0\n",
        b"print('one')\r\nif True:\r\n    print('''two\r\nlines''')\r\n1/0\r\n",
        b"print('no newline at the end')",
        b"",
        b"\x0c\nprint('form feed')\n",
        "print('梯度')\nraise ValueError('梯度消失')\n".encode(),
    ],
    ids=["mark", "cookie", "crlf", "no-newline", "empty", "form-feed", "chinese"],
)
def test_every_encoding_is_read_as_python_reads_it(text: bytes, tmp_path: Path) -> None:
    write(tmp_path, text)
    assert_same_as_python(tmp_path, ["script.py"], PYTHONIOENCODING="utf-8")


@pytest.mark.parametrize("path", ["script.py", "./script.py", "sub/../script.py", "sub/link.py", "sub/inner.py"])
def test_every_spelling_of_the_path_is_python_s(path: str, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "link.py").symlink_to("../script.py")
    for folder in (tmp_path, tmp_path / "sub"):
        write(folder, f"where = {folder.name!r}", "beside.py")
    text = "import sys, beside\nprint(__file__, sys.argv, sys.path[0], beside.where)\n1/0"
    write(tmp_path, text)
    write(tmp_path, text, "sub/inner.py")
    assert_same_as_python(tmp_path, [path, "a"])
    assert_same_as_python(tmp_path, [str(tmp_path / path), "a"])


@pytest.mark.parametrize("module", ["package", "package.train", "package.train_badly", "single"])
def test_module_shows_what_python_shows(module: str, tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    write(tmp_path, "import sys\nprint('init', sys.argv, sys.path[0] != '')", "package/__init__.py")
    write(tmp_path, "rate = 3", "package/settings.py")
    shown = IDENTITY + "print(__spec__.name, __spec__.origin, __spec__.parent)\n"
    write(tmp_path, "from .settings import rate\nprint(rate)\n" + shown, "package/train.py")
    write(tmp_path, "from .settings import rate\nimport sys\nprint(sys.argv)\nrate / 0", "package/train_badly.py")
    write(
        tmp_path,
        "from .train import rate\nprint(__package__, __name__, rate)\nimport sys\nsys.exit(2)",
        "package/__main__.py",
    )
    write(tmp_path, PARALLEL.format(method="spawn"), "single.py")
    assert_same_as_python(tmp_path, ["-m", module, "--lr", "0.1", "--json", "x"])


def test_warning_filters_of_the_interpreter_hold(tmp_path: Path) -> None:
    write(tmp_path, "import warnings\nwarnings.warn('as an error')")
    assert assert_same_as_python(tmp_path, ["script.py"], PYTHONWARNINGS="error").code == 1


def test_safe_path_keeps_the_script_s_folder_out(tmp_path: Path) -> None:
    write(tmp_path, "import sys\nprint(sys.path)\nimport beside")
    write(tmp_path, "", "beside.py")
    assert_same_as_python(tmp_path, ["script.py"], PYTHONSAFEPATH="1")


def test_closed_pipe_ends_a_script_as_it_ends_python(tmp_path: Path) -> None:
    write(tmp_path, "import sys\nfor i in range(100000):\n    print(i)\n")
    seen = []
    for front in ([], ["-m", "evengrad", "run", "--quiet"]):
        command = [sys.executable, *front, "script.py"]
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        seen.append((process.stderr.read(), process.wait()))
        process.stderr.close()
    assert seen[0] == seen[1]


def _heed_signals() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminate"])
def test_signal_kills_as_it_kills_python(number: signal.Signals, tmp_path: Path) -> None:
    write(
        tmp_path,
        "import time\nprint('ready', flush=True)\ntry:\n    time.sleep(30)\nfinally:\n    print('cleaned up')\n",
    )
    seen = []
    for front in ([], ["-m", "evengrad", "run", "--quiet"]):
        process = subprocess.Popen(
            [sys.executable, *front, "script.py"],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell that runs the tests in the background has them ignore Ctrl-C, and children inherit that.
            preexec_fn=_heed_signals,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.3)  # into sleep()
        process.send_signal(number)
        seen.append((*process.communicate(timeout=20), process.returncode))
    assert seen[0] == seen[1]
    assert seen[0][2] == -number
