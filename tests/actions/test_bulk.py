"""Set-based writes against the reference, `bulk_create(update_conflicts=True)`, on whichever database the tests run."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from django.db import DatabaseError, IntegrityError, NotSupportedError, connection, transaction
from django.db.transaction import TransactionManagementError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migration.actions import bulk
from migration.models import ApiDay, Instance, InstanceDay, ScopeDay
from tests import factories
from tests.factories import NOW

SCOPE = ["account_id", "region", "instance_id"]
SEEN = ["name", "http_tokens", "http_put_response_hop_limit", "public", "tags", "launched_at", "v1_calls_window"]
COLUMNS = [*SCOPE, *SEEN, "instance_state", "first_seen_at", "last_seen_at"]
DAY = ["instance_id", "day"]
SUMS = ["v1_calls", "measured_hours", "v1_hours"]

INDIA = timezone(timedelta(hours=5.5))
NASTY = st.sampled_from(
    ["", "\\N", "\\.", "a\tb", "a\nb", "a\r\nb", "back\\slash", "'", '"', "''", "%s", "{}", "🦀", "NULL"]
)
texts = st.one_of(NASTY, st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20))
tags = st.dictionaries(texts, st.one_of(texts, st.none(), st.integers(-(2**53), 2**53), st.booleans()), max_size=3)
moments = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.sampled_from([UTC, INDIA]))
counts = st.one_of(st.none(), st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63)]))
ids = st.sampled_from(["i-1", "i-2", "i-3", "i-4"])
seen = st.tuples(
    texts,
    st.one_of(st.none(), texts.map(lambda text: text[:16])),
    st.one_of(st.none(), st.integers(-(2**15), 2**15 - 1)),
    st.booleans(),
    tags,
    st.one_of(st.none(), moments),
    counts,
)
fleets = st.dictionaries(ids, seen, max_size=4)


def rows_of(account, fleet):
    return [(account.pk, "us-east-1", one, *values, "running", NOW, NOW) for one, values in fleet.items()]


def stored(account):
    fields = [field.attname for field in Instance._meta.concrete_fields if field.attname not in {"id", "account_id"}]
    return list(Instance.objects.filter(account=account).order_by("instance_id").values(*fields))


def by_bulk_create(account, fleet):
    Instance.objects.bulk_create(
        [Instance(**dict(zip(COLUMNS, row, strict=True))) for row in rows_of(account, fleet)],
        update_conflicts=True,
        unique_fields=["account", "region", "instance_id"],
        update_fields=SEEN,
    )


def by_upsert(account, fleet):
    return bulk.upsert(Instance, rows_of(account, fleet), columns=COLUMNS, unique=SCOPE, update=SEEN)


def upsert_days(rows, **changed):
    words = {"columns": [*DAY, *SUMS], "unique": DAY, "update": SUMS} | changed
    return bulk.upsert(InstanceDay, rows, **words)


@pytest.fixture
def row():
    return factories.instance(factories.account())


@pytest.mark.django_db
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=fleets, after=fleets)
def test_the_rows_are_those_bulk_create_leaves(db, before, after):
    with transaction.atomic():
        reference, other = factories.account(), factories.account()
        for fleet in (before, after):
            by_bulk_create(reference, fleet)
            by_upsert(other, fleet)

        assert stored(other) == stored(reference)
        transaction.set_rollback(True)


@pytest.mark.django_db
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=fleets, after=fleets)
def test_it_tells_how_many_rows_are_new_or_changed(db, before, after):
    with transaction.atomic():
        account = factories.account()
        by_upsert(account, before)
        old = {one["instance_id"]: one for one in stored(account)}

        written = by_upsert(account, after)

        assert written == sum(old.get(one["instance_id"]) != one for one in stored(account))
        transaction.set_rollback(True)


def versions():
    """What changes when a row is written again: PostgreSQL's transaction that wrote it, SQLite's count of writes."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT id, xmin::text, ctid::text FROM migration_instanceday ORDER BY id")
        else:
            cursor.execute("SELECT total_changes()")
        return cursor.fetchall()


@pytest.mark.django_db(transaction=True)
def test_a_row_that_says_nothing_new_is_not_written_again(row):
    rows = [(row.pk, date(2026, 11, 1), None, 0, None), (row.pk, date(2026, 11, 2), 7, 24, "0*23,7")]
    with transaction.atomic():
        assert upsert_days(rows) == 2
    before = versions()

    with transaction.atomic():
        assert upsert_days(rows) == 0

    assert versions() == before


@pytest.mark.django_db
def test_only_the_columns_named_change(row):
    day = date(2026, 11, 1)
    upsert_days([(row.pk, day, 7, 24, "0*23,7")])

    upsert_days(
        [(row.pk, day, 3, 5)], columns=[*DAY, "rejected_calls", "rejected_measured_hours"], update=["rejected_calls"]
    )

    found = InstanceDay.objects.get()
    assert (found.v1_calls, found.v1_hours, found.rejected_calls, found.rejected_measured_hours) == (7, "0*23,7", 3, 0)


@pytest.mark.django_db
def test_columns_left_out_take_the_defaults_of_their_fields():
    bulk.upsert(
        Instance,
        [(factories.account().pk, "us-east-1", "i-1", "running", NOW, NOW)],
        columns=[*SCOPE, "instance_state", "first_seen_at", "last_seen_at"],
        unique=SCOPE,
        update=["last_seen_at"],
    )

    found = Instance.objects.get()
    assert (found.status, found.tags, found.blockers, found.name, found.http_tokens) == ("unknown", {}, [], "", None)


@pytest.mark.django_db
@pytest.mark.parametrize("batch", [1, 2, 100])
def test_of_a_row_that_comes_twice_the_last_one_stands_wherever_the_batch_ends(row, batch, monkeypatch):
    monkeypatch.setattr(bulk, "BATCH", batch)
    day = date(2026, 11, 1)

    upsert_days([(row.pk, day, 1, 1, "1"), (row.pk, day, 2, 2, "2"), (row.pk, day, 3, 3, "3")], update=["v1_calls"])

    found = InstanceDay.objects.get()
    assert (found.v1_calls, found.measured_hours, found.v1_hours) == (3, 1, "1")  # as three single writes would


@pytest.mark.django_db
@pytest.mark.parametrize("batch", [1, 100])
def test_with_nothing_to_update_the_first_one_stays(row, batch, monkeypatch):
    monkeypatch.setattr(bulk, "BATCH", batch)
    day = date(2026, 11, 1)

    written = upsert_days([(row.pk, day, 1, 1, "1"), (row.pk, day, 2, 2, "2")], update=[])

    assert (written, InstanceDay.objects.get().v1_calls) == (1, 1)


@pytest.mark.django_db
@pytest.mark.parametrize("bad", ["\0", "\ud800", chr(0xDFFF)])
def test_text_that_postgresql_cannot_store_is_marked_and_does_not_stop_the_page(bad):
    hostile = (f"a{bad}🦀", None, None, False, {f"k{bad}": [f"{bad}v", {"deep": bad}], "🦀": "\\u0000"}, None, None)

    by_upsert(factories.account(), {"i-1": hostile})

    found = Instance.objects.get()
    assert found.name == "a\ufffd🦀"
    assert found.tags == {"k\ufffd": ["\ufffdv", {"deep": "\ufffd"}], "🦀": "\\u0000"}


@pytest.mark.django_db
def test_more_rows_than_a_batch_are_all_written():
    scope = factories.scope(factories.account())
    first = date(2020, 1, 1)
    rows = ((scope.pk, first + timedelta(days=number), "DescribeInstances", number) for number in range(4321))

    written = bulk.upsert(
        ApiDay,
        rows,
        columns=["scope_id", "day", "operation", "calls"],
        unique=["scope_id", "day", "operation"],
        update=["calls"],
    )

    assert (written, ApiDay.objects.count(), ApiDay.objects.order_by("day").last().calls) == (4321, 4321, 4320)


@pytest.mark.django_db
def test_rows_are_read_a_batch_at_a_time(row, monkeypatch):
    monkeypatch.setattr(bulk, "BATCH", 10)
    read = []

    def rows():
        for number in range(100):
            read.append(number)
            if number == 30:
                raise RuntimeError("stop")
            yield (row.pk, date(2026, 1, 1) + timedelta(days=number), None, 0, None)

    with pytest.raises(RuntimeError), transaction.atomic():
        upsert_days(rows())

    assert len(read) == 31
    assert not InstanceDay.objects.exists()


@pytest.mark.django_db
def test_several_upserts_share_one_transaction(row):
    upsert_days([(row.pk, date(2026, 11, 1), None, 0, None)])
    upsert_days(
        [(row.pk, 7, 2, date(2026, 11, 2))], columns=["instance_id", "v1_calls", "measured_hours", "day"], update=[]
    )

    assert InstanceDay.objects.count() == 2


@pytest.mark.django_db
def test_the_checks_of_the_table_hold(row):
    with pytest.raises(IntegrityError), transaction.atomic():
        upsert_days([(row.pk, date(2026, 11, 1), None, 25, None)])

    assert not InstanceDay.objects.exists()


@pytest.mark.django_db
def test_nothing_to_write_writes_nothing():
    assert upsert_days([]) == 0


@pytest.mark.django_db(transaction=True)
def test_outside_a_transaction_it_is_refused(row):
    with pytest.raises(TransactionManagementError, match="all rows are written or none"):
        upsert_days([(row.pk, date(2026, 11, 1), None, 0, None)])

    assert not InstanceDay.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"columns": [*DAY, "v1_calls", "colour"], "update": ["v1_calls"]}, "InstanceDay has no column colour"),
        ({"update": ["colour"]}, "InstanceDay has no column colour"),
        ({"columns": ["instance", "day"], "update": []}, "InstanceDay has no column instance"),
        ({"columns": ["instance_id", "day"], "update": ["v1_calls"]}, "v1_calls must be among the columns"),
        ({"columns": ["instance_id", "v1_calls"], "update": []}, "day must be among the columns"),
        (
            {"columns": ["day", "v1_calls"], "unique": ["day"], "update": []},
            "instance_id of InstanceDay have no default",
        ),
    ],
)
def test_columns_that_do_not_fit_are_refused(changed, why):
    with pytest.raises(ValueError, match=why):
        upsert_days([], **changed)


@pytest.mark.django_db
def test_a_row_of_another_length_is_refused(row):
    with pytest.raises(ValueError, match="a row of 4 values for 5 columns"):
        upsert_days([(row.pk, date(2026, 11, 1), None, 0)])


@pytest.mark.django_db
def test_columns_without_a_unique_constraint_are_refused_by_the_database():
    scope = factories.scope(factories.account())

    with pytest.raises(DatabaseError), transaction.atomic():
        bulk.upsert(
            ScopeDay,
            [(scope.pk, date(2026, 11, 1), 1)],
            columns=["scope_id", "day", "v1_calls"],
            unique=["scope_id"],
            update=["v1_calls"],
        )


@pytest.mark.django_db
def test_what_the_database_counts_by_itself_is_left_to_it():
    row = (factories.scope(factories.account()).pk, date(2026, 11, 1), {"ready": 3, "in_use": 2, "enforced": 7})
    columns = ["scope_id", "day", "by_status"]

    bulk.upsert(ScopeDay, [row], columns=columns, unique=columns[:2], update=columns[2:])

    found = ScopeDay.objects.get()
    assert (found.instances_left, found.instances_done) == (5, 7)
    with pytest.raises(ValueError, match="ScopeDay has no column instances_left"):
        bulk.upsert(ScopeDay, [(*row, 5)], columns=[*columns, "instances_left"], unique=columns[:2], update=[])


@pytest.mark.django_db
def test_another_database_is_refused_with_a_sentence(monkeypatch):
    monkeypatch.setattr(connection, "vendor", "oracle")

    with pytest.raises(NotSupportedError, match="upsert knows PostgreSQL and SQLite, not oracle"):
        upsert_days([])
