"""A small server that speaks to `kubectl` as a cluster does, over HTTP and WebSocket; its pods are podman containers.

It stands in for an API server, the controller of agent-sandbox and a node's kubelet: objects are kept as they come,
what they mean is not checked (`test_manifests` does that), and `exec` starts the real runner in the real container.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.sandbox.pods import PodmanPod

MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
BINARY, CLOSE, PING, PONG = 2, 8, 9, 10
STDIN, STDOUT, STDERR, ERROR, ENDED = 0, 1, 2, 3, 255

RESOURCES = {
    "v1": {"pods": "Pod"},
    "networking.k8s.io/v1": {"networkpolicies": "NetworkPolicy"},
    "agents.x-k8s.io/v1beta1": {"sandboxes": "Sandbox"},
}

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Cluster:
    """What is asked of it is in *asked*; the next answer to a request that begins with a key of *faults* is that."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.objects: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.faults: dict[str, bytes] = {}
        self.condition: dict[str, Any] = {
            "type": "Ready",
            "status": "True",
            "reason": "DependenciesReady",
            "message": "",
        }
        self.entered: set[asyncio.StreamWriter] = set()
        self.version, self.changed = 0, asyncio.Condition()
        self.events: list[tuple[int, str, str, dict[str, Any]]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        with contextlib.ExitStack() as stack:
            stack.callback(writer.close)  # after a fault of this server, too: else who asked would wait
            stack.enter_context(contextlib.suppress(ConnectionError, asyncio.IncompleteReadError))
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *fields = head.split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in fields)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            method, target, _ = line.split(" ")
            self.asked.append(f"{method} {target}")
            await self.answer(method, target, headers, body, (reader, writer))
            await writer.drain()

    async def answer(self, method: str, target: str, headers: dict[str, str], body: bytes, streams: Streams) -> None:
        """Do what is asked."""
        url = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        for begins in list(self.faults):
            if f"{method} {target}".startswith(begins):
                streams[1].write(self.faults.pop(begins))
                return
        if url.path.endswith("/exec"):
            await self.enter(url.path.split("/")[-2], parse_qs(url.query)["command"], headers, streams)
        elif "watch" in query:
            await self.watch(url.path, query, streams[1])
        elif (found := discovery(url.path)) is not None:
            streams[1].write(reply(200, found))
        else:
            streams[1].write(await self.change(method, url.path, query, json.loads(body or b"{}")))

    async def change(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> bytes:
        """Create, read, list or delete."""
        if method == "POST":
            name = body["metadata"]["name"]
            if f"{path}/{name}" in self.objects:
                return reply(409, status(409, "AlreadyExists", f"{name} already exists"))
            if body["kind"] == "Sandbox":
                await PodmanPod(engine=self.engine, name=name).start()
                body["status"] = {"conditions": [self.condition]}
                await self.put("ADDED", pods(path), a_pod(body), name)
            return reply(201, await self.put("ADDED", path, body, name))
        if method == "GET" and (selected := query.get("fieldSelector")):
            kept = {"items": self.selected(path, selected.partition("=")[2])}
            about = {"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": str(self.version)}}
            return reply(200, about | kept)
        found = self.objects.get(path)
        if found is None:
            return reply(404, status(404, "NotFound", f"{path} not found"))
        if method == "DELETE":
            await self.delete(path, found)
        return reply(200, found)

    def selected(self, path: str, name: str) -> list[dict[str, Any]]:
        """The objects of a folder, or the one of that *name*."""
        found = [(key.rpartition("/"), each) for key, each in self.objects.items()]
        return [each for (folder, _, own), each in found if folder == path and name in {"", own}]

    async def put(self, what: str, path: str, body: dict[str, Any], name: str) -> dict[str, Any]:
        """Keep an object, and tell those who watch."""
        self.version += 1
        body["metadata"] |= {"uid": f"uid-{self.version}", "resourceVersion": str(self.version)}
        self.objects[f"{path}/{name}"] = body
        await self.tell(what, path, body)
        return body

    async def delete(self, path: str, found: dict[str, Any]) -> None:
        """In the foreground: first the pod, with all that runs in it."""
        folder, name = path.rsplit("/", 1)
        if found["kind"] == "Sandbox":
            await PodmanPod(engine=self.engine, name=name).end()
            self.objects.pop(f"{pods(folder)}/{name}", None)
        del self.objects[path]
        self.version += 1
        await self.tell("DELETED", folder, found)

    async def expire(self, folder: str) -> None:
        """End every watch of *folder*: what it began with is too long ago."""
        self.version += 1
        await self.tell("ERROR", folder, status(410, "Expired", "too old"))

    async def tell(self, what: str, folder: str, body: dict[str, Any]) -> None:
        """Tell those who watch *folder*."""
        async with self.changed:
            self.events.append((self.version, what, folder, body))
            self.changed.notify_all()

    async def watch(self, path: str, query: dict[str, str], writer: asyncio.StreamWriter) -> None:
        """Tell what changes from a version on."""
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
        since, name = int(query.get("resourceVersion") or 0), query.get("fieldSelector", "").partition("=")[2]
        if "sendInitialEvents" in query:
            since = self.version
            for each in self.selected(path, name):
                writer.write(event("ADDED", each))
            group, kind = next(
                (group, kinds[path.rsplit("/", maxsplit=1)[-1]])
                for group, kinds in RESOURCES.items()
                if path.rsplit("/", maxsplit=1)[-1] in kinds
            )
            marked = {"resourceVersion": str(since), "annotations": {"k8s.io/initial-events-end": "true"}}
            writer.write(event("BOOKMARK", {"apiVersion": group, "kind": kind, "metadata": marked}))
        while True:
            async with self.changed:
                for version, what, folder, body in self.events:
                    if version > since and folder == path and name in {body.get("metadata", {}).get("name", name), ""}:
                        writer.write(event(what, body))
                        if what == "ERROR":
                            return
                since = self.version
                await writer.drain()
                await self.changed.wait()

    async def enter(self, name: str, words: list[str], headers: dict[str, str], streams: Streams) -> None:
        """The subprotocol of `exec`: the first byte of each message says of which stream it is."""
        reader, writer = streams
        protocol = "v5.channel.k8s.io"
        assert protocol in headers["sec-websocket-protocol"]
        key = base64.b64encode(hashlib.sha1(f"{headers['sec-websocket-key']}{MAGIC}".encode()).digest()).decode()
        writer.write(
            f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {key}\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n".encode()
        )
        pipe = asyncio.subprocess.PIPE
        command = self.engine.command("exec", "--interactive", name, *words)
        process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=pipe, env=self.engine.variables
        )
        self.entered.add(writer)
        typing = asyncio.create_task(typed(reader, writer, process))
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(spoken(process.stdout, STDOUT, writer))
                both.create_task(spoken(process.stderr, STDERR, writer))
            writer.write(frame(bytes([ERROR]) + json.dumps(ended(await process.wait())).encode()))
            writer.write(frame(struct.pack(">H", 1000), CLOSE))
            await writer.drain()
        finally:
            typing.cancel()
            self.entered.discard(writer)
            if process.returncode is None:
                process.stdin.close()  # type: ignore[union-attr]  # asked for
                await process.wait()

    def cut(self) -> None:
        """Cut every `exec`, as a node that loses its network does."""
        for each in self.entered:
            each.transport.abort()


def event(kind: str, body: dict[str, Any]) -> bytes:
    """A line of a watch."""
    return json.dumps({"type": kind, "object": body}).encode() + b"\n"


async def typed(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, process: asyncio.subprocess.Process
) -> None:
    """Pass messages on to the program, until it is told that there are no more."""
    out = process.stdin
    assert out is not None
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            kind, body = await message(reader)
            if kind == PING:
                writer.write(frame(body, PONG))
            elif kind == CLOSE:
                break
            elif body[:1] == bytes([STDIN]):
                out.write(body[1:])
                await out.drain()
            elif body == bytes([ENDED, STDIN]):
                break
    out.close()


async def spoken(source: asyncio.StreamReader | None, channel: int, writer: asyncio.StreamWriter) -> None:
    """Pass on what the program says."""
    assert source is not None
    with contextlib.suppress(ConnectionError):
        while piece := await source.read(1 << 15):
            writer.write(frame(bytes([channel]) + piece))
            await writer.drain()


async def message(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """One message of a WebSocket client."""
    whole, kind = b"", 0
    while True:
        first, size = await reader.readexactly(2)
        size &= 0x7F
        if size > 125:
            size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8))
        mask = await reader.readexactly(4)
        body = await reader.readexactly(size)
        pad = (mask * (size // 4 + 1))[:size]
        whole += (int.from_bytes(body) ^ int.from_bytes(pad)).to_bytes(size)
        kind = kind or first & 0xF
        if first & 0x80:
            return kind, whole


def frame(body: bytes, kind: int = BINARY) -> bytes:
    """One message of a WebSocket server."""
    size = len(body)
    length = bytes([size]) if size < 126 else b"\x7e" + struct.pack(">H", size)
    return bytes([0x80 | kind]) + length + body


def ended(code: int) -> dict[str, Any]:
    """What is told when the program has ended."""
    if not code:
        return {"metadata": {}, "status": "Success"}
    causes = [{"reason": "ExitCode", "message": str(code)}]
    return {
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": "failed",
        "details": {"causes": causes},
    }


def pods(folder: str) -> str:
    """Where the pods are of the sandboxes in *folder*."""
    return folder.replace("apis/agents.x-k8s.io/v1beta1", "api/v1").replace("/sandboxes", "/pods")


def a_pod(sandbox: dict[str, Any]) -> dict[str, Any]:
    """What the controller makes of a sandbox."""
    metadata = {"name": sandbox["metadata"]["name"], "namespace": sandbox["metadata"]["namespace"]}
    spec = sandbox["spec"]["podTemplate"]["spec"]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": "Running"}}


def discovery(path: str) -> dict[str, Any] | None:
    """What kinds there are, and that fields are checked."""
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        groups = []
        for version in RESOURCES:
            group, _, number = version.rpartition("/")
            named = {"groupVersion": version, "version": number}
            groups += [{"name": group, "versions": [named], "preferredVersion": named}] if group else []
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    if path == "/openapi/v3":
        return {
            "paths": {
                where(version)[1:]: {"serverRelativeURL": f"/openapi/v3{where(version)}"} for version in RESOURCES
            }
        }
    version = next((each for each in RESOURCES if path in {where(each), f"/openapi/v3{where(each)}"}), None)
    if version is None:
        return None
    return described(version) if path.startswith("/openapi") else listed(version)


def where(version: str) -> str:
    """The path of an API's version."""
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def listed(version: str) -> dict[str, Any]:
    """The kinds of one version."""
    verbs = ["create", "delete", "get", "list", "watch"]
    found = [
        {"name": name, "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": verbs}
        for name, kind in RESOURCES[version].items()
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": found}


def described(version: str) -> dict[str, Any]:
    """So much of OpenAPI that `kubectl` leaves it to the server to check fields."""
    group, _, number = version.rpartition("/")
    paths = {}
    for name, kind in RESOURCES[version].items():
        named = {"group": group, "version": number, "kind": kind}
        checked = {"parameters": [{"name": "fieldValidation", "in": "query"}], "x-kubernetes-group-version-kind": named}
        paths[f"{where(version)}/namespaces/{{namespace}}/{name}/{{name}}"] = {"patch": checked}
    return {"openapi": "3.0.0", "info": {"title": "cluster", "version": "1"}, "paths": paths}


def status(code: int, reason: str, message: str) -> dict[str, Any]:
    """How an API server says no."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
    }


def reply(code: int, body: dict[str, Any], *fields: str) -> bytes:
    """An answer in JSON."""
    plain = json.dumps(body).encode()
    more = "".join(f"{each}\r\n" for each in fields)
    head = f"HTTP/1.1 {code} -\r\nContent-Type: application/json\r\nConnection: close\r\n{more}"
    return f"{head}Content-Length: {len(plain)}\r\n\r\n".encode() + plain


@contextlib.asynccontextmanager
async def cluster(folder: Path, engine: Any) -> AsyncIterator[tuple[Cluster, Path]]:
    """A cluster on loopback, and the file by which `kubectl` finds it."""
    made = Cluster(engine)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, limit=1 << 20)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    file = folder / "kubeconfig"
    named = {"name": "here", "context": {"cluster": "here", "user": ""}}
    text = {"apiVersion": "v1", "kind": "Config", "clusters": [{"name": "here", "cluster": {"server": address}}]}
    file.write_text(json.dumps(text | {"contexts": [named], "current-context": "here"}))
    async with server:
        yield made, file
