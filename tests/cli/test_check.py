"""``evengrad check`` on a command line: exit codes, reports, and sentences for what is wrong with the line."""

from __future__ import annotations

import json

import pytest

from evengrad.cli.main import parse

NETS = """
import torch
from torch import nn

def chain(depth, act=nn.ReLU):
    layers = [part for _ in range(depth - 1) for part in (nn.Linear(32, 32), act())]
    return nn.Sequential(*layers, nn.Linear(32, 4))

def sound(): return chain(3)
def deep(): return chain(24)
def sigmoid(): return chain(24, nn.Sigmoid)
def images(): return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10))
def complete(): return chain(3), (torch.randn(8, 32), torch.arange(8) % 4), nn.CrossEntropyLoss()
class Net(nn.Sequential):
    def __init__(self): super().__init__(nn.Linear(32, 4))
live = chain(3)
def batches():
    while True:
        yield torch.randn(8, 32), torch.arange(8) % 4
def squares(output, target): return output.square().mean()
def broken(): return 1 / 0
number = 7
"""


@pytest.fixture
def nets(tmp_path, monkeypatch):
    path = tmp_path / "toy_nets.py"
    path.write_text(NETS)
    monkeypatch.chdir(tmp_path)
    return str(path)


def checked(capfd, *arguments: str) -> tuple[int, str, str]:
    code = parse(["check", *arguments])
    said = capfd.readouterr()
    assert isinstance(code, int)
    return code, said.out, said.err


@pytest.mark.parametrize(
    ("name", "code"), [("sound", 0), ("Net", 0), ("live", 0), ("complete", 0), ("deep", 1), ("sigmoid", 1)]
)
def test_the_exit_code_is_the_verdict(nets, capfd, name, code):
    found, out, err = checked(capfd, f"{nets}:{name}", "--seeds", "1")
    assert (found, err) == (code, "")
    assert ("HEALTHY" in out) == (code == 0)


def test_options_say_what_would_be_made_up(nets, capfd):
    code, out, _ = checked(
        capfd, f"{nets}:sound", "--input", f"{nets}:batches", "--loss", f"{nets}:squares", "--optimizer", "adam:1e-3"
    )
    assert code == 0
    assert "made up" not in out
    assert "guessed" not in out
    assert "No optimizer" not in out


def test_a_module_of_the_working_directory_can_be_named(nets, capfd):
    assert checked(capfd, "toy_nets:sound", "--seeds", "1")[0] == 0


def test_shapes_and_targets_are_taken_from_the_line(nets, capfd):
    line = (f"{nets}:images", "--input", "4,3,8,8", "--target", "classes:10", "--loss", "cross_entropy", "--json", "-")
    code, out, _ = checked(capfd, *line, "--seeds", "1")
    setup = json.loads(out)["setup"]
    assert code == 0
    assert (setup["input"], setup["target"], setup["loss_made"]) == ("float [4, 3, 8, 8]", "classes:10", False)


def test_json_holds_what_the_check_found(nets, capfd, tmp_path):
    path = tmp_path / "check.json"
    code, out, _ = checked(capfd, f"{nets}:deep", "--json", str(path), "--seeds", "2")
    report = json.loads(path.read_text())
    assert (code, report["schema"], report["verdict"]) == (1, "evengrad.check/1", "sick")
    assert "SICK" in out
    finding = report["findings"][0]
    assert finding["rule"] == "vanishing-gradient"
    assert finding["evidence"][0]["measured"] == report["attenuation"]["median"]
    assert report["proposals"][0]["method"] == "he"
    assert report["proposals"][0]["low"] < 0 < report["proposals"][0]["high"]
    assert [row["layer"] for row in report["depth"]][:2] == ["0", "2"]
    assert report["prediction"]["low"] < report["attenuation"]["median"] < report["prediction"]["high"]


def test_html_is_one_page_that_asks_for_nothing(nets, capfd, tmp_path):
    path = tmp_path / "check.html"
    checked(capfd, f"{nets}:deep", "--html", str(path), "--seeds", "1")
    page = path.read_text(encoding="utf-8")
    assert "Predicted against measured" in page
    assert "default-src 'none'" in page
    assert not any(text in page.split("</style>")[-1].split("<script")[0] for text in ('src="http', 'href="http'))


def test_the_report_speaks_traditional_chinese(nets, capfd):
    _, out, _ = checked(capfd, f"{nets}:deep", "--lang", "zh-TW", "--seeds", "1")
    assert "第 0 步" in out
    assert "下降了" in out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["{nets}"], "expected package.module:name or path/to/file.py:name"),
        (["{nets}:nothing"], "has no 'nothing' (it has:"),
        (["no_such_module:build"], "module 'no_such_module' is not installed"),
        (["absent.py:build"], "there is no file 'absent.py'"),
        (["{nets}:number"], "expected a function, class or model"),
        (["{nets}:broken"], "failed: ZeroDivisionError"),
        (["{nets}:sound", "--input", "8,7"], "the model's forward failed on float [8, 7]"),
        (["{nets}:sound", "--loss", "crossentropy"], "expected one of cross_entropy"),
        (["{nets}:sound", "--loss", "{nets}:number"], "a int: expected a function"),
        (["{nets}:sound", "--target", "ten"], "expected classes:10, a shape"),
        (["{nets}:sound", "--optimizer", "sdg:1"], "--optimizer is 'sdg:1'"),
        (["{nets}:sound", "--seeds", "0"], "--seeds is 0: expected a number of seeds"),
        (["{nets}:sound", "--json", "no/such/folder.json"], "there is no folder 'no/such'"),
    ],
)
def test_a_line_that_cannot_be_carried_out_is_explained(nets, capfd, line, said):
    code, out, err = checked(capfd, *(word.format(nets=nets) for word in line))
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
