"""Transcripts: redacted, bounded, private, and complete up to a crash."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import refinery
from refinery.core.sanitise import Redactor
from refinery.transcript import Transcript, prefix_of, transcript_path

SECRET = "hunter2-hunter2"  # noqa: S105  (not one)


@pytest.fixture
def path(tmp_path):
    return transcript_path(tmp_path / "transcripts", "demo", "t_2e1", 3, "0123456789abcdef")


def opened(path, **options):
    return Transcript(path, redact=Redactor([SECRET]).line, **options)


def test_place_mode_and_text(path):
    """One file per attempt and claim, for its owner only, with what was started, its lines and its ending."""
    with opened(path) as transcript:
        transcript.begin("agent stub", ["sh", "-c", "echo a b"])
        transcript.write(b"one\ntw")
        transcript.write(b"o\nthree")
        transcript.end("exited with 0 after 1.5 s")
        transcript.begin("verify", ["make"])
    assert path.relative_to(path.parents[3]) == Path("transcripts/demo/t_2e1/3-0123456789ab.log")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.read_text().splitlines() == [
        "--- agent stub: sh -c 'echo a b'",
        "one",
        "two",
        "three",
        "--- exited with 0 after 1.5 s",
        "--- verify: make",
    ]


def test_f35_secrets_are_in_neither_file_nor_echo(path):
    """F35: known secrets and things shaped like one are gone from output, command line and echo, however it is cut."""
    token = "ghp_" + "A1b2" * 9
    echoed = []
    with opened(path, echo=echoed.append) as transcript:
        transcript.begin("agent", ["tool", f"--password={SECRET}"])
        for piece in (b"the key is hun", b"ter2-hunter2, ok\n", f"token {token}\n".encode(), SECRET.encode()):
            transcript.write(piece)
    told = path.read_text() + "".join(echoed)
    assert SECRET not in told
    assert token not in told
    assert told.count("the key is ***, ok") == 2


def test_f35_a_secret_in_a_line_of_megabytes_is_not_cut_in_two(path):
    """F35: a line that is too long to wait for is cut between words."""
    with opened(path) as transcript:
        line = b'"hunter2-hunter2",' * 160_000 + b"\n"
        for start in range(0, len(line), 1000):
            transcript.write(line[start : start + 1000])
    assert path.read_text() == '"***",' * 160_000 + "\n"


def test_small_pieces_of_a_long_line_take_no_longer(path):
    """Output that comes byte by byte is gathered without copying it again and again."""
    with opened(path) as transcript:
        for _ in range(300_000):
            transcript.write(b"12345678")
    assert path.stat().st_size == 2_400_000


def test_the_middle_of_too_much_is_left_out(path):
    """The file stays below its limit and keeps its head and its tail, in whole lines."""
    with opened(path, limit=40_000) as transcript:
        transcript.begin("agent", ["yes"])
        for number in range(50_000):
            transcript.write(b"line %d\n" % number)
        transcript.end("exited with 0")
    text = path.read_text()
    assert path.stat().st_size <= 40_000
    assert text.startswith("--- agent: yes\nline 0\nline 1\n")
    assert text.endswith("line 49999\n--- exited with 0\n")
    (note,) = [line for line in text.splitlines() if line.endswith("bytes are left out here")]
    left_out = int(note.split()[1])
    assert 300_000 < left_out < 800_000
    assert all(line.startswith(("line ", "--- ")) for line in text.splitlines())


def test_one_line_larger_than_the_limit_stays_bounded(path):
    """A single line cannot break the limit either."""
    with opened(path, limit=40_000) as transcript:
        transcript.write(b"x" * 3_000_000)
        transcript.write(b"\nend\n")
    assert path.stat().st_size <= 40_000
    assert path.read_text().endswith("\nend\n")


def test_echo_has_prefix_and_cannot_steer_a_terminal(path):
    """Each echoed line has its prefix, and terminal sequences and control characters are gone."""
    echoed = []
    with opened(path, echo=echoed.append, prefix=prefix_of("claude", 42)) as transcript:
        transcript.write(b"\x1b]0;title\x07\x1b[31mred\x1b[0m\x08\r\nnext\n")
    assert echoed == ["[CLAUDE-Worker-42] red", "[CLAUDE-Worker-42] next"]


def test_tail_is_of_the_section_and_bounded(path):
    """An adapter gets the last lines of its own program, as they came, without end-of-line characters."""
    with opened(path) as transcript:
        transcript.write(b"before\n")
        transcript.begin("agent", ["x"])
        transcript.write(b"".join(b"%d\r\n" % number for number in range(1000)))
        transcript.write(SECRET.encode())
        tail = transcript.tail()
        assert tail[-2:] == ("999", SECRET)
        assert len(tail) <= 201
        for _ in range(50):
            transcript.write(b"y" * 500_000 + b"\n")
        assert sum(map(len, transcript.tail())) <= 4 * 1024 * 1024


def test_bytes_that_are_no_text_are_kept(path):
    """The file holds what came, byte for byte, where nothing is redacted."""
    with opened(path) as transcript:
        transcript.write(b"\xff\xfe\x00ok\n")
    assert path.read_bytes() == b"\xff\xfe\x00ok\n"


def test_what_was_written_before_a_kill_is_in_the_file(path):
    """Whole lines reach the file at once: SIGKILL loses nothing of them."""
    script = (
        "import os, sys; from pathlib import Path; from refinery.transcript import Transcript\n"
        "t = Transcript(Path(sys.argv[1]), redact=str)\n"
        "t.write(b'kept\\nnot yet'); os.kill(os.getpid(), 9)"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(refinery.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", script, str(path)], env=env, check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "kept\n"


def test_a_link_in_the_transcripts_place_is_not_followed(path, tmp_path):
    """Nobody can have a transcript written over another file."""
    path.parent.mkdir(parents=True)
    path.symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic links"):
        opened(path)
    assert not (tmp_path / "victim").exists()
