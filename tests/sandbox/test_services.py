"""Services inside a sandbox: they start in order, answer, outlive commands, end with a reason, and can be started again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from nightmill.sandbox import Place, Service, ServiceState
from nightmill.sandbox.bubblewrap import BubblewrapSandboxes
from nightmill.sandbox.services import order
from tests.sandbox.box import Box, Within

WEB = Service(
    name="web",
    run="exec python3 -u -m http.server 8000 --bind 127.0.0.1",
    ready="exec 3<>/dev/tcp/127.0.0.1/8000",
    cwd="/work/repo",
)
FETCH = "python3 -c 'import urllib.request as u; print(u.urlopen(\"http://127.0.0.1:8000/kept.txt\").read().decode())'"


def service(run: str, **changes: Any) -> Service:
    """A service called "it"."""
    return Service(name="it", run=run, cwd="/work", **changes)


async def state(box: Box, *wanted: str, name: str = "it") -> ServiceState:
    """How the service *name* is, once that is one of *wanted*."""
    while True:
        found = next(each for each in box.sandbox.services.states() if each.name == name)
        if found.state in wanted:
            return found
        await asyncio.sleep(0.01)


def test_a_service_answers_on_the_loopback_of_its_sandbox_and_outlives_commands(within: Within) -> None:
    async def scenario(box: Box) -> None:
        for _ in range(3):
            assert "kept" in (await box.sh(FETCH)).text
            await box.sh("(setsid sleep 100 &); sleep 100 &")  # leftovers are swept, the service is not one
        (found,) = box.sandbox.services.states()
        assert found.state == "ready"
        assert found.seconds > 0

    within(scenario, services=(WEB,))


def test_two_sandboxes_have_the_same_port_and_do_not_clash(place: Place) -> None:
    async def whole() -> None:
        sandboxes = BubblewrapSandboxes()
        opened = []
        for name in ("one", "two"):
            directory = place.directory / name
            directory.mkdir()
            opened.append(await sandboxes.open(replace(place, directory=directory, services=(WEB,))))
            await opened[-1].write("/work/repo/kept.txt", name.encode())
        for name, sandbox in zip(("one", "two"), opened, strict=True):
            box = Box(sandbox, place)  # type: ignore[arg-type]  # what bubblewrap gives
            assert name in (await box.sh(FETCH)).text
            await sandbox.close()

    asyncio.run(whole())


def test_a_service_starts_after_what_it_needs(within: Within) -> None:
    first = Service(name="first", run="touch /work/up; exec sleep 100", ready="test -e /work/up", cwd="/work")
    then = Service(name="then", run="test -e /work/up && exec sleep 100", after=("first",), cwd="/work")

    async def scenario(box: Box) -> None:
        assert (await state(box, "ready", "ended", name="then")).state == "ready"
        await box.sandbox.services.stop()
        assert [each.state for each in box.sandbox.services.states()] == ["ended", "ended"]

    within(scenario, services=(then, first))


def test_services_that_need_each_other_are_one_wave() -> None:
    one, two = Service(name="one", run="x", after=("two",)), Service(name="two", run="x", after=("one",))
    alone = Service(name="alone", run="x", after=("absent",))

    assert order([one, two, alone]) == [[alone], [one, two]]


def test_a_service_that_ends_is_a_state_with_its_exit_and_its_output(within: Within) -> None:
    async def scenario(box: Box) -> None:
        found = await state(box, "ended")
        assert (found.exit, found.reason) == (3, "exit status 3")
        assert await box.sandbox.services.log("it") == b"no such thing\n"
        assert (await box.sh("cat /tmp/services/it.log")).text == "no such thing\n"

    within(scenario, services=(service("echo no such thing; exit 3", ready="false"),))


def test_a_service_that_does_not_answer_is_told_and_runs_on(within: Within) -> None:
    async def scenario(box: Box) -> None:
        found = await state(box, "unready", "ended")
        assert found.state == "unready"
        assert found.reason.startswith("it did not answer within 0.3 s")
        assert "nobody there" in found.reason
        assert (await box.sh("pgrep -f 'sleep 1234'")).exit == 0

    within(scenario, services=(service("exec sleep 1234", ready="echo nobody there; false", patience=0.3),))


@pytest.mark.parametrize("deed", ["pkill -9 -f 'sleep 1234'", "kill -9 $(ps -o ppid= -p $(pgrep -f '^sleep 1234'))"])
def test_a_service_that_a_command_killed_can_be_started_again(within: Within, deed: str) -> None:
    it = service("echo up; exec sleep 1234", ready="pgrep -f '^sleep 1234'")

    async def scenario(box: Box) -> None:
        await box.sh(deed)
        assert (await state(box, "ended")).exit == -9
        assert (await box.sh("pgrep -f '^sleep 1234'")).exit == 1

        await box.sandbox.services.start(it)

        assert (await state(box, "ready", "ended")).state == "ready"
        assert (await box.sh("pgrep -f '^sleep 1234' | wc -l")).text == "1\n"

    within(scenario, services=(it,))


def test_a_service_stops_at_its_own_signal_and_tidies_up(within: Within) -> None:
    async def scenario(box: Box) -> None:
        await box.sandbox.services.stop("it")
        found = await state(box, "ended")
        assert (found.exit, found.reason) == (7, "exit status 7")

    tidy = "trap 'echo tidy; exit 7' INT; touch /work/up; while :; do sleep 0.01; done"
    within(scenario, services=(service(tidy, ready="test -e /work/up", stop="INT"),))


def test_a_service_that_ignores_its_signal_is_killed_after_its_grace_with_all_that_it_started(within: Within) -> None:
    deaf = "trap '' TERM; (setsid sleep 4321 &); touch /work/up; while :; do sleep 0.01; done"

    async def scenario(box: Box) -> None:
        await box.sandbox.services.stop("it")
        assert "was killed" in (await state(box, "ended")).reason
        assert (await box.sh("pgrep -f 'sleep 4321'")).exit == 1

    within(scenario, services=(service(deaf, ready="test -e /work/up", grace=0.2),))


def test_a_service_that_takes_too_much_memory_ends_and_nothing_else_does(within: Within) -> None:
    greedy = "exec python3 -c 'import os,time; [os.fork() for _ in range(2)]; x = b\"x\" * (60 << 20); time.sleep(100)'"

    async def scenario(box: Box) -> None:
        assert (await state(box, "ended")).reason == "it used more memory than it may"
        assert (await box.sh("echo fine")).text == "fine\n"

    within(scenario, services=(service(greedy, memory=150 << 20),))


def test_of_a_flood_the_newest_is_kept_here_and_in_a_bounded_file(within: Within) -> None:
    flood = "seq 1 400000; touch /work/done; exec sleep 100"

    async def scenario(box: Box) -> None:
        said = await box.sandbox.services.log("it")
        assert len(said) == 256 << 10
        assert said.endswith(b"399999\n400000\n")
        file = await box.sh("stat -c %s /tmp/services/it.log; tail -1 /tmp/services/it.log")
        size, last = file.text.split()
        assert int(size) <= 768 << 10
        assert last == "400000"

    within(
        scenario,
        services=(service(flood, ready="test -e /work/done && tail -1 /tmp/services/it.log | grep -x 400000"),),
    )


def test_a_snapshot_leaves_services_running_and_opening_it_starts_them_again(within: Within) -> None:
    count = "n=$(cat n 2>/dev/null || echo 0); while :; do n=$((n + 1)); echo $n > n.new; mv n.new n; sleep 0.01; done"
    counter = service(count, ready="test -s n")

    async def first(box: Box) -> tuple[str, int]:
        snapshot = await box.sandbox.snapshot()
        at = int((await box.sh("cat n")).text)
        assert (await box.sh(f"until [ $(cat n) -gt {at + 5} ]; do sleep 0.01; done", seconds=60.0)).exit == 0
        return snapshot, at

    async def second(box: Box) -> None:
        assert int((await box.sh("cat n")).text) > 0
        assert (await state(box, "ready")).state == "ready"

    snapshot, _ = within(first, services=(counter,))
    within(second, services=(counter,), snapshot=snapshot)


def test_a_service_whose_log_cannot_be_written_runs_all_the_same(within: Within) -> None:
    it = service("echo said; exec sleep 100", ready="true")

    async def scenario(box: Box) -> None:
        await box.sh("rm -rf /tmp/services; mkdir /tmp/services; mkfifo /tmp/services/it.log")
        await box.sandbox.services.start(it)
        await box.sh("rm -rf /tmp/services; mkdir /tmp/services; ln -s /work/repo/kept.txt /tmp/services/it.log")
        await box.sandbox.services.start(it)
        assert (await state(box, "ready", "ended")).state == "ready"
        assert (await box.sh("cat /work/repo/kept.txt")).text == "kept\n"
        while await box.sandbox.services.log("it") != b"said\n":
            await box.sh("true")

    within(scenario, services=(it,))


def test_services_end_with_their_sandbox(within: Within) -> None:
    async def scenario(box: Box) -> None:
        await box.sandbox.close()
        found = box.sandbox.services.states()[0]
        assert (found.state, found.reason) == ("ended", "the sandbox ended")

    within(scenario, services=(WEB,))
