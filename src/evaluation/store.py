"""The only module that touches the disk: paths, atomic writes, hashes, one lock.

A file is either the old one or the new one, never half of each: everything is written beside its place and then renamed
over it. Numbers are written with 12 significant digits, so that two clean runs give the same bytes on machines whose
floating-point libraries differ in the last place.
"""

import errno
import hashlib
import json
import math
import os
import platform
import re
import shutil
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, TYPE_CHECKING, Any

from evaluation.errors import DataError, InternalError, ParametersError, SetupError, StaleError

if TYPE_CHECKING:
    import pandas as pd

SIGNIFICANT_DIGITS = 12
MARKERS = ("params.yaml", "dvc.yaml")

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SLUG_MAX = 64
_RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))})
# Bytes are locked far behind the text of the lock file, so that others can still read who holds it (Windows).
_LOCK_OFFSET = 1 << 30


# paths ---------------------------------------------------------------------------------------------------------------


def root() -> Path:
    """The folder of the project.

    $EVALUATION_ROOT if set, otherwise the nearest folder, here or above, that holds params.yaml and dvc.yaml.

    Raises:
        SetupError: no such folder.
    """
    named = os.environ.get("EVALUATION_ROOT")
    return _named_root(Path(named)) if named else _nearest_root(Path.cwd())


def path(*parts: str) -> Path:
    """A path inside the project.

    Args:
        parts: relative, with '/' between folders; ids among them should have passed `require_slug`.

    Raises:
        ParametersError: the path is empty, absolute, or leads out of the project.
    """
    return resolve("/".join(parts))


def resolve(name: str, *, base: Path | None = None) -> Path:
    """The file that a design names, inside the project.

    Args:
        name: path relative to `base`, with '/' between folders.
        base: the folder that must not be left; the project's root by default.

    Raises:
        ParametersError: the path is empty, absolute, or leads out of `base`, by '..' or by a link.
    """
    folder = (base or root()).resolve()
    if not is_inside(name):
        raise ParametersError(
            code="E-STO-003",
            what="A path must stay inside the project.",
            found=repr(name),
            expected="a path relative to the project root, without '..'",
            fix="move the file into the project (data/raw/…) and name it from there",
        )
    target = (folder / name).resolve()
    if not target.is_relative_to(folder):
        raise ParametersError(
            code="E-STO-004",
            what="A link leads out of the project.",
            found=f"{name} -> {target}",
            expected=f"a file under {folder}",
            fix="copy the file into the project instead of linking to it",
        )
    return target


def is_inside(name: str) -> bool:
    """Whether `name`, read as text, is a relative path that does not climb, on Linux, macOS and Windows alike."""
    windows = PureWindowsPath(name)
    climbs = ".." in PurePosixPath(name).parts or ".." in windows.parts
    return bool(name.strip()) and "\0" not in name and not (climbs or windows.drive or windows.root)


def require_slug(identifier: str) -> str:
    """The identifier itself, if it may become part of a path.

    Raises:
        ParametersError: it is not made of a-z, 0-9 and single hyphens, is too long, or is a name Windows reserves.
    """
    if not is_slug(identifier):
        raise ParametersError(
            code="E-STO-005",
            what="This id cannot be used in a path.",
            found=repr(identifier),
            expected=f"a-z, 0-9 and single hyphens, at most {_SLUG_MAX} characters, no name that Windows reserves",
            fix="choose an id such as small-classes",
        )
    return identifier


def is_slug(identifier: object) -> bool:
    """Whether `identifier` is text that may become part of a path."""
    return (
        isinstance(identifier, str)
        and len(identifier) <= _SLUG_MAX
        and _SLUG.fullmatch(identifier) is not None
        and identifier not in _RESERVED
    )


def _named_root(folder: Path) -> Path:
    if not folder.is_dir():
        raise SetupError(
            code="E-STO-001",
            what="EVALUATION_ROOT does not name a folder.",
            found=str(folder),
            expected="the folder that holds params.yaml and dvc.yaml",
            fix="correct or unset the variable EVALUATION_ROOT",
        )
    return folder.resolve()


def _nearest_root(start: Path) -> Path:
    for folder in (start, *start.parents):
        if all((folder / marker).is_file() for marker in MARKERS):
            return folder
    raise SetupError(
        code="E-STO-002",
        what="This folder is not part of an evaluation project.",
        where=str(start),
        found="no params.yaml and dvc.yaml here or above",
        expected="a folder of the project",
        fix="change to the project's folder or set EVALUATION_ROOT",
    )


# writing -------------------------------------------------------------------------------------------------------------


def write_bytes(target: Path, data: bytes) -> None:
    """Replace the file by `data`, all or none; folders are made.

    Raises:
        SetupError: the disk is full or the folder cannot be written; the old file stays.
    """
    temporary = _beside(target, "tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _write_through(temporary, data)
        os.replace(temporary, target)
        _sync_folder(target.parent)
    except OSError as error:
        raise _cannot_write(error, target, len(data)) from error
    finally:
        with suppress(OSError):  # after the rename there is nothing left to remove
            temporary.unlink()


def write_text(target: Path, text: str) -> None:
    """Replace the file by `text`, in UTF-8 and with the line ends that `text` has."""
    write_bytes(target, text.encode("utf-8"))


def write_json(target: Path, data: Any) -> None:
    """Replace the file by `data` as JSON.

    UTF-8, indent 1, keys in the order given, floats with 12 significant digits, line feed at the end.

    Raises:
        InternalError: a number is not finite (write None where there is none) or a value is not plain data.
    """
    write_text(target, json.dumps(_plain(data, _rounded), ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def write_csv(target: Path, frame: "pd.DataFrame") -> None:
    """Replace the file by the columns of `frame` (not its index): commas, line feeds, 12 significant digits."""
    write_text(target, frame.to_csv(index=False, lineterminator="\n", float_format=f"%.{SIGNIFICANT_DIGITS}g"))


def write_parquet(target: Path, frame: "pd.DataFrame") -> None:
    """Replace the file by the columns of `frame` (not its index), types kept, floats exact."""
    write_bytes(target, frame.to_parquet(index=False, engine="pyarrow"))


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of `target` when the block ends well.

    Fill it with the writers above or with anything that takes a path. If the block raises, `target` is as it was.
    If the machine dies between the two renames, the next `staged` puts the old folder back first.

    Yields:
        An empty folder beside `target`.

    Raises:
        SetupError: the folder cannot be written, or another process is filling it.
    """
    fresh, old = target.with_name(f".{target.name}.new"), target.with_name(f".{target.name}.old")
    _make_folder(target.parent)
    with _held(target.with_name(f".{target.name}.lock"), f"the folder {target.name}"):
        _clear_up(target, fresh, old)
        _make_folder(fresh)
        try:
            yield fresh
            _swap(target, fresh, old)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _beside(target: Path, kind: str) -> Path:
    """A name in the same folder, because a rename between two disks would not be atomic."""
    return target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}.{kind}")


def _write_through(file: Path, data: bytes) -> None:
    with file.open("xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut; folders cannot be opened on Windows, which needs no such step."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(error, folder, 0) from error


def _clear_up(target: Path, fresh: Path, old: Path) -> None:
    """Undo what a process left that died in the middle."""
    shutil.rmtree(fresh, ignore_errors=True)
    if old.exists() and not target.exists():
        os.replace(old, target)
    shutil.rmtree(old, ignore_errors=True)


def _swap(target: Path, fresh: Path, old: Path) -> None:
    try:
        if target.exists():
            os.replace(target, old)
        try:
            os.replace(fresh, target)
        except OSError:
            if old.exists():
                os.replace(old, target)
            raise
        _sync_folder(target.parent)
    except OSError as error:
        raise _cannot_write(error, target, 0) from error


def _cannot_write(error: OSError, target: Path, size: int) -> SetupError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SetupError(
            code="E-STO-006",
            what="The disk is full.",
            where=str(target),
            found=f"{_free(target):,} bytes free",
            expected=f"at least {3 * size:,} bytes" if size else "room for the results",
            fix="make room, then run again",
        )
    return SetupError(
        code="E-STO-007",
        what="This place cannot be written.",
        where=str(target),
        found=error.strerror or type(error).__name__,
        expected="a folder you may write to",
        fix="check the owner and the permissions of the folder",
    )


def _free(target: Path) -> int:
    """Bytes free on the disk of `target`; 0 if even that cannot be asked."""
    with suppress(OSError):
        return shutil.disk_usage(target.parent).free
    return 0


# plain data ----------------------------------------------------------------------------------------------------------


def _plain(value: Any, number: Any, where: str = "") -> Any:
    """`value` as JSON knows it; numpy's scalars and arrays become Python's."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Mapping):
        return {_key(key, where): _plain(item, number, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, number, f"{where}.{i}") for i, item in enumerate(value)]
    if hasattr(value, "tolist"):
        return _plain(value.tolist(), number, where)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return number(_finite(value, where))
    raise InternalError(
        code="E-STO-008",
        what="A value cannot be written as JSON.",
        where=where.lstrip("."),
        found=type(value).__name__,
        expected="text, number, true, false, None, list or mapping",
        fix="convert the value before writing it",
    )


def _key(key: object, where: str) -> str:
    if isinstance(key, str):
        return key
    raise InternalError(
        code="E-STO-009",
        what="A key cannot be written as JSON.",
        where=where.lstrip("."),
        found=repr(key),
        expected="text",
        fix="convert the key before writing it",
    )


def _finite(value: float, where: str) -> float:
    if math.isfinite(value):
        return float(value)
    raise InternalError(
        code="E-STO-010",
        what="A number that is not finite cannot be written.",
        where=where.lstrip("."),
        found=repr(float(value)),
        expected="a finite number, or None where there is none",
        fix="write None, and say why there is no number",
    )


def _rounded(value: float) -> float:
    """12 significant digits; adding zero turns -0.0 into 0.0."""
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}") + 0.0


# reading -------------------------------------------------------------------------------------------------------------


def read_bytes(source: Path, *, at_most: int = -1) -> bytes:
    """The content of a file.

    Args:
        source: the file.
        at_most: bytes to read; all if negative.

    Raises:
        StaleError: there is no such file.
        SetupError: it cannot be read.
    """
    try:
        with source.open("rb") as stream:
            return stream.read(at_most)
    except FileNotFoundError as error:
        raise StaleError(
            code="E-STO-011",
            what="A file is missing.",
            where=str(source),
            found="nothing",
            expected="a file, written by a person or by an earlier step",
            fix="restore the file, or run the step that makes it (`evaluation run`)",
        ) from error
    except OSError as error:
        raise SetupError(
            code="E-STO-012",
            what="A file cannot be read.",
            where=str(source),
            found=error.strerror or type(error).__name__,
            expected="a file you may read",
            fix="check that it is a file, its owner and its permissions",
        ) from error


def read_text(source: Path) -> str:
    """The content of a UTF-8 file; a byte order mark is dropped, line ends become line feeds.

    Raises:
        DataError: it is not UTF-8.
    """
    data = read_bytes(source)
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise DataError(
            code="E-STO-013",
            what="A text is not UTF-8.",
            where=f"{source}, line {data.count(bytes([10]), 0, error.start) + 1}",
            found=f"byte 0x{data[error.start]:02x}",
            expected="UTF-8",
            fix="save the file as UTF-8 (it is probably cp1252)",
        ) from error


def read_json(source: Path) -> Any:
    """The data of a JSON file.

    Raises:
        DataError: it is not JSON, or holds NaN or Infinity, which JSON does not have.
    """
    text = read_text(source)
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except ValueError as error:
        line = getattr(error, "lineno", None)
        raise DataError(
            code="E-STO-014",
            what="A file is not JSON.",
            where=f"{source}, line {line}" if line else str(source),
            found=getattr(error, "msg", str(error)),
            expected="JSON as this project writes it",
            fix="the file was cut or edited by hand: run the step that makes it again",
        ) from error


def read_csv(source: Path, *, text: Iterable[str] = ()) -> "pd.DataFrame":
    """A table that `write_csv` wrote: only an empty cell is missing.

    Args:
        source: the file.
        text: columns read as text, such as codes with leading zeros.

    Raises:
        DataError: it is not a table.
    """
    import io

    import pandas as pd

    content = read_text(source)
    try:
        return pd.read_csv(
            io.StringIO(content),
            dtype=dict.fromkeys(text, str),
            keep_default_na=False,
            na_values=[""],
        )
    except ValueError as error:
        raise DataError(
            code="E-STO-015",
            what="A file is not a table.",
            where=str(source),
            found=str(error).strip(),
            expected="comma-separated columns with one line of names",
            fix="the file was cut or edited by hand: run the step that makes it again",
        ) from error


def read_parquet(source: Path) -> "pd.DataFrame":
    """A table that `write_parquet` wrote.

    Raises:
        DataError: it is not Parquet, or it is cut.
    """
    import io

    import pandas as pd
    import pyarrow as pa

    content = read_bytes(source)
    try:
        return pd.read_parquet(io.BytesIO(content), engine="pyarrow")
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            code="E-STO-016",
            what="A file is not Parquet.",
            where=str(source),
            found=str(error).splitlines()[0],
            expected="a table as this project writes it",
            fix="the file was cut: run the step that makes it again",
        ) from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name}, which JSON does not have")


# hashes --------------------------------------------------------------------------------------------------------------


def sha256_bytes(data: bytes) -> str:
    """SHA-256 of `data`, as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(source: Path) -> str:
    """SHA-256 of a file's bytes, read piece by piece."""
    if not source.is_file():
        return sha256_bytes(read_bytes(source))  # says what is wrong
    with source.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_json(data: Any) -> str:
    """SHA-256 of plain data: keys sorted, no spaces, floats exact; the order of a mapping does not matter."""
    text = json.dumps(_plain(data, float), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return sha256_bytes(text.encode("utf-8"))


def sha256_files(sources: Iterable[Path], *, base: Path | None = None) -> str:
    """SHA-256 of several text files: their names below `base` and their contents, in sorted order.

    Windows line ends count as line feeds, so that a checkout gives the same hash everywhere.

    Args:
        sources: files; each counts once.
        base: the folder that names are relative to; by default the deepest one that holds all of them.
    """
    files = sorted({file.resolve() for file in sources})
    above = (base or _common_folder(files)).resolve()
    named = {file.relative_to(above).as_posix(): file for file in files}
    lines = [f"{name}\0{_sha256_text(named[name])}\n" for name in sorted(named)]
    return sha256_bytes("".join(lines).encode("utf-8"))


def sha256_frame(frame: "pd.DataFrame") -> str:
    """SHA-256 of a table's columns (not its index) as CSV with commas, line feeds and floats as Python writes them."""
    digest = _TextDigest()
    frame.to_csv(digest, index=False, lineterminator="\n")
    return digest.hexdigest()


class _TextDigest:
    """A text file that keeps only the hash of what is written to it."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def write(self, text: str) -> int:
        self._digest.update(text.encode("utf-8"))
        return len(text)

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def _common_folder(files: list[Path]) -> Path:
    return Path(os.path.commonpath([file.parent for file in files])) if files else Path()


def _sha256_text(source: Path) -> str:
    return sha256_bytes(read_bytes(source).replace(b"\r\n", b"\n"))


# one at a time -------------------------------------------------------------------------------------------------------


@contextmanager
def lock(name: str) -> Iterator[None]:
    """Hold the project's lock `name` for the length of the block.

    The operating system holds the lock, so it ends with its process however that dies; the file tmp/<name>.lock only
    says who it is (process, machine, start).

    Raises:
        SetupError: another living process holds it.
    """
    file = path("tmp", f"{require_slug(name)}.lock")
    _make_folder(file.parent)
    with _held(file, f"'{name}'"):
        yield


@contextmanager
def _held(file: Path, what: str) -> Iterator[None]:
    stream = _acquire(file, what)
    try:
        yield
    finally:
        _release(file, stream)


def _acquire(file: Path, what: str) -> IO[bytes]:
    while True:
        stream = _open_lock(file)
        try:
            _lock_bytes(stream)
        except OSError as error:
            holder = _holder(stream)
            stream.close()
            raise _taken(file, what, holder) from error
        if _is_still(file, stream):
            _sign(stream)
            return stream
        stream.close()  # its holder removed it between our opening and our locking: try again with the new file


def _open_lock(file: Path) -> IO[bytes]:
    try:
        return os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
    except OSError as error:
        raise _cannot_write(error, file, 0) from error


def _lock_bytes(stream: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt

        stream.seek(_LOCK_OFFSET)
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_still(file: Path, stream: IO[bytes]) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), file.stat())
    except FileNotFoundError:
        return False


def _sign(stream: IO[bytes]) -> None:
    started = datetime.now().astimezone().isoformat(timespec="seconds")
    text = json.dumps({"pid": os.getpid(), "host": platform.node(), "start": started})
    stream.seek(0)
    stream.truncate()
    stream.write(text.encode("utf-8"))
    stream.flush()


def _holder(stream: IO[bytes]) -> str:
    try:
        stream.seek(0)
        said = json.loads(stream.read())
        return f"process {said['pid']} on {said['host']}, since {said['start']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "a process that has not signed yet"


def _taken(file: Path, what: str, holder: str) -> SetupError:
    return SetupError(
        code="E-STO-017",
        what=f"Another run is using {what}.",
        where=str(file),
        found=holder,
        expected="one run at a time",
        fix="wait until it ends, or stop that process; nothing needs to be deleted by hand",
    )


def _release(file: Path, stream: IO[bytes]) -> None:
    """Remove the file while it is still held, where the system allows it (Windows does not remove open files)."""
    with suppress(PermissionError):
        file.unlink(missing_ok=True)
    stream.close()
    if sys.platform == "win32":
        with suppress(OSError):
            file.unlink(missing_ok=True)
