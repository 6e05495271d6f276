# One account, with credentials of that account.

variable "external_id" {
  description = "The same text as IMDSDASH_EXTERNAL_ID; say it as TF_VAR_external_id."
  type        = string
  sensitive   = true
}

module "imdsdash" {
  source = "../../account"

  central_role_arn = "arn:aws:iam::111122223333:role/imdsdash"
  external_id      = var.external_id
  organization_id  = "o-a1b2c3d4e5"
}
