"""The folder of Markdown tasks: finding, caching, and writing so that nobody's change is lost."""

import errno
import fcntl
import marshal
import os
import shutil
import socket
import stat
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from refinery.core.lease import Lease
from refinery.core.model import CLAIMS, Claim, Role, Status, Task
from refinery.errors import TaskFileError, UsageError
from refinery.tasks import cache, files, rewrite
from refinery.tasks.files import FileTasks

ROOT = Path(__file__).parent.parent


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "tasks"
    made.mkdir()
    return made


def write(path, header="status: ready", body="\nText.\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(f"---\n{header}\n---\n{body}".encode())
    return path


def later():
    """An instant at which everything written so far has settled."""
    return time.time() + 60


def ids(look):
    return sorted(look.tasks)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def python(code, *arguments):
    """Start a Python process that runs `code` with this project importable."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


# Finding.


def test_tasks_are_found_among_everything_else(folder):
    """Every Markdown task below the folder, and nothing that is no task, whatever it is called."""
    write(folder / "a.md", "id: one")
    write(folder / "deep/er/b c.md")
    write(folder / "folder.md/inside.md")
    write(folder / ".hidden/c.md")
    write(folder / ".d.md")
    write(folder / "e.txt")
    write(folder / "note.md", "title: No task")
    (folder / "plain.md").write_text("# Plain\n")
    (folder / "empty.md").touch()
    (folder / "binary.md").write_bytes(bytes(range(256)) * 50)
    (folder / "gone.md").symlink_to(folder / "nowhere.md")
    os.mkfifo(folder / "fifo.md")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket.md"))
        look = FileTasks(folder).all()
    assert ids(look) == ["b c", "inside", "one"]
    assert look.problems == ()
    assert look.tasks["b c"].source == str(folder.resolve() / "deep/er/b c.md")


def test_links_are_followed_once(folder, tmp_path):
    """Links out of the folder count, loops and second ways to the same file do not."""
    write(folder / "a.md")
    write(tmp_path / "outside/b.md")
    write(tmp_path / "outside/deep/c.md")
    write(tmp_path / "alone.md", "id: d")
    write(tmp_path / "stranger.md")
    (folder / "loop").symlink_to(folder)
    (folder / "up").symlink_to(tmp_path)
    (folder / "self").symlink_to(folder / "self")
    (folder / "again.md").symlink_to(folder / "a.md")
    (folder / "out").symlink_to(tmp_path / "outside")
    (folder / "out2").symlink_to(tmp_path / "outside")
    (folder / "d.md").symlink_to(tmp_path / "alone.md")
    (tmp_path / "outside/back").symlink_to(folder)
    look = FileTasks(folder).all()
    assert ids(look) == ["a", "b", "c", "d"]
    assert look.problems == ()


def test_the_folder_may_be_a_link_itself(folder, tmp_path):
    """The folder's real path is what counts."""
    write(folder / "a.md")
    (tmp_path / "link").symlink_to(folder)
    assert ids(FileTasks(tmp_path / "link").all()) == ["a"]


@pytest.mark.parametrize("kind", ["missing", "a file"])
def test_without_a_folder_there_is_a_remedy(tmp_path, kind):
    """A missing folder is a usage error that says what to do, never an empty list of tasks."""
    path = tmp_path / "tasks"
    if kind == "a file":
        path.touch()
    with pytest.raises(UsageError, match=str(path)) as raised:
        FileTasks(path).all()
    assert "--tasks" in raised.value.remedy


def test_what_cannot_be_read_is_a_problem(folder, monkeypatch):
    """An unreadable file or folder is named: the rest is not taken for the whole."""
    write(folder / "a.md")
    write(folder / "b.md")
    write(folder / "closed/c.md")
    write(folder / "unlisted/d.md")

    def refuse(call, *names):
        def refusing(path, *rest, **named):
            if Path(path).name in names:
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return call(path, *rest, **named)

        return refusing

    monkeypatch.setattr(os, "open", refuse(os.open, "b.md"))  # as root, permissions refuse nothing
    monkeypatch.setattr(os, "scandir", refuse(os.scandir, "closed"))
    look = FileTasks(folder).all()
    assert ids(look) == ["a", "d"]
    assert [Path(problem.path).name for problem in look.problems] == ["b.md", "closed"]
    assert all("Permission denied" in problem.message and problem.remedy for problem in look.problems)


def test_two_files_of_one_id_are_both_left_out(folder):
    """Neither of two tasks with the same id is run: the claim could not tell them apart. Both paths are named."""
    write(folder / "a.md", "id: same")
    write(folder / "sub/b.md", "id: 'same'")
    write(folder / "same.md")
    write(folder / "other.md")
    look = FileTasks(folder).all()
    assert ids(look) == ["other"]
    (problem,) = look.problems
    assert problem.task == "same"
    assert all(str(folder.resolve() / name) in problem.message for name in ("a.md", "sub/b.md", "same.md"))
    with pytest.raises(TaskFileError, match="is used by"):
        FileTasks(folder).get("same")


def test_ids_that_differ_only_in_case_or_form_are_two_tasks(folder):
    """Keys keep them apart, on file systems that do not, too."""
    write(folder / "1.md", "id: Task")
    write(folder / "2.md", "id: task")
    write(folder / "3.md", "id: é")
    write(folder / "4.md", 'id: "e\\u0301"')
    look = FileTasks(folder).all()
    assert len({task.key for task in look.tasks.values()}) == len(look.tasks) == 4


def test_broken_files_are_problems_with_their_lines(folder):
    """Whatever does not parse is reported, sorted by path, and the rest is still read."""
    write(folder / "a.md", "id: a\ntitle: x: y")
    write(folder / "b.md", "id: b\nstatus: on-hold")
    (folder / "c.md").write_bytes(b"---\nid: caf\xe9\n---\n")
    (folder / os.fsdecode(b"d\xff.md")).write_bytes(b"---\nstatus: ready\n---\n")
    write(folder / "e.md")
    look = FileTasks(folder).all()
    assert ids(look) == ["e"]
    assert [(Path(problem.path).name, problem.line) for problem in look.problems] == [
        ("a.md", 3),
        ("b.md", 3),
        ("c.md", 2),
        ("d\\xff.md", None),
    ]
    with pytest.raises(TaskFileError, match=r"b\.md.*on-hold"):
        FileTasks(folder).get("b")


def test_a_large_body_arrives_whole(folder):
    """Five megabytes are read, cached and changed like five bytes."""
    body = "\n" + "word " * 1_000_000
    path = write(folder / "big.md", "id: big\nstatus: ready", body)
    tasks = FileTasks(folder, folder.parent / "cache")
    assert tasks.all(now=later()).tasks["big"].body == body
    assert FileTasks(folder, folder.parent / "cache").all(now=later()).tasks["big"].body == body
    tasks.update("big", {"status": "done"})
    assert path.read_text() == f"---\nid: big\nstatus: done\n---\n{body}"


# The cache.


class Reads:
    """Counts which files are read."""

    def __init__(self, monkeypatch):
        self.names = []
        monkeypatch.setattr(files, "read", self._read)

    def _read(self, path, size=None):
        self.names.append(Path(path).name)
        return rewrite.read(path, size)

    def take(self):
        taken, self.names = sorted(self.names), []
        return taken


@pytest.fixture
def reads(monkeypatch):
    return Reads(monkeypatch)


def fill(folder):
    write(folder / "a.md", "id: a\nstatus: ready\ndepends_on: [b]\norder: 1.5\nlabels: [é]", "\nBody 🎉\n")
    write(folder / "b.md", "id: b\nstatus: on-hold")
    write(folder / "c.md", "title: a note")
    write(folder / "d.md", "status: done", "")


def test_a_second_look_in_a_new_process_reads_nothing(folder, tmp_path, reads):
    """Tasks, problems and other notes come from the cache, equal to what the files say, bodies included."""
    fill(folder)
    plain = FileTasks(folder).all()
    reads.take()
    assert FileTasks(folder, tmp_path / "home/cache").all(now=later()) == plain
    assert reads.take() == ["a.md", "b.md", "c.md", "d.md"]
    again = FileTasks(folder, tmp_path / "home/cache").all(now=later())
    assert again == plain
    assert again.tasks["a"].body == "\nBody 🎉\n"
    assert isinstance(again.tasks["a"].status, Status)
    assert reads.take() == []


def test_only_what_changed_is_read_again(folder, tmp_path, reads):
    """A changed, a new and a removed file are seen, in the same process and in the next."""
    fill(folder)
    same = FileTasks(folder, tmp_path / "cache")
    same.all(now=later())
    reads.take()
    write(folder / "a.md", "id: a\nstatus: done")
    write(folder / "e.md")
    (folder / "d.md").unlink()
    elsewhere = tmp_path / "copy"
    shutil.copy(tmp_path / "cache", elsewhere)
    for tasks in (same, FileTasks(folder, elsewhere)):
        look = tasks.all(now=later())
        assert reads.take() == ["a.md", "e.md"]
        assert ids(look) == ["a", "e"]
        assert look.tasks["a"].status is Status.DONE
        assert (
            FileTasks(folder, elsewhere if tasks is not same else tmp_path / "cache").all(now=later()) == look
        )
        assert reads.take() == []


def test_a_change_that_keeps_size_and_times_is_seen(folder, tmp_path):
    """Equal length and a modification time set back do not hide a change: the change time tells."""
    path = write(folder / "a.md", "status: ready")
    FileTasks(folder, tmp_path / "cache").all(now=later())
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    with path.open("r+b") as file:
        file.write(b"---\nstatus: doing"[:16].replace(b"doing", b"done "))
    path.write_bytes(b"---\nstatus: done \n---\n\nText.\n")
    os.utime(path, ns=times)
    assert FileTasks(folder, tmp_path / "cache").all(now=later()).tasks["a"].status is Status.DONE


def test_a_file_that_just_changed_is_never_trusted(folder, tmp_path, reads):
    """A file younger than two seconds is read at every look: it may change again within one tick of its clock."""
    fill(folder)
    tasks = FileTasks(folder, tmp_path / "cache")
    for _ in range(2):
        tasks.all()
        assert len(reads.take()) == 4
    assert not (tmp_path / "cache").exists()
    tasks.all(now=later())
    assert len(reads.take()) == 4
    tasks.all(now=later())
    assert reads.take() == []


def test_a_file_from_the_future_is_never_trusted(folder, tmp_path, reads):
    """A clock that was set back must not freeze what a file said."""
    path = write(folder / "a.md")
    os.utime(path, (later() + 9999, later() + 9999))
    for _ in range(2):
        FileTasks(folder, tmp_path / "cache").all(now=later())
        assert reads.take() == ["a.md"]


def damaged(raw):
    """Ways in which a cache file can be wrong."""
    yield b""
    yield b"refinery"
    yield raw[:-1]
    yield raw + b"x"
    yield raw[: len(raw) // 2] + bytes([raw[len(raw) // 2] ^ 1]) + raw[len(raw) // 2 + 1 :]
    yield raw.replace(b"refinery tasks ", b"refinery tasks 9", 1)
    yield bytes(len(raw))
    yield marshal.dumps([1, 2])


def test_a_cache_that_cannot_be_used_is_ignored(folder, tmp_path, reads):
    """Damaged in any place, of another version, empty, or a folder: the files are read, and the cache is made anew."""
    fill(folder)
    path = tmp_path / "cache"
    plain = FileTasks(folder, path).all(now=later())
    for wrong in damaged(path.read_bytes()):
        path.write_bytes(wrong)
        reads.take()
        assert FileTasks(folder, path).all(now=later()) == plain
        assert len(reads.take()) == 4, wrong[:40]
        assert FileTasks(folder, path).all(now=later()) == plain
        assert reads.take() == []
    path.unlink()
    path.mkdir()
    assert FileTasks(folder, path).all(now=later()) == plain


def test_a_cache_of_another_folder_is_ignored(folder, tmp_path):
    """One cache file that is used for two folders never mixes them up."""
    fill(folder)
    write(tmp_path / "other/x.md")
    FileTasks(folder, tmp_path / "cache").all(now=later())
    assert ids(FileTasks(tmp_path / "other", tmp_path / "cache").all(now=later())) == ["x"]


def test_a_cache_that_cannot_be_written_changes_nothing(folder, tmp_path):
    """No room and no permission cost time alone, and leave no half-written file."""
    fill(folder)
    (tmp_path / "file").touch()
    assert ids(FileTasks(folder, tmp_path / "file/cache").all(now=later())) == ["a", "d"]
    full = Path("/dev/full")
    if full.exists():
        assert ids(FileTasks(folder, full / "cache").all(now=later())) == ["a", "d"]


def test_a_failed_cache_write_leaves_nothing_behind(folder, tmp_path, monkeypatch):
    """The temporary file is removed when the disk is full."""
    fill(folder)

    def full(*_):
        yield b"half"
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache, "_packed", full)
    home = tmp_path / "home"
    assert ids(FileTasks(folder, home / "cache").all(now=later())) == ["a", "d"]
    assert list(home.iterdir()) == []


# Reading one task.


def test_get_reads_the_file_now(folder):
    """One task is read afresh, wherever it lies by now."""
    path = write(folder / "a.md", "id: a\nstatus: ready")
    tasks = FileTasks(folder)
    assert tasks.get("a").status is Status.READY
    write(path, "id: a\nstatus: done")
    assert tasks.get("a").status is Status.DONE
    path.rename(folder / "b.md")
    assert tasks.get("a").source.endswith("b.md")
    write(path, "id: c\nstatus: inbox")
    assert tasks.get("c").status is Status.INBOX


def test_get_says_why_there_is_none(folder):
    """Gone, broken or misspelt: the message says which, and what to do."""
    path = write(folder / "task-1.md")
    tasks = FileTasks(folder)
    with pytest.raises(TaskFileError, match="no task 'tsk-1'") as raised:
        tasks.get("tsk-1")
    assert "task-1" in raised.value.remedy
    tasks.get("task-1")
    write(path, "status: [")
    with pytest.raises(TaskFileError, match=r"task-1\.md.*not valid YAML"):
        tasks.get("task-1")
    path.unlink()
    with pytest.raises(TaskFileError, match="no task 'task-1'"):
        tasks.get("task-1")


# Writing.


def test_an_update_changes_its_values_and_nothing_else(folder):
    """Values change, the rest of the bytes, the mode bits and the other files stay; nothing is left lying about."""
    path = write(
        folder / "a.md", "id: a\nstatus: ready # now\nmodified: 2020-01-01\nown: {x: 1}", "\nBody\r\n"
    )
    path.chmod(0o640)
    FileTasks(folder).update("a", {"status": "blocked", "assignee": "nic"})
    today = time.strftime("%Y-%m-%d", time.gmtime())
    assert path.read_bytes() == (
        f"---\nid: a\nstatus: blocked # now\nmodified: {today}\nown: {{x: 1}}\nassignee: nic\n---\n\nBody\r\n".encode()
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert names(folder) == ["a.md"]


def test_an_update_through_a_link_keeps_the_link(folder, tmp_path):
    """The file behind the link is rewritten; the link stays a link."""
    real = write(tmp_path / "real.md", "id: a\nstatus: ready")
    (folder / "a.md").symlink_to(real)
    FileTasks(folder).update("a", {"status": "done"})
    assert (folder / "a.md").is_symlink()
    assert b"status: done" in real.read_bytes()


def test_the_owner_of_a_file_stays_its_owner(folder):
    """Refinery run as root does not take a person's file away from them."""
    path = write(folder / "a.md", "id: a\nstatus: ready")
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(path, 1234, 1234)
    FileTasks(folder).update("a", {"status": "done"})
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 1234)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": "on-hold"}, "unknown status"),
        ({"priority": "9"}, "0 .first. to 4"),
        ({"own": "x"}, "nested structure"),
    ],
)
def test_a_refused_update_leaves_the_file_alone(folder, changes, words):
    """A value that would make the task unusable is refused before anything is written."""
    path = write(folder / "a.md", "id: a\nstatus: ready\nown: {x: 1}")
    before = path.read_bytes(), path.stat()
    with pytest.raises(TaskFileError, match=words):
        FileTasks(folder).update("a", changes)
    assert (path.read_bytes(), path.stat()) == before


def test_an_id_stays(folder):
    """Claims and branches carry the id: it is not changed under them."""
    write(folder / "a.md", "id: a")
    with pytest.raises(UsageError, match="cannot be changed"):
        FileTasks(folder).update("a", {"id": "b"})


@pytest.mark.parametrize("how", ["in place", "by rename", "removed", "replaced by another task"])
def test_somebody_elses_change_wins(folder, monkeypatch, how):
    """A person's editor that saves between our reading and our rename is seen: we refuse, and their text stays."""
    path = write(folder / "a.md", "id: a\nstatus: ready")
    theirs = b"---\nid: a\nstatus: cancelled\n---\nTheirs.\n"
    if how == "replaced by another task":
        theirs = theirs.replace(b"id: a", b"id: z")

    def save(*arguments):
        if how == "removed":
            path.unlink()
        elif how == "in place":
            path.write_bytes(theirs)
        else:
            (folder / ".editor").write_bytes(theirs)
            (folder / ".editor").rename(path)
        return real(*arguments)

    real = rewrite._write
    monkeypatch.setattr(rewrite, "_write", save)
    with pytest.raises(TaskFileError, match=r"changed by somebody else|is gone"):
        FileTasks(folder).update("a", {"status": "done"})
    assert path.exists() == (how != "removed")
    assert how == "removed" or path.read_bytes() == theirs
    assert names(folder) == ([] if how == "removed" else ["a.md"])


def test_a_full_disk_leaves_the_old_file(folder, monkeypatch):
    """Without room nothing changes, nothing is left half-written, and the message says so."""
    path = write(folder / "a.md", "id: a\nstatus: ready")
    before = path.read_bytes()

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TaskFileError, match=r"No space left.*as it was") as raised:
        FileTasks(folder).update("a", {"status": "done"})
    assert raised.value.remedy
    assert path.read_bytes() == before
    assert names(folder) == ["a.md"]


UPDATER = """
    import sys
    from pathlib import Path
    from refinery.tasks.files import FileTasks
    tasks = FileTasks(Path(sys.argv[1]))
    sys.stdin.readline()
    for number in range(20):
        tasks.update("a", {f"key_{sys.argv[2]}_{number}": "written"})
"""


def test_f1_processes_never_lose_one_anothers_updates(folder):
    """F1: six processes write 120 values into one file, by two paths to it; every one of them is there at the end."""
    write(folder / "sub/a.md", "id: a\nstatus: ready")
    running = [python(UPDATER, folder if number % 2 else folder / "sub", number) for number in range(6)]
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        process.communicate(timeout=60)
        assert process.returncode == 0
    text = (folder / "sub/a.md").read_text()
    assert text.count(": written\n") == 120
    assert names(folder / "sub") == ["a.md"]


def test_a_file_that_stays_locked_is_reported(folder, monkeypatch):
    """Another program's lock is waited for, with an end."""
    path = write(folder / "a.md", "id: a\nstatus: ready")
    monkeypatch.setattr(rewrite, "_PATIENCE", 0.05)
    with path.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(TaskFileError, match="locked by another program"):
            FileTasks(folder).update("a", {"status": "done"})
    FileTasks(folder).update("a", {"status": "done"})


def test_a_killed_writer_leaves_the_old_file_and_blocks_nobody(folder):
    """A kill -9 in the middle of a write: the file is whole, what is left is no task, and the next writer clears it."""
    path = write(folder / "a.md", "id: a\nstatus: ready")
    before = path.read_bytes()
    process = python(
        """
        import os, signal, sys
        from pathlib import Path
        from refinery.tasks.files import FileTasks
        tasks = FileTasks(Path(sys.argv[1]))
        os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
        tasks.update("a", {"status": "done"})
        """,
        folder,
    )
    process.communicate(timeout=60)
    assert process.returncode == -9
    assert path.read_bytes() == before
    assert len(names(folder)) == 2
    assert ids(FileTasks(folder).all()) == ["a"]
    FileTasks(folder).update("a", {"status": "done"})
    assert names(folder) == ["a.md"]


# Mirrors.


@pytest.mark.parametrize(
    ("now", "wanted", "then"),
    [
        ("ready", Status.IN_PROGRESS, "in_progress"),
        ("in_progress", Status.REVIEW, "review"),
        ("active", Status.READY, "active"),
        ("done", Status.REVIEW, "done"),
        ("cancelled", Status.DONE, "cancelled"),
        ("failed", Status.READY, "failed"),
        ("failed", Status.DONE, "done"),
        ("blocked", Status.READY, "ready"),
    ],
)
def test_a_mirror_respects_what_a_person_ended(folder, now, wanted, then):
    """A status is shown unless the file says so already, or a person finished the task meanwhile."""
    path = write(folder / "a.md", f"id: a\nstatus: {now}")
    task = Task(id="a", title="as it was read long ago")
    FileTasks(folder).set_status(task, wanted, "a note")
    assert path.read_text() == f"---\nid: a\nstatus: {then}\n---\n\nText.\n"


def test_a_mirror_needs_the_lease_on_its_task(folder):
    """No lease, no write."""
    path = write(folder / "a.md", "id: a\nstatus: ready")
    claim = Claim(task="a", attempt=1, holder="w", role=Role.WORK, nonce="n", acquired_at=0, expires_at=1)
    tasks = FileTasks(folder)
    with pytest.raises(ValueError, match="permits no write"):
        tasks.mirror(Lease(CLAIMS + "b", "c" * 40, claim), tasks.get("a"), Status.DONE)
    tasks.mirror(Lease(CLAIMS + "a", "c" * 40, claim), tasks.get("a"), Status.DONE)
    assert "status: done" in path.read_text()


# Adding.


def test_a_new_task_gets_a_file_of_its_own(folder):
    """The name comes from the id, else from the title; a taken name is passed over, a taken id is refused."""
    tasks = FileTasks(folder)
    assert tasks.add(Task(id="Fix/It", title="T", status=Status.READY)).name == "fix-it.md"
    assert tasks.add(Task(id="fix it", title="T")).name == "fix-it-2.md"
    assert tasks.add(Task(id="🎉", title="A party")).name == "a-party.md"
    assert tasks.add(Task(id="🎊", title="🎊"), folder / "new/sub") == folder.resolve() / "new/sub/task.md"
    assert ids(tasks.all()) == sorted(["Fix/It", "fix it", "🎉", "🎊"])
    with pytest.raises(UsageError, match=r"taken by .*fix-it\.md"):
        tasks.add(Task(id="Fix/It", title="again"))
    write(folder / "broken.md", "id: broken\nstatus: [")
    with pytest.raises(UsageError, match=r"taken by .*broken\.md"):
        tasks.add(Task(id="broken", title="again"))


def test_a_new_task_needs_no_hard_links(folder, monkeypatch):
    """File systems without them (exFAT, some mounts) get the file too, and never over another one."""

    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    write(folder / "a.md", "id: other")
    assert FileTasks(folder).add(Task(id="a", title="a")).name == "a-2.md"
    assert ids(FileTasks(folder).all()) == ["a", "other"]
    assert names(folder) == ["a-2.md", "a.md"]


def test_a_task_that_cannot_be_added(folder, tmp_path, monkeypatch):
    """Outside the folder, unusable, or without room: one message, and no file."""
    tasks = FileTasks(folder)
    with pytest.raises(UsageError, match="not below"):
        tasks.add(Task(id="a", title="a"), tmp_path)
    with pytest.raises(TaskFileError, match="control character"):
        tasks.add(Task(id="a\nb", title="a"))

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TaskFileError, match="No space left"):
        tasks.add(Task(id="a", title="a"))
    assert names(folder) == []
    shutil.rmtree(folder)
    with pytest.raises(UsageError, match="tasks"):
        tasks.add(Task(id="a", title="a"))


def test_an_id_is_added_once(folder):
    """Eight threads add the same id at once: one file, seven refusals."""
    results, barrier = [], threading.Barrier(8)

    def add():
        barrier.wait()
        try:
            results.append(FileTasks(folder).add(Task(id="a", title="a")))
        except UsageError:
            results.append(None)

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([result for result in results if result]) == 1
    assert names(folder) == ["a.md"]
