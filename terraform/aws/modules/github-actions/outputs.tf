output "role_arn" {
  description = "The role's ARN: `role-to-assume` in the workflow, or `role_arn` of a target with `assume = { by = \"workload\" }`."
  value       = aws_iam_role.this.arn
}

output "subject" {
  description = "The one subject that is let in."
  value       = local.subject
}

output "provider_arn" {
  description = "The OIDC provider's ARN."
  value       = local.provider_arn
}

output "trust_policy" {
  description = "The trust policy as it was written, to read or to test."
  value       = aws_iam_role.this.assume_role_policy
}

output "writ_assume" {
  description = "For a target in Writ's configuration that is to get this role by the job's own token: the settings of its provider."
  value       = "role_arn = ${jsonencode(aws_iam_role.this.arn)}\nassume = { by = \"workload\" }"
}
