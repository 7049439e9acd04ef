"""The machine under examination, as the doctor sees it: files below a root, commands, libraries."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from edgeirf.runtime.executors.cores import affinity, cpu_quota

Status = Literal["ok", "note", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what, ``TensorRT``.
        status: ``ok``; ``note``: absent and not needed here; ``warn``: works, but slower or less surely than it could;
            ``fail``: edgeirf cannot work.
        detail: what is there, or what is wrong, in one line.
        fix: the one command that installs or repairs it, or None.
    """

    name: str
    status: Status
    detail: str
    fix: str | None = None


@dataclass
class System:
    """This machine. Tests replace it by a folder of files and a table of answers.

    Attributes:
        root: where absolute paths begin.
        environment: variables.
    """

    root: Path = Path("/")
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    _answers: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)

    def path(self, name: str) -> Path:
        """The file that the absolute path ``name`` means here."""
        return self.root / name.lstrip("/")

    def read(self, name: str) -> str:
        """Text of a file; empty when it is not there or not ours to read. NUL bytes (device tree) are dropped."""
        try:
            return self.path(name).read_text(errors="replace").replace("\0", "\n").strip()
        except OSError:
            return ""

    def glob(self, pattern: str) -> Iterator[Path]:
        """Files that match an absolute pattern, sorted."""
        yield from sorted(self.root.glob(pattern.lstrip("/")))

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""
        return self.path(name).exists()

    def run(self, *command: str) -> str:
        """What a command prints; empty when there is no such command, it fails, or takes 20 seconds."""
        program = shutil.which(command[0])
        if program is None:
            return ""
        try:
            done = subprocess.run(  # noqa: S603 - fixed commands, no shell
                [program, *command[1:]], capture_output=True, text=True, timeout=20, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout.strip() if done.returncode == 0 else ""

    def probe(self, what: str) -> dict[str, Any]:
        """What :mod:`edgeirf.runtime.doctor.probe` says of a library.

        Runs in its own process, because a library may crash when it is imported.
        """
        if what not in self._answers:
            self._answers[what] = self._ask(what)
        return self._answers[what]

    def _ask(self, what: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "edgeirf.runtime.doctor.probe", what]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603
            answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        except (OSError, subprocess.TimeoutExpired):
            return {"error": "importing it does not end"}
        except (ValueError, IndexError):
            return {"error": f"importing it crashes (exit code {done.returncode})"}
        return answer

    def installed(self, distribution: str) -> str:
        """Version of an installed Python distribution, without importing it; empty when there is none."""
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            return ""

    def writable(self, path: Path) -> bool:
        """Whether this user may write to ``path``."""
        return os.access(path, os.W_OK)

    def usable(self, path: Path) -> bool:
        """Whether this user may read from and write to the device ``path``."""
        return os.access(path, os.R_OK | os.W_OK)

    def free_bytes(self, path: Path) -> int:
        """Free space of the disk that holds ``path``, or the nearest folder above it that is there."""
        while not path.exists():
            path = path.parent
        return shutil.disk_usage(path).free

    @property
    def cores(self) -> int:
        """Cores this process may use."""
        return affinity()

    @property
    def cpu_quota(self) -> float | None:
        """Cores that the container allows; None without a limit."""
        return cpu_quota(self.root)

    @property
    def python(self) -> tuple[str, str]:
        """Version of Python and the folder it is installed in."""
        return sys.version.split()[0], sys.prefix

    @property
    def in_virtual_environment(self) -> bool:
        """Whether Python runs in a virtual environment."""
        return sys.prefix != sys.base_prefix
