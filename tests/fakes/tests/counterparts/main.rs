//! The fakes against clients that know nothing of them: the AWS CLI, boto3, psql. What is asked rightly must work to the end, and
//! each near miss must be refused with AWS's own code.

mod assume;
mod revocation;
mod s3;
mod support;
mod trouble;
mod web_identity;

mod rds;
