output "issuer" {
  description = "What the modules `role`, `rds-user` and `eks` take as `issuer`."
  value = {
    url      = var.issuer_url
    arn      = local.arn
    audience = var.audiences[0]
  }

  # Roles that trust it come after it.
  depends_on = [aws_iam_openid_connect_provider.this]
}

output "arn" {
  description = "The OIDC provider's ARN."
  value       = aws_iam_openid_connect_provider.this.arn
}

output "writ_issues" {
  description = "The lines of Writ's configuration that make the broker this issuer."
  value       = "[broker.issues]\nurl = ${jsonencode(var.issuer_url)}"
}
