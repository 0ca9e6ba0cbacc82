//! Credentials of AWS: role sessions by STS, login tokens of RDS and Aurora, tokens for EKS.
