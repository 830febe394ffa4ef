"""Downloads of what may be downloaded by a program, each held against a published checksum; and the safe
unpacking of archives.

Only files whose address and checksum are both known are here. KITTI and 7-Scenes ask the reader to accept
their terms on a page first; ``mdepth data check`` says where. A download goes to a temporary name and is
renamed when its checksum fits, so an interrupted one leaves nothing behind.
"""

import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mdepth.datasets.files import atomic_folder
from mdepth.shapes import DataError

__all__ = ["REMOTES", "Remote", "fetch", "unpack"]


@dataclass(frozen=True)
class Remote:
    """A file on the net: its address, checksum ("algorithm:hex"), place below the data folder, size and
    terms."""

    url: str
    checksum: str
    path: str
    size: str
    terms: str


_NYU_TERMS = "cite Silberman et al. 2012"
_M2 = "https://raw.githubusercontent.com/nianticlabs/monodepth2/master/splits"
_M2_TERMS = "monodepth2's licence: non-commercial use"
_SFM = "https://raw.githubusercontent.com/tinghuiz/SfMLearner/master/data/kitti"


def _monodepth2(path: str, sha256: str, size: str) -> Remote:
    """A split list of monodepth2."""
    return Remote(f"{_M2}/{path}", f"sha256:{sha256}", f"splits/monodepth2/{path}", size, _M2_TERMS)


def _sfmlearner(name: str, sha256: str, size: str) -> Remote:
    """A frame list of SfMLearner."""
    return Remote(f"{_SFM}/{name}", f"sha256:{sha256}", f"splits/sfmlearner/{name}", size, "MIT")


REMOTES: dict[str, Remote] = {
    "nyu-labelled": Remote(
        "http://horatio.cs.nyu.edu/mit/silberman/nyu_depth_v2/nyu_depth_v2_labeled.mat",
        "md5:520609c519fba3ba5ac58c8fefcc3530",
        "nyu/nyu_depth_v2_labeled.mat",
        "2.97 GB",
        _NYU_TERMS,
    ),
    "nyu-splits": Remote(
        "http://horatio.cs.nyu.edu/mit/silberman/indoor_seg_sup/splits.mat",
        "md5:08e3c3aea27130ac7c01ffd739a4535f",
        "nyu/splits.mat",
        "3 KB",
        _NYU_TERMS,
    ),
    "eigen-test": _sfmlearner(
        "test_files_eigen.txt", "0d9d0dc4ba492bef41d449ee7a8a1751b55f46042e0f8d278c09f16cef462fda", "48 KB"
    ),
    "eigen-test-scenes": _sfmlearner(
        "test_scenes_eigen.txt", "df2563d0d3482ab6da413cdc4471b04938970a5317f6bd843b9280a81d437981", "1 KB"
    ),
    "static-frames": _sfmlearner(
        "static_frames.txt", "268ef2acb91035acca2db9631d23af5a4c1a9a95af31c9099a000fba82c88e11", "0.4 MB"
    ),
    "eigen-zhou-train": _monodepth2(
        "eigen_zhou/train_files.txt",
        "00173a231642151c4693274e701ddd4cae7916520a757c7a94eae8e1173f7b0c",
        "1.8 MB",
    ),
    "eigen-zhou-val": _monodepth2(
        "eigen_zhou/val_files.txt",
        "64a868b8d2c66c3979a2d74c22ea2e9146850d5b9f5786ed8e5f92201ba1ad04",
        "0.2 MB",
    ),
    "eigen-full-train": _monodepth2(
        "eigen_full/train_files.txt",
        "1b491141d87b7af9e6706609b7ce858c198c3a4ca61d180c7dc90815d5f2a986",
        "2.0 MB",
    ),
    "eigen-full-val": _monodepth2(
        "eigen_full/val_files.txt",
        "9c4446772ec58aaa60acbeef0fa6d1e8ef1b346ad4f78272d056d10cf1993af9",
        "0.1 MB",
    ),
    "eigen-benchmark-test": _monodepth2(
        "eigen_benchmark/test_files.txt",
        "d56e5e509e6960a01fb93795f85028ac6e4a82ad40e64b6e968988e4db95b9be",
        "28 KB",
    ),
}


def fetch(
    name: str, root: Path | str, *, progress: bool = False, remotes: dict[str, Remote] | None = None
) -> Path:
    """Download a file to its place below ``root``, or find it there already; either way its checksum is
    verified.

    Args:
        name: a key of ``REMOTES``.
        root: the data folder (what MDEPTH_DATA names).
        progress: show a bar.
        remotes: another table than ``REMOTES``.

    Returns:
        Where the file lies.

    Raises:
        ValueError: unknown name.
        DataError: no connection, download cut short, checksum does not fit, or the folder cannot be written;
            nothing is left behind.
    """
    table = REMOTES if remotes is None else remotes
    if name not in table:
        raise ValueError(
            f"fetch knows {sorted(table)}, got {name!r}; `mdepth data check` says where to get other sets"
        )
    import pooch
    from requests.exceptions import RequestException

    remote = table[name]
    target = Path(root).expanduser() / remote.path
    try:
        pooch.retrieve(
            remote.url,
            remote.checksum,
            fname=target.name,
            path=target.parent,
            progressbar=progress,
            downloader=pooch.HTTPDownloader(progressbar=progress, timeout=60),
        )
    except ValueError as error:  # pooch's way to say that the checksum does not fit
        raise DataError(
            f"{target}: the download from {remote.url} is not the published file ({error}); nothing was "
            "kept, try again later"
        ) from None
    except RequestException as error:
        raise DataError(
            f"{target}: the download from {remote.url} failed ({error}); nothing was kept, check the "
            "connection and try again"
        ) from None
    except OSError as error:
        raise DataError(
            f"{target}: cannot be written ({error.strerror or error}); free some space or choose another "
            "folder"
        ) from None
    return target


def unpack(archive: Path | str, folder: Path | str) -> Path:
    """Unpack a .zip or .tar(.gz|.bz2|.xz) archive into a new folder.

    Refused are members that would land outside the folder (absolute paths, ``..``), links and devices. The
    folder appears when everything is unpacked.

    Returns:
        The folder.

    Raises:
        DataError: no archive, truncated, a refused member, the folder exists, or the disk is full.
    """
    archive, folder = Path(archive), Path(folder)
    try:
        with _damage_named(archive):
            if tarfile.is_tarfile(archive):  # asked first: a tar may end in a member that is a zip
                _unpack_tar(archive, folder)
            elif zipfile.is_zipfile(archive):
                _unpack_zip(archive, folder)
            else:
                raise DataError(f"{archive}: is no .zip or .tar archive; download it again")
    except OSError as error:
        raise DataError(f"{archive}: cannot be read ({error.strerror or error}); check the path") from None
    return folder


def _unpack_tar(archive: Path, folder: Path) -> None:
    """Everything in a tar archive, compressed or not."""
    with tarfile.open(archive) as source, atomic_folder(folder) as target, _damage_named(archive):
        members = source.getmembers()
        _refuse(archive, [m.name for m in members], [not (m.isreg() or m.isdir()) for m in members])
        source.extractall(target, filter="data")
        while source.fileobj and source.fileobj.read(1 << 20):
            pass  # up to the checksum, which follows the last member


def _unpack_zip(archive: Path, folder: Path) -> None:
    """Everything in a zip archive."""
    with zipfile.ZipFile(archive) as source, atomic_folder(folder) as target, _damage_named(archive):
        members = source.infolist()
        links = [stat.S_ISLNK(member.external_attr >> 16) for member in members]
        _refuse(archive, [member.filename for member in members], links)
        source.extractall(target)


@contextmanager
def _damage_named(archive: Path) -> Iterator[None]:
    """What a broken archive raises, as ``DataError``; errors of the disk, which have a number, pass."""
    damage = (
        zipfile.BadZipFile,
        tarfile.TarError,
        EOFError,
        zlib.error,
        lzma.LZMAError,
        RuntimeError,
        OSError,
    )
    try:
        yield
    except damage as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DataError(
            f"{archive}: is damaged or encrypted ({error}); download it again. Nothing was unpacked"
        ) from None


def _refuse(archive: Path, names: list[str], special: list[bool]) -> None:
    """Raise at the first member that is a link or device (``special``) or leaves the folder."""
    for name, strange in zip(names, special, strict=True):
        path = PurePosixPath(name.replace("\\", "/"))
        drive = path.parts and ":" in path.parts[0]
        if path.is_absolute() or ".." in path.parts or drive or strange:
            raise DataError(
                f"{archive}: holds {name!r}{' (a link or device)' * strange}, which could be written outside "
                "the folder; refused. Do not trust this archive"
            )
