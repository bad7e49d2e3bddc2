"""Read the Parquet parts of a run folder back into series; what cannot be read is left out, and said."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from evengrad.core.statistic import Statistic
from evengrad.core.trace import Series
from evengrad.errors import RunFolderError
from evengrad.recording.files import check_regular, reason
from evengrad.recording.parts import COLUMNS, TEXT_COLUMNS, PartRange

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

logger = logging.getLogger(__name__)

# Limits for folders made by strangers, far above what a run writes; own choice.
PART_LIMIT: Final = 2**31  # bytes of a part, on disk and unpacked
PARTS_LIMIT: Final = 4096
ROWS_LIMIT: Final = 50_000_000  # about 4 GB in memory while they are sorted
_BATCH: Final = 1 << 16
_ATTEMPTS: Final = 5  # times to list a folder whose parts are merged while it is read

Key = tuple[Statistic, str]


@dataclass(frozen=True, eq=False)
class SeriesRead:
    """What the parts hold; ``whole`` is False when some of it could not be read."""

    series: Mapping[Key, Series]
    whole: bool


def read_series(folder: Path) -> SeriesRead:
    """Return the series that the parts in a folder hold. Every part that cannot be read is skipped with a warning.

    Args:
        folder: The run folder's ``trace`` folder.

    Raises:
        RunFolderError: the folder exists but cannot be listed.
    """
    for _ in range(_ATTEMPTS):
        try:
            return _read_parts(folder, may_vanish=True)
        except FileNotFoundError:
            logger.debug("a part of %s was merged while it was read; listing again", folder)
    return _read_parts(folder, may_vanish=False)


def _read_parts(folder: Path, *, may_vanish: bool) -> SeriesRead:
    """Read what is there now; raises FileNotFoundError for a part that has gone since, if it ``may_vanish``."""
    parts, whole = _list(folder)
    rows = _Rows()
    taken: list[PartRange] = []
    tables: list[tuple[PartRange, list[_Columns]]] = []
    for part in sorted(parts, key=lambda part: (-part.span, part.first)):
        if any(other.covers(part) for other in taken):
            continue  # left behind by a kill between the merge and the removal
        try:
            columns = _read_part(folder / part.file_name, ROWS_LIMIT - rows.count)
        except (RunFolderError, FileNotFoundError) as error:
            if may_vanish and isinstance(error, FileNotFoundError):
                raise
            logger.warning("skipped %s: %s", part.file_name, error)
            whole = False
            continue
        rows.count += sum(len(column.steps) for column in columns)
        taken.append(part)
        tables.append((part, columns))
    for _, columns in sorted(tables, key=lambda table: table[0]):
        rows.add(columns)
    return SeriesRead(rows.series(), whole)


def _list(folder: Path) -> tuple[list[PartRange], bool]:
    """Return the parts in a folder and whether these are all that can be there."""
    for _ in range(_ATTEMPTS):
        try:
            names = [path.name for path in folder.iterdir()]
        except FileNotFoundError:
            logger.warning("no folder %s; its series are left out", folder.name)
            return [], False
        except OSError as error:
            raise RunFolderError(f"cannot list {folder}: {reason(error)}") from error
        parts = sorted(part for part in map(PartRange.parse, names) if part is not None)
        missing = _gap(parts)
        if not missing:  # else a merge may have come between the entries
            break
    if missing:
        logger.warning("%s of %s are missing", missing, folder.name)
    if len(parts) > PARTS_LIMIT:
        logger.warning("%s has %d parts, more than the %d that are read", folder.name, len(parts), PARTS_LIMIT)
    return parts[:PARTS_LIMIT], not missing and len(parts) <= PARTS_LIMIT


def _gap(parts: Iterable[PartRange]) -> str:
    """Say which parts are missing below others; nothing when none is."""
    expected = 0
    for part in sorted(parts):
        if part.first > expected:
            return f"parts {expected} to {part.first - 1}"
        expected = max(expected, part.last + 1)
    return ""


@dataclass(frozen=True, eq=False)
class _Columns:
    """Rows of one batch: words by number."""

    steps: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    statistic: npt.NDArray[np.int64]
    subject: npt.NDArray[np.int64]
    statistics: list[str]
    subjects: list[str]


def _read_part(path: Path, limit: int) -> list[_Columns]:
    """Return a part's rows; all of it or nothing.

    Raises:
        FileNotFoundError: the part is gone.
        RunFolderError: it cannot be read, or does not hold what a part holds.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_regular(path, PART_LIMIT)
    try:
        metadata = pq.read_metadata(path)
        _check_size(metadata, limit)
        options = {"metadata": metadata, "read_dictionary": TEXT_COLUMNS, "page_checksum_verification": True}
        with pq.ParquetFile(path, **options) as file:
            _check_types(file.schema_arrow)
            columns = [_columns(batch) for batch in file.iter_batches(_BATCH, columns=list(COLUMNS), use_threads=False)]
        if sum(len(batch.steps) for batch in columns) != metadata.num_rows:
            raise RunFolderError("it holds another number of rows than it says")
        return columns
    except FileNotFoundError:
        raise
    # Arrow reports damage as ArrowException, OSError or ValueError; a garbled size as MemoryError or OverflowError.
    except (pa.ArrowException, OSError, ValueError, MemoryError, OverflowError) as error:
        raise RunFolderError(f"not a readable Parquet file: {reason(error)}") from error


def _check_size(metadata: pq.FileMetaData, limit: int) -> None:
    """Check the columns' names, and sizes before anything is unpacked."""
    names = [metadata.schema.column(index).path for index in range(metadata.num_columns)]
    if any(names.count(name) != 1 for name in COLUMNS):
        raise RunFolderError(f"expected the columns {', '.join(COLUMNS)}, found {', '.join(names)[:80] or 'none'}")
    unpacked = sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
    if not 0 <= metadata.num_rows <= limit or unpacked > PART_LIMIT:
        raise RunFolderError(f"it unpacks to {metadata.num_rows} rows, {unpacked} bytes, more than is read")


def _check_types(schema: pa.Schema) -> None:
    import pyarrow.types as kinds

    fits = {
        "step": kinds.is_int64,
        "statistic": _is_text_dictionary,
        "subject": _is_text_dictionary,
        "value": kinds.is_float64,
    }
    for name, is_right in fits.items():
        if not is_right(schema.field(name).type):
            raise RunFolderError(f"column {name} has the type {str(schema.field(name).type)[:60]}, which no part has")


def _is_text_dictionary(kind: pa.DataType) -> bool:
    import pyarrow.types as kinds

    return bool(kinds.is_dictionary(kind) and kinds.is_string(kind.value_type))


def _columns(batch: pa.RecordBatch) -> _Columns:
    batch.validate(full=True)  # indices in range, text in UTF-8
    step, statistic, subject, value = (batch.column(name) for name in COLUMNS)
    cells = (step, statistic, subject, value, statistic.dictionary, subject.dictionary)
    if any(column.null_count for column in cells):
        raise RunFolderError("it has empty cells, which no part has")
    steps = np.array(step, np.int64)
    if len(steps) and int(steps.min()) < 0:
        raise RunFolderError("it has negative steps, which no part has")
    return _Columns(
        steps,
        np.array(value, np.float64),
        np.array(statistic.indices, np.int64),
        np.array(subject.indices, np.int64),
        statistic.dictionary.to_pylist(),
        subject.dictionary.to_pylist(),
    )


class _Rows:
    """Collects rows and sorts them into series."""

    def __init__(self) -> None:
        self.count = 0
        self._keys: dict[Key, int] = {}  # in the order in which they were met
        self._unknown: set[str] = set()
        self._chunks: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]] = []

    def add(self, columns: Iterable[_Columns]) -> None:
        for batch in columns:
            pairs = batch.statistic * max(1, len(batch.subjects)) + batch.subject
            distinct, first, inverse = np.unique(pairs, return_index=True, return_inverse=True)
            numbers = np.empty(len(distinct), np.int64)
            for position in np.argsort(first):
                row = first[position]
                numbers[position] = self._number(
                    batch.statistics[batch.statistic[row]], batch.subjects[batch.subject[row]]
                )
            keys = numbers[inverse.reshape(-1)]
            known = keys >= 0
            self._chunks.append((keys[known], batch.steps[known], batch.values[known]))

    def _number(self, statistic: str, subject: str) -> int:
        try:
            key = (Statistic.of(statistic), subject)
        except KeyError:
            self._unknown.add(statistic)
            return -1
        return self._keys.setdefault(key, len(self._keys))

    def series(self) -> dict[Key, Series]:
        """Return the series, steps strictly ascending; of rows for one step the last one written counts."""
        if self._unknown:
            names = ", ".join(sorted(self._unknown)[:5])
            logger.warning("skipped %d statistics that this version does not know: %s", len(self._unknown), names[:200])
        if not self._keys:
            return {}
        keys, steps, values = (np.concatenate(column) for column in zip(*self._chunks, strict=True))
        order = np.lexsort((steps, keys))  # stable: rows of one step stay in the order written
        keys, steps, values = keys[order], steps[order], values[order]
        last = np.ones(len(keys), bool)
        last[:-1] = (keys[1:] != keys[:-1]) | (steps[1:] != steps[:-1])
        keys, steps, values = keys[last], steps[last], values[last]
        bounds = np.searchsorted(keys, np.arange(len(self._keys) + 1))
        return {
            key: Series(steps[bounds[number] : bounds[number + 1]], values[bounds[number] : bounds[number + 1]])
            for key, number in self._keys.items()
        }
