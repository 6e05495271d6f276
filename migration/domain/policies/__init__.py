"""Guardrails as texts to copy: Terraform, CloudFormation, AWS CLI, organization and IAM policies. Pure: what is wanted
in, a text and what it does not do out. Nothing here is sent to AWS.
"""
