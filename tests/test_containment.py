"""The minimal box, under real bubblewrap, and the reading of files that a program in it left."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from refinery import containment
from refinery.containment import Box, available, wrap
from refinery.core.result_file import ResultFileError, ResultStatus
from refinery.errors import UsageError
from refinery.process import ProcessSpec, find_strays, run
from refinery.result_file import read_result

boxed = pytest.mark.skipif(bool(available()), reason=available() or "bubblewrap works")
GIT = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b"}
GIT |= {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}


@pytest.fixture
def home(tmp_path):
    """A person's home folder with a secret, a repository, another project, and a worktree in it."""
    home = tmp_path / "home"
    for name in ("worktree", "other", ".ssh", "results", "mirror/objects", "mirror/refs"):
        (home / name).mkdir(parents=True)
    (home / ".ssh" / "key").write_text("secret")
    (home / "other" / "file").write_text("theirs")
    (home / "mirror" / "objects" / "pack").write_text("objects")
    (home / "mirror" / "refs" / "main").write_text("sha")
    return home


def boxed_run(home, script, **changes):
    box = Box(**{"worktree": home / "worktree", "home": home, "path": os.environ["PATH"], **changes})
    env = {"PATH": os.environ["PATH"], "HOME": str(home), **GIT}
    output = []
    argv = wrap(("sh", "-c", script), box)
    spec = ProcessSpec(argv=argv, cwd=home, env=env, marker=f"box-{os.getpid()}", timeout=60, grace=1)
    ended = run(spec, on_output=output.append)
    return ended, b"".join(output).decode()


@boxed
def test_the_worktree_can_be_written_and_is_the_folder(home):
    """The program works in its worktree, and what it writes there stays."""
    ended, output = boxed_run(home, "pwd; echo new > made")
    assert (ended.exit_code, output) == (0, f"{home}/worktree\n")
    assert (home / "worktree" / "made").read_text() == "new\n"


@boxed
@pytest.mark.parametrize("target", ["{home}/other/file", "{home}/.ssh/key", "{home}/mirror/refs/main"])
def test_f30_other_folders_of_the_home_cannot_be_seen(home, target):
    """F30: credentials, other projects and Refinery's own folders are not there."""
    ended, _ = boxed_run(home, f"cat {target.format(home=home)}")
    assert ended.exit_code == 1
    assert boxed_run(home, f"ls -A {home}")[1] == "worktree\n"


@boxed
@pytest.mark.parametrize(
    "target", ["/usr/made", "/etc/made", "{home}/other/made", "{home}/made", "/tmp/made", "/made"]
)
def test_nothing_outside_the_worktree_is_written(home, target):
    """The system is read-only, and what else can be written vanishes with the box."""
    path = Path(target.format(home=home))
    boxed_run(home, f"mkdir -p {path.parent}; echo x > {path}; mount -o remount,rw /usr; echo x > {path}")
    assert not path.exists()


@boxed
def test_listed_paths_are_bound_and_nothing_beside_them(home):
    """The mirror's objects are readable, its refs are not there; the result folder can be written."""
    mirror = f"{home}/mirror"
    script = (
        f"cat {mirror}/objects/pack; echo x > {mirror}/objects/new; ls {mirror}; echo r > {home}/results/r"
    )
    _, output = boxed_run(
        home, script, read_only=(home / "mirror" / "objects",), writable=(home / "results",)
    )
    assert "Read-only file system" in output
    assert output.startswith("objects")
    assert output.splitlines()[-1] == "objects"
    assert (home / "results" / "r").read_text() == "r\n"
    assert not (home / "mirror" / "objects" / "new").exists()


@boxed
def test_a_repository_given_by_path_cannot_be_rewritten(home):
    """The agent knows the path of the repository, and can neither read its refs nor move its main."""
    repository = home / "repository.git"
    git = ("git", "-C", str(repository))
    env = {**os.environ, **GIT}
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(repository)], check=True, env=env)
    tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    subprocess.run(
        [*git, "hash-object", "-wt", "tree", "/dev/null"], check=True, env=env, capture_output=True
    )
    commit = subprocess.run([*git, "commit-tree", tree, "-m", "x"], check=True, env=env, capture_output=True)
    subprocess.run(
        [*git, "update-ref", "refs/heads/main", commit.stdout.decode().strip()], check=True, env=env
    )
    attack = (
        f"git -C {repository} update-ref -d refs/heads/main; rm -rf {repository}; git init -q {repository}"
    )
    boxed_run(home, attack, read_only=(repository / "objects",))
    main = subprocess.run([*git, "rev-parse", "main"], check=True, env=env, capture_output=True)
    assert main.stdout == commit.stdout


@boxed
def test_f18_its_processes_die_and_it_sees_no_others(home):
    """F18: a daemon in a session of its own ends with the box; other processes are out of sight."""
    ended, output = boxed_run(home, "setsid sleep 1000 & ls -d /proc/[0-9]* | wc -l; exit 3")
    assert int(output.split()[0]) < 8
    assert ended.exit_code == 3
    assert find_strays([f"box-{os.getpid()}"]) == []


@boxed
def test_a_time_out_ends_a_box_whole(home):
    """SIGTERM and SIGKILL for the box end what ignores them inside it."""
    box = Box(worktree=home / "worktree", home=home, path=os.environ["PATH"])
    argv = wrap(("sh", "-c", "trap '' TERM; (trap '' TERM; setsid sleep 1000) & sleep 1000"), box)
    env = {"PATH": os.environ["PATH"]}
    spec = ProcessSpec(argv=argv, cwd=home, env=env, marker="box-slow", timeout=0.3, grace=0.1)
    assert run(spec, on_output=print).timed_out
    assert find_strays(["box-slow"]) == []


@boxed
def test_tools_outside_the_systems_folders_start(home):
    """A tool in the home, its interpreter and a link to its real place are found, and nothing beside them."""
    package = home / ".local" / "share" / "tool"
    (package / "secret").mkdir(parents=True)
    (home / ".local" / "bin").mkdir()
    (package / "tool.py").write_text(
        f"#!{sys.executable}\nimport os\nprint('started', os.listdir('{home}/.local'))\n"
    )
    (package / "tool.py").chmod(0o755)
    (home / ".local" / "bin" / "tool").symlink_to("../share/tool/tool.py")
    path = f"{home}/.local/bin:/usr/bin:/bin"
    box = Box(worktree=home / "worktree", home=home, path=path)
    output = []
    spec = ProcessSpec(argv=wrap(("tool",), box), cwd=home, env={"PATH": path})
    assert run(spec, on_output=output.append).exit_code == 0
    assert b"".join(output).startswith(b"started")


@boxed
def test_the_network_can_be_taken_away(home):
    """The network is shared by default, and gone when the box has none."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        connect = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}))"
        script = f'python3 -c "{connect}"'
        assert boxed_run(home, script)[0].exit_code == 0
        assert boxed_run(home, script, has_network=False)[0].exit_code == 1


@boxed
def test_a_missing_program_did_not_run(home):
    """A program that is not in the box makes bwrap say so; it does not pass."""
    box = Box(worktree=home / "worktree", home=home, path="/usr/bin")
    spec = ProcessSpec(argv=wrap(("no-such-program",), box), cwd=home, env={"PATH": "/usr/bin"})
    ended = run(spec, on_output=print)
    assert not ended.succeeded


@boxed
@pytest.mark.parametrize("field", ["writable", "read_only"])
def test_the_home_itself_is_never_bound(home, field):
    """A box that would hold the whole home is refused."""
    with pytest.raises(UsageError, match="whole home folder"):
        wrap(("true",), Box(worktree=home / "worktree", home=home, **{field: (home.parent,)}))


def test_without_bubblewrap_the_reason_is_told(home, monkeypatch):
    """Where no box can be made, nothing runs unboxed instead."""
    monkeypatch.setenv("PATH", str(home))
    containment.available.cache_clear()
    try:
        assert "bwrap was not found" in available()
        with pytest.raises(UsageError, match="no box can be made"):
            wrap(("true",), Box(worktree=home / "worktree", home=home))
    finally:
        containment.available.cache_clear()


@pytest.mark.parametrize("kind", ["link", "fifo", "device", "folder"])
def test_a_result_that_is_no_regular_file_is_refused_without_waiting(tmp_path, kind):
    """Links, FIFOs, devices and folders in the result file's place are refused at once."""
    path = tmp_path / "result.json"
    (tmp_path / "elsewhere").write_text('{"status": "done"}')
    make = {
        "link": lambda: path.symlink_to(tmp_path / "elsewhere"),
        "fifo": lambda: os.mkfifo(path),
        "device": lambda: path.symlink_to("/dev/zero"),
        "folder": path.mkdir,
    }
    make[kind]()
    problems = []

    def read():
        try:
            read_result(path)
        except ResultFileError as error:
            problems.append(str(error))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(10)
    assert not reader.is_alive()
    assert len(problems) == 1


def test_result_files_are_read_whole(tmp_path):
    """Nothing, an empty file, a result, and one beyond the size limit."""
    path = tmp_path / "result.json"
    assert read_result(path) is None
    path.write_text(" \n")
    assert read_result(path) is None
    path.write_text('{"status": "blocked", "question": "Which?"}')
    found = read_result(path)
    assert (found.status, found.reason) == (ResultStatus.BLOCKED, "Which?")
    path.write_text('{"status": "done", "summary": "' + "x" * 70_000 + '"}')
    with pytest.raises(ResultFileError, match="larger than 64 KiB"):
        read_result(path)
