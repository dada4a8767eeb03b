"""Files that are no text, told by their first bytes, so that a message can say what they are."""

from __future__ import annotations

_MAGIC = (
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"%PDF-", "a PDF document"),
    (b"PAR1", "a Parquet table"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"GGUF", "a GGUF model"),
    (b"\x7fELF", "a program"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it first"),
    (b"Rar!\x1a\x07", "a RAR archive: unpack it first"),
    (b"\x04\x22\x4d\x18", "compressed with lz4: unpack it first"),
    (b"\xd0\xcf\x11\xe0", "an old Office document: save it as plain text"),
)
_ZIP = b"PK\x03\x04"
_TAR_AT = 257
_PICKLE_PROTOCOLS = range(2, 6)
_MAX_HEADER = 10**8  # bytes, of a safetensors file


def kind_of_file(data: bytes) -> str | None:
    """What bytes are that are no text, such as "a zip archive"; None where nothing tells."""
    if data.startswith(_ZIP):
        return _kind_of_zip(data)
    kinds = (kind for magic, kind in _MAGIC if data.startswith(magic))
    return next(kinds, None) or _kind_of_fields(data)


def _kind_of_fields(data: bytes) -> str | None:
    """Of a file that is told by more than its first bytes."""
    if data[_TAR_AT : _TAR_AT + 5] == b"ustar":
        return "a tar archive: unpack it first"
    if data[:1] == b"\x80" and data[1:2] and data[1] in _PICKLE_PROTOCOLS:
        return "a pickle, such as an old PyTorch checkpoint"
    if data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= min(len(data) - 8, _MAX_HEADER):
        return "a safetensors file"
    if data[:1] == b"\x08" and data[2:3] in (b"\x12", b"\x3a", b"\x42"):  # version, then a field
        return "an ONNX model"
    return None


def _kind_of_zip(data: bytes) -> str:
    if b"/data.pkl" in data[:200]:
        return "a PyTorch checkpoint"
    if b"[Content_Types].xml" in data[:200] or b"mimetype" in data[:60]:
        return "an Office document: save it as plain text or CSV"
    if b".npy" in data[:200]:
        return "a NumPy archive"
    return "a zip archive: unpack it first"
