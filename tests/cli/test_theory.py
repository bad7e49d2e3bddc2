"""``evengrad theory``: the picture of an activation, and what it says of those that have none."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from evengrad.cli.main import parse
from evengrad.theory import picture
from tests.cli.harness import evengrad

MINE = """
import torch

def leaky(x):
    return torch.where(x > 0, x, 0.2 * x)

def shape(x):
    return x.sum()

def coupled(x):
    return x - x.mean()

def log(x):
    return torch.log(x)

def raises(x):
    raise RuntimeError("no such luck")

def noisy(x):
    return x + torch.rand_like(x)

def steep(x):
    return torch.exp(x * x / 8)

def wild(x):
    return torch.sin(1 / x)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "theory_mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delitem(sys.modules, "theory_mine", raising=False)
    return tmp_path


def test_the_answer_comes_first_and_the_exit_code_is_0(capfd: pytest.CaptureFixture[str]) -> None:
    assert parse(["theory", "GELU", "--depth", "20"]) == 0
    out, err = capfd.readouterr()
    assert out.startswith("A plain 20-layer gelu net (no skips, no normalisation) is expected to train with")
    assert err == ""


def test_json_is_the_picture_that_the_function_gives(capfd: pytest.CaptureFixture[str]) -> None:
    options = ["--depth", "20", "--weight-variance", "1.3", "--bias-variance", "0.05", "--width", "100"]
    assert parse(["theory", "tanh", *options, "--json"]) == 0
    said = json.loads(capfd.readouterr().out)
    found = picture("tanh", depth=20, weight_variance=1.3, bias_variance=0.05, width=100)
    assert said["initialisation"] == "given"
    assert said["depth_scales"]["correlation"] == found.depth_scales.correlation
    assert said["comparison"][0]["attenuation"] == found.propagation.attenuation
    assert said["band"]["deviation"] == found.propagation.band.deviation


@pytest.mark.parametrize("lang", ["en", "zh-TW"])
def test_a_page_is_written_in_either_language(folder: Path, lang: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert parse(["theory", "relu", "--depth", "5", "--html", "out.html", "--lang", lang]) == 0
    page = (folder / "out.html").read_text(encoding="utf-8")
    assert "Plotly" in page
    assert ("初始化" in page) == ("初始化" in capfd.readouterr().out) == (lang == "zh-TW")


@pytest.mark.parametrize("spelling", ["nn.LeakyReLU(0.2)", "leaky_relu:0.2", "theory_mine:leaky"])
def test_an_activation_goes_by_any_usual_name_or_is_the_users_own(
    folder: Path, spelling: str, capfd: pytest.CaptureFixture[str]
) -> None:
    before = list(sys.path)
    assert parse(["theory", spelling, "--depth", "5", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["critical"]["weight_variance"] == pytest.approx(2 / 1.04, rel=1e-9)
    assert sys.path == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["geluu"], "unknown activation 'geluu'; did you mean 'gelu'"),
        (["softmax"], "softmax is not element-wise"),
        (["leaky_relu:steep"], "cannot import 'leaky_relu:steep': No module named 'leaky_relu'"),
        (["theory_mine:nothing"], "module 'theory_mine' has no attribute 'nothing'"),
        (["theory_mine:raises"], "raises fails: RuntimeError: no such luck"),
        (["theory_mine:shape"], "shape maps shape (5,) to ()"),
        (["theory_mine:coupled"], "an output of coupled depends on other inputs than its own"),
        (["theory_mine:log"], "finite on the real axis; it is not at x = -64"),
        (["theory_mine:noisy"], "two calls of noisy on the same input differ"),
        (["theory_mine:steep"], "steep grows too fast"),
        (["theory_mine:wild"], "expected a piecewise smooth function"),
        (["relu", "--depth", "0"], "--depth is 0: expected a number of weight layers from 1 to 10,000"),
        (["relu", "--depth", "many"], "invalid value for '--depth'"),
        (["relu", "--width", "0"], "--width is 0: expected a number of units"),
        (["relu", "--weight-variance", "-1"], "expected weight_variance to be a finite number >= 0, got -1"),
        (["relu", "--html", "no/such.html"], "there is no folder 'no'"),
        ([], "missing argument 'ACTIVATION'"),
    ],
)
def test_what_has_no_picture_is_refused_with_the_reason_in_one_line(
    folder: Path, arguments: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert parse(["theory", *arguments]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


def test_the_current_folder_is_searched_from_the_shell(folder: Path) -> None:
    done = evengrad(["theory", "theory_mine:leaky", "--depth", "5"], folder)
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.startswith("A plain 5-layer leaky net")


def test_names_of_torch_need_no_torch(folder: Path) -> None:
    (folder / "torch.py").write_text("raise ImportError('torch was imported')\n")
    done = evengrad(["theory", "gelu", "--depth", "5", "--json"], folder)
    assert (done.code, done.stderr) == (0, "")
