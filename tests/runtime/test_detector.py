"""A bundle at work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgeirf
from edgeirf.errors import BackendError, FrameError, UsageError
from edgeirf.frame_contract import FrameContract
from edgeirf.runtime.render.overlay import overlay
from edgeirf.runtime.sources.frame import Frame
from edgeirf.settings import Preprocess


def test_good_frames_pass_and_bad_frames_are_rejected_where_they_are_bad(tiny_path: Path, good, bad) -> None:
    with edgeirf.load(tiny_path, threads=1) as detector:
        accepted, rejected = (
            detector(good(5, (128, 128)), frame_id=7, source="s", captured_at=1.5),
            detector(bad(5, (128, 128))),
        )
    assert not accepted.reject
    assert accepted.regions == ()
    assert (accepted.frame_id, accepted.source, accepted.captured_at) == (7, "s", 1.5)
    assert rejected.reject
    assert rejected.p_value == 0.01
    region = rejected.regions[0]
    assert region.x <= 34
    assert region.x + region.width >= 62
    assert region.peak == pytest.approx(rejected.map().max(), rel=0.02)
    assert rejected.map().shape == (128, 128)


def test_raw_frames_are_inspected_in_colour(tiny_path: Path, bad) -> None:
    """A Bayer frame of a gray part is its own luminance: the demosaiced part scores like the part itself."""
    frame = bad(5, (128, 128))
    with edgeirf.load(tiny_path, threads=1) as detector:
        plain = detector(np.ascontiguousarray(frame[..., ::-1]), pixel_format="rgb8")
        mosaic = detector(frame[..., 1], pixel_format="bayer_grbg8")
        assert plain.score == detector(frame).score
        assert mosaic.score == pytest.approx(plain.score, rel=0.2)
        assert mosaic.map().shape == mosaic.overlay(frame[..., 1]).shape[:2] == (128, 128)
        nv12 = np.concatenate([frame[..., 1], np.full((64, 128), 128, np.uint8)])
        whole = detector(nv12, pixel_format="nv12")
        assert whole.map().shape == whole.overlay(nv12).shape[:2] == (128, 128)
        assert whole.reject
        assert mosaic.reject
        with pytest.raises(FrameError, match="1 value of 8 bits"):
            detector(frame, pixel_format="bayer_grbg8")
        with pytest.raises(UsageError, match="no pixel format"):
            detector(frame, pixel_format="yuyv")


def test_submitting_and_taking_results(tiny_path: Path, good, bad) -> None:
    with edgeirf.load(tiny_path, threads=1) as detector:
        assert detector.depth == 1
        with pytest.raises(UsageError, match="submit"):
            detector.result()
        for number, frame in enumerate((good(5), bad(5))):
            detector.submit(frame, frame_id=number, source="s")
            with pytest.raises(UsageError, match="take a result"):
                detector(frame)
            verdict = detector.result()
            assert (verdict.frame_id, verdict.source, verdict.reject) == (number, "s", bool(number))
            assert verdict.score == detector(frame).score
        with pytest.raises(FrameError):
            detector.submit(frame.astype(np.float32))
        assert not detector(good(5)).reject


def test_a_camera_that_does_not_cover_the_region_of_interest_is_found_before_the_first_part(
    tmp_path: Path, tiny_bundle
) -> None:
    path = tiny_bundle(tmp_path / "roi.irf", settings=Preprocess(size=(64, 64), roi=(100, 50, 128, 128)), held_out=19)
    with edgeirf.load(path, threads=1) as detector:
        detector.warm_up((178, 228))
        with pytest.raises(FrameError, match="does not cover"):
            detector.warm_up((178, 227))


def test_the_overlay_is_the_map_over_the_frame(tiny_path: Path, bad) -> None:
    frame = bad(5, (120, 100))
    with edgeirf.load(tiny_path, threads=1) as detector:
        verdict = detector(frame)
        expected = overlay(frame, verdict.map(), detector.pixel_threshold, verdict.regions)
    np.testing.assert_array_equal(verdict.overlay(frame), expected)
    with pytest.raises(FrameError, match="of 100x120 pixels"):
        verdict.overlay(frame[:50])
    with pytest.raises(ValueError, match="cable"):
        detector.failed("the cable is out").overlay(frame)


def test_golden_images_give_the_scores_of_the_bundle(tiny_path: Path) -> None:
    with edgeirf.load(tiny_path, threads=1) as detector:
        golden = detector.bundle.golden
        scores = [detector.executor.score_pixels(image).score for image in golden["images"]]
    np.testing.assert_allclose(scores, golden["scores"], rtol=1e-5)


def test_a_failed_frame_is_rejected_with_the_reason(tiny_path: Path) -> None:
    with edgeirf.load(tiny_path, threads=1) as detector:
        verdict = detector.failed("the cable is out", frame_id=3)
    assert verdict.reject
    assert verdict.to_json()["error"] == "the cable is out"
    with pytest.raises(ValueError, match="the cable is out"):
        verdict.map()


@pytest.mark.parametrize(
    "frame", [np.zeros((8, 8), np.float32), np.zeros((8, 8, 2), np.uint8), np.zeros((0, 8), np.uint8)]
)
def test_what_is_no_frame_is_refused(tiny_path: Path, frame: np.ndarray) -> None:
    with edgeirf.load(tiny_path, threads=1) as detector, pytest.raises(FrameError):
        detector(frame)


def test_a_network_that_gives_no_number_is_no_verdict(tiny_path: Path, good) -> None:
    with edgeirf.load(tiny_path, threads=1) as detector:
        detector.executor.network.run = lambda batch: np.full((1, 4, 8, 8), np.nan, np.float32)
        with pytest.raises(BackendError, match="finite"):
            detector(good(0))


def test_a_part_whose_result_failed_is_rejected_next(tiny_path: Path, good, monkeypatch) -> None:
    """A line that catches the error and goes on loses no part."""
    with edgeirf.load(tiny_path, threads=1) as detector:
        real = detector.executor.network.run
        monkeypatch.setattr(detector.executor.network, "run", lambda batch: real(batch) * np.float32("nan"))
        detector.submit(good(0), frame_id=7)
        with pytest.raises(BackendError, match="finite"):
            detector.result()
        rejected = detector.result()
        assert (rejected.reject, rejected.frame_id, rejected.status) == (True, 7, "error")
        assert "finite" in rejected.error
        monkeypatch.undo()
        assert not detector(good(5)).reject


def test_giving_up_rejects_what_is_in_flight_in_order(tiny_path: Path, good) -> None:
    with edgeirf.load(tiny_path, threads=1) as detector:
        detector.submit(good(0), frame_id=1)
        detector.refuse(Frame(None, 2, "camera", error="torn"), "torn")
        given = detector.give_up("the camera is gone")
        assert [(one.frame_id, one.reject, one.error) for one in given] == [
            (1, True, "the camera is gone"), (2, True, "torn")
        ]  # fmt: skip
        assert detector.in_flight == 0
        with pytest.raises(FrameError, match="torn"):
            detector.submit(Frame(None, 3, "camera", error="torn"))


def test_products_and_rates_are_chosen_and_checked(tmp_path: Path, tiny_bundle) -> None:
    path = tiny_bundle(tmp_path / "two.irf", products=("left", "right"), held_out=19)
    with pytest.raises(UsageError, match="left, right"):
        edgeirf.load(path)
    with edgeirf.load(path, product="right", false_reject_rate=0.001) as detector:
        assert detector.false_reject_rate == 1 / 20
    for options in ({"product": "up"}, {"product": "left", "device": "tpu"}, {"product": "left", "precision": "int4"}):
        with pytest.raises(UsageError):
            edgeirf.load(path, **options)


def test_regions_and_maps_lie_inside_the_region_of_interest(tmp_path: Path, tiny_bundle, good) -> None:
    settings = Preprocess(size=(64, 64), roi=(100, 50, 128, 128), tiles=(1, 2))
    frame = good(0, (200, 300))
    frame[60:90, 120:150] = 255
    with edgeirf.load(tiny_bundle(tmp_path / "roi.irf", settings=settings), threads=1) as detector:
        verdict = detector(frame)
        region, full = verdict.regions[0], verdict.map()
        with pytest.raises(FrameError, match="region of interest"):
            detector(frame[:100])
    assert 100 <= region.x <= 122
    assert 50 <= region.y <= 62
    assert full.shape == (200, 300)
    assert full[:50].max() == full[:, :100].max() == 0 < full[70, 130]


KNOWN = FrameContract(96, 64, 8, 3)


@pytest.mark.parametrize(
    ("frame", "wrong"),
    [
        (np.zeros((128, 192, 3), np.uint8), "192x128 pixels, the model knows 96x64"),
        (np.zeros((64, 96, 3), np.uint16), "16 bits a value, the model knows 8"),
        (np.zeros((64, 96), np.uint8), "gray"),
    ],
)
def test_a_frame_of_another_kind_is_refused_by_name(tiny_bundle, tmp_path: Path, frame, wrong: str, good) -> None:
    with edgeirf.load(tiny_bundle(tmp_path / "a.irf", frame=KNOWN), threads=1) as detector:
        with pytest.raises(FrameError, match=wrong):
            detector(frame)
        assert not detector(good(5, (64, 96))).reject


def test_the_warm_up_too_refuses_frames_of_another_size(tiny_bundle, tmp_path: Path) -> None:
    with edgeirf.load(tiny_bundle(tmp_path / "a.irf", frame=KNOWN), threads=1) as detector:
        detector.warm_up((64, 96), "bayer_rggb8")
        with pytest.raises(FrameError, match="192x128 pixels, the model knows 96x64"):
            detector.warm_up((128, 192))


def test_another_resolution_of_the_view_is_asked_for_and_checked(tiny_bundle, tmp_path: Path, good, bad) -> None:
    """The region of interest looks at the same place of a frame of four times the pixels."""
    settings = Preprocess(size=(64, 64), roi=(0, 0, 48, 64))
    path = tiny_bundle(tmp_path / "a.irf", settings=settings, frame=KNOWN)
    with edgeirf.load(path, threads=1, resolution=(192, 128)) as detector:
        assert detector.bundle.manifest.preprocess.roi == (0, 0, 96, 128)
        assert not detector(good(5, (128, 192))).reject
        assert detector(bad(5, (128, 192))).reject
        with pytest.raises(FrameError, match="knows 192x128"):
            detector(good(5, (64, 96)))
    with pytest.raises(UsageError, match="another view"):
        edgeirf.load(path, resolution=(192, 192))
    with pytest.raises(UsageError, match="does not say which frames"):
        edgeirf.load(tiny_bundle(tmp_path / "old.irf"), resolution=(192, 128))
