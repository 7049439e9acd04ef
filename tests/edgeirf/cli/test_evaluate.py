from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeirf.frame_contract import FrameContract

Command = Callable[..., Any]
MakeFolder = Callable[..., Path]


def test_table(
    edgeirf_command: Command, tiny_path: Path, labelled: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = labelled()
    monkeypatch.chdir(root.parent)
    code, out, err = edgeirf_command("eval", tiny_path, root.name)
    assert (code, err) == (0, "")
    assert all(len(line) <= 80 and line == line.rstrip() for line in out.splitlines())
    start = out.splitlines()[0].index("tiny.irf")
    rows = {line[:start].strip(): line[start:].strip() for line in out.splitlines()}
    assert rows["data"] == root.name
    assert rows["image AUROC"] == "1.0000"
    assert rows["images"] == "6 good, 6 defective"
    assert rows["escapes"] == "0 of 6 (\u2264 39.3 %)"
    assert rows["false rejects promised"] == "\u2264 1 %"
    assert [line.split()[:4] for line in out.splitlines() if line.startswith("hole")] == [["hole", "0", "of", "2"]]


def test_names_are_not_markup(edgeirf_command: Command, tiny_path: Path, labelled: MakeFolder, tmp_path: Path) -> None:
    root = labelled()
    (root / "test" / "hole").rename(root / "test" / "[red]hole")
    path = shutil.copy(tiny_path, tmp_path / "[bold]x.irf")
    out = edgeirf_command("eval", path, root).out
    assert "[red]hole" in out
    assert "[bold]x.irf" in out.splitlines()[0]


def test_several_bundles_side_by_side(
    edgeirf_command: Command, tiny_bundle: Any, labelled: MakeFolder, tmp_path: Path
) -> None:
    paths = [tiny_bundle(tmp_path / f"{name}.irf", name=name, held_out=count) for name, count in (("a", 20), ("b", 60))]
    root = labelled()
    out = edgeirf_command("eval", *paths, root, "--json", tmp_path / "x.json", "--report", tmp_path / "x.html").out
    assert out.splitlines()[0].split() == ["a.irf", "b.irf"]
    assert "mean over" not in out
    assert "b.irf by defect" in out
    found = json.loads((tmp_path / "x.json").read_text())
    assert [entry["bundle"] for entry in found] == [str(path) for path in paths]
    assert [entry["held_out"] for entry in found] == [20, 60]
    page = (tmp_path / "x.html").read_text()
    assert page.index(">a.irf</h2>") < page.index(">b.irf</h2>")


def test_json(edgeirf_command: Command, tiny_path: Path, labelled: MakeFolder, tmp_path: Path) -> None:
    root = labelled()
    assert edgeirf_command("eval", tiny_path, root, "--json", tmp_path / "deep" / "x.json").code == 0
    printed = edgeirf_command("eval", tiny_path, root, "--json", "-").out
    assert json.loads(printed) == json.loads((tmp_path / "deep" / "x.json").read_text())
    assert json.loads(printed)["image_auroc"] == 1.0


def test_another_rate_is_another_threshold(edgeirf_command: Command, tiny_path: Path, labelled: MakeFolder) -> None:
    root = labelled()
    strict, loose = (
        json.loads(edgeirf_command("eval", tiny_path, root, "--json", "-", "--false-reject-rate", rate).out)
        for rate in (0.01, 0.5)
    )
    assert loose["threshold"] < strict["threshold"]
    assert loose["false_reject_rate"] == 0.5


def test_a_product_must_be_chosen(
    edgeirf_command: Command, tiny_bundle: Any, labelled: MakeFolder, tmp_path: Path
) -> None:
    path, root = tiny_bundle(tmp_path / "u.irf", products=("nut", "bolt")), labelled()
    code, _, err = edgeirf_command("eval", path, root)
    assert code == 2
    assert "choose one with --product: nut, bolt" in err
    found = json.loads(edgeirf_command("eval", path, root, "--product", "bolt", "--json", "-").out)
    assert found["product"] == "bolt"


def test_all_products_of_a_unified_bundle(
    edgeirf_command: Command, tiny_bundle: Any, labelled: MakeFolder, tmp_path: Path
) -> None:
    path, root = tiny_bundle(tmp_path / "u.irf", products=("nut", "bolt")), labelled()
    for product in ("nut", "bolt"):
        shutil.copytree(root, tmp_path / "all" / product)
    code, out, _ = edgeirf_command(
        "eval", path, tmp_path / "all", "--json", tmp_path / "x.json", "--report", tmp_path / "x.html"
    )
    assert code == 0
    assert out.splitlines()[0].split() == ["u.irf", "nut", "u.irf", "bolt"]
    assert "u.irf, mean over 2 products: image auroc 1.0000" in out
    assert [entry["product"] for entry in json.loads((tmp_path / "x.json").read_text())] == ["nut", "bolt"]
    assert "<h2>u.irf bolt</h2>" in (tmp_path / "x.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["BUNDLE", "absent"], "absent is not a folder"),
        (["BUNDLE", "EMPTY"], "put good parts into"),
        (["BUNDLE", "DATA", "--precision", "fp8"], "has no fp8"),
        (["BUNDLE", "DATA", "--product", "nut"], "knows no product 'nut'"),
        (["BUNDLE", "DATA", "--device", "abacus"], "abacus"),
        (["BUNDLE", "DATA", "--false-reject-rate", "0"], "between 0 and 1"),
        (["BUNDLE", "DATA", "--report", "x.pdf"], "call it x.html"),
        (["BUNDLE", "DATA", "--json", "EMPTY"], "is a folder: name a file"),
        (["BUNDLE", "DATA", "--tolerate", "light=5%"], "add --perturb"),
        (["BUNDLE", "DATA", "--perturb", "--tolerate", "light=5"], "write light=5%"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(
    edgeirf_command: Command,
    tiny_path: Path,
    labelled: MakeFolder,
    tmp_path: Path,
    arguments: list[str],
    message: str,
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"BUNDLE": tiny_path, "DATA": labelled(), "EMPTY": tmp_path / "empty"}
    code, out, err = edgeirf_command("eval", *(places.get(argument, argument) for argument in arguments))
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_too_few_arguments(edgeirf_command: Command, tiny_path: Path) -> None:
    assert edgeirf_command("eval", tiny_path).code == 2


def test_images_that_cannot_be_read_are_named_and_the_rest_is_evaluated(
    edgeirf_command: Command, tiny_path: Path, labelled: MakeFolder
) -> None:
    root = labelled()
    (root / "test" / "good" / "0.png").write_bytes(b"")
    (root / "test" / "good" / "1.png").write_bytes(b"BM")
    code, out, err = edgeirf_command("eval", tiny_path, root)
    assert code == 1
    assert "4 good, 6 defective" in out
    assert [line.split(": ")[0] for line in err.splitlines()] == ["edgeirf", "edgeirf"]
    assert "0.png" in err.splitlines()[0]
    assert "1.png" in err.splitlines()[1]


@pytest.mark.parametrize(("kind", "remark"), [("good", "only false rejects"), ("stain", "No good parts here")])
def test_one_class_alone_is_said(
    edgeirf_command: Command, tiny_path: Path, labelled: MakeFolder, tmp_path: Path, kind: str, remark: str
) -> None:
    root = labelled()
    for folder in (root / "test").iterdir():
        if folder.name != kind:
            shutil.rmtree(folder)
    code, out, _ = edgeirf_command("eval", tiny_path, root, "--report", tmp_path / "x.html")
    assert code == 0
    assert remark in out
    assert remark in (tmp_path / "x.html").read_text()


def test_without_masks_it_says_so(edgeirf_command: Command, tiny_path: Path, labelled: MakeFolder) -> None:
    assert "No masks here" in edgeirf_command("eval", tiny_path, labelled("flat")).out


def test_perturbed_figures_stand_below_the_clean_ones(
    edgeirf_command: Command, tiny_path: Path, labelled: MakeFolder, tmp_path: Path
) -> None:
    page = tmp_path / "x.html"
    code, out, err = edgeirf_command(
        "eval", tiny_path, labelled(), "--perturb", "--tolerate", "light=4%,jpeg=off", "--report", page
    )
    assert (code, err) == (0, "")
    for expected in (
        "escapes at 2 % false rejects",
        "control AUROC",
        "perturbed within",
        "light=4%,blur=0.8px,rotate=1deg,shift=1.5%,noise=3,jpeg=off",
        "perturbed: image AUROC",
        "perturbed: escapes at 0.5 % false rejects",
        "holds if darker by",
    ):
        assert expected.replace(" ", "") in "".join(out.split()), expected
    for expected in ("What your line must hold", "light=4%", "darker", "holds to:", "escapes at 0.5 % false rejects"):
        assert expected in page.read_text()


def test_another_resolution_is_asked_for(
    edgeirf_command: Command, tiny_bundle: Any, labelled: MakeFolder, tmp_path: Path
) -> None:
    bundle = tiny_bundle(tmp_path / "k.irf", frame=FrameContract(64, 64, 8, 3))
    root = labelled(size=(128, 128))
    code, _, err = edgeirf_command("eval", bundle, root)
    assert code == 1
    assert "the frame is 128x128 pixels, the model knows 64x64" in err
    code, out, err = edgeirf_command("eval", bundle, root, "--other-resolution", "128x128")
    assert (code, err) == (0, "")
    assert "6 good, 6 defective" in out
    assert "another view" in edgeirf_command("eval", bundle, root, "--other-resolution", "128x64").err
