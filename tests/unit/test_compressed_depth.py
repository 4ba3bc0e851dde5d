"""The compressedDepth transport, coded here as its publisher codes it: what went in comes out, damage is a sentence."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from table_scene import table_view

from giga_perception.compressed_depth import depth_from_compressed
from giga_perception.depth_message_error import DepthMessageError
from giga_perception.run_length_depth import counts_from_rvl

DEPTH_M = table_view().depth_m
MILLIMETRES = np.round(DEPTH_M * 1000.0).astype(np.uint16)
FARTHEST_M, QUANTISATION = 10.0, 100.0


def png(counts: NDArray[np.uint16]) -> bytes:
    done, stream = cv2.imencode(".png", counts)
    assert done
    return stream.tobytes()


def rvl(counts: NDArray[np.uint16]) -> bytes:
    """The paper's encoder, number by number."""
    halves: list[int] = []

    def write(number: int) -> None:
        while True:
            number, group = number >> 3, number & 7
            halves.append(group | (8 if number else 0))
            if not number:
                return

    pixels, at, before = counts.reshape(-1).tolist(), 0, 0
    while at < len(pixels):
        zeros = at
        while at < len(pixels) and pixels[at] == 0:
            at += 1
        write(at - zeros)
        values = at
        while at < len(pixels) and pixels[at] != 0:
            at += 1
        write(at - values)
        for value in pixels[values:at]:
            step = value - before
            write(2 * step if step >= 0 else -2 * step - 1)
            before = value
    halves += [0] * (-len(halves) % 8)
    words = [int("".join(f"{half:x}" for half in halves[i : i + 8]), 16) for i in range(0, len(halves), 8)]
    return struct.pack(f"<II{len(words)}I", counts.shape[1], counts.shape[0], *words)


def compressed(stream: bytes, scale: float = 0.0, offset: float = 0.0) -> NDArray[np.uint8]:
    return np.frombuffer(struct.pack("<iff", 0, scale, offset) + stream, dtype=np.uint8)


def inverse(depth_m: NDArray[np.float32]) -> tuple[NDArray[np.uint16], float, float]:
    """Inverse depth, cut to whole counts, and its two parameters."""
    scale = QUANTISATION * (QUANTISATION + 1.0)
    offset = 1.0 - scale / FARTHEST_M
    with np.errstate(divide="ignore"):
        counts = np.where((depth_m > 0.0) & (depth_m < FARTHEST_M), scale / depth_m + offset, 0.0)
    return counts.astype(np.uint16), scale, offset


@pytest.mark.parametrize(
    ("image_format", "encode"),
    [
        ("16UC1; compressedDepth png", png),
        ("16UC1; compressedDepth", png),
        ("16UC1;compressedDepth png ", png),
        ("mono16; compressedDepth png", png),
        ("16UC1", png),
        ("16UC1; compressedDepth rvl", rvl),
    ],
)
def test_millimetres_come_back_exactly(image_format: str, encode) -> None:
    depth_m, encoding = depth_from_compressed(image_format, compressed(encode(MILLIMETRES)))
    assert depth_m.dtype == np.float32
    np.testing.assert_array_equal(np.round(depth_m * 1000.0), MILLIMETRES)
    assert encoding == image_format[: len(encoding)]


@pytest.mark.parametrize(("codec", "encode"), [("png", png), ("rvl", rvl)])
def test_inverse_depth_comes_back_within_its_quantisation(codec: str, encode) -> None:
    spoiled = DEPTH_M.copy()
    spoiled[:2] = 0.0
    counts, scale, offset = inverse(spoiled)
    depth_m, _ = depth_from_compressed(f"32FC1; compressedDepth {codec}", compressed(encode(counts), scale, offset))
    assert (depth_m[:2] == 0.0).all()
    # Cutting to whole counts makes a depth greater, by at most one count: depth^2 / scale.
    error_m = (depth_m - spoiled)[2:]
    assert error_m.min() > -1e-6
    assert (error_m <= 1.001 * (spoiled**2 / scale)[2:] + 1e-6).all()


def test_a_count_that_stands_for_no_distance_is_no_reading() -> None:
    counts = np.array([[0, 1, 50, 51, 1050]], dtype=np.uint16)
    depth_m, _ = depth_from_compressed("32FC1; compressedDepth png", compressed(png(counts), 1000.0, 50.0))
    np.testing.assert_array_equal(depth_m, [[0.0, 0.0, 0.0, 1000.0, 1.0]])


@pytest.mark.parametrize("seed", range(5))
def test_rvl_of_any_image(seed: int) -> None:
    generator = np.random.default_rng(seed)
    counts = generator.integers(0, 65536, (17, 23)).astype(np.uint16)
    counts[generator.random(counts.shape) < 0.2 * seed] = 0
    np.testing.assert_array_equal(counts_from_rvl(np.frombuffer(rvl(counts), np.uint8)), counts)


@pytest.mark.parametrize("value", [0, 65535])
def test_rvl_of_an_even_image(value: int) -> None:
    counts = np.full((3, 1000), value, dtype=np.uint16)
    np.testing.assert_array_equal(counts_from_rvl(np.frombuffer(rvl(counts), np.uint8)), counts)


@pytest.mark.parametrize(
    ("image_format", "data", "sentence"),
    [
        ("rgb8; jpeg compressed bgr8", compressed(png(MILLIMETRES)), "compressedDepth topic"),
        ("16UC1; png compressed ", compressed(png(MILLIMETRES)), "compressedDepth topic"),
        ("16UC1; compressedDepth lz4", compressed(png(MILLIMETRES)), "lz4"),
        ("bgr8; compressedDepth png", compressed(png(MILLIMETRES)), "bgr8"),
        ("", compressed(png(MILLIMETRES)), "compressedDepth topic"),
        ("16UC1; compressedDepth png", np.empty(0, np.uint8), "0 bytes"),
        ("16UC1; compressedDepth png", compressed(b""), "12 of its header"),
        ("16UC1; compressedDepth png", np.frombuffer(png(MILLIMETRES), np.uint8), "no PNG after its 12-byte header"),
        ("16UC1; compressedDepth png", compressed(rvl(MILLIMETRES)), "no PNG"),
        ("16UC1; compressedDepth png", compressed(png(MILLIMETRES)[:-200]), "damaged or cut short"),
        ("16UC1; compressedDepth png", compressed(png(MILLIMETRES)[:30]), "damaged or cut short"),
        ("16UC1; compressedDepth png", compressed(png((MILLIMETRES % 256).astype(np.uint8))), "uint8"),
        ("16UC1; compressedDepth png", compressed(png(np.dstack([MILLIMETRES] * 3))), r"\(240, 320, 3\)"),
        ("32FC1; compressedDepth png", compressed(png(MILLIMETRES), 0.0, 0.0), "quantisation parameters 0 and 0"),
        ("32FC1; compressedDepth png", compressed(png(MILLIMETRES), float("nan"), 0.0), "quantisation"),
        ("16UC1; compressedDepth rvl", compressed(rvl(MILLIMETRES)[:-200]), "damaged or cut short"),
        ("16UC1; compressedDepth rvl", compressed(rvl(MILLIMETRES)[:6]), "damaged or cut short"),
        ("16UC1; compressedDepth rvl", compressed(struct.pack("<III", 2**31, 2**31, 0)), "size of 2147483648"),
        ("16UC1; compressedDepth rvl", compressed(struct.pack("<III", 0, 5, 0)), "size of 0 x 5"),
        ("16UC1; compressedDepth rvl", compressed(struct.pack("<III", 8, 5, 0)), "damaged"),
        ("16UC1; compressedDepth rvl", compressed(struct.pack("<III", 8, 5, 0xFFFFFFFF)), "damaged"),
        ("16UC1; compressedDepth rvl", compressed(struct.pack("<IIIII", 8, 5, *[0xFFFFFFFF] * 2, 0)), "damaged"),
    ],
)
def test_what_cannot_be_decoded_is_refused(image_format: str, data: NDArray[np.uint8], sentence: str) -> None:
    with pytest.raises(DepthMessageError, match=sentence):
        depth_from_compressed(image_format, data)


@pytest.mark.parametrize(("codec", "encode"), [("png", png), ("rvl", rvl)])
def test_damaged_bytes_raise_nothing_but_the_sentence(codec: str, encode) -> None:
    generator = np.random.default_rng(1)
    whole = compressed(encode(MILLIMETRES[:40, :40]))
    for _ in range(300):
        data = whole.copy()
        data[generator.integers(0, data.size, 4)] = generator.integers(0, 256, 4)
        try:
            depth_m, _ = depth_from_compressed(f"16UC1; compressedDepth {codec}", data[: generator.integers(0, 4000)])
        except DepthMessageError:
            continue
        assert np.isfinite(depth_m).all()
