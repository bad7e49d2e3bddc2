"""Run the example and put what it reports into the two READMEs: python tools/readme_sample.py."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
READMES = {"README.md": "en", "README.zh-TW.md": "zh-TW"}
BLOCK = re.compile(r"(?<=<!-- made by tools/readme_sample.py -->\n```text\n).*?(?=```\n)", re.DOTALL)


def report(language: str) -> str:
    """Return what ``evengrad run`` says of the example."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "examples").symlink_to(ROOT / "examples")
        command = [sys.executable, "-m", "evengrad", "run", "--lang", language, "examples/digits_sigmoid.py"]
        environment = {**os.environ, "COLUMNS": "100", "PYTHONIOENCODING": "utf-8", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return "".join(f"{line.rstrip()}\n" for line in done.stderr.splitlines())


def main() -> None:
    """Rewrite the sample in both READMEs."""
    for name, language in READMES.items():
        path = ROOT / name
        shown = report(language)
        text, found = BLOCK.subn(lambda _, shown=shown: shown, path.read_text(encoding="utf-8"), count=1)
        if not found:
            raise SystemExit(f"{name} has no block for the sample")
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
