"""Attacks on what a machine has only so much of: each is a command of its own, which gets through if it ends with 0."""

# run inside, by the Python that is there; imported by the driver for the limits

import os
import signal
import sys
import time

from wall import ATTACKS, attack

MB = 1 << 20


def deaf():
    """Hear no signal that can be ignored."""
    for number in set(range(1, 65)) - {9, 19, 32, 33, signal.SIGCHLD}:
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass


def apart():
    """Be a process of nobody: another session, no parent, no signal heard; gives False to who called."""
    if os.fork():
        return False
    os.setsid()
    if os.fork():
        os._exit(0)
    deaf()
    return True


def filled(size):
    """As many bytes, touched."""
    body = bytearray(size)
    body[::4096] = b"x" * len(body[::4096])
    return body


@attack("limits", limits={"seconds": 2.0, "processes": 100})
def a_fork_bomb_ends_with_its_command():
    while True:
        try:
            os.fork()
        except OSError:
            pass


@attack("limits", limits={"seconds": 2.0, "processes": 100})
def a_bomb_of_processes_that_leave_every_group_ends_too():
    deaf()
    while True:
        try:
            if os.fork() == 0:
                os.setsid()
        except OSError:
            pass


@attack("limits", limits={"seconds": 20.0, "memory": 128 * MB}, without="limits")
def memory_of_one_process_is_bounded():
    filled(300 * MB)


@attack("limits", limits={"seconds": 20.0, "memory": 128 * MB}, without="limits")
def memory_over_several_processes_is_bounded():
    source, sink = os.pipe()
    for _ in range(5):
        if os.fork() == 0:
            _held = filled(80 * MB)
            os.write(sink, b"x")
            time.sleep(2)
            os._exit(0)
    got = b""
    while len(got) < 5:
        got += os.read(source, 5)
    time.sleep(1.5)


@attack("limits", limits={"seconds": 20.0, "memory": 128 * MB}, without="limits")
def memory_shared_between_processes_is_bounded():
    import mmap

    page = mmap.mmap(-1, 300 * MB)
    page[::4096] = b"x" * len(page[::4096])
    time.sleep(1.5)


@attack("limits", limits={"seconds": 20.0, "file_size": MB}, without="limits")
def a_file_does_not_outgrow_its_limit():
    with open("/work/large", "wb") as file:
        for _ in range(3):
            file.write(bytes(MB))


@attack("limits", limits={"seconds": 20.0, "file_size": MB})
def a_flood_of_output_is_cut_and_stopped():
    while True:
        os.write(1, b"x" * 65536)


@attack("limits", limits={"seconds": 1.0}, without="limits")
def time_ends_what_hears_no_signal():
    deaf()
    end = time.monotonic() + 3
    while time.monotonic() < end:
        pass


@attack("limits", limits={"seconds": 20.0})
def nothing_stays_that_ignores_every_signal():
    for _ in range(20):
        if apart():
            time.sleep(600)
            os._exit(0)
    time.sleep(0.2)


@attack("limits", limits={"seconds": 20.0})
def nothing_stays_that_keeps_moving():
    """Each one forks the next and ends, so that no list of processes is true for long."""
    if apart():
        while True:
            if os.fork():
                os._exit(0)
    time.sleep(0.2)


@attack("limits", limits={"seconds": 20.0})
def nothing_stays_that_is_stopped():
    if apart():
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(600)
    time.sleep(0.2)


@attack("limits", "runner", limits={"seconds": 20.0})
def nothing_stays_after_the_keeper_was_killed():
    keeper = os.getppid()
    if apart():
        time.sleep(600)
    time.sleep(0.2)
    os.kill(keeper, signal.SIGKILL)
    time.sleep(600)


@attack("limits", "runner", limits={"seconds": 2.0})
def a_stopped_keeper_keeps_nothing_alive():
    keeper = os.getppid()
    deaf()
    while True:
        os.kill(keeper, signal.SIGSTOP)
        time.sleep(0.01)


@attack("limits", limits={"seconds": 20.0, "processes": 50})
def threads_are_counted_as_processes_are():
    import threading

    stay = threading.Event()
    threading.stack_size(65536)
    for _ in range(300):
        threading.Thread(target=stay.wait, daemon=True).start()
    time.sleep(1.5)
    os._exit(0)


@attack("limits", limits={"seconds": 30.0, "processes": 100})
def the_table_of_files_of_the_machine_is_not_filled():
    """At its end no other user of the machine can open anything."""
    source, sink = os.pipe()
    with open("/proc/sys/fs/file-max") as file:
        most = int(file.read())
    if most > 1 << 40:
        sys.exit(1)  # systemd makes it endless; memory is what is left to bound it
    for _ in range(20):
        if os.fork() == 0:
            count = 0
            try:
                while count < most // 4 // 20:
                    os.open("/dev/null", os.O_RDONLY)
                    count += 1
            except OSError:
                pass
            os.write(sink, b"%8d" % count)
            os._exit(0)
    total = sum(int(os.read(source, 8)) for _ in range(20))
    sys.exit(0 if total * 5 > most // 4 + 20 * 1024 * 5 else 1)  # a fifth of its processes have opened a fifth


@attack("limits", limits={"seconds": 20.0})
def budgets_of_the_user_are_left_to_others():
    """Locked memory, message queues and pending signals are counted for a user, inside and outside together."""
    import resource

    bounds = {
        resource.RLIMIT_RTPRIO: 0,
        resource.RLIMIT_NICE: 0,
        resource.RLIMIT_MEMLOCK: MB,
        resource.RLIMIT_MSGQUEUE: MB >> 2,
        resource.RLIMIT_SIGPENDING: 4096,
    }
    wide = [kind for kind, most in bounds.items() if not 0 <= resource.getrlimit(kind)[1] <= most]
    sys.exit(0 if wide else 1)


@attack("read-only", limits={"seconds": 60.0, "file_size": 1 << 30, "memory": 2 << 30})
def memory_that_looks_like_a_disk_is_bounded():
    for folder in ("/tmp", "/dev/shm"):
        try:
            with open(folder + "/fill", "wb") as file:
                for _ in range(700):
                    file.write(bytes(MB))
        except OSError:
            os.unlink(folder + "/fill")
            continue
        sys.exit(0)
    sys.exit(1)


@attack("read-only", limits={"seconds": 20.0})
def memory_that_looks_like_a_folder_is_bounded():
    """Names cost the kernel memory of their own: a tmpfs has a number of them, too."""
    for top in ("/run", "/dev", "/", "/etc"):
        try:
            os.mkdir(os.path.join(top, "planted"))
        except OSError:
            continue
        sys.exit(0)
    sys.exit(1)


def main():
    """One of them, here; what it raises is a failure to get through."""
    ATTACKS[sys.argv[1]]()


if __name__ == "__main__":
    main()
