"""``edgeirf run`` on a V4L2 camera that nobody here wrote: the kernel's vivid driver, in a virtual machine.

    python tests/vivid.py [FOLDER]

Boots Debian's kernel in QEMU (no KVM, no network) with the files of this machine, read-only; the folder, by default
``build/vivid``, keeps the kernel. In it a line starts on ``/dev/video0``, the camera is disconnected and comes back.
Some five minutes. Needs Debian with qemu-system-x86, busybox-static, cpio and kmod.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
TOOLS = {"qemu-system-x86_64": "qemu-system-x86", "busybox": "busybox-static", "cpio": "cpio", "modprobe": "kmod"}
MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay", "vivid")
LIMIT_S = 900

INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev
for module in $(cat /modules/order); do [ $module = vivid.ko ] || insmod /modules/$module 2>/dev/null; done
mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=262144,cache=loose root /host
mount -t tmpfs t /tmp; mkdir -p /tmp/upper /tmp/work /tmp/root
mount -t overlay o -o lowerdir=/host,upperdir=/tmp/upper,workdir=/tmp/work /tmp/root
for each in proc sys dev; do mount --bind /$each /tmp/root/$each; done
mkdir -p /tmp/root/modules; cp /modules/vivid.ko /tmp/root/modules; ip link set lo up
chroot /tmp/root /bin/bash {folder}/guest.sh; poweroff -f
"""

GUEST = """export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root OMP_NUM_THREADS=1
comes() {{ for i in $(seq 200); do grep -q "$1" run.out && return; sleep 1; done; echo "GUEST: no $1"; }}
insmod /modules/vivid.ko n_devs=1 node_types=0x1
cd {folder}; rm -f v.jsonl audit.db* run.out
{python} -m edgeirf run line.toml --check
{python} -m edgeirf run line.toml > run.out 2>&1 & line=$!
comes "edgeirf: RUNNING"; sleep 10
{python} {tree}/tests/vivid.py --unplug; comes "edgeirf: DEGRADED"
comes "is back"; sleep 10
kill -INT $line; wait $line; echo "GUEST: rc $?"
cut -c1-300 run.out; sed 's/^/VERDICT /' v.jsonl; {python} -m edgeirf history audit.db --verify
"""

LINE = """[line]
deadline_ms = 20000
[detector]
model = "{model}"
device = "cpu"
threads = 1
[[camera]]
name = "top"
uri = "v4l2:///dev/video0?width=640&height=360&format=YUYV"
timeout_s = 20
reconnect_s = 600
[[output]]
kind = "jsonl"
path = "v.jsonl"
[records]
audit = "audit.db"
"""


def unplug() -> None:
    """In the guest: sets vivid's control "Disconnect" (linux/videodev2.h); it holds until the program has closed it."""
    import fcntl
    import struct

    query, set_control, following = 0xC0445624, 0xC008561C, 0x80000000
    with open("/dev/video0", "rb+", buffering=0) as device:
        number = 0
        while True:
            found = bytearray(struct.pack("II60x", number | following, 0))
            fcntl.ioctl(device, query, found)  # OSError after the last one
            number, name = struct.unpack("I", found[:4])[0], bytes(found[8:40]).split(b"\0")[0]
            if name == b"Disconnect":
                fcntl.ioctl(device, set_control, bytearray(struct.pack("Ii", number, 1)))
                return


def prepare(folder: Path) -> tuple[Path, Path]:
    """The kernel and the archive that it boots."""
    missing = [
        package for tool, package in TOOLS.items() if shutil.which(tool, path=f"{os.environ['PATH']}:/sbin") is None
    ]
    if missing:
        raise SystemExit(f"vivid: missing {', '.join(missing)}: apt install {' '.join(missing)}")
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "kernel").exists():
        depends = subprocess.check_output(["apt-cache", "depends", "linux-image-amd64"], text=True)
        package = re.findall(r"Depends: (linux-image-\S+)", depends)[0]
        subprocess.run(["apt-get", "download", "-qq", package], cwd=folder, check=True)
        subprocess.run(["dpkg", "-x", next(folder.glob("linux-image*.deb")), folder / "unpacked"], check=True)
        (folder / "unpacked").rename(folder / "kernel")
    root = folder / "kernel"
    version = next((root / "lib/modules").iterdir()).name
    if not (root / "lib/modules" / version / "modules.dep").exists():
        subprocess.run(["depmod", "-b", root, version], check=True)
    files: dict[str, None] = {}
    for module in MODULES:
        command = ["modprobe", "-d", str(root), "-S", version, "--show-depends", module]
        shown = subprocess.check_output(command, text=True)
        files.update(dict.fromkeys(line.split()[1] for line in shown.splitlines() if line.startswith("insmod")))
    return next((root / "boot").glob("vmlinuz-*")), archive(folder, list(files))


def archive(folder: Path, modules: list[str]) -> Path:
    """What the kernel runs first: busybox, the modules, and a script."""
    start = folder / "start"
    shutil.rmtree(start, ignore_errors=True)
    for name in ("bin", "proc", "sys", "dev", "host", "modules", "tmp"):
        (start / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "", start / "bin/busybox")
    for module in modules:
        shutil.copy(module, start / "modules")
    (start / "modules/order").write_text("\n".join(Path(module).name for module in modules))
    (start / "init").write_text(INIT.format(folder=folder))
    (start / "init").chmod(0o755)
    names = "\n".join(str(path.relative_to(start)) for path in [start, *start.rglob("*")])
    done = subprocess.run(
        ["cpio", "-o", "-H", "newc", "--quiet"], cwd=start, input=names.encode(), stdout=subprocess.PIPE
    )
    (folder / "start.cpio").write_bytes(done.stdout)
    return folder / "start.cpio"


def boot(kernel: Path, start: Path) -> str:
    """What the machine prints until it is off."""
    share = "local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap"
    command = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-machine", "q35", "-m", "2000", "-nodefaults"]
    command += [
        "-no-user-config",
        "-nographic",
        "-nic",
        "none",
        "-no-reboot",
        "-kernel",
        str(kernel),
        "-initrd",
        str(start),
    ]
    command += ["-append", "console=ttyS0 quiet panic=-1", "-serial", "stdio", "-virtfs", share]
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S, errors="replace"
    ).stdout


def check(said: str) -> None:
    """Ends with the first promise that is broken."""
    states = re.findall(r"^edgeirf: ([A-Z]+)", said, re.MULTILINE)
    passed = [
        ("the check finds the camera", "camera top: works" in said),
        ("states", states == ["READY", "RUNNING", "DEGRADED", "RUNNING", "INIT"]),
        ("the camera is back", "is back after" in said),
        ("parts before and after", said.count("VERDICT ") >= 3),
        ("none is late", '"reason": "late"' not in said),
        ("the line ends well", "GUEST: rc 0" in said),
        ("the audit is whole", "none changed or removed" in said),
    ]
    wrong = [name for name, right in passed if not right]
    if wrong:
        raise SystemExit(f"{said}\nvivid: not so: {', '.join(wrong)}")


def main() -> None:
    """Boots, and checks what the line did."""
    if sys.argv[1:] == ["--unplug"]:
        unplug()
        return
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else TREE / "build/vivid").resolve()
    kernel, start = prepare(folder)
    (folder / "line.toml").write_text(LINE.format(model=TREE / "tests/data/schema1.irf"))
    (folder / "guest.sh").write_text(GUEST.format(folder=folder, python=sys.executable, tree=TREE))
    said = boot(kernel, start)
    (folder / "said.txt").write_text(said)
    check(said)
    print(f"vivid: {said.count('VERDICT ')} parts, unplugged and back; {folder / 'said.txt'}")


if __name__ == "__main__":
    main()
