"""The ``.irf`` bundle: a zip, stored uncompressed, ``manifest.json`` first, sealed with a SHA-256.

The zip's comment is ``edgeirf-sha256:`` and the digest of every byte before the digest, so a change of any byte of
the file is found before anything of it is parsed. The digest proves that the file is whole, not that its author is
honest: every size is bounded, and graphs pass :mod:`edgeirf.onnx_check` before a library sees them. Reading never
executes, extracts or decompresses.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeirf.errors import BundleError, UsageError
from edgeirf.files import sha256, write_bytes
from edgeirf.line_graph import MEMBER as LINE
from edgeirf.line_graph import check_line
from edgeirf.manifest import Manifest, Member, parse
from edgeirf.onnx_check import check_graph
from edgeirf.settings import Preprocess

MANIFEST = "manifest.json"
GOLDEN = "golden.npz"
REPORT = "report.html"
SEAL = b"edgeirf-sha256:"
MAX_BUNDLE = 4 * 1024**3
MAX_MANIFEST = 8 * 1024**2
MAX_MEMBERS = 64
MAX_GOLDEN = 64
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_EPOCH = (1980, 1, 1, 0, 0, 0)


class Bundle:
    """An open bundle. All of it is checked when it is read; members are then plain bytes.

    >>> bundle = Bundle.read("bottle.irf")
    >>> bundle.manifest.name, list(bundle.manifest.models)
    ('bottle', ['fp32'])

    Attributes:
        path: where it was read from.
        manifest: what it says of itself.
        digest: SHA-256 of the file, 64 hexadecimal digits; names the bundle in logs and engine caches.
    """

    def __init__(self, path: Path, manifest: Manifest, members: Mapping[str, bytes], digest: str) -> None:
        self.path = path
        self.manifest = manifest
        self.digest = digest
        self._members = dict(members)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Bundle:
        """Reads and checks ``path``.

        Raises:
            BundleError: missing, damaged, foreign, or of a later schema; the message says which.
        """
        path = Path(path)
        try:
            status = path.stat()
            if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):  # a pipe or device may never end
                raise BundleError(f"{path}: not a regular file")
            if status.st_size > MAX_BUNDLE:
                raise BundleError(f"{path}: {status.st_size} bytes is more than a bundle may have ({MAX_BUNDLE})")
            data = path.read_bytes()
        except (OSError, ValueError) as error:  # ValueError: a name that no file can have
            raise BundleError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
        try:
            return cls._parse(path, data)
        except BundleError as error:
            raise BundleError(f"{path}: {error}") from None

    @classmethod
    def _parse(cls, path: Path, data: bytes) -> Bundle:
        _check_seal(data)
        members = _members(data)
        text = members.pop(MANIFEST)
        if len(text) > MAX_MANIFEST:
            raise BundleError("manifest.json is too large")
        manifest = parse(text)
        if set(members) != set(manifest.members):
            raise BundleError("the files inside are not those the manifest lists")
        for name, member in manifest.members.items():
            if len(members[name]) != member.size or sha256(members[name]) != member.sha256:
                raise BundleError(f"{name} is damaged: export it again or copy it again")
        _check_graphs(manifest, members)
        return cls(path, manifest, members, sha256(data))

    def member(self, name: str) -> bytes:
        """The bytes of one member.

        Raises:
            BundleError: the bundle has no such member.
        """
        try:
            return self._members[name]
        except KeyError:
            raise BundleError(f"{self.path}: has no {name}") from None

    def at_resolution(self, width: int, height: int) -> Bundle:
        """This bundle for a camera that sees the same view in ``width`` x ``height`` pixels.

        Raises:
            UsageError: the view differs, or the bundle does not know its frame.
        """
        frame = self.manifest.frame
        if frame is None:
            raise UsageError(f"{self.path} does not say which frames it was trained on: export it again")
        contract, settings = frame.at(self.manifest.preprocess, width, height)
        manifest = replace(self.manifest, frame=contract, preprocess=settings)
        return Bundle(self.path, manifest, self._members, self.digest)

    @property
    def label(self) -> str:
        """Name and short hash, ``bottle@1a2b3c4d5e6f``, as in every log line."""
        return f"{self.manifest.name}@{self.digest[:12]}"

    @cached_property
    def golden(self) -> dict[str, NDArray[np.generic]]:
        """Arrays of ``golden.npz``: ``images`` (n, T, H, W, 3) network-size pixels, and ``scores`` (n,) float64.

        Raises:
            BundleError: the member is missing or holds anything but plain arrays.
        """
        data = self.member(GOLDEN)
        try:
            arrays = _stored(data)
            images, scores = (_array(arrays[f"{name}.npy"]) for name in ("images", "scores"))
            _check_golden(images, scores, self.manifest.preprocess)
        except (BundleError, ValueError, KeyError, MemoryError) as error:  # MemoryError: a header that claims terabytes
            reason = " ".join(str(error).split())[:300]
            raise BundleError(f"{self.path}: golden.npz is unusable ({reason}): export it again") from None
        return {"images": images, "scores": scores}


def write(path: str | os.PathLike[str], manifest: Manifest, members: Mapping[str, bytes]) -> None:
    """Writes a bundle atomically; equal contents give equal bytes.

    Args:
        path: the final name, by custom ``NAME.irf``.
        manifest: its ``members`` field is filled in here.
        members: file name to content, without the manifest.

    Raises:
        BundleError: a member's name is not a plain file name, or the manifest or a graph would not be read back; a
            standalone graph of other thresholds, for instance.
        EdgeirfError: the file cannot be written.
    """
    listed = {name: Member(len(data), sha256(data)) for name, data in sorted(members.items())}
    contents = {MANIFEST: replace(manifest, members=listed).to_json(), **dict(sorted(members.items()))}
    _check_graphs(parse(contents[MANIFEST]), members)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in contents.items():
            _check_name(name)
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)
        archive.comment = SEAL + b"0" * 64
    sealed = buffer.getvalue()[:-64]
    write_bytes(path, sealed + hashlib.sha256(sealed).hexdigest().encode())


def _check_graphs(manifest: Manifest, members: Mapping[str, bytes]) -> None:
    rows, columns = manifest.preprocess.tiles
    for name in sorted({model.file for model in manifest.models.values()}):
        try:
            check_graph(members[name], rows * columns, manifest.preprocess.size)
        except BundleError as error:
            raise BundleError(f"{name} is {error}") from None
    if LINE in members:
        check_line(members[LINE], manifest, members)


def _array(data: bytes) -> NDArray[np.generic]:
    array: NDArray[np.generic] = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    return array


def _check_golden(images: NDArray[np.generic], scores: NDArray[np.generic], settings: Preprocess) -> None:
    rows, columns = settings.tiles
    if images.shape[1:] != (rows * columns, *settings.size, 3) or images.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"images are {images.shape} {images.dtype}, which does not fit the manifest")
    if scores.shape != images.shape[:1] or not 1 <= len(scores) <= MAX_GOLDEN or scores.dtype.kind != "f":
        raise ValueError(f"{len(images)} images and {scores.shape} scores")
    if not np.isfinite(scores).all():
        raise ValueError("a score is not finite")


def _check_seal(data: bytes) -> None:
    if not data.startswith(b"PK\x03\x04"):
        raise BundleError("not an edgeirf bundle")
    body, digest = data[:-64], data[-64:]
    if not body.endswith(SEAL):
        raise BundleError("not an edgeirf bundle, or cut short: copy it again")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise BundleError("damaged (its checksum does not match): copy it again or export it again")


def _members(data: bytes) -> dict[str, bytes]:
    members = _stored(data)
    if next(iter(members), None) != MANIFEST:
        raise BundleError("not an edgeirf bundle: manifest.json is not its first member")
    return members


def _stored(data: bytes) -> dict[str, bytes]:
    """Every member's bytes. The zip is not trusted: a compressed member or a repeated name is refused."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_MEMBERS:
                raise BundleError(f"{len(entries)} members, {MAX_MEMBERS} at most are allowed")
            for entry in entries:
                _check_name(entry.filename)
                if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
                    raise BundleError(f"{entry.filename} is compressed, which a bundle never is")
            names = [entry.filename for entry in entries]
            if len(set(names)) != len(names) or sum(entry.file_size for entry in entries) > len(data):
                raise BundleError("members overlap")
            return {name: archive.read(name) for name in names}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise BundleError(f"not a readable zip ({error})") from None


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BundleError(f"a member is called {name[:60]!r}, which is not a plain file name")
