"""The control groups of this process: what its container or service may use."""

from __future__ import annotations

from pathlib import Path


def group_folders(controller: str, root: Path = Path("/")) -> list[Path]:
    """Folders of the process's control groups and of all above them, of version 2 and 1.

    Inside a container the path that the kernel names may not be there: its own group is then mounted at the top.

    Args:
        controller: ``cpu`` or ``memory``.
        root: where absolute paths begin.
    """
    mount = root / "sys/fs/cgroup"
    folders = []
    for line in read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        tops = [mount] if not controllers else []
        if controller in controllers.split(","):
            tops = [mount / controller, mount / controllers]
        parts = [part for part in path.split("/") if part not in ("", "..", ".")]
        folders += [top.joinpath(*parts[:depth]) for top in tops for depth in range(len(parts) + 1)]
    return folders


def read(path: Path) -> str:
    """The text of a file of the kernel; empty where it is not there."""
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
