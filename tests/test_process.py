"""Real programs, started, fed, watched, stopped and ended as a whole."""

import contextlib
import gc
import itertools
import os
import resource
import select
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from refinery import guard, process
from refinery.process import Ended, Job, ProcessSpec, Stop, StopFlag, child_environment, run, run_all

ENV = {"PATH": os.environ["PATH"]}
LINUX = sys.platform.startswith("linux")
PATIENCE = 20.0


@pytest.fixture(autouse=True)
def nothing_is_left():
    """After each test no process of it lives, and no descriptor stays open."""
    marker = os.urandom(8).hex()
    ENV["TEST_MARKER"] = marker
    gc.collect()
    guard._retire_idle()
    before = open_files()
    yield
    guard._retire_idle()
    assert open_files() == before
    assert find_by_environment(f"TEST_MARKER={marker}") == []


def children():
    """The processes whose parent this one is, dead ones included; other tests of the same process have theirs."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            text = path.read_text("utf-8", "replace")
            if text[text.rindex(")") + 3 :].startswith(f"{os.getpid()} "):
                found.add(path.parent.name)
    return found


def open_files():
    return len(list(Path("/proc/self/fd").iterdir())) if LINUX else 0


def find_by_environment(entry):
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if entry.encode() in path.read_bytes().split(b"\0"):
                found.append(path)
    return found


def spec(*argv, **changes):
    return ProcessSpec(**{"argv": argv, "cwd": Path("/"), "env": dict(ENV), "grace": PATIENCE, **changes})


def sh(script, **changes):
    return spec("sh", "-c", script, **changes)


def python(script, **changes):
    return spec(sys.executable, "-c", textwrap.dedent(script), **changes)


def collect(one, **options):
    output = []
    ended = run(one, on_output=output.append, **options)
    return ended, b"".join(output)


class Alive:
    """Tells when every process that inherited the write end of a FIFO is gone: its reader sees the end of file."""

    def __init__(self, folder):
        self.path = folder / "alive"
        os.mkfifo(self.path)
        self._read = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)

    def started(self):
        return bool(select.select([self._read], [], [], PATIENCE)[0]) and os.read(self._read, 1) == b"x"

    def ended(self):
        return bool(select.select([self._read], [], [], PATIENCE)[0]) and os.read(self._read, 1) == b""

    def close(self):
        os.close(self._read)


@pytest.fixture
def alive(tmp_path):
    one = Alive(tmp_path)
    yield one
    one.close()


@pytest.mark.parametrize("code", [0, 1, 7, 126, 127, 255])
def test_exit_codes_arrive(code):
    """An exit code is handed on as it is; 126 and 127 mean that nothing ran."""
    ended, _ = collect(sh(f"exit {code}"))
    assert (ended.exit_code, ended.signal, ended.succeeded) == (code, None, code == 0)
    assert ended.did_not_run == (code in {126, 127})


def test_f10_a_failing_agent_is_not_a_success():
    """F10: a non-zero exit, a signal, a time-out, a stop and a program that never ran are all no success."""
    endings = [
        Ended(exit_code=1),
        Ended(signal=9),
        Ended(exit_code=0, timed_out=True),
        Ended(exit_code=0, stopped=Stop.DRAIN),
        Ended(exit_code=0, lost=True),
        Ended(start_error="x was not found"),
    ]
    assert [one.succeeded for one in endings] == [False] * 6


def test_a_signal_is_not_an_exit_code():
    """A program that a signal ended has no exit code."""
    ended, _ = collect(sh("kill -9 $$"))
    assert (ended.exit_code, ended.signal) == (None, 9)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("no-such-program-here",), "was not found"),
        (("/etc/passwd",), "is not executable"),
        (("a\0b",), "could not be started"),
    ],
)
def test_f19_a_program_that_cannot_start_did_not_run(argv, words):
    """F19: a missing or unusable program did not run, with its reason; it neither passed nor failed."""
    ended, _ = collect(spec(*argv))
    assert words in ended.start_error
    assert ended.did_not_run
    assert (ended.exit_code, ended.lost) == (None, False)


def test_a_missing_folder_is_a_start_error(tmp_path):
    """The working folder's absence is named, and not mistaken for a missing program."""
    ended, _ = collect(sh("true", cwd=tmp_path / "gone"))
    assert "gone cannot be entered" in ended.start_error


def test_program_is_sought_in_the_childs_path(tmp_path):
    """The program is looked up on the PATH that the child gets, not on ours."""
    program = tmp_path / "only-there"
    program.write_text("#!/bin/sh\necho found\n")
    program.chmod(0o755)
    ended, output = collect(spec("only-there", env={"PATH": str(tmp_path)}))
    assert (ended.exit_code, output) == (0, b"found\n")
    assert collect(spec("only-there", env={"PATH": "/bin"}))[0].did_not_run


def test_output_arrives_as_lines_of_both_streams_in_order():
    """Standard output and standard error are one stream of whole lines; the last one may lack its end."""
    output = []
    ended = run(sh("echo one; echo two >&2; printf three"), on_output=output.append)
    assert output == [b"one\n", b"two\n", b"three"]
    assert ended.output_bytes == 13


def test_long_lines_are_cut_and_lose_nothing():
    """A line beyond 64 KiB arrives in pieces of at most 64 KiB, complete."""
    output = []
    run(python("print('x' * 200_000); print('y')"), on_output=output.append)
    assert max(map(len, output)) <= 64 * 1024
    assert b"".join(output) == b"x" * 200_000 + b"\ny\n"


def test_output_byte_by_byte_is_gathered():
    """A line that comes in single bytes is one line, and gathering it does not copy it again and again."""
    output = []
    script = "import os\nfor _ in range(60_000): os.write(1, b'x')\nos.write(1, b'\\ny')"
    run(python(script), on_output=output.append)
    assert output == [b"x" * 60_000 + b"\n", b"y"]


def test_fifty_megabytes_pass_in_constant_memory():
    """Memory does not grow with the output."""
    seen = 0

    def count(piece):
        nonlocal seen
        seen += len(piece)

    run(sh("true"), on_output=count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ended = run(sh("yes 0123456789012345678901234567890123456789 | head -c 50000000"), on_output=count)
    assert seen == ended.output_bytes == 50_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8_000


def test_input_is_fed_while_output_is_read():
    """Megabytes through `cat` do not dead-lock."""
    data = os.urandom(3_000_000).hex().encode() + b"\n"
    ended, output = collect(spec("cat", stdin=data))
    assert ended.exit_code == 0
    assert output == data


def test_a_child_that_reads_nothing_is_fine():
    """Input that nobody wants is dropped without an error."""
    ended, output = collect(sh("exec 0<&-; echo done", stdin=b"x" * 1_000_000))
    assert (ended.exit_code, output) == (0, b"done\n")


def test_input_that_nobody_takes_keeps_nobody_busy():
    """Once the child has closed its input, the loop sleeps until something happens."""
    before = time.process_time()
    collect(sh("exec 0<&-; sleep 0.5", stdin=b"x" * 1_000_000))
    assert time.process_time() - before < 0.25


def test_without_input_the_child_reads_an_end_of_file():
    """No input is an empty input, never our terminal."""
    assert collect(spec("cat"))[0].exit_code == 0


def test_time_out_terminates_with_grace():
    """A child that ends on SIGTERM may still say something, and counts as timed out whatever it exits with."""
    ended, output = collect(sh("trap 'echo saved; exit 0' TERM; while :; do sleep 0.01; done", timeout=0.2))
    assert (ended.timed_out, ended.exit_code, ended.succeeded) == (True, 0, False)
    assert output.endswith(b"saved\n")


def test_time_out_kills_what_ignores_sigterm():
    """After the grace comes SIGKILL."""
    ended, _ = collect(sh("trap '' TERM; while :; do sleep 0.01; done", timeout=0.1, grace=0.1))
    assert (ended.timed_out, ended.signal) == (True, 9)
    assert guard._idle == []  # it might still hear the order, in the next run


def test_f18_a_daemon_in_a_session_of_its_own_is_gone_afterwards(alive):
    """F18: double fork and setsid do not escape: when `run` returns, the orphan is dead and reaped."""
    daemon = f"""
        import os, sys, time
        if os.fork(): os.wait(); print("left"); sys.exit(3)
        os.setsid()
        if os.fork(): os._exit(0)
        os.closerange(0, 3)
        fifo = os.open({str(alive.path)!r}, os.O_WRONLY)
        os.write(fifo, b"x")
        time.sleep(1000)
    """
    before = children()
    ended, output = collect(python(daemon))
    assert (ended.exit_code, output) == (3, b"left\n")
    guard._retire_idle()
    assert children() == before


def test_f18_daemons_of_daemons_die_with_a_time_out(alive):
    """F18: a time-out ends the whole tree, also what runs in other sessions and ignores SIGTERM."""
    script = f"""
        import os, signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        fifo = os.open({str(alive.path)!r}, os.O_WRONLY)
        for _ in range(5):
            if os.fork() == 0:
                os.setsid()
                break
        os.fork()
        os.write(fifo, b"x")
        time.sleep(1000)
    """
    ended, _ = collect(python(script, timeout=0.5, grace=0.1))
    assert alive.started()
    assert (ended.timed_out, ended.signal) == (True, 9)
    assert os.read(alive._read, 100) == b"x" * 11
    assert os.read(alive._read, 100) == b""  # every writer is gone


def test_output_closed_early_while_the_child_lives_on(tmp_path):
    """The end of the output is not the end of the child."""
    ended, output = collect(sh(f"echo bye; exec >&- 2>&-; sleep 0.1; echo x > {tmp_path}/late; exit 5"))
    assert (ended.exit_code, output) == (5, b"bye\n")
    assert (tmp_path / "late").exists()


def test_output_of_an_orphan_is_drained_and_does_not_hold_us():
    """A descendant that keeps the output open is ended with the child, and all output is there."""
    started = time.monotonic()
    ended, output = collect(sh("sleep 1000 & echo done"))
    assert (ended.exit_code, output) == (0, b"done\n")
    assert time.monotonic() - started < PATIENCE


def test_output_that_waits_at_the_end_is_all_delivered(alive, monkeypatch):
    """What the child had written when it ended arrives whole, even if we were away when it ended."""
    monkeypatch.setattr("refinery.running.LONGEST_PIECE", 4096)
    output = []

    def be_away():
        alive.started()
        alive.ended()

    ended = run(
        sh(f"exec 3>{alive.path}; printf x >&3; sleep 0.1; seq 10000 11000"),
        on_output=output.append,
        tick=be_away,
        tick_seconds=0.05,
    )
    assert ended.exit_code == 0
    assert b"".join(output).split() == [b"%d" % number for number in range(10000, 11001)]


def test_zombies_of_a_running_child_do_not_pile_up():
    """Orphans that end while the child runs are reaped by the guard."""
    script = """
        import os
        for _ in range(20):
            if os.fork() == 0:
                if os.fork(): os._exit(0)
                os._exit(0)
            os.wait()
        parent = str(os.getppid())
        while True:
            stats = []
            for name in filter(str.isdigit, os.listdir("/proc")):
                try: stats.append(open(f"/proc/{name}/stat").read().rpartition(")")[2].split())
                except OSError: pass
            if not [s for s in stats if s[0] == "Z" and s[1] == parent]: break
        print("none left")
    """
    assert collect(python(script, timeout=PATIENCE))[1] == b"none left\n"


WORKER = """
import os, sys
from pathlib import Path
from refinery.process import ProcessSpec, run
script = '''
import os, time
fifo = os.open(os.environ["FIFO"], os.O_WRONLY)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: os.setsid(); os.write(fifo, b"x")
time.sleep(1000)
'''
env = {"PATH": os.environ["PATH"], "FIFO": sys.argv[1]}
argv = (sys.executable, "-c", script)
run(ProcessSpec(argv=argv, cwd=Path("/"), env=env, marker="m"), on_output=lambda piece: None)
"""


def start_worker(alive, **options):
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(alive.path)],
        env={**ENV, "PYTHONPATH": str(Path(process.__file__).parents[1])},
        **options,
    )


def test_f18_a_killed_workers_whole_tree_dies(alive):
    """F18: SIGKILL for the worker leaves nothing of the agent, not even a daemon in a session of its own."""
    with start_worker(alive) as worker:
        assert alive.started()
        worker.kill()
    assert alive.ended()
    deadline = time.monotonic() + PATIENCE
    while find_by_environment(f"TEST_MARKER={ENV['TEST_MARKER']}"):  # its guard, which is the last to go
        assert time.monotonic() < deadline


def test_f15_the_terminals_ctrl_c_does_not_reach_the_agent():
    """F15: SIGINT for the worker's whole process group leaves the agent alone; only the worker decides."""
    script = textwrap.dedent("""
        import os, signal, sys
        from pathlib import Path
        from refinery.process import ProcessSpec, Stop, StopFlag, run
        agent = "import signal, sys\\nsignal.signal(signal.SIGINT, lambda *_: print('INT', flush=True))\\n" \\
                "signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\\nprint('up', flush=True)\\nsignal.pause()\\n" \\
                "signal.pause()"
        stop = StopFlag()
        def on_output(piece):
            print(piece.decode(), end="", flush=True)
            if piece == b"up\\n": os.killpg(os.getpid(), signal.SIGINT)
        with stop.on_signals():
            ended = run(ProcessSpec(argv=(sys.executable, "-c", agent), cwd=Path("/"), env=dict(os.environ)),
                        on_output=on_output, stop=stop)
        print(ended.stopped.name, ended.exit_code)
    """)
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**ENV, "PYTHONPATH": str(Path(process.__file__).parents[1])},
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=PATIENCE,
        check=True,
    )
    assert done.stdout == "up\nDRAIN 9\n"


def test_f15_a_second_signal_forces():
    """F15: the first request lets the agent finish what SIGTERM starts; the second kills at once."""
    stop = StopFlag()
    loop = "trap 'echo draining' TERM; echo up; while :; do sleep 0.01; done"
    act = {b"up\n": stop.escalate, b"draining\n": stop.escalate}
    ended = run(sh(loop, grace=1000.0), on_output=lambda piece: act.get(piece, lambda: None)(), stop=stop)
    assert (ended.stopped, ended.signal, ended.timed_out) == (Stop.FORCE, 9, False)
    stop.close()


def test_signals_escalate_and_are_given_back():
    """SIGTERM drains, then SIGINT forces; afterwards the old handlers are back."""
    before = signal.getsignal(signal.SIGTERM)
    stop = StopFlag()
    with stop.on_signals():
        signal.raise_signal(signal.SIGTERM)
        assert stop.state is Stop.DRAIN
        signal.raise_signal(signal.SIGINT)
        assert stop.state is Stop.FORCE
    stop.request(Stop.DRAIN)
    assert stop.state is Stop.FORCE
    assert signal.getsignal(signal.SIGTERM) is before
    stop.close()


def test_nothing_starts_once_a_stop_was_asked_for(tmp_path):
    """A stop that came before the start starts nothing."""
    stop = StopFlag()
    stop.request(Stop.DRAIN)
    ended, _ = collect(sh(f"touch {tmp_path}/ran"), stop=stop)
    assert ended == Ended(stopped=Stop.DRAIN)
    assert not (tmp_path / "ran").exists()
    stop.close()


@pytest.mark.skipif(not LINUX, reason="orphans come to a subreaper on Linux only")
@pytest.mark.parametrize("number", ["KILL", "STOP"])
def test_f18_an_agent_that_turns_on_its_guard_is_ended_all_the_same(alive, number, monkeypatch):
    """F18: with its guard killed or stopped by the agent, the tree comes to the worker, which ends it."""
    monkeypatch.setattr("refinery.running._GUARD_PATIENCE", 0.2)
    script = f"""
        import os, signal, time
        fifo = os.open({str(alive.path)!r}, os.O_WRONLY)
        guard = os.getppid()
        read, write = os.pipe()
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0: os.setsid(); os.write(fifo, b"x"); os.write(write, b"x")
            time.sleep(1000)
        os.read(read, 1)
        os.kill(guard, signal.SIG{number})
        time.sleep(1000)
    """
    bystander = subprocess.Popen(["sleep", "1000"])
    ended, _ = collect(python(script, timeout=1.0, grace=0.1))
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()
    assert ended.lost
    assert not ended.succeeded
    assert alive.started()
    assert alive.ended()
    assert collect(sh("exit 4"))[0].exit_code == 4


def test_signals_that_an_agent_sends_to_its_guard_change_nothing():
    """An agent cannot end its guard with a signal that can be caught, and starts with none of them ignored."""
    script = "for s in HUP INT QUIT TERM USR1 USR2 ALRM; do kill -$s $PPID; done; kill -PIPE $$"
    ended, _ = collect(sh(script))
    assert (ended.signal, ended.lost) == (signal.SIGPIPE, False)


def test_f15_a_child_leads_a_session_of_its_own():
    """F15: no terminal is left to it, and a signal for its whole group reaches neither its guard nor us."""
    script = "import os; os.write(1, b'%d' % (os.getsid(0) == os.getpgid(0) == os.getpid())); os.kill(0, 9)"
    ended, output = collect(python(script))
    assert (output, ended.signal, ended.lost) == (b"1", 9, False)


def test_a_child_starts_with_no_signal_blocked_or_ignored():
    """Signal settings of ours do not reach the child."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    before = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        guard._retire_idle()
        _, output = collect(
            spec("grep", "-E", "Sig(Blk|Ign)", "/proc/self/status")
        )  # a shell would clear its mask
    finally:
        signal.signal(signal.SIGUSR2, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
    theirs = 0b11 << 31  # 32 and 33 belong to the C library's threads, and no program can set them by it
    assert [int(line.split()[1], 16) & ~theirs for line in output.splitlines()] == [0, 0]


def test_ticks_come_while_the_child_runs(tmp_path):
    """`tick` is called on time, without any output, and sees the child still running."""
    go = tmp_path / "go"
    os.mkfifo(go)
    ticks = []

    def tick():
        ticks.append(time.monotonic())
        if len(ticks) == 3:
            go.write_text("")

    ended, _ = collect(sh(f"cat {go}; exit 6"), tick=tick, tick_seconds=0.02)
    assert ended.exit_code == 6
    assert len(ticks) >= 3
    assert all(later - earlier > 0.01 for earlier, later in itertools.pairwise(ticks))


@pytest.mark.parametrize("where", ["tick", "output"])
def test_an_exception_ends_the_whole_tree_and_propagates(alive, where):
    """A lost lease, raised out of a callback, kills the tree before it reaches the caller."""

    def fail(*_):
        raise RuntimeError("lost")

    script = f"exec 3>{alive.path}; setsid sleep 1000 & printf x >&3; echo up; wait"
    on_output, tick = (print, fail) if where == "tick" else (fail, None)
    with pytest.raises(RuntimeError, match="lost"):
        run(sh(script), on_output=on_output, tick=tick, tick_seconds=0.1)
    assert alive.started()
    assert alive.ended()


def test_memory_limit():
    """The address space is limited, for the child's children too."""
    script = "import subprocess,sys; sys.exit(subprocess.call([sys.executable, '-c', 'bytearray(10**9)']))"
    ended, output = collect(python(script, memory_bytes=400_000_000))
    assert ended.exit_code == 1
    assert b"MemoryError" in output


def test_file_size_and_core_limits(tmp_path):
    """No file grows beyond its limit, and nobody dumps core; the limits cannot be raised again."""
    ended, output = collect(sh(f"ulimit -c; head -c 3000 /dev/zero > {tmp_path}/f", file_bytes=1024))
    assert ended.exit_code != 0
    assert output.startswith(b"0\n")
    assert (tmp_path / "f").stat().st_size == 1024
    limits = "import resource as r; print(r.getrlimit(r.RLIMIT_FSIZE), r.getrlimit(r.RLIMIT_CORE))"
    assert collect(python(limits, file_bytes=1024))[1] == b"(1024, 1024) (0, 0)\n"


@pytest.mark.skipif(not LINUX, reason="reads the limit from /proc")
def test_process_limit_counts_from_what_the_user_has():
    """`processes` is a number of further ones, since the system counts all of a user's."""
    _, output = collect(sh("ulimit -u 2>/dev/null || grep processes /proc/self/limits", processes=50))
    allowed = next(int(word) for word in output.split() if word.isdigit())
    assert 50 < allowed < 50 + 100_000


def test_environment_is_exactly_what_was_given():
    """The child sees the given variables and the marker; nothing of ours."""
    os.environ["REFINERY_TEST_LEAK"] = "leak"
    try:
        guard._retire_idle()
        _, output = collect(spec("env", env={"PATH": ENV["PATH"], "A": "b"}, marker="claim-1"))
    finally:
        del os.environ["REFINERY_TEST_LEAK"]
    names = {line.split(b"=")[0] for line in output.splitlines()}
    assert names == {b"PATH", b"A", b"REFINERY_ATTEMPT_ID"}


BASE = {
    "PATH": "/bin",
    "HOME": "/home/me",
    "LC_ALL": "C",
    "LC_API_TOKEN": "t",
    "TERM": "xterm",
    "GITHUB_TOKEN": "t",
    "GIT_DIR": "/x",
    "SSH_AUTH_SOCK": "/s",
    "ANTHROPIC_API_KEY": "k",
    "ANTHROPIC_BASE_URL": "u",
    "REFINERY_HOME": "/r",
    "EDITOR": "vi",
}


@pytest.mark.parametrize(
    ("allow", "more"),
    [
        ((), {}),
        (("EDITOR",), {"EDITOR": "vi"}),
        (("ANTHROPIC_*",), {"ANTHROPIC_BASE_URL": "u"}),
        (("ANTHROPIC_*", "ANTHROPIC_API_KEY"), {"ANTHROPIC_BASE_URL": "u", "ANTHROPIC_API_KEY": "k"}),
        (("GITHUB_TOKEN",), {"GITHUB_TOKEN": "t"}),
        (("TERM",), {"TERM": "xterm"}),
        (("*",), {"EDITOR": "vi", "REFINERY_HOME": "/r", "ANTHROPIC_BASE_URL": "u"}),
    ],
)
def test_f30_environment_is_an_allow_list(allow, more):
    """F30: what is not allowed is absent; credentials and git's steering need their full name."""
    expected = {"PATH": "/bin", "HOME": "/home/me", "LC_ALL": "C", "TERM": "dumb", "X": "1", **more}
    if allow == ("*",):
        expected["TERM"] = "dumb"
    assert child_environment(BASE, allow, {"X": "1"}) == expected


def test_strays_are_found_by_their_attempt_and_killed():
    """A process that outlived its worker is found by its attempt, and only by its attempt."""
    env = {**ENV, "REFINERY_ATTEMPT_ID": "7-abc"}
    with subprocess.Popen(["sleep", "1000"], env=env) as stray:
        assert process.find_strays(["7-ab", "7-abcd", ""]) == []
        assert process.find_strays([]) == []
        assert process.find_strays(["other", "7-abc"]) == [stray.pid]
        assert process.kill_strays(["7-abc"]) == 1
        assert stray.wait(PATIENCE) == -9


def test_several_programs_run_at_once_up_to_the_limit(tmp_path):
    """Two programs that wait for each other both end, and the answers come in the order of the jobs."""
    a, b = tmp_path / "a", tmp_path / "b"
    os.mkfifo(a)
    os.mkfifo(b)
    output = []
    jobs = [
        Job(sh(f"echo x > {a}; read y < {b}; exit 1"), output.append),
        Job(sh(f"read y < {a}; echo $y; echo z > {b}; exit 2"), output.append),
        Job(spec("no-such-program"), output.append),
        Job(sh("exit 4"), output.append),
    ]
    ended = run_all(jobs, parallel=2)
    assert [one.exit_code for one in ended] == [1, 2, None, 4]
    assert ended[2].did_not_run
    assert output == [b"x\n"]


def test_one_exception_ends_all_parallel_programs(alive):
    """When one callback fails, every other program is ended too."""

    def fail(_):
        assert alive.started()
        raise RuntimeError("one")

    wait = f"exec 3>{alive.path}; printf x >&3; sleep 1000"
    jobs = [Job(sh(wait), lambda _: None), Job(sh("echo now"), fail)]
    with pytest.raises(RuntimeError, match="one"):
        run_all(jobs, parallel=2)
    assert alive.ended()


def test_a_guard_serves_many_runs_and_is_replaced_when_gone():
    """One guard serves run after run; a dead idle one is noticed before it costs a run."""
    collect(sh("true"))
    (idle,) = guard._idle
    collect(sh("true"))
    assert guard._idle == [idle]
    os.kill(idle.pid, signal.SIGKILL)
    os.waitid(os.P_PID, idle.pid, os.WEXITED | os.WNOWAIT)
    assert collect(sh("exit 3"))[0].exit_code == 3
    assert guard._idle != [idle]


def test_the_guard_holds_no_file_of_ours():
    """A lock of the worker is free as soon as the worker lets go, whatever guard lives."""
    read, write = os.pipe()
    guard._retire_idle()
    collect(sh("true"))
    os.close(write)
    assert os.read(read, 1) == b""
    os.close(read)


def test_a_forked_copy_of_the_worker_does_not_share_its_guard():
    """A fork of the worker starts with no guard, so that the first worker's death is still noticed."""
    collect(sh("true"))
    assert guard._idle
    pid = os.fork()
    if pid == 0:
        os._exit(len(guard._idle))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_non_ascii_arguments_and_big_ones_arrive():
    """Bytes that are no UTF-8, and an argument of 100 kB, reach the child unchanged."""
    odd = os.fsdecode(b"\xff\xfe")
    _, output = collect(spec("printf", "%s", odd + "ü" + "x" * 100_000))
    assert output == b"\xff\xfe" + "ü".encode() + b"x" * 100_000
