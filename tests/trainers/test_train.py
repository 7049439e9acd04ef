from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from edgeirf.errors import EdgeirfError, UsageError
from edgeirf.trainers.feature_cache import statistics
from edgeirf.trainers.prepare import Recipe, prepare_run
from edgeirf.trainers.run import CHECKPOINT, FEATURES, HELD_OUT, MODEL, RUN, Run, newest_run
from edgeirf.trainers.train import learning_rate, load_model, train


def edgeirf(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "edgeirf", *arguments]
    return subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_the_same_seed_gives_the_same_model(new_run) -> None:
    runs = [new_run("a"), new_run("b"), new_run("c", seed=1)]
    assert all(train(run, device="cpu") for run in runs)
    models = [run.load(MODEL)[0] for run in runs]
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])
    assert not all(torch.equal(models[0][name], models[2][name]) for name in models[0])


def test_a_stopped_run_goes_on_as_if_nothing_happened(new_run) -> None:
    whole, stopped = new_run("whole"), new_run("stopped")
    train(whole, device="cpu")
    answers = iter([False, False, True])
    assert not train(stopped, device="cpu", stop=lambda: next(answers))
    assert (stopped.folder / CHECKPOINT).is_file()
    assert not stopped.finished
    seen = []
    assert train(stopped, device="cpu", on_step=lambda step: seen.append(step.done))
    assert seen == [4, 5, 6]
    for name, tensor in whole.load(MODEL)[0].items():
        assert torch.equal(tensor, stopped.load(MODEL)[0][name]), name
    assert sorted(p.name for p in stopped.folder.iterdir()) == [FEATURES, HELD_OUT, MODEL, RUN]


@pytest.mark.parametrize(("ema", "decay"), [(0.1, 0.1), (0.999, 2 / 11)])
def test_the_model_is_the_moving_average_of_the_weights(new_run, ema: float, decay: float) -> None:
    """At first the average forgets faster than it is told to: decay (1 + step) / (10 + step)."""
    run = new_run("run", ema=ema, steps=3)
    kept = []
    for _ in range(2):
        assert not train(run, device="cpu", stop=lambda: True)
        kept.append(run.load(CHECKPOINT)[0])
    names = [name.removeprefix("ema.") for name in kept[0] if name.startswith("ema.noise") or "blocks" in name]
    names = [name for name in names if f"net.{name}" in kept[0]]
    assert len(names) > 10
    for name in names:
        average = decay * kept[0][f"ema.{name}"] + (1 - decay) * kept[1][f"net.{name}"]
        assert torch.allclose(kept[1][f"ema.{name}"], average, rtol=1e-5, atol=1e-7), name
    early = new_run("early", ema=ema, steps=3)
    assert train(early, device="cpu", max_minutes=0.0)
    model = early.load(MODEL)[0]
    assert all(torch.equal(model[f"ema.{name}"], kept[0][f"ema.{name}"]) for name in names)
    assert not all(torch.equal(model[f"ema.{name}"], kept[0][f"net.{name}"]) for name in names)


def test_max_minutes_keeps_what_was_learned(new_run) -> None:
    run = new_run(steps=100_000)
    assert train(run, device="cpu", max_minutes=0.0)
    assert int(run.load(MODEL)[1]["step"]) >= 1
    load_model(run)


def test_a_feature_cache_that_was_cut_short_is_made_again(new_run) -> None:
    run = new_run()
    (run.folder / FEATURES).write_bytes(b"\x93NUMPY not all of it")
    assert train(run, device="cpu")


def test_a_changed_picture_is_noticed(new_run, parts: Path) -> None:
    run = new_run()
    trained = run.config.training_pictures[0].file
    Path(trained).write_bytes(Path(trained).read_bytes() + b" ")
    with pytest.raises(EdgeirfError, match="moved or changed"):
        train(run, device="cpu")


def test_statistics_are_those_of_numpy() -> None:
    features = torch.randn(20, 6, 3, 3, generator=torch.Generator().manual_seed(0)).half() * 3 + 1
    mean, std, correlation = statistics(features, chunk=7)
    vectors = np.moveaxis(features.double().numpy(), 1, -1).reshape(-1, 6)
    assert np.allclose(mean, vectors.mean(0), atol=1e-6)
    assert np.allclose(std, vectors.std(0), atol=1e-6)
    assert np.allclose(correlation, np.corrcoef(vectors.T), atol=1e-5)


def test_learning_rate_warms_up_and_decays(new_run) -> None:
    config = new_run(steps=1000).config
    rates = [learning_rate(config, step) for step in range(1000)]
    assert max(rates) == pytest.approx(config.learning_rate)
    assert rates[0] == pytest.approx(config.learning_rate / 100)
    assert rates[-1] < 0.03 * config.learning_rate
    assert np.argmax(rates) in (99, 100)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"preset": "huge"}, "choose one of nano, small, base"),
        ({"size": (100, 100)}, "multiples of 32"),
        ({"backbone": "vgg"}, "unknown backbone"),
        ({"steps": 0}, "at least 1"),
        ({"tiles": (0, 1)}, "tiles"),
    ],
)
def test_wrong_choices(tmp_path: Path, parts: Path, choices, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        prepare_run(parts, tmp_path / "run", Recipe(**choices))
    assert not (tmp_path / "run" / RUN).exists()


def test_a_run_is_never_overwritten(new_run) -> None:
    new_run("run")
    with pytest.raises(UsageError, match="holds a run already"):
        new_run("run")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": 3}', '{"name": "x"}'])
def test_damaged_run(new_run, text: str) -> None:
    folder = new_run().folder
    (folder / RUN).write_text(text)
    with pytest.raises(EdgeirfError, match="damaged"):
        Run(folder)


def test_damaged_tensors(new_run) -> None:
    run = new_run()
    train(run, device="cpu")
    data = (run.folder / MODEL).read_bytes()
    (run.folder / MODEL).write_bytes(data[: len(data) // 2])
    with pytest.raises(EdgeirfError, match="damaged"):
        load_model(run)


def test_newest_run(tmp_path: Path, new_run) -> None:
    with pytest.raises(UsageError, match="train one first"):
        newest_run(tmp_path / "nothing")
    first, second = new_run("first"), new_run("second")
    os.utime(second.folder / RUN, (1, 1))
    os.utime(second.folder / HELD_OUT, (1, 1))
    assert newest_run(tmp_path).folder == first.folder


def test_killed_while_training(tmp_path: Path, parts: Path) -> None:
    """One run that is stopped by each signal in turn, and goes on each time."""
    choices = ["--output", "run", "--preset", "nano", "--size", "32", "--batch", "1", "--steps", "100000"]
    command = ["train", str(parts), *choices]
    for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM):
        with edgeirf(*command, cwd=tmp_path) as process:
            assert process.stderr is not None
            assert any(line.startswith("step ") for line in process.stderr)  # it trains
            process.send_signal(number)
            _, errors = process.communicate(timeout=120)
        assert "Traceback" not in errors
        if number != signal.SIGKILL:
            assert process.returncode == 130
            assert "--resume run" in errors
            assert (tmp_path / "run" / CHECKPOINT).is_file()
        assert not (tmp_path / "run" / MODEL).exists()
        command = ["train", "--resume", "run"]
    run = Run(tmp_path / "run")
    done = int(run.load(CHECKPOINT)[1]["step"])
    config = json.loads((tmp_path / "run" / RUN).read_text())
    config["steps"] = done + 3
    (tmp_path / "run" / RUN).write_text(json.dumps(config))
    assert train(Run(tmp_path / "run"), device="cpu")
    load_model(Run(tmp_path / "run"))
