# imdsdash: the role of a CloudWatch user_data account (cross-account observability), by which the usage of all linked
# accounts is read in one place.

data "aws_iam_policy_document" "trust" {
  statement {
    sid     = "EnterWithTheExternalId"
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = [var.central_role_arn]
    }
    condition {
      test     = "StringEquals"
      variable = "sts:ExternalId"
      values   = [var.external_id]
    }
    dynamic "condition" {
      for_each = compact([var.organization_id])
      content {
        test     = "StringEquals"
        variable = "aws:PrincipalOrgID"
        values   = [condition.value]
      }
    }
  }

  # Apart, for STS knows no ExternalId where it judges this action.
  statement {
    sid     = "NameTheRun"
    actions = ["sts:SetSourceIdentity"]
    principals {
      type        = "AWS"
      identifiers = [var.central_role_arn]
    }
    dynamic "condition" {
      for_each = compact([var.organization_id])
      content {
        test     = "StringEquals"
        variable = "aws:PrincipalOrgID"
        values   = [condition.value]
      }
    }
  }
}

data "aws_iam_policy_document" "user_data" {
  statement {
    sid       = "LookIntoUserData"
    actions   = ["ec2:DescribeInstanceAttribute"]
    resources = ["*"]
  }
}

resource "aws_iam_role" "user_data" {
  name                 = var.user_data_role_name
  description          = "imdsdash looks into user data for IMDSv1 calls. It can change nothing."
  max_session_duration = 3600
  assume_role_policy   = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "user_data" {
  name   = "read"
  role   = aws_iam_role.user_data.id
  policy = data.aws_iam_policy_document.user_data.json
}
