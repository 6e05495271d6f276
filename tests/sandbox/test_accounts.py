"""Credentials, roles, Regions and the organisation against domain.md section 11."""

from __future__ import annotations

import time

import boto3
import botocore.session
import pytest
from botocore.credentials import RefreshableCredentials

from sandbox.testing import start
from tests.sandbox import fleets
from tests.sandbox.clients import Clients


def test_an_assumed_role_acts_in_its_own_account(clients):
    identity = clients.assuming(account=fleets.MEMBER, RoleSessionName="sweep-1")("sts").get_caller_identity()
    assert identity["Account"] == fleets.MEMBER
    assert identity["Arn"] == f"arn:aws:sts::{fleets.MEMBER}:assumed-role/{fleets.READER}/sweep-1"


@pytest.mark.parametrize(
    ("role", "account", "more"),
    [
        ("no-such-role", fleets.MEMBER, {}),
        (fleets.READER, fleets.MEMBER, {"ExternalId": "wrong"}),
        ("trusts-nobody-here", fleets.MEMBER, {}),
        (fleets.READER, fleets.CLOSED_DOOR, {}),
        (fleets.READER, "999999999999", {}),
    ],
    ids=["absent role", "wrong ExternalId", "other trust", "denying account", "foreign account"],
)
def test_a_role_that_does_not_trust_the_caller_is_refused(clients, refused, role, account, more):
    """Trust policy: central role ARN + `sts:ExternalId` [BC; IAM-q]."""
    refused("AccessDenied", clients.assuming, role, account, **more)


def test_a_missing_external_id_is_refused(clients, refused):
    arn = f"arn:aws:iam::{fleets.MEMBER}:role/{fleets.READER}"
    refused("AccessDenied", clients("sts").assume_role, RoleArn=arn, RoleSessionName="test")


def test_chaining_is_capped_at_an_hour(clients, refused):
    """Role chaining caps at 3600 s, asking more fails [BC; IAM-q]."""
    arn = f"arn:aws:iam::{fleets.MEMBER}:role/{fleets.READER}"
    ask = {"RoleArn": arn, "RoleSessionName": "test", "ExternalId": fleets.EXTERNAL_ID}
    clients("sts").assume_role(**ask, DurationSeconds=7200)
    chained = clients.assuming("admin")("sts")
    chained.assume_role(**ask)
    refused("ValidationError", chained.assume_role, **ask, DurationSeconds=7200)


def test_a_source_identity_stays_through_a_chain_and_cannot_be_changed(clients, sandbox, refused):
    """ "The source identity value persists across chained role sessions" [BC]."""
    arn = f"arn:aws:iam::{fleets.MEMBER}:role/{fleets.READER}"
    ask = {"RoleArn": arn, "RoleSessionName": "test", "ExternalId": fleets.EXTERNAL_ID}
    chained = clients.assuming("admin", SourceIdentity="alice")("sts")
    assert chained.assume_role(**ask)["SourceIdentity"] == "alice"
    assert chained.assume_role(**ask, SourceIdentity="alice")["SourceIdentity"] == "alice"
    error = refused("AccessDenied", chained.assume_role, **ask, SourceIdentity="bob")
    assert "sts:SetSourceIdentity" in str(error)


def test_a_trust_policy_may_lack_the_right_to_set_a_source_identity(clients, refused):
    """sts:SetSourceIdentity is asked of the trust policy of every role of a chain [domain 11.1]."""
    clients.assuming("plain", fleets.MEMBER)
    error = refused("AccessDenied", clients.assuming, "plain", fleets.MEMBER, SourceIdentity="alice")
    assert "sts:SetSourceIdentity" in str(error)
    chained = clients.assuming("admin", SourceIdentity="alice")
    refused("AccessDenied", chained.assuming, "plain", fleets.MEMBER)


@pytest.mark.parametrize("bad", ["a b", "aws:me"])
def test_a_source_identity_has_a_pattern(clients, refused, bad):
    """SourceIdentity 2-64 `[\\w+=,.@-]` [BC; IAM-q]."""
    refused("ValidationError", clients.assuming, SourceIdentity=bad)


def test_sessions_may_be_short_and_say_so(refused):
    fleet = {"settings": {"session_seconds": 2}, "accounts": [{"id": fleets.CENTRAL, "roles": fleets.ROLES}]}
    with start(fleet) as running:
        arn = f"arn:aws:iam::{fleets.CENTRAL}:role/{fleets.READER}"
        ask = {"RoleArn": arn, "RoleSessionName": "test", "ExternalId": fleets.EXTERNAL_ID, "DurationSeconds": 3600}
        given = Clients(running)("sts").assume_role(**ask)["Credentials"]
        ec2 = Clients(running, given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])("ec2")
        ec2.describe_regions()
        assert 0 < given["Expiration"].timestamp() - time.time() <= 3
        time.sleep(max(0, given["Expiration"].timestamp() - time.time()))
        refused("RequestExpired", ec2.describe_regions)


def test_a_client_that_renews_its_session_goes_on_past_its_end():
    """botocore renews from 15 min before the end on, so the Expiration must be the true one [BC:src]."""
    fleet = {"settings": {"session_seconds": 1}, "accounts": [{"id": fleets.CENTRAL, "roles": fleets.ROLES}]}
    with start(fleet) as running:
        source = Clients(running)("sts")
        arn = f"arn:aws:iam::{fleets.CENTRAL}:role/{fleets.READER}"
        ask = {"RoleArn": arn, "RoleSessionName": "test", "ExternalId": fleets.EXTERNAL_ID}

        def renew():
            given = source.assume_role(**ask)["Credentials"]
            return {
                "access_key": given["AccessKeyId"], "secret_key": given["SecretAccessKey"],
                "token": given["SessionToken"], "expiry_time": given["Expiration"].isoformat(),
            }  # fmt: skip

        core = botocore.session.get_session()
        core._credentials = RefreshableCredentials.create_from_metadata(renew(), renew, "assume-role")
        ec2 = boto3.Session(botocore_session=core).client("ec2", fleets.REGION, endpoint_url=running.url)
        ec2.describe_regions()
        time.sleep(2.1)
        ec2.describe_regions()
        assert len(running.calls(operation="AssumeRole")) >= 2
        assert {call["status"] for call in running.calls()} == {200}


def test_an_account_without_roles_cannot_be_entered(clients, sandbox, refused):
    """The StackSet skipped the management account: the role is missing [CFN-ss; domain 13.41]."""
    fleet = {"accounts": [{"id": fleets.CENTRAL, "roles": []}, {"id": fleets.MEMBER, "roles": fleets.ROLES}]}
    with start(fleet) as running:
        own = Clients(running)
        refused("AccessDenied", own.assuming, account=fleets.CENTRAL)
        own.assuming(account=fleets.MEMBER)
        assert own("organizations").list_accounts()["Accounts"][0]["Id"] == fleets.CENTRAL
        own("ec2").describe_instances()


def test_a_role_without_the_right_cannot_assume_another(clients, refused):
    arn = f"arn:aws:iam::{fleets.MEMBER}:role/{fleets.READER}"
    reader = clients.assuming(fleets.READER)("sts")
    refused("AccessDenied", reader.assume_role, RoleArn=arn, RoleSessionName="test", ExternalId=fleets.EXTERNAL_ID)


def test_expired_credentials_are_refused(clients, refused, monkeypatch):
    """`RequestExpired` (clock or expired session) [API-err]."""
    session = clients.assuming(account=fleets.MEMBER)
    ec2, sts, org = session("ec2"), session("sts"), session("cloudwatch")
    later = time.time() + 3601
    monkeypatch.setattr("sandbox.credentials.time.time", lambda: later)
    refused("RequestExpired", ec2.describe_instances)
    refused("ExpiredToken", sts.get_caller_identity)
    refused("ExpiredTokenException", org.list_metrics)


def test_an_unknown_key_is_refused(sandbox, refused):
    """`AuthFailure` [API-err], InvalidClientTokenId, UnrecognizedClientException by protocol."""
    stranger = Clients(sandbox, "AKIAI44QH8DHBEXAMPLE", fleets.SECRET)
    refused("AuthFailure", stranger("ec2").describe_regions)
    refused("InvalidClientTokenId", stranger("sts").get_caller_identity)
    refused("UnrecognizedClientException", stranger("organizations").list_accounts)


def test_a_wrong_secret_is_refused(sandbox, refused):
    thief = Clients(sandbox, fleets.KEY_ID, "not-the-secret")
    refused("SignatureDoesNotMatch", thief("sts").get_caller_identity)
    refused("SignatureDoesNotMatch", thief("ec2").describe_instances)
    refused("InvalidSignatureException", thief("cloudwatch").list_metrics)


def test_a_forged_session_token_is_refused(sandbox, clients, refused):
    real = clients("sts").assume_role(
        RoleArn=f"arn:aws:iam::{fleets.MEMBER}:role/{fleets.READER}",
        RoleSessionName="test",
        ExternalId=fleets.EXTERNAL_ID,
    )["Credentials"]
    forged = Clients(sandbox, real["AccessKeyId"], real["SecretAccessKey"], real["SessionToken"][:-4] + "0000")
    refused("InvalidClientTokenId", forged("sts").get_caller_identity)


def test_without_credentials_in_the_fleet_any_long_term_key_is_the_first_account():
    with start({"accounts": [{"id": "123456789012"}]}) as running:
        anyone = Clients(running, "AKIAANYTHINGEXAMPLE0", "whatever")
        assert anyone("sts").get_caller_identity()["Account"] == "123456789012"


def test_the_reader_cannot_write(clients, refused):
    """Two doors: the reader is another role than the enforcer [domain 11.1]."""
    ec2 = clients.assuming(fleets.READER)("ec2")
    ec2.describe_instances(MaxResults=5)
    refused(
        "UnauthorizedOperation", ec2.modify_instance_metadata_options, InstanceId="i-12345678", HttpTokens="required"
    )
    refused("UnauthorizedOperation", ec2.modify_instance_metadata_defaults, HttpTokens="required")


def test_the_enforcer_can_write_options_and_little_else(clients, refused):
    """ec2:ModifyInstanceMetadataOptions, ec2:DescribeInstances (verify) ... [domain 11.2]."""
    enforcer = clients.assuming(fleets.ENFORCER, fleets.MEMBER)
    ec2 = enforcer("ec2")
    instance = ec2.describe_instances()["Reservations"][0]["Instances"][0]["InstanceId"]
    ec2.modify_instance_metadata_options(InstanceId=instance, HttpTokens="required")
    refused("UnauthorizedOperation", ec2.terminate_instances, InstanceIds=[instance])
    refused("AccessDeniedException", enforcer("cloudwatch").list_metrics)


def test_an_account_may_deny_one_service_in_one_region():
    account = {"id": "123456789012", "regions": ["us-east-1", "eu-west-1"], "deny": ["cloudwatch:*@eu-west-1"]}
    with start({"accounts": [account]}) as running:
        Clients(running)("cloudwatch").list_metrics()
        with pytest.raises(Exception, match="AccessDenied"):
            Clients(running)("cloudwatch", "eu-west-1").list_metrics()


def test_a_region_that_is_not_enabled_knows_no_credentials(clients, refused):
    """Region list from the SDK -> AuthFailure/OptInRequired noise; enabled Regions only [BC; API-err]."""
    refused("AuthFailure", clients("ec2", fleets.DISABLED_REGION).describe_instances)


def test_regions_are_those_of_the_account(any_aws):
    """OptInStatus {opt-in-not-required, opted-in, not-opted-in}; AllRegions [BC]."""
    ec2 = any_aws("ec2")
    enabled = {r["RegionName"] for r in ec2.describe_regions()["Regions"]}
    everything = {r["RegionName"]: r["OptInStatus"] for r in ec2.describe_regions(AllRegions=True)["Regions"]}
    assert {name for name, status in everything.items() if status != "not-opted-in"} == enabled
    assert "not-opted-in" in everything.values()


def test_accounts_come_twenty_a_page_with_state_and_path(clients):
    """`ListAccounts` MaxResults <= 20; use `State`; `Account.Paths` gives the OU path [BC; ORG-state]."""
    pages = list(clients("organizations").get_paginator("list_accounts").paginate())
    assert [len(page["Accounts"]) for page in pages] == [20, 3]
    member = next(a for page in pages for a in page["Accounts"] if a["Id"] == fleets.MEMBER)
    assert member["State"] == "ACTIVE"
    assert "Status" not in member
    assert member["Paths"][0].count("/") == 4


@pytest.mark.parametrize("size", [21, 0])
def test_a_page_of_accounts_has_at_most_twenty(clients, refused, size):
    """`ListAccounts` MaxResults <= 20 [BC]."""
    org = clients("organizations", parameter_validation=False)
    assert len(org.list_accounts(MaxResults=7)["Accounts"]) == 7
    refused("InvalidInputException", org.list_accounts, MaxResults=size)


def test_the_tree_can_be_walked(clients):
    org = clients("organizations")
    root = org.list_roots()["Roots"][0]["Id"]
    payments = org.list_organizational_units_for_parent(ParentId=root)["OrganizationalUnits"]
    assert [unit["Name"] for unit in payments] == ["Payments"]
    prod = org.list_organizational_units_for_parent(ParentId=payments[0]["Id"])["OrganizationalUnits"][0]
    assert [a["Id"] for a in org.list_accounts_for_parent(ParentId=prod["Id"])["Accounts"]] == [fleets.MEMBER]
    assert org.list_parents(ChildId=fleets.MEMBER)["Parents"] == [{"Id": prod["Id"], "Type": "ORGANIZATIONAL_UNIT"}]
    assert org.describe_organization()["Organization"]["MasterAccountId"] == fleets.CENTRAL


def test_an_empty_page_of_accounts_may_carry_a_token():
    """An empty page may still carry NextToken [BC]."""
    fleet = {"settings": {"empty_pages": True}, "accounts": [{"id": f"00000000000{n}"} for n in range(3)]}
    with start(fleet) as running:
        pages = list(Clients(running)("organizations").get_paginator("list_accounts").paginate())
        assert [len(page["Accounts"]) for page in pages] == [0, 3]


def test_a_member_account_cannot_list_accounts(clients, refused):
    """Management account or delegated admin only [BC]."""
    refused("AccessDeniedException", clients.assuming(account=fleets.MEMBER)("organizations").list_accounts)


def test_one_account_alone_is_no_organisation(refused):
    with start({"accounts": [{"id": "123456789012"}]}) as running:
        refused("AWSOrganizationsNotInUseException", Clients(running)("organizations").list_accounts)


def test_the_management_account_leaves_out_its_own_id(clients, refused):
    """`account:ListRegions`: the management account must omit its own AccountId [BC]."""
    account = clients("account")
    enabled = {"RegionOptStatusContains": ["ENABLED", "ENABLED_BY_DEFAULT"]}
    own = account.list_regions(**enabled)["Regions"]
    assert {r["RegionName"] for r in own} == {fleets.REGION, fleets.OTHER_REGION}
    of_member = account.list_regions(AccountId=fleets.MEMBER, **enabled)["Regions"]
    assert of_member == [{"RegionName": fleets.REGION, "RegionOptStatus": "ENABLED_BY_DEFAULT"}]
    refused("ValidationException", account.list_regions, AccountId=fleets.CENTRAL)


def test_listed_regions_are_not_all_enabled(clients, refused):
    """RegionOptStatus {ENABLED, ENABLING, DISABLING, DISABLED, ENABLED_BY_DEFAULT}; <= 50 a page [BC]."""
    account = clients("account")
    pages = list(account.get_paginator("list_regions").paginate(PaginationConfig={"PageSize": 10}))
    statuses = {r["RegionName"]: r["RegionOptStatus"] for page in pages for r in page["Regions"]}
    assert len(pages) == 2
    assert (statuses[fleets.REGION], statuses[fleets.DISABLED_REGION]) == ("ENABLED_BY_DEFAULT", "DISABLED")
    refused("ValidationException", account.list_regions, MaxResults=51)


def test_a_member_account_lists_only_its_own_regions(clients, refused):
    """The caller must be in the management account or a delegated administrator [BC]."""
    account = clients.assuming(account=fleets.MEMBER)("account")
    assert account.list_regions()["Regions"]
    refused("AccessDeniedException", account.list_regions, AccountId=fleets.CLOSED_DOOR)


def test_what_only_moto_knows_is_answered_in_the_callers_account(clients):
    assert clients("iam").list_roles()["Roles"] == []
    assert clients.assuming(account=fleets.MEMBER)("ec2").describe_vpcs()["Vpcs"][0]["OwnerId"] == fleets.MEMBER


def test_what_nobody_knows_is_refused_without_a_retry(clients, refused):
    refused("UnsupportedOperation", clients("ec2").describe_declarative_policies_reports)
    refused("UnsupportedOperation", clients("ec2").reboot_instances, InstanceIds=["i-12345678"])


def test_the_environment_of_a_sandbox_is_enough_for_boto3(sandbox, monkeypatch):
    for name, value in sandbox.env().items():
        monkeypatch.setenv(name, value)
    assert boto3.Session().client("sts").get_caller_identity()["Account"] == fleets.CENTRAL
