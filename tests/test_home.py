"""The home folder: made, migrated, refused; written whole or not at all; locked without losing a lock."""

import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from refinery import home as home_module
from refinery.configured import read_project, read_user
from refinery.core.config import UserProject
from refinery.errors import ConfigError, RefineryError, UsageError
from refinery.home import FOLDERS, VERSION, Home, default_path, explain, locked, write_atomic


def test_a_new_home_is_complete(tmp_path):
    """Opening makes every folder, and a second time changes nothing."""
    home = Home.open(tmp_path / "deep" / "home")
    assert {path.name for path in home.path.iterdir()} == {*FOLDERS, "version"}
    assert (home.path / "version").read_text() == f"{VERSION}\n"
    assert home.path.stat().st_mode & 0o777 == 0o700
    assert Home.open(home.path) == home


def test_the_place_is_flag_then_environment_then_platform(tmp_path, monkeypatch):
    """`--home` arrives as an argument, `REFINERY_HOME` through the environment."""
    monkeypatch.setenv("REFINERY_HOME", str(tmp_path / "named"))
    assert Home.open().path == tmp_path / "named"
    assert Home.open(tmp_path / "flag").path == tmp_path / "flag"
    monkeypatch.delenv("REFINERY_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_path().name == "refinery"
    assert tmp_path in default_path().parents


def test_a_reader_makes_no_home(tmp_path):
    """A verb that only looks leaves nothing behind."""
    with pytest.raises(UsageError, match="no home folder") as caught:
        Home.open(tmp_path / "none", create=False)
    assert "init" in caught.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_a_newer_home_is_refused(tmp_path):
    """An older program would not understand what it finds, so it touches nothing."""
    home = Home.open(tmp_path / "home")
    (home.path / "version").write_text("99\n")
    with pytest.raises(UsageError, match="a newer Refinery made it") as caught:
        Home.open(home.path)
    assert caught.value.exit_code == 2
    assert (home.path / "version").read_text() == "99\n"


def test_an_older_home_is_migrated_step_by_step(tmp_path, monkeypatch):
    """Each step runs once, in order, and the version follows it."""
    home = Home.open(tmp_path / "home")
    seen = []

    def step(path):
        seen.append((path / "version").read_text())

    monkeypatch.setattr(home_module, "VERSION", VERSION + 2)
    monkeypatch.setattr(home_module, "_MIGRATIONS", {VERSION: step, VERSION + 1: step})
    Home.open(home.path)
    Home.open(home.path)
    assert seen == [f"{VERSION}\n", f"{VERSION + 1}\n"]
    assert (home.path / "version").read_text() == f"{VERSION + 2}\n"


@pytest.mark.parametrize("version", ["", "two", "-1", "0"])
def test_a_version_that_makes_no_sense_is_refused(tmp_path, version):
    """It is neither guessed nor overwritten."""
    home = Home.open(tmp_path / "home")
    (home.path / "version").write_text(version)
    with pytest.raises(UsageError, match="version") as caught:
        Home.open(home.path)
    assert caught.value.remedy


def test_a_folder_with_other_things_is_refused(tmp_path):
    """`--home ~` must not litter somebody's home, nor `clean` delete in it."""
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"holds notes\.txt"):
        Home.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_half_made_home_is_finished(tmp_path):
    """A process that was killed while it made the home left folders and no version."""
    (tmp_path / "home" / "locks").mkdir(parents=True)
    (tmp_path / "home" / "config.yml").write_text("# mine\n")
    (tmp_path / "home" / ".version-abc123").write_text("")
    assert Home.open(tmp_path / "home").trash.is_dir()


def test_a_home_below_a_file_is_explained(tmp_path):
    """Also for the superuser, whom no permission stops."""
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "home"):
        with pytest.raises(UsageError) as caught:
            Home.open(path)
        assert caught.value.exit_code == 2
        assert "--home" in caught.value.remedy


def boxed(options, script, *args):
    """Run Python in a box with mounts of its own: a read-only one, or one that is soon full."""
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed, so nothing can be mounted here")
    box = [
        "bwrap",
        "--bind",
        "/",
        "/",
        "--dev",
        "/dev",
        *options,
        "--",
        sys.executable,
        "-c",
        script,
        *map(str, args),
    ]
    return subprocess.run(box, capture_output=True, text=True, check=False, timeout=60)


OPEN = """
import sys
from pathlib import Path
from refinery.errors import RefineryError
from refinery.home import Home
try:
    Home.open(Path(sys.argv[1]))
except RefineryError as error:
    print(type(error).__name__, error.exit_code, error, error.remedy)
"""


def test_a_read_only_home_is_noticed_by_the_superuser_too(tmp_path):
    """Permissions do not stop root, a read-only mount does: a file is created to find out."""
    home = Home.open(tmp_path / "home")
    done = boxed(["--ro-bind", home.path, home.path], OPEN, home.path)
    assert done.stdout.startswith("UsageError 2 "), done
    assert "read-only file system" in done.stdout
    assert "--home" in done.stdout


FILL = """
import sys
from pathlib import Path
from refinery.errors import RefineryError
from refinery.home import Home
home = Home.open(Path(sys.argv[1]) / "home")
home.register("first", repository="/r", tasks="/t")
before = home.config_file.read_bytes()
names = set(Path(home.path).iterdir())
try:
    while True:
        (home.cache / "filler").open("ab", buffering=0).write(b"x" * 512)
except OSError:
    pass
try:
    home.register("second", repository="/r" * 3000, tasks="/t")
except RefineryError as error:
    print(type(error).__name__, error.exit_code, error, error.remedy)
assert home.config_file.read_bytes() == before
assert set(Path(home.path).iterdir()) == names
"""


def test_a_full_disk_leaves_the_old_file(tmp_path):
    """What was there is still there, whole; the message says what to do."""
    (tmp_path / "disk").mkdir()
    done = boxed(["--size", "200000", "--tmpfs", tmp_path / "disk"], FILL, tmp_path / "disk")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("RefineryError 1 no space is left"), done
    assert "refinery clean" in done.stdout


def test_a_file_is_replaced_whole(tmp_path):
    """Through a symlink, keeping the mode; a failure leaves the old content and no debris."""
    target = tmp_path / "real.yml"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link = tmp_path / "link.yml"
    link.symlink_to(target)
    write_atomic(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o640
    with pytest.raises(TypeError):
        write_atomic(target, "not bytes")
    assert target.read_bytes() == b"new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.yml", "real.yml"]


CONFIG = """\
# my projects
projects:
  old:
    repository: /old # the old one
    tasks: /old/tasks
# my defaults
defaults: {caller: me}
"""


def test_registering_keeps_what_the_person_wrote(tmp_path):
    """Comments, order and other projects stay, and doing it again changes nothing."""
    home = Home.open(tmp_path / "home")
    home.config_file.write_text(CONFIG)
    home.register("new", repository="/new", tasks="/new/tasks", base="dev")
    text = home.config_file.read_text()
    assert [line for line in CONFIG.splitlines() if line not in text.splitlines()] == []
    user = read_user(home)
    assert list(user.projects) == ["old", "new"]
    assert user.projects["new"] == UserProject(repository="/new", tasks="/new/tasks", base="dev")
    seen = home.config_file.stat()
    home.register("new", repository="/new", tasks="/new/tasks", base="dev")
    assert home.config_file.stat().st_ino == seen.st_ino


@pytest.mark.parametrize(
    "text",
    [
        "projects: [",
        "projcts: {}",
        "{defaults: {}}",
        "projects: {a: &x {repository: r, tasks: t}}\nagents: {b: {command: *x}}",
    ],
)
def test_a_broken_configuration_is_left_alone(tmp_path, text):
    """Nothing is written over a file that does not make sense."""
    home = Home.open(tmp_path / "home")
    home.config_file.write_text(text)
    with pytest.raises(ConfigError, match=r"config\.yml"):
        home.register("new", repository="/new", tasks="/t")
    assert home.config_file.read_text() == text


def test_a_bad_slug_is_refused_before_anything_is_written(tmp_path):
    """What would be written is parsed first."""
    home = Home.open(tmp_path / "home")
    with pytest.raises(ConfigError, match="cannot name a project"):
        home.register("../up", repository="/r", tasks="/t")
    assert not home.config_file.exists()


def register(path, number):
    Home.open(path).register(f"p{number}", repository=f"/r{number}", tasks="/t")


def test_projects_registered_at_once_are_all_there(tmp_path):
    """Six processes write the same file; each sees what the others wrote."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=register, args=(tmp_path / "home", number)) for number in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 6
    assert set(read_user(Home.open(tmp_path / "home")).projects) == {f"p{number}" for number in range(6)}


def hold(path, ready, release):
    with locked(Home.open(path), "mirror/demo"):
        ready.set()
        release.wait(30)


def test_f1_a_lock_has_one_holder_and_its_file_stays(tmp_path):
    """F1: who loses leaves the file alone, so that the next one meets the same lock; a killed holder lets go."""
    home = Home.open(tmp_path / "home")
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    holder = context.Process(target=hold, args=(home.path, ready, release))
    holder.start()
    assert ready.wait(30)
    (file,) = [path for path in home.locks.iterdir() if "mirror" in path.name]
    for wait in (0, 0.12):
        with (
            pytest.raises(RefineryError, match="another process holds"),
            locked(home, "mirror/demo", wait=wait),
        ):
            pass
    assert file.exists()
    with locked(home, "another", wait=0):
        pass
    holder.kill()
    holder.join()
    with locked(home, "mirror/demo", wait=10):
        assert file.exists()


LOOK = """
import sys
from pathlib import Path
from refinery.configured import read_project
from refinery.home import Home
print(read_project(Home.open(Path(sys.argv[1])), sys.argv[2].encode(), "c").label, "pydantic" in sys.modules)
"""


def test_a_configuration_is_parsed_once(tmp_path):
    """The second look needs no parser, an edited file is another file, and a spoilt cache is no trouble."""
    home = Home.open(tmp_path / "home")
    text = b"label: mine\nchecks: {t: pytest}\n"
    first = read_project(home, text, "refinery.yml")
    (kept,) = home.cache.iterdir()
    done = subprocess.run(
        [sys.executable, "-c", LOOK, home.path, text], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["mine", "False"]
    kept.write_text('{"label": 3}')
    assert read_project(home, text, "refinery.yml") == first
    assert read_project(home, b"label: other\n", "refinery.yml").label == "other"


def test_mistakes_are_never_cached(tmp_path):
    """A broken file is an error each time."""
    home = Home.open(tmp_path / "home")
    for _ in range(2):
        with pytest.raises(ConfigError, match="c:1: labl"):
            read_project(home, b"labl: x", "c")
    assert list(home.cache.iterdir()) == []


def test_an_ordinary_refusal_is_explained_and_a_strange_one_is_not():
    """So that nothing unexpected is dressed up as a permission problem."""
    assert "no space" in explain(OSError(28, "No space left on device", "/x")).message
    assert "/somewhere" in explain(OSError(13, "Permission denied"), Path("/somewhere")).message
    assert explain(OSError(5, os.strerror(5), "/x")) is None
