"""The comparison goes on where it stopped, says what failed, and adds up right."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks import compare
from benchmarks.comparison import sets, steps
from benchmarks.comparison.machine import provenance
from benchmarks.comparison.plot import points, svg
from benchmarks.comparison.results import Cell, Results, Row
from benchmarks.comparison.table import HEADINGS, markdown, summarise


def row(seed: int = 0, auroc: float = 0.9, ms: float | None = 5.0, **choices: Any) -> Row:
    cell = Cell(
        **{"set": "discs", "seed": seed, "method": "irf", "precision": "fp32", "executor": "openvino", **choices}
    )
    figures = {
        "image_auroc": auroc,
        "escapes_at": {"0.02": {"count": 1, "of": 4, "rate": 0.25}},
        "false_rejects": {"rate": 0.05},
        "misses": {"rate": 0.5},
        "false_reject_rate": 0.01,
        "pixel_auroc": None,
    }
    return Row(cell, figures, {"image_auroc": auroc - 0.1}, ms, "discs@0")


def test_results_survive_a_line_that_was_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    Results(path).add(row())
    Results(path).add(Row(row(1).cell, {}, {}, None, "", "it failed"))
    path.write_text(path.read_text() + '{"cell": {"set": "di')
    again = Results(path)
    assert again.done(row().cell)
    assert not again.done(row(1).cell), "a failed cell is tried again"
    again.add(row(1))
    assert [found.cell.seed for found in again] == [0, 1]
    assert Results(path).done(row(1).cell)


def test_a_line_is_the_mean_over_seeds_with_its_spread() -> None:
    (line,) = summarise([row(0, 0.9), row(1, 0.8)])
    text = dict(zip(HEADINGS[:7], line.cells(), strict=False))
    assert text["image AUROC"] == "0.850 ± 0.071"
    assert text["perturbed"] == "0.750 ± 0.071"
    assert line.cells()[7] == "25.0 ± 0.0 %"
    assert line.cells()[9] == "5.0 ± 0.0 % (1.0 ± 0.0 %)"
    assert line.cells()[11] == "50.0 ± 0.0 %"


def test_what_was_not_measured_is_a_dash_and_what_failed_is_said() -> None:
    bare = Row(row().cell, {"image_auroc": 0.5}, {}, None, "x")
    failed = Row(row(method="padim").cell, {}, {}, None, "", "no int8 | refused")
    table = markdown(summarise([bare, failed])).splitlines()
    assert {text.count("|") for text in table} == {len(HEADINGS) + 1}
    assert "| 0.500 | - | - |" in table[2]
    assert "no int8 / refused" in table[3]


def test_the_plot_has_a_point_for_each_graph_over_the_sets_that_all_share() -> None:
    lines = summarise(
        [row(), row(method="padim", auroc=0.7, ms=8.0), row(set="other", auroc=0.1), row(method="invad", ms=None)]
    )
    found = points(lines, "image_auroc")
    assert found == [("irf", "fp32", "openvino", 5.0, 0.9), ("padim", "fp32", "openvino", 8.0, 0.7)]
    marks = ET.fromstring(svg(lines))
    assert len(marks.findall(".//{http://www.w3.org/2000/svg}title")) == 4 + 3  # both panels, and a legend of methods
    ET.fromstring(svg([]))


def test_the_table_goes_between_the_marks_and_people_keep_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    path.write_text("# Tried\n\nFailures.\n")
    compare.put_into(path, "first\n")
    path.write_text(path.read_text() + "\nMore.\n")
    compare.put_into(path, "second\n")
    text = path.read_text()
    assert text.startswith("# Tried\n\nFailures.\n")
    assert text.endswith("\nMore.\n")
    assert "first" not in text
    assert text.count("second") == text.count(compare.BEGIN) == text.count(compare.END) == 1


def test_a_quick_set_has_few_pictures_with_their_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sets, "QUICK_TRAIN", 3)
    monkeypatch.setattr(sets, "QUICK_TEST", 2)
    for place, count in (("train/good", 5), ("test/good", 5), ("test/hole", 5), ("ground_truth/hole", 5)):
        (tmp_path / "data" / "plates" / place).mkdir(parents=True)
        for index in range(count):
            cv2.imwrite(str(tmp_path / "data" / "plates" / place / f"{index}.png"), np.zeros((8, 8), np.uint8))
    monkeypatch.setattr(sets, "elpv_pictures", lambda: None)
    (found,) = sets.find_sets(tmp_path / "data", tmp_path / "work", quick=True)
    files = sorted(str(path.relative_to(found.folder)) for path in found.folder.rglob("*.png"))
    assert [name.rsplit("/", 1)[0] for name in files] == [
        *["ground_truth/hole"] * 2, *["test/good"] * 2, *["test/hole"] * 2, *["train/good"] * 3,
    ]  # fmt: skip


def test_the_split_of_elpv_is_the_same_each_time_and_shares_no_picture(tmp_path: Path) -> None:
    pictures = [tmp_path / f"cell{index:03}.png" for index in range(30)]
    for picture in pictures:
        picture.touch()
    splits = []
    for name, good in (("a", pictures[:20]), ("b", pictures[:20][::-1])):
        folder = sets.link_elpv(good, pictures[20:], tmp_path / name)
        splits.append(
            {place: {path.name for path in (folder / place).iterdir()} for place in ("train/good", "test/good")}
        )
    assert splits[0] == splits[1]
    assert (len(splits[0]["train/good"]), len(splits[0]["test/good"])) == (14, 6)
    assert not splits[0]["train/good"] & splits[0]["test/good"]


def test_an_interrupted_comparison_goes_on(
    tmp_path: Path, parts: Path, tiny_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained, evaluated = [], []

    def evaluate(bundle: Path, data: sets.Set, cell: Cell) -> dict[str, Any]:
        evaluated.append(cell)
        if len(evaluated) == 1:
            raise steps.StepError("edgeirf: the camera is on fire")
        return {**row().figures, "perturbed": {"image_auroc": 0.5}}

    monkeypatch.setattr(sets, "elpv_pictures", lambda: None)
    monkeypatch.setattr(steps.Workshop, "train", lambda self, data, seed: trained.append(seed) or tmp_path)
    monkeypatch.setattr(steps.Workshop, "bundle", lambda self, run, method, seed: tiny_path)
    monkeypatch.setattr(compare, "figures", evaluate)
    monkeypatch.setattr(compare, "QUICK_RUNS", 2)
    output = tmp_path / "out"
    line = ["--data", str(parts.parent), "--output", str(output), "--quick", "--methods", "irf,padim"]
    line += ["--executors", "onnxruntime", "--precisions", "fp32,int8"]
    compare.main(line)
    report = json.loads((output / "comparison.json").read_text())["lines"]
    assert [(found["method"], found["precision"], found["error"]) for found in report] == [
        ("irf", "fp32", "edgeirf: the camera is on fire"),
        ("irf", "int8", "no int8: its gate refused it at export"),
        ("padim", "fp32", None),
        ("padim", "int8", "no int8: its gate refused it at export"),
    ]
    assert report[2]["figures"]["network_ms"]["value"] > 0
    assert report[2]["figures"]["image_auroc/perturbed"]["value"] == 0.5
    compare.main(line)
    assert [cell.method for cell in evaluated] == ["irf", "padim", "irf"]
    assert "| discs | irf | fp32 | onnxruntime | 1 | 0.900 |" in (output / "comparison.md").read_text()
    assert "commit" in capsys.readouterr().out


def test_a_command_that_fails_is_its_last_line() -> None:
    with pytest.raises(steps.StepError, match=r"^edgeirf: /nowhere is not a folder"):
        steps.command("edgeirf", "train", "/nowhere")


def test_the_header_says_how_to_repeat_it() -> None:
    text = "\n".join(provenance(["--data", "my sets"], 1))
    assert "`python benchmarks/compare.py --data 'my sets'`" in text
    assert "onnxruntime" in text
