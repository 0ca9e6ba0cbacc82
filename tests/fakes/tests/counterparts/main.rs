//! The fakes against clients that know nothing of them: the AWS CLI, boto3, psql. What is asked rightly must work to the end, and
//! each near miss must be refused with AWS's own code.

#![cfg_attr(test, expect(clippy::string_slice, reason = "tokens and times are ASCII"))]

#[cfg(test)]
mod assume;
#[cfg(test)]
mod rds;
#[cfg(test)]
mod revocation;
#[cfg(test)]
mod s3;
#[cfg(test)]
mod support;
#[cfg(test)]
mod trouble;
#[cfg(test)]
mod web_identity;
