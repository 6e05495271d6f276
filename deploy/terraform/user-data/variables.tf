variable "central_role_arn" {
  description = "The role imdsdash itself runs as, in the central account. It exists already."
  type        = string
  validation {
    condition     = can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/", var.central_role_arn))
    error_message = "central_role_arn must be the ARN of an IAM role."
  }
}

variable "external_id" {
  description = "The same text as IMDSDASH_EXTERNAL_ID."
  type        = string
  sensitive   = true
  validation {
    condition     = can(regex("^[A-Za-z0-9_+=,.@:/-]+$", var.external_id)) && length(var.external_id) >= 16 && length(var.external_id) <= 1224
    error_message = "external_id has 16 to 1224 characters of A-Z a-z 0-9 _ + = , . @ : / -"
  }
}

variable "organization_id" {
  description = "The organization the central role belongs to. Empty only where there is none."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^(o-[a-z0-9]{10,32})?$", var.organization_id))
    error_message = "organization_id looks like o-a1b2c3d4e5."
  }
}

variable "user_data_role_name" {
  description = "Its ARN belongs in IMDSDASH_USER_DATA_ROLE."
  type        = string
  default     = "imdsdash-userdata"
}
