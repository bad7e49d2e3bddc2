"""A watched program cannot tell the difference: every kind of start, of ending and of output is python's own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.harness import assert_same_as_python, environment

MAIN = """
import sys
import inspect, pickle
kept = ("__name__", "__file__", "__package__", "__spec__", "__doc__", "__cached__", "__annotations__")
print({name: globals().get(name, "absent") for name in kept})
print(type(__loader__).__name__, __loader__.name, __loader__.path, type(__builtins__).__name__, sorted(globals()))
print(sys.argv, sys.path[0], sys.modules["__main__"].__dict__ is globals())
print(__import__("os").getcwd())
class Kept:
    def method(self):
        return 1
print(pickle.loads(pickle.dumps(Kept())).method(), pickle.dumps(Kept))
print(inspect.getsource(Kept.method))
x: int = 3
print(__annotations__)
"""

PROGRAMS = {
    "the module's own names": MAIN,
    "docstring": '"""Trains."""\nprint(__doc__)',
    "standard input": "import sys\nprint(sys.stdin.read().upper(), input.__name__)",
    "exit with a number": "import sys\nprint('before')\nsys.exit(3)",
    "exit with 256": "import sys\nsys.exit(256)",
    "exit with a message": "import sys\nprint('out')\nsys.exit('no data in ./data')",
    "exit with an object": "import sys\nsys.exit([1, 'two'])",
    "exit with None": "import sys\nsys.exit(None)",
    "exit with True": "import sys\nsys.exit(True)",
    "exit with False": "import sys\nsys.exit(False)",
    "exit with nothing": "raise SystemExit",
    "exit by os._exit": "import os, sys\nprint('lost?', flush=True)\nos._exit(7)",
    "exit from a function in a try": "def f():\n    try:\n        exit(4)\n    finally:\n        print('finally')\nf()",
    "exception": "def f(x):\n    return 1 / x\n\nprint('a')\nf(0)",
    "chained exceptions": "try:\n    {}['a']\nexcept KeyError as e:\n    raise ValueError('b') from e",
    "exception while handling": "def g():\n    raise TypeError('late')\ntry:\n    {}['a']\nexcept KeyError:\n    g()",
    "exception without a context": "try:\n    {}['a']\nexcept KeyError:\n    raise ValueError('b') from None",
    "exception with notes and a long repr": "e = ValueError('x' * 300)\nif hasattr(e, 'add_note'):\n    e.add_note('n')\nraise e",
    "exception class of the script": "class Odd(Exception):\n    pass\nraise Odd('!')",
    "exception whose text fails": "class Odd(Exception):\n    def __str__(self):\n        raise RuntimeError\nraise Odd",
    "deep recursion": "def f(n):\n    return f(n + 1)\nf(0)",
    "assertion": "assert 1 == 2, 'not equal'",
    "keyboard interrupt raised": "raise KeyboardInterrupt('by hand')",
    "generator exit raised": "raise GeneratorExit",
    "syntax error in an import": "import broken",
    "syntax error in eval": "eval('1 +')",
    "own exception hook": "import sys\nsys.excepthook = lambda t, v, tb: print('hook', t, v, tb.tb_lineno, tb.tb_frame.f_code.co_name, "
    "v.__traceback__ is tb, file=sys.stderr)\n{}['k']",
    "exception hook that exits": "import sys\nsys.excepthook = lambda t, v, tb: sys.exit(9)\n{}['k']",
    "exception hook that exits with a text": "import sys\nsys.excepthook = lambda t, v, tb: sys.exit('bye')\n{}['k']",
    "exception hook that fails": "import sys\ndef hook(t, v, tb):\n    raise RuntimeError('hook')\nsys.excepthook = hook\n{}['k']",
    "last exception at exit": "import atexit, sys\n@atexit.register\ndef see():\n    print(sys.last_type, sys.last_value, "
    "sys.last_traceback.tb_lineno, sys.last_traceback.tb_next)\n{}['k']",
    "exit handlers in order": "import atexit\natexit.register(print, 'first')\natexit.register(print, 'second')\nprint('body')",
    "exit handler that fails": "import atexit\natexit.register(lambda: 1 / 0)\nprint('body')",
    "objects that die at the end": "class A:\n    def __del__(self):\n        print('gone', flush=True)\na = A()\nb = [A()]\nb.append(b)",
    "weakref.finalize": "import weakref\nclass A: pass\na = A()\nweakref.finalize(a, print, 'finalized')\nprint('body')",
    "threads that outlive the main code": "import threading, time\ndef work():\n    time.sleep(0.2)\n    print('thread done')\n"
    "threading.Thread(target=work).start()\nprint('main done')",
    "thread that fails": "import threading\nt = threading.Thread(target=lambda: 1 / 0, name='T')\nt.start()\nt.join()\nprint('on')",
    "daemon thread": "import threading, time\nthreading.Thread(target=time.sleep, args=(30,), daemon=True).start()\nprint('end')",
    "pool that is never shut down": "from concurrent.futures import ThreadPoolExecutor\np = ThreadPoolExecutor(2)\n"
    "print(p.submit(pow, 2, 5).result())",
    "warnings": "import warnings\nwarnings.warn('careful')\nwarnings.warn('old', DeprecationWarning)\nprint('\\d')",
    "unraisable": "class A:\n    def __del__(self):\n        1 / 0\nA()\nprint('on')",
    "stdout without newline": "import sys\nsys.stdout.write('no newline')\nsys.stderr.write('nor here')",
    "closed stdout": "import sys\nprint('a')\nsys.stdout.close()",
    "closed stderr": "import sys\nsys.stderr.close()\nprint('a')",
    "stderr put elsewhere": "import io, sys\nsys.stderr = io.StringIO()\nprint('lost', file=sys.stderr)\nprint('kept')",
    "another working directory": "import os, tempfile\nos.chdir(tempfile.gettempdir())\nprint(len(os.listdir('.')) >= 0)",
    "future import": "from __future__ import annotations\ndef f(x: Undefined): pass\nprint(f.__annotations__)",
    "no future import of ours": "try:\n    def f(x: Undefined): pass\n    print(f.__annotations__)\nexcept NameError as e:\n    print(e)",
    "shebang and cookie": "#!/usr/bin/env python\n# -*- coding: latin-1 -*-\nprint('plain')",
    "functions by name": "import sys\nmain = sys.modules['__main__']\ndef f(): return 5\nprint(main.f(), f.__module__)",
    "main replaced by the script": "import sys, types\nsys.modules['__main__'] = types.ModuleType('__main__')\nprint('fine')",
    "environment untouched": "import os, sys\nprint(sorted(k for k in os.environ if 'EVENGRAD' in k), sys.flags, sys.getrecursionlimit())",
    "signals untouched": "import signal\nprint([signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)])",
    "nothing heavy is loaded": "import sys\nprint([m for m in ('torch', 'numpy', 'pyarrow', 'rich', 'scipy') if m in sys.modules])",
    "forked child returns": "import os\npid = os.fork()\nif pid:\n    os.waitpid(pid, 0)\n    print('parent')\nelse:\n    print('child')",
    "forked child fails": "import os, sys\npid = os.fork()\nif pid:\n    print(os.waitpid(pid, 0)[1])\nelse:\n    1 / 0",
    "forked child exits": "import os, sys\npid = os.fork()\nif pid:\n    print(os.waitpid(pid, 0)[1])\nelse:\n    sys.exit(5)",
}

PARALLEL = """
import multiprocessing
class Item:
    def __init__(self, n): self.n = n
def double(item): return Item(item.n * 2)
if __name__ == "__main__":
    with multiprocessing.get_context("{method}").Pool(2) as pool:
        print([i.n for i in pool.map(double, [Item(1), Item(2)])], __name__)
"""


def write(folder: Path, text: str | bytes, name: str = "script.py") -> None:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)


@pytest.mark.parametrize("kind", PROGRAMS)
def test_script_shows_what_python_shows(kind: str, tmp_path: Path) -> None:
    write(tmp_path, PROGRAMS[kind])
    write(tmp_path, "x = 1\ndef f(:\n", "broken.py")
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
    shown = MAIN + "print(__spec__.name, __spec__.origin, __spec__.parent)\n"
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
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.05)  # into sleep()
        process.send_signal(number)
        seen.append((*process.communicate(timeout=20), process.returncode))
    assert seen[0] == seen[1]
    assert seen[0][2] == -number
