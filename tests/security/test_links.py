"""Files in a folder are uploaded; files that the folder only links to are not."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from argosy.cli.sending.collect import MAX_UNSIZED_BYTES, Collected, Outgoing, collect, scan
from argosy.cli.sending.watching import changes
from argosy.contracts.errors import InvalidRequest

pytestmark = [pytest.mark.security, pytest.mark.timeout(20)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Create a folder with one file and with links that lead out of it, back into it, and nowhere."""
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "secret.md").write_text("a key")
    (outside / "deep" / "deeper.md").write_text("another key")
    inside = tmp_path / "inside"
    (inside / "sub").mkdir(parents=True)
    (inside / "own.md").write_text("text")
    (inside / "file.md").symlink_to(outside / "secret.md")
    (inside / "up").symlink_to(outside)
    (inside / "sub" / "around").symlink_to(inside)
    (inside / "sub" / "self").symlink_to("self")
    (inside / "sub" / "nothing.md").symlink_to("nothing")
    (inside / ".hidden.md").symlink_to(outside / "secret.md")
    return inside


def names(found: Collected) -> list[str]:
    return [one.name for one in found.outgoing]


@pytest.mark.parametrize("look", [collect, scan])
def test_links_in_a_folder_are_skipped_and_counted(folder: Path, look: Callable[..., Collected]) -> None:
    found = look([folder], True)
    assert names(found) == ["own.md"]
    assert [link.name for link in found.links] == ["file.md", "around", "nothing.md", "self", "up"]


def test_with_follow_symlinks_they_are_followed_and_loops_end(folder: Path) -> None:
    found = collect([folder], True, None, True)
    assert sorted(names(found)) == ["deeper.md", "file.md", "own.md", "secret.md"]
    assert found.links == []
    assert {one.read() for one in found.outgoing} == {b"text", b"a key", b"another key"}


def test_a_link_that_is_named_is_followed(folder: Path) -> None:
    assert names(collect([folder / "file.md"], True)) == ["file.md"]
    assert collect([folder / "file.md"], True).outgoing[0].read() == b"a key"
    assert sorted(names(collect([folder / "up"], True))) == ["deeper.md", "secret.md"]


def test_a_folder_of_links_only_says_what_to_do(folder: Path) -> None:
    (folder / "own.md").unlink()
    with pytest.raises(InvalidRequest, match="--follow-symlinks"):
        collect([folder], True)


def test_a_file_that_becomes_a_link_before_it_is_read_is_not_followed(folder: Path) -> None:
    [one] = collect([folder], True).outgoing
    (folder / "own.md").unlink()
    (folder / "own.md").symlink_to(folder.parent / "outside" / "secret.md")
    with pytest.raises(OSError, match="symbolic links"):
        one.read()


def a_fifo(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # socket addresses must be short
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(path.name)
    os.chdir(here)


def a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(("make", "kind"), [(a_fifo, "a FIFO"), (a_socket, "a socket"), (a_device, "a device")])
def test_what_is_no_file_is_refused_where_it_is_named(tmp_path: Path, make: Callable[[Path], None], kind: str) -> None:
    path = tmp_path / "odd.md"
    make(path)
    with pytest.raises(InvalidRequest, match=f"is {kind}, not a file; nothing was sent"):
        collect([path], True)
    assert names(scan([tmp_path], True)) == []


@pytest.mark.parametrize(("make", "kind"), [(a_fifo, "a FIFO"), (a_device, "a device")])
def test_a_file_that_becomes_something_else_does_not_hold_up_the_others(
    tmp_path: Path, make: Callable[[Path], None], kind: str
) -> None:
    path = tmp_path / "odd.md"
    path.write_text("text")
    [one] = collect([path], True).outgoing
    path.unlink()
    make(path)
    with pytest.raises(OSError, match=f"It is {kind}, not a regular file"):
        one.read()


def test_a_file_that_grows_while_it_is_read_is_sent_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"x" * 2**22)
    [one] = collect([path], True).outgoing
    read, reads = os.read, []

    def growing(descriptor: int, size: int) -> bytes:
        reads.append(size)
        assert len(reads) < 100, "it never ends"
        with path.open("ab") as stream:
            stream.write(b"y" * 2**21)
        return read(descriptor, size)

    monkeypatch.setattr(os, "read", growing)
    assert one.read() == b"x" * 2**22
    assert len(reads) > 1


def test_a_file_without_an_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read a file like some in /proc, which report size 0 and never end."""
    path = tmp_path / "endless.txt"
    path.touch()
    read = os.read
    monkeypatch.setattr(os, "read", lambda descriptor, size: read(descriptor, 0) or b"x" * size)
    with pytest.raises(OSError, match=f"holds more than {MAX_UNSIZED_BYTES} bytes"):
        Outgoing("endless.txt", "file:///endless.txt", path).read()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc")
def test_a_file_of_proc_that_is_named_is_read_although_it_says_it_is_empty() -> None:
    [one] = collect([Path("/proc/self/status")], True).outgoing
    assert b"Pid:" in one.read()


def test_a_folder_that_is_watched_does_not_watch_what_its_links_lead_to(folder: Path) -> None:
    watching = changes([folder])
    assert next(watching) is False
    (folder.parent / "outside" / "secret.md").write_text("changed")
    (folder.parent / "outside" / "deep" / "new.md").write_text("new")
    assert [next(watching) for _ in range(3)] == [False, False, False]
    (folder / "sub" / "new.md").write_text("new")
    assert any(next(watching) for _ in range(10))


def test_a_folder_that_is_new_is_watched_too(folder: Path) -> None:
    watching = changes([folder])
    assert next(watching) is False
    (folder / "sub" / "later").mkdir()
    assert any(next(watching) for _ in range(10))
    while next(watching):  # until the new folder is watched and no change is pending
        pass
    (folder / "sub" / "later" / "new.md").write_text("new")
    assert any(next(watching) for _ in range(10))
