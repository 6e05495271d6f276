variable "central_role_name" {
  description = "The name, without path, of the role imdsdash runs as. It exists already."
  type        = string
}

variable "reader_role_name" {
  description = "The same text as IMDSDASH_READER_ROLE, with its path."
  type        = string
  default     = "imdsdash-reader"
}

variable "enforcer_role_name" {
  description = "The same text as IMDSDASH_ENFORCER_ROLE, with its path."
  type        = string
  default     = "imdsdash-enforcer"
}

variable "monitoring_role_name" {
  description = "The role of ../monitoring."
  type        = string
  default     = "imdsdash-monitoring"
}

variable "user_data_role_name" {
  description = "The role of ../user-data, with its path."
  type        = string
  default     = "imdsdash-userdata"
}
