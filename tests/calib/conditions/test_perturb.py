"""What a line may do to a picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeirf.calib.conditions.perturb import Change, draw, perturb
from edgeirf.calib.conditions.tolerances import Tolerances
from edgeirf.runtime.imaging.pixel_format import Pixels

SHAPES = [(41, 60), (41, 60, 1), (41, 60, 3)]
STRONG = Tolerances(0.3, 0.3, 2.0, 10.0, 0.1, 10.0, 30)


def picture(shape: tuple[int, ...], dtype: type[np.uint8] | type[np.uint16] = np.uint8) -> Pixels:
    """A bright bar on a ramp."""
    values = np.empty(shape)
    values[:] = np.linspace(30, 120, shape[1]).reshape(1, -1, *[1] * (len(shape) - 2))
    values[10:20, 15:30] = 200
    return (values * (1 if dtype == np.uint8 else 257)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", SHAPES)
def test_shape_type_and_the_original_are_kept(shape: tuple[int, ...], dtype: type[np.uint8]) -> None:
    image = picture(shape, dtype)
    for seed in range(8):
        changed = perturb(image, STRONG, np.random.default_rng(seed))
        assert changed.shape == shape
        assert changed.dtype == dtype
        assert changed.flags.c_contiguous
        assert not np.array_equal(changed, image)
        assert not np.shares_memory(changed, image)
    assert np.array_equal(image, picture(shape, dtype))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_no_tolerance_is_no_change(dtype: type[np.uint8]) -> None:
    image = picture((41, 60, 3), dtype)
    same = perturb(image, Tolerances.none(), np.random.default_rng(0))
    assert np.array_equal(same, image)
    assert not np.shares_memory(same, image)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_the_same_generator_gives_the_same_picture(seed: int) -> None:
    image = picture((41, 60, 3))
    first, second = (perturb(image, STRONG, np.random.default_rng(seed)) for _ in range(2))
    assert np.array_equal(first, second)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=200, deadline=None)
def test_a_change_stays_within_its_tolerances(seed: int) -> None:
    rng = np.random.default_rng(seed)
    change = draw(STRONG, rng)
    assert abs(change.brightness) <= 0.3
    assert abs(change.gamma) <= 0.3
    assert 0 <= change.blur_px <= 2
    assert abs(change.rotate_deg) <= 10
    assert max(abs(change.shift_x), abs(change.shift_y)) <= 0.1
    assert 0 <= change.noise_levels <= 10
    assert change.jpeg_quality is None or 30 <= change.jpeg_quality <= 98
    other = np.random.default_rng(seed)
    draw(Tolerances.none(), other)
    assert rng.random() == other.random()


def test_half_of_the_pictures_become_jpeg() -> None:
    rng = np.random.default_rng(0)
    share = np.mean([draw(Tolerances(), rng).jpeg_quality is not None for _ in range(2000)])
    assert 0.46 < share < 0.54


def test_light_follows_its_formula_and_stops_at_white() -> None:
    image = np.array([[0, 10, 100, 250]], np.uint8)
    assert Change(brightness=0.1)(image).tolist() == [[0, 11, 110, 255]]
    assert Change(gamma=1.0)(image).tolist() == [[0, 0, 39, 245]]


@pytest.mark.parametrize(("bits", "white"), [(12, 4095), (16, 65535)])
def test_sixteen_bit_pictures_know_their_white(bits: int, white: int) -> None:
    image = np.full((8, 8), white // 2, np.uint16)
    assert Change(brightness=0.9)(image, bits).max() <= white
    assert Change(brightness=5)(image, bits).max() == white
    noisy = Change(noise_levels=2)(np.full((200, 200), white // 2, np.uint16), bits)
    assert noisy.std() == pytest.approx(2 * white / 255, rel=0.05)
    jpeg = Change(jpeg_quality=95)(image, bits)
    assert np.abs(jpeg.astype(int) - white // 2).max() <= white / 255


def test_a_shift_moves_right_and_down_and_repeats_the_border() -> None:
    image = picture((40, 60))
    moved = Change(shift_x=0.1, shift_y=0.05)(image)
    assert np.array_equal(moved[2:, 6:], image[:-2, :-6])
    assert np.array_equal(moved[2:, :6], np.repeat(image[:-2, :1], 6, axis=1))


def test_a_rotation_keeps_the_centre_and_turns_counter_clockwise() -> None:
    image = np.zeros((41, 41), np.uint8)
    image[20, 20], image[20, 35] = 200, 100
    turned = Change(rotate_deg=90)(image)
    assert turned[20, 20] == 200
    assert turned[5, 20] == 100


def test_noise_has_its_size_and_differs_by_value_and_picture() -> None:
    gray = np.full((400, 300, 3), 128, np.uint8)
    first, second = (Change(noise_levels=3, noise_at=at)(gray).astype(float) - 128 for at in (5, 99_999))
    assert first.std() == pytest.approx(3, rel=0.02)
    for pair in ((first, second), (first[..., 0], first[..., 1]), (first[0::2], first[1::2])):
        assert abs(np.corrcoef(pair[0].ravel(), pair[1].ravel())[0, 1]) < 0.02


def test_noise_of_a_picture_larger_than_the_pool_does_not_repeat_in_rows() -> None:
    noise = Change(noise_levels=20)(np.full((1100, 1024), 128, np.uint8)).astype(float)
    rows = [noise[at] - 128 for at in (0, 1023, 1024, 1025)]
    assert max(abs(np.corrcoef(rows[0], row)[0, 1]) for row in rows[1:]) < 0.2


def test_blur_lowers_contrast_by_its_amount() -> None:
    image = np.zeros((41, 41), np.uint8)
    image[20, 20] = 250
    blurred = Change(blur_px=1.5)(image)
    assert blurred.max() == round(250 / (2 * np.pi * 1.5**2))
    assert np.array_equal(Change(blur_px=0.05)(image), image)


def test_gray_stays_gray() -> None:
    gray = picture((41, 60))
    colour = np.repeat(gray[..., None], 3, axis=2)
    change = Change(brightness=0.1, gamma=-0.1, blur_px=0.5, rotate_deg=1, shift_x=0.01)
    assert np.array_equal(change(colour), np.repeat(change(gray)[..., None], 3, axis=2))
