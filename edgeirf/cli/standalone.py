"""What ``edgeirf export`` writes of a finished bundle: the standalone graph, in a bundle or as a bare file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeirf import bundle as bundles
from edgeirf.bundle import Bundle
from edgeirf.cli.console import echo
from edgeirf.cli.info import megabytes
from edgeirf.errors import EdgeirfError, UsageError
from edgeirf.files import check_writable, write_bytes
from edgeirf.line_graph import MEMBER


@dataclass(frozen=True)
class Bare:
    """The bare file that is asked for.

    Attributes:
        path: None for none.
        pixel_format: of the frames; None is ``bgr8``.
        product: whose thresholds; None where the bundle has one.
        precision: of the network; None takes the graph that the CPU takes by itself.
    """

    path: Path | None
    pixel_format: str | None = None
    product: str | None = None
    precision: str | None = None

    def check(self, bundle: Path, force: bool) -> None:
        """Passes names that can be written, before any work is done.

        Args:
            bundle: that is read or written, too.
            force: the file may exist.

        Raises:
            UsageError: it exists, is no ``.onnx``, or is the bundle; or there is no such pixel format.
        """
        from edgeirf.runtime.imaging.pixel_format import check_name

        if self.path is None:
            return
        check_name(self.pixel_format or "bgr8")
        if self.path.suffix != ".onnx" or self.path.absolute() == bundle.absolute():
            raise UsageError(f"--standalone writes an ONNX file: name it FILE.onnx, not {self.path}")
        if self.path.exists() and not force:
            raise UsageError(f"{self.path} exists: --force overwrites it, --standalone names another")
        check_writable(self.path)

    def write(self, bundle: Bundle) -> None:
        """Writes the file, and says in one line what is fixed in it.

        Raises:
            UsageError: no such product or precision, or what the graph cannot say.
        """
        if self.path is None:
            return
        need_onnx()
        from edgeirf.export.standalone.graph import standalone_of
        from edgeirf.runtime.detector import choose_product
        from edgeirf.runtime.executors.select import choose_model
        from edgeirf.runtime.imaging.pixel_format import check_name

        form, product = check_name(self.pixel_format or "bgr8"), choose_product(bundle, self.product)
        key, _ = choose_model(bundle, "onnxruntime", self.precision)
        graph = standalone_of(bundle, form, product, key)
        write_bytes(self.path, graph)
        echo(
            f"wrote {self.path} ({megabytes(len(graph))}): {form} frames of {product!r}, {key}; a bare file has no seal"
        )


def check_bundle(path: Path, force: bool) -> Path:
    """Passes the name of a bundle to write.

    Raises:
        UsageError: it exists, and ``force`` is not set.
    """
    if path.exists() and not force:
        raise UsageError(f"{path} exists: --force overwrites it, --output names another")
    check_writable(path)
    return path


def from_bundle(path: Path, output: Path | None, bare: Bare, standalone: bool, force: bool) -> None:
    """A finished bundle to a bare graph, or to a bundle with or without its graph: seconds, no pictures.

    Args:
        path: the bundle.
        output: bundle to write; None for none.
        bare: file to write.
        standalone: the new bundle gets ``line.onnx``.
        force: files may exist.

    Raises:
        UsageError: nothing is asked for, a file exists, or what the graph cannot say.
    """
    if bare.path is None and output is None:
        raise UsageError(
            f"{path} is a bundle: --standalone FILE.onnx writes its graph for other hosts, -o NEW.irf a bundle with it"
        )
    if output is not None:
        check_bundle(output, force)
    bare.check(output or path, force)
    bundle = Bundle.read(path)
    if output is not None:
        renew(bundle, output, standalone)
        bundle = Bundle.read(output)
    bare.write(bundle)


def renew(bundle: Bundle, path: Path, standalone: bool) -> None:
    """Writes a bundle with its standalone graph, or without; all else stays.

    Raises:
        UsageError: the bundle asks for what the graph cannot say.
    """
    members = {name: bundle.member(name) for name in bundle.manifest.members if name != MEMBER}
    if standalone:
        need_onnx()
        from edgeirf.export.standalone.member import with_line

        members = with_line(path, bundle.manifest, members)
    bundles.write(path, bundle.manifest, members)
    echo(f"wrote {path} ({megabytes(path.stat().st_size)}) {'with' if standalone else 'without'} {MEMBER}")


def need_onnx() -> None:
    """Raises EdgeirfError where the library that writes graphs is missing."""
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise EdgeirfError(f"writing a standalone graph needs ONNX ({error}): pip install onnx") from None
