import hashlib
import io
import random
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mdepth.datasets.fetch import REMOTES, Remote, fetch, unpack
from mdepth.shapes import DataError

CONTENT = b"2011_09_26_drive_0117\n" * 500


class Handler(BaseHTTPRequestHandler):
    """/whole serves the file, /cut stops half way, /other serves another file, /none is not there."""

    def do_GET(self):
        if self.path == "/none":
            self.send_error(404)
            return
        body = CONTENT if self.path != "/other" else b"something else"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.path == "/cut" else body)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


def table(server, path):
    digest = hashlib.sha256(CONTENT).hexdigest()
    return {"list": Remote(f"{server}{path}", f"sha256:{digest}", "splits/list.txt", "11 KB", "MIT")}


def test_download_and_second_call(server, tmp_path):
    path = fetch("list", tmp_path, remotes=table(server, "/whole"))
    assert path == tmp_path / "splits/list.txt"
    assert path.read_bytes() == CONTENT
    # The second call finds the file and does not ask the server, which has nothing at this address.
    assert fetch("list", tmp_path, remotes=table(server, "/none")) == path


def test_damaged_file_is_replaced(server, tmp_path):
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits/list.txt").write_bytes(b"old")
    assert fetch("list", tmp_path, remotes=table(server, "/whole")).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/cut", "failed|not the published file"),
        ("/other", "not the published file"),
        ("/none", "failed.*404"),
    ],
)
def test_what_goes_wrong_leaves_nothing(server, tmp_path, path, message):
    with pytest.raises(DataError, match=rf"list.txt: the download from http.*({message})"):
        fetch("list", tmp_path, remotes=table(server, path))
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_no_server_and_full_disk(server, tmp_path, monkeypatch):
    closed = {"list": Remote("http://127.0.0.1:9/x", "sha256:0", "splits/list.txt", "", "")}
    with pytest.raises(DataError, match="check the connection"):
        fetch("list", tmp_path, remotes=closed)
    import shutil

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "move", full)
    with pytest.raises(DataError, match="No space left on device"):
        fetch("list", tmp_path, remotes=table(server, "/whole"))
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_unknown_name_and_the_table(tmp_path):
    with pytest.raises(ValueError, match="mdepth data check"):
        fetch("kitti", tmp_path)
    assert {remote.checksum.split(":")[0] for remote in REMOTES.values()} <= {"md5", "sha256"}
    for remote in REMOTES.values():
        algorithm, digest = remote.checksum.split(":")
        assert len(digest) == {"md5": 32, "sha256": 64}[algorithm]
        assert remote.terms


@pytest.mark.realdata
def test_checksums_are_those_of_the_real_lists(real_data):
    """Every split list that lies in the sample folder has the checksum that is demanded of a download."""
    held = 0
    for remote in REMOTES.values():
        algorithm, digest = remote.checksum.split(":")
        path = real_data / remote.path
        if path.exists():
            assert hashlib.new(algorithm, path.read_bytes()).hexdigest() == digest
            held += 1
    assert held == 8
    assert (
        hashlib.md5((real_data / "splits/bts/splits.mat").read_bytes()).hexdigest()
        == REMOTES["nyu-splits"].checksum[4:]
    )


# ---- archives ----


def make_tar(path, *members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            else:
                info.type, info.linkname = content
                archive.addfile(info)
    return path


def make_zip(path, *members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_good_archives(tmp_path, make):
    archive = make(tmp_path / "a", ("day/calib.txt", b"P: 1"), ("day/b.txt", b"2"))
    folder = unpack(archive, tmp_path / "out")
    assert (folder / "day/calib.txt").read_bytes() == b"P: 1"
    with pytest.raises(DataError, match="exists already"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("make", [make_tar, make_zip])
@pytest.mark.parametrize(
    "name", ["../evil.txt", "/tmp/evil.txt", "a/../../evil.txt", "..\\evil.txt", "C:/evil.txt"]
)
def test_escaping_members_are_refused(tmp_path, make, name):
    archive = make(tmp_path / "a", ("good.txt", b"1"), (name, b"2"))
    with pytest.raises(DataError, match="refused"):
        unpack(archive, tmp_path / "deep" / "out")
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a", "deep"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    archive = make_tar(tmp_path / "a", ("link", (kind, "/etc/passwd")))
    with pytest.raises(DataError, match="link or device"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_damaged_archives(tmp_path, make):
    archive = make(tmp_path / "a", ("x.bin", bytes(range(256)) * 400))
    data = bytearray(archive.read_bytes())
    for i in range(len(data) // 3, len(data) // 3 + 60):
        data[i] ^= 0xFF
    archive.write_bytes(data if make is make_zip else data[: len(data) // 2])
    with pytest.raises(DataError, match=r"damaged|is no \.zip or \.tar archive"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "b").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"is no \.zip or \.tar archive"):
        unpack(tmp_path / "b", tmp_path / "out")
    with pytest.raises(DataError, match="cannot be read"):
        unpack(tmp_path / "missing", tmp_path / "out")


def flip(path, start, count=40):
    """Change some bytes in the middle of a file."""
    data = bytearray(path.read_bytes())
    for i in range(start, start + count):
        data[i] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize("compression", ["gz", "bz2", "xz"])
def test_damage_in_the_middle_of_a_compressed_tar(tmp_path, compression):
    """Also where the damage decompresses to something: the checksum follows the last member."""
    archive, noise = tmp_path / "a", bytes(random.Random(0).choices(range(50), k=60_000))
    with tarfile.open(archive, f"w:{compression}") as target:
        info = tarfile.TarInfo("x.bin")
        info.size = len(noise)
        target.addfile(info, io.BytesIO(noise))
    flip(archive, archive.stat().st_size // 2)
    with pytest.raises(DataError, match=r"a: is (damaged|no \.zip).*download it again"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_damage_in_a_compressed_zip_and_a_password(tmp_path):
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("x.bin", bytes(random.Random(0).choices(range(50), k=60_000)))
    flip(archive, archive.stat().st_size // 2)
    with pytest.raises(DataError, match=r"a.zip: is damaged or encrypted .*Nothing was unpacked"):
        unpack(archive, tmp_path / "out")
    make_zip(archive, ("x.bin", b"1"))
    data = bytearray(archive.read_bytes())
    data[6] |= 1  # the flags of the member, there and in the directory
    data[data.rindex(b"PK\1\2") + 8] |= 1
    archive.write_bytes(data)
    with pytest.raises(DataError, match=r"encrypted .*password"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_links_in_a_zip_are_refused(tmp_path):
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as target:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        target.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match=r"holds 'link' \(a link or device\).*refused"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_tar_whose_last_member_is_a_zip_is_a_tar(tmp_path):
    inner = make_zip(tmp_path / "b.zip", ("inner.txt", b"x")).read_bytes()
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as target:
        for name, content in (("a.txt", b"a"), ("b.zip", inner)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            target.addfile(info, io.BytesIO(content))
    assert sorted(path.name for path in unpack(archive, tmp_path / "out").iterdir()) == ["a.txt", "b.zip"]


def test_a_full_disk_while_unpacking_is_not_called_damage(tmp_path, monkeypatch):
    archive = make_zip(tmp_path / "a.zip", ("x.bin", b"1"))

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "extractall", full)
    with pytest.raises(DataError, match=r"out: could not be written \(No space left on device\)"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_may_not_be_written(server, tmp_path, monkeypatch):
    import tempfile

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    for module, name in ((tempfile, "mkstemp"), (tempfile, "NamedTemporaryFile"), (tempfile, "mkdtemp")):
        monkeypatch.setattr(module, name, denied)
    with pytest.raises(
        DataError, match=r"list.txt: cannot be written \(.*Permission denied.*choose another folder"
    ):
        fetch("list", tmp_path, remotes=table(server, "/whole"))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
