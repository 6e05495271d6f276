output "monitoring_role_arn" {
  value = aws_iam_role.monitoring.arn
}
