output "user_data_role_arn" {
  value = aws_iam_role.user_data.arn
}
