from __future__ import annotations

import numpy as np
import pytest

from edgeirf.calib.fitting.density import (
    TEXTURE,
    WHOLE,
    added,
    distances,
    fit_scales,
    pool,
    pooled_moments,
    to_nats,
    windows_for,
)


def fields(count: int, seed: int = 0, offset: float = 0.0) -> np.ndarray:
    """``(count, 6, 8, 10)``: correlated channels."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(6, 6))
    return (np.einsum("ij,njhw->nihw", mixing, rng.normal(size=(count, 6, 8, 10))) + offset).astype(np.float32)


@pytest.mark.parametrize("window", [1, 2, 4, 8, WHOLE])
def test_pooling_is_the_mean_over_every_window(window: int) -> None:
    field = fields(2)
    pooled = pool(field, window)
    side = (8, 10) if window == WHOLE else (window, window)
    assert pooled.shape == (2, 6, 9 - side[0], 11 - side[1])
    last = field[..., 8 - side[0] :, 10 - side[1] :]
    assert np.allclose(pooled[..., -1, -1], last.mean((-2, -1)), atol=1e-6)


def test_windows_fit_the_grid() -> None:
    assert windows_for((16, 40)) == (1, 2, 4, 8, WHOLE)
    assert windows_for((4, 4)) == (1, 2, WHOLE)
    assert windows_for((2, 9)) == (1, WHOLE)


def test_moments_of_parts_add_up() -> None:
    both, one, other = (pooled_moments(f, (1, 4)) for f in (fields(9), fields(9)[:5], fields(9)[5:]))
    for window, moments in added(one, other).items():
        assert moments.count == both[window].count
        assert np.allclose(moments.covariance, both[window].covariance)


def test_a_faint_shift_of_the_whole_part_is_plain_in_the_whole_window_only() -> None:
    scales = fit_scales(pooled_moments(fields(200), (1, WHOLE)), [fields(200)], "full")[:2]
    good, shifted = fields(50, seed=1), fields(50, seed=2, offset=0.5)
    separation = []
    for scale in scales:
        usual, odd = (distances(f, scale).reshape(50, -1).max(1) for f in (good, shifted))
        separation.append((odd[:, None] > usual).mean())
    assert separation[0] < 0.7
    assert separation[1] > 0.95


def test_nats_make_equally_unusual_parts_equal_and_keep_the_first_scale() -> None:
    scales = fit_scales(pooled_moments(fields(200), (1, 2, WHOLE)), [fields(200)], "full")
    held_out = fields(60, seed=1)
    largest = [distances(held_out, scale).reshape(60, -1).max(1) for scale in scales]
    found = to_nats(scales, largest)
    logs = [np.log(scale.gain * values**scale.power) for scale, values in zip(found, largest, strict=True)]
    assert (found[0].gain, found[0].power) == pytest.approx((1, 1))
    assert [log.mean() for log in logs] == pytest.approx([logs[0].mean()] * 4)
    assert [log.std() for log in logs] == pytest.approx([logs[0].std()] * 4)


def test_noise_of_a_precision_widens_the_density() -> None:
    moments = pooled_moments(fields(200), (1,))
    noise = pooled_moments(np.random.default_rng(3).normal(0, 2, (20, 6, 8, 10)).astype(np.float32), (1,))
    exact = fit_scales(moments, [fields(200)], "full")[0]
    tolerant = fit_scales(moments, [fields(200)], "full", noise)[0]
    part = fields(5, seed=4)
    assert distances(part, tolerant).sum() < distances(part, exact).sum()


def test_a_place_that_varies_more_counts_less_there() -> None:
    busy = fields(200)
    busy[..., :4, :5] *= 2
    scale, _ = fit_scales(pooled_moments(busy, (1,)), [busy[:120], busy[120:]], "full")
    assert scale.profile is not None
    assert scale.profile[1, 1] > 2 * scale.profile[6, 8]
    assert scale.profile.mean() == pytest.approx(1, rel=0.1)
    busy_place, quiet_place = distances(busy, scale).mean(0)[[1, 6], [1, 8]]
    assert busy_place == pytest.approx(quiet_place, rel=0.1)


def test_the_whole_grid_has_no_profile() -> None:
    whole = fit_scales(pooled_moments(fields(50), (1, WHOLE)), [fields(50)], "full")[1]
    assert whole.profile is None


def test_texture_sees_what_no_mean_shows() -> None:
    local, whole, energy = fit_scales(pooled_moments(fields(200), (1, WHOLE)), [fields(200)], "full")
    assert energy.window == TEXTURE
    good, flat = fields(50, seed=1), fields(50, seed=2)
    flat[:, :] *= 0.8
    separation = [
        (distances(flat, scale).reshape(50, -1).max(1)[:, None] > distances(good, scale).reshape(50, -1).max(1)).mean()
        for scale in (local, whole, energy)
    ]
    assert max(separation[:2]) < 0.6
    assert separation[2] > 0.9
