"""What a container looks like inside, as the arguments of `podman run` and `docker run`; and the image that is only a shell.

With no image named, a container shows the host's own /usr, as bubblewrap does: its image is a tree of empty folders.
"""

from __future__ import annotations

import hashlib
import io
import os
import resource
import tarfile
from dataclasses import dataclass
from pathlib import Path

from nightmill.errors import SandboxError
from nightmill.sandbox import Place
from nightmill.sandbox.backends.engine import Engine, Traits
from nightmill.sandbox.owner import Owner
from nightmill.sandbox.profile import BUNDLES, ETC, MERGED, TRUSTED
from nightmill.sandbox.program import Interpreter, interpreter

__all__ = ["Bounds", "Shell", "arguments", "clearing", "overlay", "shell"]

RUNNER = "/run/nightmill/runner.py"

FIXED = """
    --rm --interactive --network none --cap-drop all --security-opt no-new-privileges --security-opt label=disable
    --read-only --hostname sandbox --ipc private --cgroupns private --log-driver none --pull never
    --no-healthcheck --workdir /
""".split()

PODMAN = """
    --read-only-tmpfs=false --http-proxy=false --systemd=false --image-volume=ignore --no-hosts
    --security-opt mask=/proc/pressure
""".split()

FOLDERS = ("dev", "etc", "mnt", "opt", "proc", "run", "run/nightmill", "srv", "sys", "usr", "var")
"""Not /work: podman gives a new volume the owner and the mode of the image's own folder, if it has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one container may use in all, if the engine can bound it. Sizes are bytes."""

    tmp: int = 512 << 20
    shared: int = 512 << 20
    memory: int = 8 << 30
    processes: int = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """An image of empty folders and links: its name, which is its content's hash, and the tar archive that it is."""

    name: str
    archive: bytes


def shell() -> Shell:
    """The image on which the host's own folders are shown."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in FOLDERS:
            archive.addfile(_entry(name, tarfile.DIRTYPE, 0o755))
        archive.addfile(_entry("tmp", tarfile.DIRTYPE, 0o1777))
        archive.addfile(_entry("var/tmp", tarfile.SYMTYPE, 0o777, "../tmp"))
        for name in MERGED:
            if (Path("/") / name).is_symlink():
                archive.addfile(_entry(name, tarfile.SYMTYPE, 0o777, os.readlink(f"/{name}")))
            elif (Path("/") / name).is_dir():
                archive.addfile(_entry(name, tarfile.DIRTYPE, 0o755))
    body = out.getvalue()
    return Shell(name=f"localhost/nightmill-shell:{hashlib.sha256(body).hexdigest()[:16]}", archive=body)


def overlay(place: Place) -> str:
    """Options of the overlay mount that is /work; attributes are the user's, so that packs can hold them."""
    layers = place.layers or (place.directory / "empty",)
    lower = ":".join(str(_plain(layer)) for layer in reversed(layers))
    directory = _plain(place.directory)
    return f"lowerdir={lower},upperdir={directory}/upper,workdir={directory}/work,userxattr"


def arguments(  # noqa: PLR0913 - what differs between two containers
    place: Place, *, name: str, engine: Engine, traits: Traits, bounds: Bounds, image: str, owner: Owner | None
) -> list[str]:
    """Everything after `podman` or `docker`. *image* is the project's own; "": the host's /usr on a `shell`."""
    words = ["run", *FIXED, "--name", name, *(PODMAN if engine.podman else ()), *_user(engine, traits, owner)]
    python = interpreter()
    if engine.runtime and not engine.podman:
        words += ["--runtime", engine.runtime]
    if traits.limits:
        words += ["--memory", str(bounds.memory), "--memory-swap", str(bounds.memory)]
        words += ["--pids-limit", str(bounds.processes)]
    words += [word for each in _ulimits() for word in ("--ulimit", each)]
    words += ["--shm-size", str(bounds.shared), "--tmpfs", f"/tmp:rw,nosuid,nodev,exec,size={bounds.tmp},mode=1777"]  # noqa: S108 - the sandbox's own
    for path in ("/sys", "/sys/fs/cgroup"):  # else the host's devices, groups and their names are seen
        words += ["--tmpfs", f"{path}:ro,size=4096,mode=0555"]
    words += ["--volume", f"{name}:/work" if engine.podman else f"{name}:/work:nocopy"]
    for path, source in (_shown(place, image) | _host(image, python, place.directory)).items():
        words += ["--mount", f"type=bind,source={_plain(source)},destination={_plain(Path(path))},readonly"]
    first = "python3" if image else python.path
    return [*words, "--entrypoint", first, image or shell().name, "-I", "-S", RUNNER, name]


def clearing(work: Path) -> list[str]:
    """Have the engine empty the folder *work*, which its daemon has filled as root."""
    fixed = "run --rm --network none --security-opt label=disable --read-only --log-driver none --pull never".split()
    shown = {"/usr": Path("/usr"), **_folders()}
    words = [f"type=bind,source={_plain(source)},destination={path},readonly" for path, source in shown.items()]
    words.append(f"type=bind,source={_plain(work)},destination=/work")
    mounts = [word for each in words for word in ("--mount", each)]
    return [*fixed, "--user", "0:0", *mounts, "--entrypoint", "/usr/bin/rm", shell().name, "-rf", "/work/work"]


def _ulimits() -> list[str]:
    """Limits of each process; an engine's own are sometimes higher than the host lets anyone set."""
    most = {
        "nofile": (resource.RLIMIT_NOFILE, 65536),
        "nproc": (resource.RLIMIT_NPROC, 16384),
        "core": (resource.RLIMIT_CORE, 1),  # not 0: then the kernel would still pipe it into a program of the host
    }
    found = {}
    for name, (number, wanted) in most.items():
        hard = resource.getrlimit(number)[1]
        found[name] = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    return [f"{name}={value}:{value}" for name, value in found.items()]


def _user(engine: Engine, traits: Traits, owner: Owner | None) -> list[str]:
    """Who a container's programs are: on the host, the user that nightmill runs as, or the *owner* that root gives."""
    if traits.rootless:
        return ["--userns", "keep-id"] if engine.podman else ["--user", "0:0"]
    user, group = owner or (os.getuid(), os.getgid())
    return ["--user", f"{user}:{group}"]


def _shown(place: Place, image: str) -> dict[str, Path]:
    """Files of this run, by their path inside."""
    found = {RUNNER: place.directory / "box" / "runner.py"}
    found |= {path: source.resolve() for path, source in place.files.items()}
    found |= {f"/opt/nightmill/bin/{name}": source.resolve() for name, source in place.tools.items()}
    if place.connected:
        found["/run/nightmill/egress.sock"] = place.directory / "net" / "egress.sock"
    if place.trusted:
        found[TRUSTED] = place.directory / "box" / "authorities.pem"
    elif image:  # the environment of commands names the host's bundle
        bundle = next((path for path in BUNDLES if Path(path).is_file()), "")
        found |= {bundle: Path(bundle).resolve()} if bundle else {}
    return found


def _host(image: str, python: Interpreter, directory: Path) -> dict[str, Path]:
    """Folders and files of the host that stand in for an image."""
    if image:
        return {}
    found = {"/usr": Path("/usr"), **_folders()}
    found |= {path: Path(path).resolve() for path in ETC if Path(path).exists()}
    found |= {f"/etc/{each.name}": each for each in (directory / "box" / "etc").iterdir()}
    return found | ({python.prefix: Path(python.source)} if python.prefix else {})


def _folders() -> dict[str, Path]:
    """Folders of programs and libraries that are no part of /usr on this host."""
    found = {f"/{name}": Path("/") / name for name in MERGED}
    return {name: path for name, path in found.items() if path.is_dir() and not path.is_symlink()}


def _entry(name: str, kind: bytes, mode: int, target: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.mode, found.linkname = kind, mode, target
    return found


def _plain(path: Path) -> Path:
    """*path*, if the engines' lists of options can carry it.

    Raises:
        SandboxError: If they cannot.
    """
    if any(each in str(path) for each in ',:"\\\n'):
        hint = "use a home folder and a checkout without commas, colons, quotes and backslashes in their paths"
        raise SandboxError(f"the path {str(path)!r} cannot be shown in a container", hint=hint)
    return path
