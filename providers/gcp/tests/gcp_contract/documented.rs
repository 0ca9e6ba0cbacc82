//! What the documentation says to paste.

use serde_json::Value;
use writ_fakes::gcp::PoolProvider;

const GCP: &str = include_str!("../../../../docs/providers/gcp.md");
const CLOUDSQL: &str = include_str!("../../../../docs/providers/cloudsql.md");

/// The block number `number` of a kind that stands after a text.
fn block<'a>(guide: &'a str, after: &str, kind: &str, number: usize) -> &'a str {
    let from = guide.find(after).unwrap_or_else(|| panic!("`{after}` is not in the guide")) + after.len();
    let fence = format!("```{kind}\n");
    let mut blocks = guide[from..].split(&fence).skip(1);
    blocks.nth(number).unwrap().split("```").next().unwrap()
}

fn settings(text: &str) -> Value {
    let text: toml::Table = toml::from_str(text).unwrap();
    serde_json::to_value(text).unwrap()
}

fn provider(text: &str, name: &str) -> Value {
    settings(text)["broker"]["target"][0]["provider"][name].clone()
}

/// The settings of the provider `gcp`.
pub(crate) fn gcp_settings() -> Value {
    provider(block(GCP, "# The providers", "toml", 0), "gcp")
}

/// The settings of the provider `cloudsql`.
pub(crate) fn cloudsql_settings() -> Value {
    provider(block(CLOUDSQL, "# The provider", "toml", 0), "cloudsql")
}

/// The settings of the provider `gke`.
pub(crate) fn gke_settings() -> Value {
    provider(block(GCP, "## GKE", "toml", 0), "gke")
}

/// How a GKE cluster lets the broker in.
pub(crate) fn gke_access() -> Value {
    provider(block(GCP, "## GKE", "toml", 1), "kubernetes")["gke"].clone()
}

/// `federation` where the workload's own token is shown.
pub(crate) fn workload_federation() -> Value {
    provider_federation(block(GCP, "### `by = \"workload\"`", "toml", 0))
}

fn provider_federation(text: &str) -> Value {
    settings(text)["broker"]["target"]["provider"]["gcp"]["federation"].clone()
}

/// The name of the issuer's key.
pub(crate) fn key_name() -> String {
    settings(block(GCP, "## The issuer's key in KMS", "toml", 0))["broker"]["issues"]["kms_key"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// The arguments of each command of a block.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    for line in text.replace("\\\n", " ").lines().filter(|line| !line.trim().is_empty()) {
        let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
        for c in line.chars().chain([' ']) {
            match (quote, c) {
                (Some(end), c) if c == end => quote = None,
                (None, '\'' | '"') => quote = Some(c),
                (None, ' ') => {
                    if !word.is_empty() {
                        words.push(std::mem::take(&mut word));
                    }
                }
                (_, c) => word.push(c),
            }
        }
        commands.push(words);
    }
    commands
}

/// The value of `--name=value`.
fn argument<'a>(command: &'a [String], name: &str) -> Option<&'a str> {
    command.iter().find_map(|word| word.strip_prefix("--")?.strip_prefix(name)?.strip_prefix('='))
}

/// The provider of a pool that the commands after a text make, for another issuer.
fn pool_provider(after: &str, issuer: &str) -> PoolProvider {
    let commands = commands(block(GCP, after, "sh", 0));
    let made = commands.iter().find(|command| command.iter().any(|word| word == "create-oidc")).unwrap();
    let pool = commands.iter().find(|command| command.iter().any(|word| word == "create")).unwrap();
    let after =
        |command: &[String], verb: &str| command[command.iter().position(|word| word == verb).unwrap() + 1].clone();
    assert_eq!(argument(made, "workload-identity-pool").unwrap(), after(pool, "create"));
    assert!(argument(made, "issuer-uri").unwrap().starts_with("https://"));
    let pairs = argument(made, "attribute-mapping").unwrap().split(',').map(|pair| pair.split_once('=').unwrap());
    let mut provider = PoolProvider::of(issuer);
    provider.pool = argument(made, "workload-identity-pool").unwrap().to_owned();
    provider.id = after(made, "create-oidc");
    provider.mapping = pairs.map(|(name, of)| (name.to_owned(), of.to_owned())).collect();
    provider.condition = argument(made, "attribute-condition").map(str::to_owned);
    provider.allowed_audiences = argument(made, "allowed-audiences").into_iter().map(str::to_owned).collect();
    provider
}

/// The provider that trusts Writ's issuer.
pub(crate) fn provider_of_issuer(issuer: &str) -> PoolProvider {
    pool_provider("### `by = \"issuer\"`", issuer)
}

/// The provider that trusts the workload's issuer.
pub(crate) fn provider_of_workloads(issuer: &str) -> PoolProvider {
    pool_provider("### `by = \"workload\"`", issuer)
}

/// Role and member of the binding after a text, in a block of that number.
fn binding(guide: &str, after: &str, number: usize) -> (String, String) {
    let commands = commands(block(guide, after, "sh", number));
    let bound = commands.iter().find(|command| command.iter().any(|word| word == "add-iam-policy-binding")).unwrap();
    (argument(bound, "role").unwrap().to_owned(), argument(bound, "member").unwrap().to_owned())
}

/// Whom a service account trusts in each way, for the target `target`.
pub(crate) fn bindings(target: &str) -> Vec<(String, String)> {
    let (role, member) = binding(GCP, "### `by = \"issuer\"`", 1);
    assert!(member.ends_with("subject/target:reports"));
    let of_target = (role, member.replace("target:reports", &format!("target:{target}")));
    vec![of_target, binding(GCP, "### `by = \"workload\"`", 0), binding(GCP, "### `by = \"broker\"`", 0)]
}

/// The role in the project that Cloud SQL's users have.
pub(crate) fn login_role() -> String {
    binding(CLOUDSQL, "## What an admin runs, once", 0).0
}

/// What an admin runs in the database.
pub(crate) fn login_statements() -> &'static str {
    block(CLOUDSQL, "## What an admin runs, once", "sql", 0)
}
