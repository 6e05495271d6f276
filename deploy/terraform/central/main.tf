# imdsdash: what the central role may do, which imdsdash itself runs as. Discovery works in the management account and in
# delegated administrators of the organization.

data "aws_partition" "current" {}

data "aws_iam_policy_document" "central" {
  statement {
    sid = "EnterTheAccounts"
    actions = [
      "sts:AssumeRole",
      "sts:SetSourceIdentity",
    ]
    resources = [
      "arn:${data.aws_partition.current.partition}:iam::*:role/${var.reader_role_name}",
      "arn:${data.aws_partition.current.partition}:iam::*:role/${var.enforcer_role_name}",
      "arn:${data.aws_partition.current.partition}:iam::*:role/${var.monitoring_role_name}",
      "arn:${data.aws_partition.current.partition}:iam::*:role/${var.user_data_role_name}",
    ]
  }

  statement {
    sid = "DiscoverTheAccounts"
    actions = [
      "organizations:DescribeOrganization",
      "organizations:ListAccounts",
      "organizations:ListOrganizationalUnitsForParent",
      "organizations:ListRoots",
      "organizations:ListTagsForResource",
    ]
    resources = ["*"]
  }
}

resource "aws_iam_role_policy" "central" {
  name   = "imdsdash-central"
  role   = var.central_role_name
  policy = data.aws_iam_policy_document.central.json
}
