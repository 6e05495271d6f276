# imdsdash: both roles in every account of an organization, with credentials of its management account (or of a delegated
# administrator of StackSets: then call_as = "DELEGATED_ADMIN"). Trusted access for StackSets is switched on beforehand:
# aws cloudformation activate-organizations-access

data "aws_organizations_organization" "this" {}

resource "aws_cloudformation_stack_set" "roles" {
  name             = "imdsdash-roles"
  description      = "The reader and the enforcer role of imdsdash"
  permission_model = "SERVICE_MANAGED"
  call_as          = var.call_as
  capabilities     = ["CAPABILITY_NAMED_IAM"]
  template_body    = file("${path.module}/../../roles.yaml")

  parameters = {
    CentralRoleArn    = var.central_role_arn
    ExternalId        = var.external_id
    OrganizationId    = data.aws_organizations_organization.this.id
    ReaderRoleName    = var.reader_role_name
    EnforcerRoleName  = var.enforcer_role_name
    RolePath          = var.role_path
    WithEnforcer      = var.with_enforcer ? "yes" : "no"
    AllowTemplates    = var.allow_templates ? "yes" : "no"
    AllowDefaults     = var.allow_defaults ? "yes" : "no"
    AllowImages       = var.allow_images ? "yes" : "no"
    AllowOff          = var.allow_off ? "yes" : "no"
    InstanceRoleNames = var.instance_role_names
  }

  auto_deployment {
    enabled                          = true # accounts that join get the roles
    retain_stacks_on_account_removal = false
  }

  operation_preferences {
    failure_tolerance_percentage = 100
    max_concurrent_percentage    = 25
  }

  lifecycle {
    ignore_changes = [administration_role_arn] # CloudFormation sets it by itself
  }
}

# IAM is global: the provider's own Region is enough.
resource "aws_cloudformation_stack_set_instance" "all" {
  stack_set_name = aws_cloudformation_stack_set.roles.name
  call_as        = var.call_as

  deployment_targets {
    organizational_unit_ids = data.aws_organizations_organization.this.roots[*].id
  }

  operation_preferences {
    failure_tolerance_percentage = 100
    max_concurrent_percentage    = 25
  }
}

# StackSets do not reach the management account.
module "management_account" {
  source = "../account"
  count  = var.call_as == "SELF" ? 1 : 0

  central_role_arn    = var.central_role_arn
  external_id         = var.external_id
  organization_id     = data.aws_organizations_organization.this.id
  reader_role_name    = var.reader_role_name
  enforcer_role_name  = var.enforcer_role_name
  role_path           = var.role_path
  with_enforcer       = var.with_enforcer
  allow_templates     = var.allow_templates
  allow_defaults      = var.allow_defaults
  allow_images        = var.allow_images
  allow_off           = var.allow_off
  instance_role_names = var.instance_role_names
}
