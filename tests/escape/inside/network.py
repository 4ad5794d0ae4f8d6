"""Attacks on the network: with no host allowed, and with one."""

# run inside, by the Python that is there, each in a process of its own

import os
import socket
import struct

from wall import attack, main, through

ABSTRACT, PORT, KEY = os.environ["ABSTRACT"], int(os.environ["PORT"]), int(os.environ["SHM_KEY"])


def proxy(request):
    """What the proxy says, by its unix socket and not by the relay."""
    far = socket.socket(socket.AF_UNIX)
    far.settimeout(5)
    far.connect("/run/nightmill/egress.sock")
    far.sendall(request)
    said = far.recv(100)
    if b" 200 " in said.split(b"\r\n")[0]:
        return said
    raise OSError(1, "refused")


def plain(host, port, family=socket.AF_INET):
    """Connect without any proxy."""
    near = socket.socket(family, socket.SOCK_STREAM)
    near.settimeout(2)
    near.connect((host, port))


@attack("network")
def no_address_is_reached_without_the_proxy():
    far = [
        ("192.0.2.1", 80),
        ("8.8.8.8", 53),
        ("169.254.169.254", 80),
        ("10.0.0.1", 443),
    ]
    six = [("2001:db8::1", 80), ("fe80::1%lo", 80), ("fd00:ec2::254", 80)]
    return through(
        *((host, lambda host=host, port=port: plain(host, port)) for host, port in far),
        *((host, lambda host=host, port=port: plain(host, port, socket.AF_INET6)) for host, port in six),
    )


@attack("network", without="network")
def the_loopback_is_not_the_hosts():
    ways = (("127.0.0.1", 2), ("0.0.0.0", 2), ("127.255.255.254", 2), ("::1", 10), ("::ffff:127.0.0.1", 10), ("::", 10))
    return through(*((host, lambda host=host, family=family: plain(host, PORT, family)) for host, family in ways))


@attack("network")
def no_name_is_asked_for_by_datagrams():
    query = struct.pack(">HHHHHH", 7, 256, 1, 0, 0, 0) + b"\7example\3com\0" + struct.pack(">HH", 1, 1)

    def ask(address, family=socket.AF_INET):
        near = socket.socket(family, socket.SOCK_DGRAM)
        near.settimeout(1)
        near.connect((address, 53))
        near.send(query)
        return near.recv(100)

    places = ("127.0.0.53", "127.0.0.1", "8.8.8.8", "192.0.2.1", "224.0.0.251", "255.255.255.255")
    return through(
        *((place, lambda place=place: ask(place)) for place in places),
        ("names", lambda: socket.getaddrinfo("example.com", 80)),
    )


@attack("network", "view", without="network")
def sockets_of_the_host_have_no_names_here():
    def connect(path):
        socket.socket(socket.AF_UNIX).connect(path)

    known = [
        "/run/dbus/system_bus_socket",
        "/var/run/docker.sock",
        "/run/docker.sock",
        "/tmp/.X11-unix/X0",
        "/run/systemd/private",
    ]
    with open("/proc/net/unix") as file:
        seen = [line.split()[-1] for line in file if line.split()[-1].startswith("@")]
    names = through(
        ("abstract", lambda: connect("\0" + ABSTRACT)), *((path, lambda path=path: connect(path)) for path in known)
    )
    return names or (repr(seen) if seen else "")


@attack("ipc", without="ipc")
def shared_memory_and_queues_of_the_host_are_elsewhere():
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.shmget(KEY, 0, 0) >= 0:
        return "the host's segment"
    with open("/proc/sysvipc/shm") as file:
        return "" if len(file.readlines()) == 1 else "segments"


@attack("proxy")
def only_the_allowed_name_goes_through_the_proxy():
    lines = [
        b"CONNECT evil.example:443", b"CONNECT localhost:22", b"CONNECT 127.0.0.1:443", b"CONNECT 169.254.169.254:80",
        b"CONNECT metadata.google.internal:80", b"CONNECT xlocalhost:443", b"CONNECT localhost.evil.example:443",
        b"CONNECT localhost:443@evil.example:443", b"CONNECT [::1]:443", b"CONNECT [::ffff:169.254.169.254]:80",
        b"GET http://169.254.169.254/latest/meta-data/", b"GET http://2852039166/", b"GET http://0251.0376.0251.0376/",
        b"GET http://localhost/ ", b"GET http://LOCALHOST./", b"GET http://user@localhost/", b"GET gopher://localhost/",
        b"CONNECT 0xa9fea9fe:443", b"CONNECT [fd00:ec2::254]:443", b"CONNECT [::ffff:a9fe:a9fe]:443", b"CONNECT [64:ff9b::a9fe:a9fe]:443",
        b"CONNECT 8.8.8.8:853", b"CONNECT dns.example:443", b"CONNECT localhost:80", b"CONNECT secret.example.:80",
        b"CONNECT secret.example:22",
        b"GET https://secret.example/", b"GET http://secret.example:443@evil.example/", b"GET http://localhost:0/", b"GET http://localhost:65616/",
        b"OPTIONS *", b"GET unix:///etc/passwd", b"GET file:///etc/passwd",
    ]  # fmt: skip
    return through(
        *((line.decode(), lambda line=line: proxy(line + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")) for line in lines)
    )


@attack("read-only")
def the_proxys_socket_cannot_be_taken_over():
    def bind():
        socket.socket(socket.AF_UNIX).bind("/run/nightmill/egress.sock")

    return through(
        ("unlink", lambda: os.unlink("/run/nightmill/egress.sock")),
        ("bind", bind),
        ("rename", lambda: os.rename("/run/nightmill/egress.sock", "/tmp/sock")),
        ("mode", lambda: os.chmod("/run/nightmill/egress.sock", 0o777)),
    )


def holds(path, words):
    """Which of *words* are in the file *path*."""
    try:
        if not os.path.isfile(path) or os.path.getsize(path) > 1 << 22:
            return []
        with open(path, "rb") as file:
            body = file.read(1 << 22)
    except OSError:
        return []
    return [word for word in words if word in body]


@attack("proxy", "view")
def neither_a_secret_nor_the_authoritys_key_is_anywhere_inside():
    """The proxy adds a secret and signs certificates for this sandbox; it keeps both to itself."""
    words = ["".join(os.environ["SECRET_HALVES"].split()).encode(), b"PRIVATE " + b"KEY"]
    found = []
    for top in ("/run", "/work", "/tmp", "/dev/shm", "/etc", "/proc", "/opt/nightmill"):
        for folder, folders, files in os.walk(top):
            folders[:] = [name for name in folders if name not in ("task", "net") and folder.count("/") < 5]
            found += [
                f"{folder}/{name}" for name in files if name != "kmsg" and holds(os.path.join(folder, name), words)
            ]
    variables = [name for name, value in os.environb.items() if any(word in value for word in words)]
    return "; ".join([*found, *map(repr, variables)])


@attack("read-only")
def what_is_trusted_inside_cannot_be_changed():
    """A certificate of its own among them would let one run read what the next one sends."""
    trusted = os.environ["SSL_CERT_FILE"]
    if trusted != "/run/nightmill/authorities.pem" or not os.path.exists(trusted):
        return f"there is nothing to attack: {trusted}"
    return through(
        ("write", lambda: os.open(trusted, os.O_WRONLY)),
        ("mode", lambda: os.chmod(trusted, 0o666)),
        ("unlink", lambda: os.unlink(trusted)),
        ("rename", lambda: os.rename(trusted, "/run/nightmill/old.pem")),
    )


@attack("proxy")
def descriptors_sent_to_the_proxy_reach_nobody():
    import array

    far = socket.socket(socket.AF_UNIX)
    far.settimeout(5)
    far.connect("/run/nightmill/egress.sock")
    fds = array.array("i", [os.open("/dev/zero", os.O_RDONLY)] * 100)
    far.sendmsg([b"GET http://evil.example/ HTTP/1.1\r\n\r\n"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
    return "" if far.recv(100).startswith(b"HTTP/1.1 403") else "it went through"


if __name__ == "__main__":
    main()
