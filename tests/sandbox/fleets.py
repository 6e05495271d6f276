"""The fleet that most sandbox tests share: small, of every kind."""

CENTRAL, MEMBER, CLOSED_DOOR = "111122223333", "444455556666", "555566667777"
KEY_ID, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
REGION, OTHER_REGION, DISABLED_REGION = "us-east-1", "eu-west-1", "me-south-1"
EXTERNAL_ID = "imdsdash-test"
READER, ENFORCER = "imdsdash-reader", "imdsdash-enforcer"

ROLES = [
    {"name": READER, "kind": "reader", "external_id": EXTERNAL_ID},
    {"name": ENFORCER, "kind": "enforcer", "external_id": EXTERNAL_ID},
    {"name": "admin", "kind": "admin", "external_id": EXTERNAL_ID},
    {"name": "plain", "kind": "reader", "external_id": EXTERNAL_ID, "source_identity": False},
    {"name": "trusts-nobody-here", "kind": "reader", "trusted": ["999999999999"]},
]


def every_kind():
    return {
        "settings": {"apply_seconds": 0.05},
        "credentials": [{"access_key_id": KEY_ID, "secret_access_key": SECRET, "account_id": CENTRAL}],
        "accounts": [
            {
                "id": CENTRAL,
                "name": "central",
                "regions": [REGION, OTHER_REGION],
                "images": [{"name": "plain"}, {"name": "flagged", "imds_support": "v2.0"}],
                "launch_templates": [
                    {"name": "web", "versions": [{"ami": "plain", "http_tokens": "required", "hop_limit": 3}]},
                    {"name": "silent", "versions": [{"ami": "plain"}]},
                ],
                "roles": ROLES,
                "instances": [
                    {
                        "count": 12,
                        "name_prefix": "web",
                        "asg": "web",
                        "launch_template": "web",
                        "reservation_size": 12,
                        "usage": {"profile": "steady", "calls_per_hour": 30},
                        "profile": "web",
                        "public": True,
                        "tags": {"team": "a"},
                    },
                    {"count": 3, "name_prefix": "stopped", "state": "stopped", "stopped_days_ago": 2},
                    {"count": 2, "name_prefix": "auto", "managed": "eks.amazonaws.com"},
                    {"name": "gone", "state": "terminated"},
                    {"name": "spot", "lifecycle": "spot", "platform": "windows", "restarted_days_ago": 5},
                    {
                        "count": 2,
                        "name_prefix": "v2",
                        "http_tokens": "required",
                        "hop_limit": 2,
                        "enforced_days_ago": 10,
                        "usage": {"profile": "steady", "calls_per_hour": 24},
                    },
                    {"name": "off", "http_endpoint": "disabled", "usage": "steady"},
                    {"name": "switched-by-a-test", "usage": "steady"},
                ],
            },
            {
                "id": MEMBER,
                "name": "member",
                "ou": "Root/Payments/Prod",
                "roles": ROLES,
                "instances": [{"count": 2, "name_prefix": "m"}],
            },
            {"id": CLOSED_DOOR, "name": "closed-door", "roles": ROLES, "deny_assume": True},
            *({"id": f"7000000000{n:02d}"} for n in range(20)),
        ],
    }
