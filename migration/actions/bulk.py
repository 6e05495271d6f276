"""Many rows in few statements: COPY on PostgreSQL, executemany on SQLite. The rows are those `bulk_create` would leave.

A row that says nothing new is not written: PostgreSQL would leave a dead copy behind, SQLite grow its log.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from itertools import islice
from typing import Any, TypeAlias
from zlib import crc32

from django.db import NotSupportedError, connection, models
from django.db.transaction import TransactionManagementError

BATCH = 2000  # rows in memory at once, and in one statement
REMEMBERED = 4096  # converted times of a column: thousands of rows share a few
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # what PostgreSQL has no text for; SQLite has none for the surrogates
UNSTORABLE_JSON = re.compile(r"\\u0000|\\ud[89a-f]")  # the same, and every whole pair, in ASCII JSON

Row = Sequence[Any]
Convert = Callable[[Any], Any]
Field: TypeAlias = "models.Field[Any, Any]"


@dataclass(frozen=True, slots=True)
class _Shape:
    """What every statement of one call is made of. `given` are the columns of a row, `filled` those it leaves out."""

    table: str
    given: tuple[Field, ...]
    filled: tuple[Field, ...]
    unique: tuple[int, ...]  # places in a row
    update: tuple[int, ...]


def upsert(
    model: type[models.Model],
    rows: Iterable[Row],
    *,
    columns: Sequence[str],
    unique: Sequence[str],
    update: Sequence[str],
) -> int:
    """Insert `rows`, or change the `update` columns of those that are there. Returns how many were new or changed.

    `columns`: attribute names ("account_id"), the order of the values in each row; those left out take the field's
    default. `unique`: the columns of a unique constraint. With no `update`, a row that is there stays as it is. A row
    that comes twice is written as if one followed the other. NUL characters and lone surrogates, which PostgreSQL
    cannot store, become U+FFFD. `rows` is read once, a batch at a time.

    Raises TransactionManagementError outside a transaction, for half of `rows` is worse than none; ValueError for
    columns or rows that do not fit; NotSupportedError on any other database.
    """
    if not connection.in_atomic_block:
        raise TransactionManagementError(
            "upsert runs inside transaction.atomic(), so that all rows are written or none."
        )
    writers = {"postgresql": _copy, "sqlite": _executemany}
    if connection.vendor not in writers:
        raise NotSupportedError(f"upsert knows PostgreSQL and SQLite, not {connection.vendor}.")
    shape = _shape(model, columns, unique, update)
    converts = [_convert(field) for field in shape.given]
    return writers[connection.vendor](shape, _batches(rows, shape, converts))


def _shape(model: type[models.Model], columns: Sequence[str], unique: Sequence[str], update: Sequence[str]) -> _Shape:
    meta = model._meta  # noqa: SLF001 -- Django's documented door to the fields, whatever its name
    fields = {field.attname: field for field in meta.concrete_fields if not field.generated}
    unknown = sorted({*columns, *unique, *update} - fields.keys())
    if unknown:
        raise ValueError(f"{model.__name__} has no column {', '.join(unknown)} to write.")
    if missing := sorted({*unique, *update} - set(columns)):
        raise ValueError(f"{', '.join(missing)} must be among the columns.")
    filled = [
        field for name, field in fields.items() if name not in columns and not isinstance(field, models.AutoField)
    ]
    if empty := [field.attname for field in filled if not field.null and not field.has_default()]:
        raise ValueError(f"{', '.join(empty)} of {model.__name__} have no default and must be among the columns.")
    return _Shape(
        table=connection.ops.quote_name(meta.db_table),
        given=tuple(fields[name] for name in columns),
        filled=tuple(filled),
        unique=tuple(columns.index(name) for name in unique),
        update=tuple(columns.index(name) for name in update),
    )


def _batches(rows: Iterable[Row], shape: _Shape, converts: Sequence[Convert]) -> Iterator[list[Row]]:
    """The rows as the database takes them, no key twice in a batch: ON CONFLICT may touch a row only once."""
    source = iter(rows)
    while batch := list(islice(source, BATCH)):
        found: dict[tuple[Any, ...], list[Any]] = {}
        for row in batch:
            if len(row) != len(converts):
                raise ValueError(f"a row of {len(row)} values for {len(converts)} columns.")
            ready = [convert(value) for convert, value in zip(converts, row, strict=True)]
            first = found.setdefault(tuple(ready[place] for place in shape.unique), ready)
            if first is not ready:
                for place in shape.update:
                    first[place] = ready[place]
        yield list(found.values())


def _convert(field: Field) -> Convert:
    """Python's value -> the database's. Values that are already right, nearly all, take a short way."""
    concrete = field.target_field if isinstance(field, models.ForeignKey) else field
    slow = partial(field.get_db_prep_save, connection=connection)
    if isinstance(concrete, models.JSONField):
        return partial(_json, concrete.encoder)
    if isinstance(concrete, models.CharField | models.TextField):
        return lambda value: None if value is None else _storable(value if type(value) is str else slow(value))
    for kind, exact in ((models.IntegerField, int), (models.BooleanField, bool), (models.FloatField, float)):
        if isinstance(concrete, kind):
            return partial(_exactly, exact, slow)
    if isinstance(concrete, models.DateTimeField) and connection.timezone in {None, UTC}:
        return partial(_moment, lru_cache(REMEMBERED)(slow), connection.vendor == "sqlite")
    if isinstance(concrete, models.DateField):
        return lru_cache(REMEMBERED)(slow)
    return slow


def _exactly(exact: type[Any], slow: Convert, value: Any) -> Any:
    return value if value is None or type(value) is exact else slow(value)


def _moment(slow: Convert, as_text: bool, value: Any) -> Any:  # noqa: FBT001 -- partial() binds it
    """A moment in UTC as DateTimeField gives it to a database that counts in UTC, at a tenth of the cost."""
    if type(value) is not datetime or value.tzinfo is not UTC:
        return slow(value)
    return str(value.replace(tzinfo=None)) if as_text else value


def _storable(text: str) -> str:
    return UNSTORABLE.sub(REPLACEMENT, text)


def _json(encoder: type[json.JSONEncoder] | None, value: Any) -> str | None:
    """As JSONField writes it. None is NULL, as it is when a model with None is saved."""
    if value is None:
        return None
    text = json.dumps(value, cls=encoder)
    if UNSTORABLE_JSON.search(text):
        text = json.dumps(_storable_json(json.loads(text)))
    return text


def _storable_json(value: Any) -> Any:
    if isinstance(value, str):
        return _storable(value)
    if isinstance(value, list):
        return [_storable_json(one) for one in value]
    if isinstance(value, dict):
        return {_storable(key): _storable_json(one) for key, one in value.items()}
    return value


def _name(field: Field) -> str:
    return connection.ops.quote_name(field.column or field.attname)


def _names(fields: Iterable[Field]) -> str:
    return ", ".join(_name(field) for field in fields)


def _on_conflict(shape: _Shape, *, differs: str) -> str:
    """`differs`: the operator that is true of two values that differ, NULL being a value like any other."""
    target = _names(shape.given[place] for place in shape.unique)
    names = [_name(shape.given[place]) for place in shape.update]
    if not names:
        return f"ON CONFLICT ({target}) DO NOTHING"
    sets = ", ".join(f"{name} = EXCLUDED.{name}" for name in names)
    changed = " OR ".join(f"{shape.table}.{name} {differs} EXCLUDED.{name}" for name in names)
    return f"ON CONFLICT ({target}) DO UPDATE SET {sets} WHERE {changed}"


def _defaults(shape: _Shape) -> list[Any]:
    return [field.get_db_prep_save(field.get_default(), connection) for field in shape.filled]


def _executemany(shape: _Shape, batches: Iterator[list[Row]]) -> int:
    fields = [*shape.given, *shape.filled]
    marks = ", ".join(["%s"] * len(fields))
    statement = f"INSERT INTO {shape.table} ({_names(fields)}) VALUES ({marks}) {_on_conflict(shape, differs='IS NOT')}"  # noqa: S608
    defaults, written = _defaults(shape), 0
    with connection.cursor() as cursor:
        for batch in batches:
            cursor.executemany(statement, [[*row, *defaults] for row in batch])
            written += cursor.rowcount
    return written


def _copy(shape: _Shape, batches: Iterator[list[Row]]) -> int:
    given, written = _names(shape.given), 0
    # One a connection and set of columns, emptied and not dropped: a table made and dropped with every page of every
    # scope leaves some forty dead rows in the system catalogues each time.
    types = ",".join(f"{field.column} {field.db_type(connection)}" for field in shape.given)
    incoming = f"incoming_{crc32(f'{shape.table} {types}'.encode()):08x}"
    make = (
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {incoming} ON COMMIT DELETE ROWS "  # noqa: S608
        f"AS SELECT {given} FROM {shape.table} WITH NO DATA"
    )
    statement = (
        f"INSERT INTO {shape.table} ({_names([*shape.given, *shape.filled])}) "  # noqa: S608
        f"SELECT {', '.join([given, *['%s'] * len(shape.filled)])} FROM {incoming} "
        f"{_on_conflict(shape, differs='IS DISTINCT FROM')}"
    )
    defaults = _defaults(shape)
    with connection.cursor() as cursor:
        for number, batch in enumerate(batches):
            if not number:
                cursor.execute(make)
            with connection.wrap_database_errors, cursor.copy(f"COPY {incoming} FROM STDIN") as copy:
                for row in batch:
                    copy.write_row(row)
            cursor.execute(statement, defaults)
            written += cursor.rowcount
            cursor.execute(f"TRUNCATE {incoming}")
    return written
