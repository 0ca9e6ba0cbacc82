//! Login tokens of RDS and Aurora, signed by aws-sdk-rds.
