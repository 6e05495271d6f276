# imdsdash: the reader and the enforcer role of one account. The same policies stand in ../../roles.yaml and in the
# JSON files beside it; a test keeps them equal.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

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

data "aws_iam_policy_document" "reader" {
  statement {
    sid = "ReadMetadataOptionsAndUsage"
    actions = [
      "autoscaling:DescribeAutoScalingGroups",
      "autoscaling:DescribeLaunchConfigurations",
      "autoscaling:DescribeScalingActivities",
      "cloudtrail:LookupEvents",
      "cloudwatch:GetMetricData",
      "cloudwatch:ListMetrics",
      "ec2:DescribeImages",
      "ec2:DescribeInstances",
      "ec2:DescribeLaunchTemplateVersions",
      "ec2:DescribeLaunchTemplates",
      "ec2:DescribeRegions",
      "ec2:DescribeSpotInstanceRequests",
      "ec2:GetInstanceMetadataDefaults",
    ]
    resources = ["*"]
  }
}

data "aws_iam_policy_document" "enforcer" {
  statement {
    sid       = "RequireTokensOrPutThemBack"
    actions   = ["ec2:ModifyInstanceMetadataOptions"]
    resources = ["arn:${data.aws_partition.current.partition}:ec2:*:${data.aws_caller_identity.current.account_id}:instance/*"]
    condition {
      test     = "StringEquals"
      variable = "ec2:Attribute/HttpTokens"
      values   = ["required", "optional"]
    }
  }

  statement {
    sid       = "HopLimitAlone"
    actions   = ["ec2:ModifyInstanceMetadataOptions"]
    resources = ["arn:${data.aws_partition.current.partition}:ec2:*:${data.aws_caller_identity.current.account_id}:instance/*"]
    condition {
      test     = "Null"
      variable = "ec2:Attribute/HttpPutResponseHopLimit"
      values   = ["false"]
    }
    condition {
      test     = "Null"
      variable = "ec2:Attribute/HttpTokens"
      values   = ["true"]
    }
    condition {
      test     = "Null"
      variable = "ec2:Attribute/HttpEndpoint"
      values   = ["true"]
    }
  }

  statement {
    sid       = "NeverAnExemptInstance"
    effect    = "Deny"
    actions   = ["ec2:ModifyInstanceMetadataOptions"]
    resources = ["*"]
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/imds-exempt"
      values   = ["true"]
    }
  }

  statement {
    sid       = "NeverTheEndpointBesideTokens"
    effect    = "Deny"
    actions   = ["ec2:ModifyInstanceMetadataOptions"]
    resources = ["*"]
    condition {
      test     = "Null"
      variable = "ec2:Attribute/HttpEndpoint"
      values   = ["false"]
    }
    condition {
      test     = "Null"
      variable = "ec2:Attribute/HttpTokens"
      values   = ["false"]
    }
  }

  statement {
    sid       = "NeverTheEndpointBesideAHopLimit"
    effect    = "Deny"
    actions   = ["ec2:ModifyInstanceMetadataOptions"]
    resources = ["*"]
    condition {
      test     = "Null"
      variable = "ec2:Attribute/HttpEndpoint"
      values   = ["false"]
    }
    condition {
      test     = "Null"
      variable = "ec2:Attribute/HttpPutResponseHopLimit"
      values   = ["false"]
    }
  }
}

# What a group launches is checked as a launch by who updates it: RunInstances, CreateTags and PassRole are for that.
data "aws_iam_policy_document" "enforcer_templates" {
  statement {
    sid       = "NewVersionsAndDefaults"
    actions   = ["ec2:CreateLaunchTemplateVersion", "ec2:ModifyLaunchTemplate"]
    resources = ["arn:${data.aws_partition.current.partition}:ec2:*:${data.aws_caller_identity.current.account_id}:launch-template/*"]
  }

  statement {
    sid       = "AnotherVersionForAGroup"
    actions   = ["autoscaling:UpdateAutoScalingGroup"]
    resources = ["arn:${data.aws_partition.current.partition}:autoscaling:*:${data.aws_caller_identity.current.account_id}:autoScalingGroup:*:autoScalingGroupName/*"]
  }

  statement {
    sid       = "SeeWhatIsSentAlong"
    actions   = ["autoscaling:DescribeAutoScalingGroups", "ec2:DescribeLaunchTemplateVersions"]
    resources = ["*"]
  }

  statement {
    sid       = "LaunchWhatTheGroupLaunches"
    actions   = ["ec2:RunInstances"]
    resources = ["*"]
    condition {
      test     = "ArnLike"
      variable = "ec2:LaunchTemplate"
      values   = ["arn:${data.aws_partition.current.partition}:ec2:*:${data.aws_caller_identity.current.account_id}:launch-template/*"]
    }
  }

  statement {
    sid       = "TagWhatTheGroupLaunches"
    actions   = ["ec2:CreateTags"]
    resources = ["*"]
    condition {
      test     = "StringEquals"
      variable = "ec2:CreateAction"
      values   = ["RunInstances"]
    }
  }

  statement {
    sid       = "PassTheRolesOfItsInstances"
    actions   = ["iam:PassRole"]
    resources = ["arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:role/${var.instance_role_names}"]
    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]
    }
  }

  statement {
    sid       = "NeverWhatIsExempt"
    effect    = "Deny"
    actions   = ["autoscaling:UpdateAutoScalingGroup", "ec2:CreateLaunchTemplateVersion", "ec2:ModifyLaunchTemplate"]
    resources = ["*"]
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/imds-exempt"
      values   = ["true"]
    }
  }
}

data "aws_iam_policy_document" "enforcer_defaults" {
  statement {
    sid       = "SetTheDefaults"
    actions   = ["ec2:ModifyInstanceMetadataDefaults"]
    resources = ["*"]
  }

  statement {
    sid       = "NeverTheirEndpoint"
    effect    = "Deny"
    actions   = ["ec2:ModifyInstanceMetadataDefaults"]
    resources = ["*"]
    condition {
      test     = "Null"
      variable = "ec2:Attribute/HttpEndpoint"
      values   = ["false"]
    }
  }
}

data "aws_iam_policy_document" "enforcer_images" {
  statement {
    sid       = "FlagImages"
    actions   = ["ec2:ModifyImageAttribute"]
    resources = ["arn:${data.aws_partition.current.partition}:ec2:*::image/*"]
    condition {
      test     = "StringEquals"
      variable = "ec2:Attribute/ImdsSupport"
      values   = ["v2.0"]
    }
  }

  statement {
    sid       = "NeverAnExemptImage"
    effect    = "Deny"
    actions   = ["ec2:ModifyImageAttribute"]
    resources = ["*"]
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/imds-exempt"
      values   = ["true"]
    }
  }
}

data "aws_iam_policy_document" "enforcer_off" {
  statement {
    sid       = "TheEndpointAlone"
    actions   = ["ec2:ModifyInstanceMetadataOptions"]
    resources = ["arn:${data.aws_partition.current.partition}:ec2:*:${data.aws_caller_identity.current.account_id}:instance/*"]
    condition {
      test     = "Null"
      variable = "ec2:Attribute/HttpEndpoint"
      values   = ["false"]
    }
    condition {
      test     = "Null"
      variable = "ec2:Attribute/HttpTokens"
      values   = ["true"]
    }
    condition {
      test     = "Null"
      variable = "ec2:Attribute/HttpPutResponseHopLimit"
      values   = ["true"]
    }
  }

  statement {
    sid       = "NeverAnExemptInstance"
    effect    = "Deny"
    actions   = ["ec2:ModifyInstanceMetadataOptions"]
    resources = ["*"]
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/imds-exempt"
      values   = ["true"]
    }
  }
}

resource "aws_iam_role" "reader" {
  name                 = var.reader_role_name
  path                 = var.role_path
  description          = "imdsdash reads metadata options and IMDS usage. It can change nothing."
  max_session_duration = 3600
  assume_role_policy   = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "reader" {
  name   = "read"
  role   = aws_iam_role.reader.id
  policy = data.aws_iam_policy_document.reader.json
}

resource "aws_iam_role" "enforcer" {
  count = var.with_enforcer ? 1 : 0

  name                 = var.enforcer_role_name
  path                 = var.role_path
  description          = "imdsdash sets HttpTokens and hop limits on instances of approved plans, and what its other policies allow."
  max_session_duration = 3600
  assume_role_policy   = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "enforcer" {
  count = var.with_enforcer ? 1 : 0

  name   = "require-tokens"
  role   = aws_iam_role.enforcer[0].id
  policy = data.aws_iam_policy_document.enforcer.json
}

resource "aws_iam_role_policy" "enforcer_templates" {
  count = var.with_enforcer && var.allow_templates ? 1 : 0

  name   = "templates"
  role   = aws_iam_role.enforcer[0].id
  policy = data.aws_iam_policy_document.enforcer_templates.json
}

resource "aws_iam_role_policy" "enforcer_defaults" {
  count = var.with_enforcer && var.allow_defaults ? 1 : 0

  name   = "defaults"
  role   = aws_iam_role.enforcer[0].id
  policy = data.aws_iam_policy_document.enforcer_defaults.json
}

resource "aws_iam_role_policy" "enforcer_images" {
  count = var.with_enforcer && var.allow_images ? 1 : 0

  name   = "images"
  role   = aws_iam_role.enforcer[0].id
  policy = data.aws_iam_policy_document.enforcer_images.json
}

resource "aws_iam_role_policy" "enforcer_off" {
  count = var.with_enforcer && var.allow_off ? 1 : 0

  name   = "off"
  role   = aws_iam_role.enforcer[0].id
  policy = data.aws_iam_policy_document.enforcer_off.json
}
