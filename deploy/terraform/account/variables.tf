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

variable "reader_role_name" {
  description = "The same text as IMDSDASH_READER_ROLE, without a path."
  type        = string
  default     = "imdsdash-reader"
}

variable "enforcer_role_name" {
  description = "The same text as IMDSDASH_ENFORCER_ROLE, without a path."
  type        = string
  default     = "imdsdash-enforcer"
}

variable "role_path" {
  description = "The path of both roles. IMDSDASH_READER_ROLE=team/imdsdash-reader wants /team/ here."
  type        = string
  default     = "/"
}

variable "with_enforcer" {
  description = "With false, imdsdash can only read this account."
  type        = bool
  default     = true
}

variable "allow_templates" {
  description = "With true, the enforcer makes versions of launch templates, sets their defaults, and lets Auto Scaling groups launch them. Read deploy/README.md first: AWS checks that as a launch."
  type        = bool
  default     = false
}

variable "allow_defaults" {
  description = "With true, the enforcer sets what new launches in a Region get, and HttpTokensEnforced."
  type        = bool
  default     = false
}

variable "allow_images" {
  description = "With true, the enforcer flags AMIs with ImdsSupport v2.0, which can never be taken back."
  type        = bool
  default     = false
}

variable "allow_off" {
  description = "With true, the enforcer switches IMDS off, and on again, on instances that a plan names one by one."
  type        = bool
  default     = false
}

variable "instance_role_names" {
  description = "With allow_templates: the roles that instances of the groups have, as a pattern of names with their paths, such as app-*."
  type        = string
  default     = "*"
}
