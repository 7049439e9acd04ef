from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeirf import bundle as format_
from edgeirf.bundle import MANIFEST, SEAL, Bundle, write
from edgeirf.errors import BundleError, EdgeirfError
from edgeirf.files import sha256
from edgeirf.manifest import SCHEMA, Manifest, Member


def pooling(**attributes: list[int]) -> bytes:
    """A graph that the exporter could have written: one pooling."""
    sides = {"image": ["n", 3, "h", "w"], "field": ["n", 3, "gh", "gw"]}
    source, field = (onnx.helper.make_tensor_value_info(name, 1, shape) for name, shape in sides.items())
    windows = {"kernel_shape": [8, 8], "strides": [8, 8], **attributes}
    node = onnx.helper.make_node("AveragePool", ["image"], ["field"], **windows)
    graph = onnx.helper.make_graph([node], "pooling", [source], [field])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


POOLING, OTHER = pooling(), pooling(strides=[16, 16])
GRAPH = {"model.fp32.onnx": POOLING}


@pytest.fixture
def written(tmp_path: Path, manifest: Manifest) -> Path:
    path = tmp_path / "part.irf"
    write(path, manifest, GRAPH)
    return path


def seal(zipped: bytes) -> bytes:
    """The zip with a valid seal in its comment, as an enemy who knows the format would make it."""
    at = zipped.rindex(b"PK\x05\x06")
    body = zipped[: at + 20] + struct.pack("<H", len(SEAL) + 64) + SEAL
    return body + hashlib.sha256(body).hexdigest().encode()


def zipped(entries: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in entries:
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=compression)
    return buffer.getvalue()


def manifest_bytes(manifest: Manifest, members: dict[str, bytes]) -> bytes:
    listed = {name: Member(len(data), sha256(data)) for name, data in members.items()}
    return replace(manifest, members=listed).to_json()


def refused(path: Path, data: bytes) -> str:
    """Reads ``data`` as a bundle, expects the one clear line, returns it."""
    path.write_bytes(data)
    before = set(path.parent.iterdir())
    with pytest.raises(BundleError) as caught:
        Bundle.read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert caught.value.__cause__ is None
    assert set(path.parent.iterdir()) == before
    return message


def test_what_is_written_is_read(written: Path, manifest: Manifest) -> None:
    bundle = Bundle.read(written)
    assert bundle.member("model.fp32.onnx") == POOLING
    assert bundle.manifest == replace(manifest, members={"model.fp32.onnx": Member(len(POOLING), sha256(POOLING))})
    assert bundle.digest == sha256(written.read_bytes())
    assert bundle.label == f"part@{bundle.digest[:12]}"
    with pytest.raises(BundleError, match=r"has no model\.int8\.onnx"):
        bundle.member("model.int8.onnx")


def test_golden_bytes_of_the_format(written: Path, manifest: Manifest) -> None:
    """Old bundles must stay readable: these bytes change only together with SCHEMA."""
    text = manifest_bytes(manifest, GRAPH)
    stored = struct.Struct("<4s5H3I2H")  # local file header of a stored entry of 1980-01-01

    def local(name: bytes, data: bytes) -> bytes:
        crc = zipfile.crc32(data)  # type: ignore[attr-defined]
        return stored.pack(b"PK\x03\x04", 20, 0, 0, 0, 33, crc, len(data), len(data), len(name), 0) + name + data

    data = written.read_bytes()
    first, second = local(b"manifest.json", text), local(b"model.fp32.onnx", POOLING)
    assert data.startswith(first + second + b"PK\x01\x02")
    assert data[:-64].endswith(b"edgeirf-sha256:")
    assert data[-64:] == hashlib.sha256(data[:-64]).hexdigest().encode()
    assert json.loads(text)["schema"] == SCHEMA == 2


def test_equal_contents_give_equal_bytes(written: Path, manifest: Manifest, tmp_path: Path) -> None:
    write(tmp_path / "again.irf", manifest, dict(reversed(GRAPH.items())))
    assert (tmp_path / "again.irf").read_bytes() == written.read_bytes()


@pytest.mark.parametrize("bit", [0, 5])
def test_every_flipped_byte_is_found(written: Path, bit: int) -> None:
    data = bytearray(written.read_bytes())
    for at in range(len(data)):
        data[at] ^= 1 << bit
        refused(written, bytes(data))
        data[at] ^= 1 << bit


def test_every_truncation_is_found(written: Path) -> None:
    data = written.read_bytes()
    for length in range(0, len(data), 7):
        refused(written, data[:length])
    refused(written, data[:-1])
    refused(written, data + b"\0")


def test_a_sealed_bundle_of_random_damage_never_gives_a_traceback(written: Path) -> None:
    """The seal proves wholeness, not honesty: whatever lies behind a valid seal is one clear error, or a bundle."""
    data, rng = written.read_bytes()[: -64 - len(SEAL)], random.Random(0)
    for _ in range(1500):
        body = bytearray(data)
        for _ in range(rng.randint(1, 3)):
            body[rng.randrange(len(body))] = rng.choice((0, 1, 0x20, 0x7F, 0xFF, rng.randrange(256)))
        body += SEAL
        written.write_bytes(bytes(body) + hashlib.sha256(body).hexdigest().encode())
        with contextlib.suppress(BundleError):
            Bundle.read(written)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, len(POOLING) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_graph_of_random_damage_is_one_line_or_a_graph(
    tmp_path: Path, manifest: Manifest, damage: list[tuple[int, int]]
) -> None:
    graph = bytearray(POOLING)
    for at, value in damage:
        graph[at] = value
    (tmp_path / "x.irf").write_bytes(with_graph(manifest, bytes(graph), "")[0])
    try:
        Bundle.read(tmp_path / "x.irf")
    except BundleError as error:
        assert "\n" not in str(error)  # noqa: PT017


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400), st.booleans())
def test_random_bytes_are_refused(tmp_path: Path, data: bytes, sealed: bool) -> None:
    body = b"PK\x03\x04" + data + SEAL
    refused(tmp_path / "x.irf", body + hashlib.sha256(body).hexdigest().encode() if sealed else data)


def hostile(manifest: Manifest) -> dict[str, tuple[bytes, str]]:
    """Name of the attack to its bytes and a part of the message."""
    text = manifest_bytes(manifest, GRAPH)
    good = [(MANIFEST, text), *GRAPH.items()]
    big = zipped([(MANIFEST, text), ("model.fp32.onnx", bytes(1_000_000))], zipfile.ZIP_DEFLATED)
    later = json.loads(text) | {"schema": SCHEMA + 1, "something": "new"}
    central = zipped(good)
    at = central.index(b"PK\x01\x02")
    huge = central[: at + 20] + struct.pack("<II", 0xFFFFFFF0, 0xFFFFFFF0) + central[at + 28 :]
    lie = manifest_bytes(manifest, {"model.fp32.onnx": POOLING[:-1] + b"?"})
    return {
        "later schema": (seal(zipped([(MANIFEST, json.dumps(later).encode()), *GRAPH.items()])), "upgrade edgeirf"),
        "zip bomb": (seal(big), "is compressed"),
        "a huge declared size": (seal(huge), "members overlap"),
        "climbs out": (seal(zipped([*good, ("../evil", b"")])), "not a plain file name"),
        "absolute": (seal(zipped([*good, ("/etc/evil", b"")])), "not a plain file name"),
        "hidden": (seal(zipped([*good, (".evil", b"")])), "not a plain file name"),
        "drive": (seal(zipped([*good, ("C:evil", b"")])), "not a plain file name"),
        "line feed": (seal(zipped([*good, ("a\nb", b"")])), "not a plain file name"),
        "folder": (seal(zipped([*good, ("sub/", b"")])), "not a plain file name"),
        "unlisted": (seal(zipped([*good, ("extra", b"")])), "not those the manifest lists"),
        "missing": (seal(zipped(good[:1])), "not those the manifest lists"),
        "manifest last": (seal(zipped(good[::-1])), "manifest.json is not its first member"),
        "empty zip": (seal(b"PK\x03\x04" + zipped([])), "not a"),
        "no manifest": (seal(zipped([("a", b"b")])), "manifest.json is not its first member"),
        "damaged member": (seal(zipped([(MANIFEST, lie), *GRAPH.items()])), "model.fp32.onnx is damaged"),
        "not JSON": (seal(zipped([(MANIFEST, b"\xff{"), *GRAPH.items()])), "not valid JSON"),
        "deep JSON": (seal(zipped([(MANIFEST, b"[" * 200_000), *GRAPH.items()])), "not valid JSON"),
        "foreign zip": (zipped([("a.txt", b"text")]), "not an edgeirf bundle"),
        "not a zip": (b"\x89PNG\r\n" + bytes(200), "not an edgeirf bundle"),
        "empty": (b"", "not an edgeirf bundle"),
        "not a graph": with_graph(manifest, b"graph", "model.fp32.onnx is not a graph that edgeirf exports"),
        "a graph of another input": with_graph(manifest, pooling(strides=[1, 1]), "too fine"),
        "too many members": (seal(zipped([*good, *((f"m{i}", b"") for i in range(63))])), "65 members"),
        "a large manifest": (
            seal(zipped([(MANIFEST, text + b" " * format_.MAX_MANIFEST), *GRAPH.items()])),
            "too large",
        ),
    }


def with_graph(manifest: Manifest, graph: bytes, message: str) -> tuple[bytes, str]:
    members = {"model.fp32.onnx": graph}
    return seal(zipped([(MANIFEST, manifest_bytes(manifest, members)), *members.items()])), message


ATTACKS = [
    *("later schema", "zip bomb", "a huge declared size", "climbs out", "absolute", "hidden", "drive", "line feed"),
    *("folder", "unlisted", "missing", "manifest last", "empty zip", "no manifest", "damaged member", "not JSON"),
    *("deep JSON", "foreign zip", "not a zip", "empty", "not a graph", "a graph of another input"),
    *("too many members", "a large manifest"),
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_files_give_one_clear_line(tmp_path: Path, manifest: Manifest, attack: str) -> None:
    data, message = hostile(manifest)[attack]
    assert message in refused(tmp_path / "x.irf", data)


def test_every_attack_is_run(manifest: Manifest) -> None:
    assert set(hostile(manifest)) == set(ATTACKS)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice(tmp_path: Path, manifest: Manifest) -> None:
    data = seal(zipped([(MANIFEST, manifest_bytes(manifest, GRAPH)), *GRAPH.items(), *GRAPH.items()]))
    assert "members overlap" in refused(tmp_path / "x.irf", data)


@pytest.mark.parametrize("size", [format_.MAX_BUNDLE + 1, 1 << 50])
def test_a_file_too_large_is_not_read(tmp_path: Path, size: int) -> None:
    path = tmp_path / "huge.irf"
    with path.open("wb") as file:
        file.truncate(min(size, 1 << 43))
    with pytest.raises(BundleError, match="more than a bundle may have"):
        Bundle.read(path)


@pytest.mark.parametrize(("make", "message"), [(Path.mkdir, "directory"), (lambda p: None, "No such file")])
def test_what_cannot_be_read(tmp_path: Path, make: Callable[[Path], None], message: str) -> None:
    path = tmp_path / "x.irf"
    make(path)
    with pytest.raises(BundleError, match=message):
        Bundle.read(path)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "device"])
def test_what_never_ends_is_not_read(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "x.irf")
    with pytest.raises(BundleError, match="not a regular file"):
        Bundle.read(tmp_path / "x.irf")


@pytest.mark.parametrize("name", ["../x", "a/b", "", "a b", ".hidden", "x" * 200, "ä"])
def test_write_refuses_names_that_read_refuses(tmp_path: Path, manifest: Manifest, name: str) -> None:
    with pytest.raises(BundleError, match="not a plain file name"):
        write(tmp_path / "x.irf", manifest, {**GRAPH, name: b""})
    assert list(tmp_path.iterdir()) == []


def test_write_refuses_a_manifest_that_could_not_be_read(tmp_path: Path, manifest: Manifest) -> None:
    with pytest.raises(BundleError, match="not a member"):
        write(tmp_path / "x.irf", manifest, {})
    with pytest.raises(BundleError, match=r"manifest\.name"):
        write(tmp_path / "x.irf", replace(manifest, name="two\nlines"), GRAPH)
    assert list(tmp_path.iterdir()) == []


def test_a_failing_write_leaves_the_old_bundle(
    written: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = written.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EdgeirfError, match="No space left on device"):
        write(written, manifest, {"model.fp32.onnx": OTHER})
    assert written.read_bytes() == before
    assert list(written.parent.iterdir()) == [written]


def test_killed_while_writing_leaves_no_bundle(tmp_path: Path) -> None:
    """SIGKILL between the first byte and the rename: nothing has the final name."""
    code = (
        "import os, sys, time, edgeirf.files as f\n"
        "os.fsync = lambda _: (print('writing', flush=True), time.sleep(60))\n"
        "f.write_bytes(sys.argv[1], bytes(1 << 20))\n"
    )
    path = tmp_path / "x.irf"
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        process.kill()
    assert not path.exists()
    assert all(left.name.startswith(".x.irf.") for left in tmp_path.iterdir())


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def npz_claiming(shape: str) -> bytes:
    """An .npz whose ``images.npy`` claims ``shape`` and holds nothing."""
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    return zipped([("images.npy", array), ("scores.npy", array)])


GOLDEN_IMAGES = np.arange(64 * 64 * 3, dtype=np.uint8).reshape(1, 1, 64, 64, 3)


def test_golden_arrays(tmp_path: Path, manifest: Manifest) -> None:
    write(tmp_path / "x.irf", manifest, {**GRAPH, "golden.npz": npz(images=GOLDEN_IMAGES, scores=np.ones(1))})
    golden = Bundle.read(tmp_path / "x.irf").golden
    np.testing.assert_array_equal(golden["images"], GOLDEN_IMAGES)
    assert golden["scores"].tolist() == [1.0]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"not a zip", id="not a zip"),
        pytest.param(npz(images=GOLDEN_IMAGES), id="no scores"),
        pytest.param(npz(images=GOLDEN_IMAGES[:, :, :32], scores=np.ones(1)), id="another size"),
        pytest.param(npz(images=GOLDEN_IMAGES[:, [0, 0]], scores=np.ones(1)), id="another number of tiles"),
        pytest.param(npz(images=GOLDEN_IMAGES.astype(float), scores=np.ones(1)), id="another type"),
        pytest.param(npz(images=GOLDEN_IMAGES, scores=np.ones(2)), id="more scores than images"),
        pytest.param(npz(images=GOLDEN_IMAGES[[0] * 65], scores=np.ones(65)), id="more images than needed"),
        pytest.param(npz(images=GOLDEN_IMAGES, scores=np.array([np.nan])), id="not a number"),
        pytest.param(npz(images=GOLDEN_IMAGES, scores=np.array([{}], dtype=object)), id="pickle"),
        pytest.param(npz_claiming("(10000000000000,)"), id="claims 10 TB"),
        pytest.param(npz_claiming("(9223372036854775807, 8)"), id="claims more than an int64"),
        pytest.param(npz_claiming("(-1,)"), id="negative size"),
        pytest.param(npz_claiming("__import__('os')"), id="code"),
        pytest.param(
            zipped([("images.npy", bytes(20_000_000)), ("scores.npy", b"")], zipfile.ZIP_DEFLATED), id="zip bomb"
        ),
    ],
)
def test_golden_arrays_of_an_enemy(tmp_path: Path, manifest: Manifest, data: bytes) -> None:
    write(tmp_path / "x.irf", manifest, {**GRAPH, "golden.npz": data})
    with pytest.raises(BundleError, match=r"golden\.npz is unusable") as caught:
        _ = Bundle.read(tmp_path / "x.irf").golden
    assert "\n" not in str(caught.value)


def test_a_name_that_no_file_can_have_is_one_line() -> None:
    with pytest.raises(BundleError, match=r"cannot read .*null byte"):
        Bundle.read("a\0b.irf")
