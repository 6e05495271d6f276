"""Looking into user data: off by default, by a role of its own, and nothing of the text gets anywhere."""

import base64
import io

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from migration.actions import userdata as rows
from migration.enums import GapKind, Status, UserData
from migration.models import Finding, Instance, Scope, UserDataReading
from migration.tasks import userdata
from tests import fleets
from tests.tasks.story import collect_all

pytestmark = pytest.mark.django_db
SECRET = "correct-horse-battery-staple"
V1 = f"#!/bin/bash\nexport DB_PASSWORD={SECRET}\nID=$(curl -s http://169.254.169.254/latest/meta-data/instance-id)\n"
V2 = '#!/bin/bash\ncurl -s -H "X-aws-ec2-metadata-token: $T" http://169.254.169.254/latest/meta-data/instance-id\n'


def packed(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def quiet(name: str, text: str = "", **more) -> dict:
    told = {"name": name, "usage": "quiet", "launched_days_ago": 100, "restarted_days_ago": 2}
    return told | ({"user_data": packed(text)} if text else {}) | more


@pytest.fixture
def on(settings):
    settings.IMDSDASH_USER_DATA = True


def looked() -> int:
    return sum(userdata.look_into(pk) for pk in Scope.objects.values_list("pk", flat=True))


def test_it_is_off_unless_somebody_switched_it_on(aws, settings):
    sandbox = aws(fleets.alone(quiet("web", V1)))
    collect_all()

    assert (userdata.dispatch(), looked()) == (0, 0)
    assert not sandbox.calls(operation="DescribeInstanceAttribute")
    assert Instance.objects.get().user_data == UserData.NOT_READ
    assert settings.IMDSDASH_USER_DATA is False


@pytest.mark.usefixtures("on")
def test_each_that_allows_imdsv1_is_looked_into_once(aws):
    sandbox = aws(
        fleets.alone(
            quiet("v1", V1), quiet("v2", V2), quiet("none"), quiet("done", V1, http_tokens="required"),
            quiet("off", V1, http_endpoint="disabled"), quiet("managed", V1, managed="eks.amazonaws.com"),
        )
    )  # fmt: skip
    collect_all()
    looked()
    looked()

    assert len(sandbox.calls(operation="DescribeInstanceAttribute")) == 3
    assert dict(Instance.objects.values_list("name", "user_data")) == {
        "v1": UserData.FINDINGS, "v2": UserData.QUIET, "none": UserData.NONE,
        "done": UserData.NOT_READ, "off": UserData.NOT_READ, "managed": UserData.NOT_READ,
    }  # fmt: skip


@pytest.mark.usefixtures("on")
def test_it_is_looked_into_again_after_a_start_for_only_then_can_it_have_changed(aws):
    sandbox = aws(fleets.alone(quiet("web", V2)))
    collect_all()
    looked()
    Instance.objects.update(launched_at=timezone.now())
    looked()

    assert len(sandbox.calls(operation="DescribeInstanceAttribute")) == 2


@pytest.mark.usefixtures("on")
def test_a_certain_call_blocks_a_ready_instance_with_its_line(aws):
    aws(fleets.alone(quiet("web", V1)))
    collect_all()
    looked()
    collect_all()

    row = Instance.objects.get()
    assert row.status == Status.READY
    assert row.blockers == ["Its user data calls IMDSv1 (line 3)."]


@pytest.mark.usefixtures("on")
def test_nothing_of_the_text_gets_into_the_database_or_the_log(aws, capsys, caplog):
    aws(fleets.alone(quiet("web", V1)))
    collect_all()
    looked()

    assert Finding.objects.get().statement.startswith("curl -s http://169.254.169.254")
    told = capsys.readouterr()
    assert SECRET not in told.out + told.err + caplog.text
    for table in connection.introspection.table_names():
        with connection.cursor() as cursor:
            cursor.execute(f'SELECT * FROM "{table}"')
            assert SECRET not in repr(cursor.fetchall())
            assert packed(V1)[:40] not in repr(cursor.fetchall())


@pytest.mark.usefixtures("on")
def test_a_refusal_is_a_gap_in_words_and_rests_for_a_day(aws):
    sandbox = aws(fleets.alone(quiet("a", V1), quiet("b", V1), deny=["ec2:DescribeInstanceAttribute"]))
    collect_all()
    looked()
    looked()

    assert len(sandbox.calls(operation="DescribeInstanceAttribute")) == 1
    row = UserDataReading.objects.get()
    assert (row.gap, row.left) == (GapKind.DENIED, 2)
    assert "DescribeInstanceAttribute" in row.gap_message
    assert set(Instance.objects.values_list("status", flat=True)) == {Status.READY}


@pytest.mark.usefixtures("on")
def test_of_two_workers_one_looks(aws):
    aws(fleets.alone(quiet("web", V1)))
    collect_all()
    scope = Scope.objects.all()[0]
    first = rows.claim(scope=scope, owner="a", now=timezone.now())

    assert first is not None
    assert rows.claim(scope=scope, owner="b", now=timezone.now()) is None
    late = rows.claim(scope=scope, owner="c", now=timezone.now() + rows.LEASE * 2)
    assert late is not None
    assert (
        rows.store(claim=first, instance=Instance.objects.get(), looked=rows.Looked(UserData.QUIET), now=timezone.now())
        is False
    )


@pytest.mark.usefixtures("on")
def test_containers_with_hop_limit_1_block(aws):
    aws(fleets.alone(quiet("node", containers="prod", hop_limit=1), quiet("roomy", containers="prod", hop_limit=2)))
    collect_all()

    found = dict(Instance.objects.values_list("name", "blockers"))
    assert "Raise it to 2" in found["node"][0]
    assert "Kubernetes, by tag" in found["node"][0]
    assert found["roomy"] == []


@pytest.mark.usefixtures("on")
def test_known_callers_that_it_names_are_kept_by_their_ids(aws):
    aws(fleets.alone(quiet("old", "#!/bin/bash\npython -c 'import boto.utils; boto.utils.get_instance_metadata()'\n")))
    collect_all()
    looked()

    assert Instance.objects.get().user_data_callers == ["boto-2"]


# --- the command ---------------------------------------------------------------------------------------


def test_the_command_says_line_and_rewrite_and_exits_3(tmp_path):
    file = tmp_path / "user-data.sh"
    file.write_text(V1)
    out = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("user_data", "scan", "--file", str(file), stdout=out)

    assert ended.value.code == 3
    assert "part 1, line 3: v1_call (certain)" in out.getvalue()
    assert SECRET not in out.getvalue()


def test_the_command_is_quiet_of_what_is_fine(tmp_path):
    file = tmp_path / "user-data.sh"
    file.write_text(V2)
    out = io.StringIO()
    call_command("user_data", "scan", "--file", str(file), stdout=out)

    assert "proves nothing" in out.getvalue()


def test_a_file_that_is_not_there_is_a_sentence():
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("user_data", "scan", "--file", "/nowhere/at/all")
