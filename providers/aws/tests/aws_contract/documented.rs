//! What the documentation says to paste.

use serde_json::Value;

const AWS: &str = include_str!("../../../../docs/providers/aws.md");
const RDS: &str = include_str!("../../../../docs/providers/rds.md");

/// The block number `number` of a kind that stands after a text.
fn block<'a>(guide: &'a str, after: &str, kind: &str, number: usize) -> &'a str {
    let from = guide.find(after).unwrap_or_else(|| panic!("`{after}` is not in the guide")) + after.len();
    let fence = format!("```{kind}\n");
    let mut blocks = guide[from..].split(&fence).skip(1);
    blocks.nth(number).unwrap().split("```").next().unwrap()
}

fn setting(text: &str, provider: &str) -> Value {
    let text: toml::Table = toml::from_str(text).unwrap();
    let text = serde_json::to_value(text).unwrap();
    text["broker"]["target"][0]["provider"][provider].clone()
}

/// The settings of the provider `aws`.
pub(crate) fn aws_settings() -> Value {
    setting(block(AWS, "# The providers", "toml", 0), "aws")
}

/// The settings of the provider `eks`.
pub(crate) fn eks_settings() -> Value {
    setting(block(AWS, "## EKS", "toml", 0), "eks")
}

/// The settings of the provider `rds`, and the endpoint's name.
pub(crate) fn rds_settings() -> (Value, String) {
    let text = block(RDS, "# The provider", "toml", 0);
    let table: toml::Table = toml::from_str(text).unwrap();
    let host = serde_json::to_value(table).unwrap()["broker"]["target"][0]["host"].as_str().unwrap().to_owned();
    (setting(text, "rds"), host)
}

/// The trust of a role in Writ's issuer at `host`, for the target `target`.
pub(crate) fn trust_in_issuer(host: &str, target: &str) -> String {
    let text = block(AWS, "### `by = \"issuer\"`", "json", 0);
    replaced(
        text,
        &[("writ-issuer.s3.eu-west-1.amazonaws.com/prod", host), ("target:reports", &format!("target:{target}"))],
    )
}

/// The trust of a role in the workload's issuer at `host`.
pub(crate) fn trust_in_workload(host: &str) -> String {
    replaced(block(AWS, "### `by = \"workload\"`", "json", 0), &[("token.actions.githubusercontent.com", host)])
}

/// Whom that trust names.
pub(crate) fn workload_subject() -> String {
    let trust: Value = serde_json::from_str(&trust_in_workload("host")).unwrap();
    trust["Statement"][0]["Condition"]["StringEquals"]["host:sub"].as_str().unwrap().to_owned()
}

/// The trust of a role in the broker's own identity.
pub(crate) fn trust_in_broker(arn: &str) -> String {
    let text = block(AWS, "### `by = \"broker\"`", "json", 0);
    replaced(text, &[("arn:aws:iam::111122223333:role/writ-broker", arn)])
}

/// What the broker's own identity may do, and on which roles more.
pub(crate) fn broker_policy(more: &[&str]) -> String {
    let mut policy: Value = serde_json::from_str(block(AWS, "### `by = \"broker\"`", "json", 1)).unwrap();
    let roles = policy["Statement"][0]["Resource"].as_array_mut().unwrap();
    roles.extend(more.iter().map(|role| Value::from(format!("arn:aws:iam::123456789012:role/{role}"))));
    policy.to_string()
}

/// What whoever takes sessions back may do.
pub(crate) fn revoker_policy() -> String {
    let statement: Value = serde_json::from_str(block(AWS, "## How long, and how to cut short", "json", 0)).unwrap();
    serde_json::json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

/// What sessions may do that log in to the database.
pub(crate) fn login_policy() -> String {
    block(RDS, "Who signs may log in", "json", 0).to_owned()
}

/// What an admin runs in the database.
pub(crate) fn login_statements() -> &'static str {
    block(RDS, "## What an admin runs, once", "sql", 0)
}

/// Each must be there, or the documentation has changed.
fn replaced(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "`{from}` is not in the guide");
        text.replace(from, to)
    })
}
