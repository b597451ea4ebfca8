"""Files to documents: the only part of `config` that touches the file system."""

from __future__ import annotations

from pathlib import Path

from monitor.config.errors import Document, Flaw
from monitor.config.tree import read_tree

#: More than this is no configuration; a device file would never end.
LARGEST = 64 * 2**20
LARGEST_SECRET = 1 * 2**20


def read_file(path: Path, largest: int = LARGEST_SECRET) -> bytes:
    """The whole file; OSError where it cannot be read or is larger than it can sensibly be."""
    try:
        with path.open("rb") as file:
            data = file.read(largest + 1)
    except ValueError as error:  # a path that no file can have
        raise OSError(0, "not a path") from error
    if len(data) > largest:
        raise OSError(0, f"larger than {largest // 2**20} MiB")
    return data


def read_documents(path: Path) -> list[Document]:
    """The file, or the `*.yaml` and `*.yml` files of the folder by name; flaws included."""
    try:
        files = _files(path) if path.is_dir() else [path]
    except (OSError, ValueError) as error:
        return [_unread(path, getattr(error, "strerror", None) or "unreadable")]
    if not files:
        return [_unread(path, "no *.yaml in it")]
    return [read_document(file) for file in files]


def _files(folder: Path) -> list[Path]:
    """Without hidden ones: mounted ConfigMaps keep their real files in `..data`."""
    found = [file for file in folder.iterdir() if file.suffix in (".yaml", ".yml")]
    return sorted(file for file in found if not file.name.startswith(".") and not file.is_dir())


def read_document(path: Path) -> Document:
    """One file, parsed; what is wrong with its text is in `flaws`."""
    try:
        text = read_file(path, LARGEST).decode("utf-8-sig")
    except OSError as error:
        return _unread(path, error.strerror or "unreadable")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        flaw = Flaw(line, (), "seen bytes that are not UTF-8, expected text")
        return Document(str(path), None, lambda _trail: line, path.parent, (flaw,))
    tree = read_tree(text)
    return Document(str(path), tree.data, tree.line_of, path.parent, tree.flaws)


def _unread(path: Path, told: str) -> Document:
    flaw = Flaw(1, (), f"cannot be read ({told}), expected a file or a folder of *.yaml files")
    return Document(str(path), None, folder=path.parent, flaws=(flaw,))
