"""Small programs that start, end and speak in every way a program can; none of them needs torch."""

from __future__ import annotations

import re
from typing import Final

IDENTITY: Final = """
import sys
import inspect, os, pickle
kept = ("__name__", "__file__", "__package__", "__spec__", "__doc__", "__cached__", "__annotations__")
print({name: globals().get(name, "absent") for name in kept})
print(type(__loader__).__name__, __loader__.name, __loader__.path, type(__builtins__).__name__, sorted(globals()))
print(sys.argv, sys.path[0], sys.modules["__main__"].__dict__ is globals(), os.getcwd())
class Kept:
    def method(self):
        return 1
print(pickle.loads(pickle.dumps(Kept())).method(), pickle.dumps(Kept))
print(inspect.getsource(Kept.method))
x: int = 3
print(__annotations__)
"""

PARALLEL: Final = """
import multiprocessing
class Item:
    def __init__(self, n): self.n = n
def double(item): return Item(item.n * 2)
if __name__ == "__main__":
    with multiprocessing.get_context("{method}").Pool(2) as pool:
        print([i.n for i in pool.map(double, [Item(1), Item(2)])], __name__)
"""

_TEXT: Final = '''
# the module's own names
{identity}
# docstring, and a shebang
#!/usr/bin/env python
"""Trains."""
print(__doc__)
# standard input
import sys
print(sys.stdin.read().upper(), input.__name__)
# exit with a number
import sys
print("before")
sys.exit(3)
# exit with 256
import sys
sys.exit(256)
# exit with a message
import sys
print("out")
sys.exit("no data in ./data")
# exit with an object
import sys
sys.exit([1, "two"])
# exit with None
import sys
sys.exit(None)
# exit with True
import sys
sys.exit(True)
# exit with False
import sys
sys.exit(False)
# exit with nothing
raise SystemExit
# exit by os._exit
import os
print("flushed", flush=True)
os._exit(7)
# exit out of a try
def f():
    try:
        exit(4)
    finally:
        print("finally")
f()
# exception
def f(x):
    return 1 / x

print("a")
f(0)
# chained exceptions
try:
    {}["a"]
except KeyError as e:
    raise ValueError("b") from e
# exception while handling another
def g():
    raise TypeError("late")
try:
    {}["a"]
except KeyError:
    g()
# exception that hides another
try:
    {}["a"]
except KeyError:
    raise ValueError("b") from None
# exception with a note
e = ValueError("x" * 300)
if hasattr(e, "add_note"):
    e.add_note("n")
raise e
# exception group
import sys
if sys.version_info >= (3, 11):
    raise ExceptionGroup("several", [ValueError(1), KeyError("k")])
# exception of the script's own class
class Odd(Exception):
    pass
raise Odd("!")
# exception whose text fails
class Odd(Exception):
    def __str__(self):
        raise RuntimeError
raise Odd
# deep recursion
def f(n):
    return f(n + 1)
f(0)
# assertion
assert 1 == 2, "not equal"
# keyboard interrupt raised by hand
raise KeyboardInterrupt("by hand")
# generator exit
raise GeneratorExit
# syntax error in an import
import broken
# syntax error in eval
eval("1 +")
# own exception hook
import sys
def hook(kind, value, trace):
    print("hook", kind, value, trace.tb_lineno, trace.tb_frame.f_code.co_name, value.__traceback__ is trace)
sys.excepthook = hook
{}["k"]
# exception hook that exits
import sys
sys.excepthook = lambda kind, value, trace: sys.exit(9)
{}["k"]
# exception hook that exits with a text
import sys
sys.excepthook = lambda kind, value, trace: sys.exit("bye")
{}["k"]
# exception hook that fails
import sys
def hook(kind, value, trace):
    raise RuntimeError("hook")
sys.excepthook = hook
{}["k"]
# last exception, seen at exit
import atexit, sys
@atexit.register
def see():
    print(sys.last_type, sys.last_value, sys.last_traceback.tb_lineno, sys.last_traceback.tb_next)
{}["k"]
# exit handlers in order
import atexit
atexit.register(print, "first")
atexit.register(print, "second")
print("body")
# exit handler that fails
import atexit
atexit.register(lambda: 1 / 0)
print("body")
# objects that die at the end
class A:
    def __del__(self):
        print("gone", flush=True)
a = A()
b = [A()]
b.append(b)
# finalizers
import weakref
class A: pass
a = A()
weakref.finalize(a, print, "finalized")
print("body")
# thread that outlives the main code
import threading, time
def work():
    time.sleep(0.2)
    print("thread done")
threading.Thread(target=work).start()
print("main done")
# thread that fails
import threading
t = threading.Thread(target=lambda: 1 / 0, name="T")
t.start()
t.join()
print("on")
# daemon thread
import threading, time
threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
print("end")
# pool that is never shut down
from concurrent.futures import ThreadPoolExecutor
p = ThreadPoolExecutor(2)
print(p.submit(pow, 2, 5).result())
# warnings
import warnings
warnings.warn("careful")
warnings.warn("old", DeprecationWarning)
print("\\d")
# unraisable exception
class A:
    def __del__(self):
        1 / 0
A()
print("on")
# no newline at the end of the output
import sys
sys.stdout.write("no newline")
sys.stderr.write("nor here")
# closed stdout
import sys
print("a")
sys.stdout.close()
# closed stderr
import sys
sys.stderr.close()
print("a")
# stderr put elsewhere
import io, sys
sys.stderr = io.StringIO()
print("lost", file=sys.stderr)
print("kept")
# another working directory
import os
os.chdir("/")
print(os.getcwd())
# modules beside the script that are named like other people's
import calendar, click, typer, evengrad_helper
print(calendar.mine, click.mine, typer.mine)
# future import
from __future__ import annotations
def f(x: Undefined): pass
print(f.__annotations__)
# no future import of ours
try:
    def f(x: Undefined): pass
    print(f.__annotations__)
except NameError as e:
    print(e)
# names found through the main module
import sys
main = sys.modules["__main__"]
def f(): return 5
print(main.f(), f.__module__)
# main module replaced by the script
import sys, types
sys.modules["__main__"] = types.ModuleType("__main__")
print("fine")
# environment and interpreter untouched
import gc, os, sys, threading, signal
print([key for key in os.environ if "EVENGRAD" in key], sys.flags, sys.getrecursionlimit(), sys.getswitchinterval())
print(gc.get_threshold(), gc.isenabled(), gc.callbacks, sys.gettrace(), sys.getprofile())
print([t.name for t in threading.enumerate()])
print([signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)], sys.excepthook, sys.warnoptions)
# logging untouched
import logging
print(logging.getLogger().handlers, logging.getLogger().level, logging.getLevelName(logging.root.level))
logging.warning("as ever")
# random numbers untouched
import random
random.seed(3)
print(random.random(), hash((1, 2)))
# nothing heavy loaded before the script asks
import sys
print([m for m in ("torch", "numpy", "pyarrow", "rich", "scipy", "libcst", "plotly") if m in sys.modules])
# forked child that returns
import os
pid = os.fork()
if pid:
    os.waitpid(pid, 0)
    print("parent")
else:
    print("child")
# forked child that fails
import os
pid = os.fork()
if pid:
    print(os.waitpid(pid, 0)[1])
else:
    1 / 0
# forked child that exits
import os, sys
pid = os.fork()
if pid:
    print(os.waitpid(pid, 0)[1])
else:
    sys.exit(5)
'''


def _programs() -> dict[str, str]:
    pieces = re.split(r"^# (.+)\n", _TEXT.lstrip("\n").replace("{identity}", IDENTITY), flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


PROGRAMS: Final = _programs()
