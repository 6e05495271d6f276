output "reader_role_arn" {
  value = aws_iam_role.reader.arn
}

output "enforcer_role_arn" {
  description = "Empty where with_enforcer is false."
  value       = one(aws_iam_role.enforcer[*].arn)
}
