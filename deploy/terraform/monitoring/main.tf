# imdsdash: the role of a CloudWatch monitoring account (cross-account observability), by which the usage of all linked
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

data "aws_iam_policy_document" "monitoring" {
  statement {
    sid = "ReadUsageOfLinkedAccounts"
    actions = [
      "cloudwatch:GetMetricData",
      "cloudwatch:ListMetrics",
      "oam:ListAttachedLinks",
      "oam:ListSinks",
    ]
    resources = ["*"]
  }
}

resource "aws_iam_role" "monitoring" {
  name                 = var.monitoring_role_name
  description          = "imdsdash reads the IMDS usage of linked accounts. It can change nothing."
  max_session_duration = 3600
  assume_role_policy   = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "monitoring" {
  name   = "read"
  role   = aws_iam_role.monitoring.id
  policy = data.aws_iam_policy_document.monitoring.json
}
