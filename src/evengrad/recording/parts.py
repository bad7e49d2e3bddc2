"""Parquet parts of a trace: rows ``(step, statistic, subject, value)``, and how small parts are merged.

A part's name carries the range of flushes it holds: ``part-000007.parquet`` the eighth, ``part-000000-000015.parquet``
the first sixteen. A merged part is written whole before the parts it replaces are removed, so a kill between leaves
both; a reader goes by the ranges and counts nothing twice.

Sixteen neighbours of one size make one of the next, as in a log-structured merge tree: a run of *n* flushes has at most
``15 * (1 + log16 n)`` parts (60 after three days) and rewrites each row ``log16 n`` times.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from evengrad.core.statistic import Statistic
from evengrad.recording.files import replacing

if TYPE_CHECKING:
    import pyarrow as pa

Row: TypeAlias = tuple[int, Statistic, str, float]  # step, statistic, subject, value

FAN_IN: Final = 16  # parts of one size that make one of the next; own choice: 64 s of flushes every 4 s
ROW_GROUP: Final = 1 << 17  # rows that are held in memory while merging
COLUMNS: Final = ("step", "statistic", "subject", "value")
TEXT_COLUMNS: Final = ["statistic", "subject"]
_NAME: Final = re.compile(r"part-(\d{6,9})(?:-(\d{6,9}))?\.parquet", re.ASCII)


@dataclass(frozen=True, order=True)
class PartRange:
    """The flushes that a part holds: ``first`` to ``last``, both included."""

    first: int
    last: int

    @property
    def file_name(self) -> str:
        """The part's file name."""
        last = f"-{self.last:06d}" if self.last != self.first else ""
        return f"part-{self.first:06d}{last}.parquet"

    @property
    def span(self) -> int:
        """Number of flushes."""
        return self.last - self.first + 1

    def covers(self, other: PartRange) -> bool:
        """Return whether every flush of ``other`` is in this part too."""
        return self.first <= other.first and other.last <= self.last

    @classmethod
    def parse(cls, file_name: str) -> PartRange | None:
        """Return the range that a file name carries; None when it is no part's name."""
        match = _NAME.fullmatch(file_name)
        if match is None:
            return None
        first = int(match[1])
        last = int(match[2]) if match[2] else first
        return cls(first, last) if last >= first else None


class PartWriter:
    """Writes the parts of one folder; there is one writer per folder, ever.

    Args:
        folder: An existing, empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts: list[PartRange] = []
        self._next = 0

    def append(self, rows: Sequence[Row]) -> None:
        """Write rows as one new part."""
        part = PartRange(self._next, self._next)
        with replacing(self._folder / part.file_name) as temporary:
            _write(temporary, [table_of(rows)])
        self._parts.append(part)
        self._next += 1

    def compact(self) -> None:
        """Merge parts until no `FAN_IN` neighbours at the end have one size."""
        while len(self._parts) >= FAN_IN and len({part.span for part in self._parts[-FAN_IN:]}) == 1:
            old = self._parts[-FAN_IN:]
            merged = PartRange(old[0].first, old[-1].last)
            with replacing(self._folder / merged.file_name) as temporary:
                _merge([self._folder / part.file_name for part in old], temporary)
            self._parts[-FAN_IN:] = [merged]
            for part in old:
                (self._folder / part.file_name).unlink(missing_ok=True)


def table_of(rows: Sequence[Row]) -> pa.Table:
    """Return rows as an Arrow table.

    Built from buffers: Arrow's converters from Python objects import pandas where it is installed, seconds of work
    that the user's script did not ask for.
    """
    import pyarrow as pa  # 0.2 s, and torch must come first in the user's process

    statistics: dict[str, int] = {}
    subjects: dict[str, int] = {}
    steps = np.fromiter((row[0] for row in rows), np.int64, len(rows))
    values = np.fromiter((row[3] for row in rows), np.float64, len(rows))
    kinds = np.fromiter((statistics.setdefault(row[1].key, len(statistics)) for row in rows), np.int32, len(rows))
    places = np.fromiter((subjects.setdefault(row[2], len(subjects)) for row in rows), np.int32, len(rows))
    arrays = [
        pa.Array.from_buffers(pa.int64(), len(rows), [None, pa.py_buffer(steps)]),
        _dictionary(kinds, list(statistics)),
        _dictionary(places, list(subjects)),
        pa.Array.from_buffers(pa.float64(), len(rows), [None, pa.py_buffer(values)]),
    ]
    return pa.Table.from_arrays(arrays, schema=_schema())


def _schema() -> pa.Schema:
    import pyarrow as pa

    text = pa.dictionary(pa.int32(), pa.string())
    kinds = {"step": pa.int64(), "statistic": text, "subject": text, "value": pa.float64()}
    return pa.schema([pa.field(name, kinds[name], nullable=False) for name in COLUMNS])


def _dictionary(indices: np.ndarray[tuple[int], np.dtype[np.int32]], words: list[str]) -> pa.DictionaryArray:
    import pyarrow as pa

    # Names come from the user's program, where any string is legal; lone surrogates are not UTF-8.
    encoded = [word.encode(errors="backslashreplace") for word in words]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    texts = pa.Array.from_buffers(
        pa.string(), len(words), [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    )
    codes = pa.Array.from_buffers(pa.int32(), len(indices), [None, pa.py_buffer(indices)])
    return pa.DictionaryArray.from_arrays(codes, texts)


def _write(path: Path, tables: Sequence[pa.Table]) -> None:
    with _writer(path) as writer:
        for table in tables:
            writer.write_table(table)


def _writer(path: Path) -> pa.parquet.ParquetWriter:
    import pyarrow.parquet as pq

    return pq.ParquetWriter(
        str(path),
        _schema(),
        compression="zstd",
        use_dictionary=TEXT_COLUMNS,
        column_encoding={"step": "DELTA_BINARY_PACKED", "value": "BYTE_STREAM_SPLIT"},
        write_statistics=False,
        write_page_checksum=True,  # a flipped bit is then an error, not another value
    )


def _merge(sources: Sequence[Path], target: Path) -> None:
    """Write the rows of all sources to one file, in order, with a bounded number of them in memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    held: list[pa.Table] = []
    with _writer(target) as writer:
        for source in sources:
            with pq.ParquetFile(source, read_dictionary=TEXT_COLUMNS) as file:
                for group in range(file.num_row_groups):
                    held.append(file.read_row_group(group, use_threads=False))
                    if sum(map(len, held)) >= ROW_GROUP:
                        writer.write_table(pa.concat_tables(held).unify_dictionaries())
                        held.clear()
        if held:
            writer.write_table(pa.concat_tables(held).unify_dictionaries())
