use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use writ_broker::config::{AnswersConfig, BrokerConfig, HumansConfig, PersonConfig, TargetConfig, WebhookConfig};
use writ_broker::identity::config::{CacheConfig, IssuerConfig};
use writ_broker::identity::review::ReviewConfig;
use writ_broker::issuer::IssuingConfig;
use writ_broker::rates::RatesConfig;
use writ_gateway::config::{Certificate, GatewayConfig, Listener, OAuth};
use writ_provider_aws::{
    AssumeConfig, AwsConfig, EksAccessConfig, EksConfig, RdsConfig, SecretsManagerConfig, Statement,
};
use writ_provider_azure::{AksAccessConfig, AzureConfig, AzureDatabaseConfig, EntraConfig, KeyVaultSecretConfig};
use writ_provider_database::{DatabaseConfig, MysqlConfig, MysqlPasswordsConfig, PostgresPasswordsConfig};
use writ_provider_gcp::{
    CloudSqlConfig, FederationConfig, GcpConfig, GkeAccessConfig, GkeConfig, Rule, Scope, SecretManagerConfig,
};
use writ_provider_github::{GithubConfig, Scope as GithubScope};
use writ_provider_kubernetes::{AssertionConfig, KubernetesConfig, KubernetesSecretConfig};
use writ_provider_openbao::{DynamicConfig, KvConfig, OpenbaoConfig};
use writ_provider_ssh::{SshConfig, Terms};
use writ_provider_static::StaticConfig;

use super::registry::TABLES;
use super::*;
use crate::compose::config::{Config, LinkConfig, ProviderTable};
use crate::compose::health::TelemetryConfig;
use crate::compose::sources::SourceTable;
use crate::compose::telemetry::LogConfig;
use crate::compose::turns::RotationTable;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn table(head: &str) -> &'static Table {
    TABLES.iter().find(|table| table.head == head).unwrap_or_else(|| panic!("{head} is in the registry"))
}

/// The names that a type knows, from its refusal of one that it does not.
fn known<T: DeserializeOwned>() -> BTreeSet<String> {
    let refusal = toml::from_str::<T>("not-a-setting = 1").err().expect("an unknown setting is refused");
    let message = refusal.message();
    let (_, expected) = message.split_once(", expected ").unwrap_or_else(|| panic!("names are listed: {message}"));
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn same<T: DeserializeOwned>(head: &str) {
    let named: BTreeSet<String> = table(head).settings.iter().map(|setting| setting.name.to_owned()).collect();
    assert_eq!(named, known::<T>(), "{head}");
}

#[test]
fn the_registry_names_what_the_types_have_and_nothing_else() {
    same::<Config>("top level");
    same::<BrokerConfig<ProviderTable>>("[broker]");
    same::<RatesConfig>("[broker.rates]");
    same::<IssuerConfig>("[[broker.issuer]]");
    same::<IssuingConfig>("[broker.issues]");
    same::<CacheConfig>("[broker.issuer.cache]");
    same::<ReviewConfig>("[broker.issuer.review]");
    same::<TargetConfig<ProviderTable>>("[[broker.target]]");
    same::<DatabaseConfig>("[broker.target.provider.database]");
    same::<MysqlConfig>("[broker.target.provider.mysql]");
    same::<StaticConfig<SourceTable, RotationTable>>("[broker.target.provider.static]");
    same::<RotationTable>("[broker.target.provider.static.rotation]");
    same::<PostgresPasswordsConfig>("[broker.target.provider.static.rotation.postgres]");
    same::<MysqlPasswordsConfig>("[broker.target.provider.static.rotation.mysql]");
    same::<SecretsManagerConfig>("[broker.target.provider.static.source.aws-secretsmanager]");
    same::<SecretManagerConfig>("[broker.target.provider.static.source.gcp-secretmanager]");
    same::<KeyVaultSecretConfig>("[broker.target.provider.static.source.azure-keyvault]");
    same::<KubernetesSecretConfig>("[broker.target.provider.static.source.kubernetes-secret]");
    same::<AwsConfig>("[broker.target.provider.aws]");
    same::<Statement>("[[broker.target.provider.aws.scopes.NAME]]");
    same::<AssumeConfig>("[broker.target.provider.aws.assume]");
    same::<RdsConfig>("[broker.target.provider.rds]");
    same::<EksConfig>("[broker.target.provider.eks]");
    same::<KubernetesConfig<EksAccessConfig, AksAccessConfig, GkeAccessConfig>>("[broker.target.provider.kubernetes]");
    same::<EksAccessConfig>("[broker.target.provider.kubernetes.eks]");
    same::<AksAccessConfig>("[broker.target.provider.kubernetes.aks]");
    same::<AzureConfig>("[broker.target.provider.azure]");
    same::<EntraConfig>("[broker.target.provider.azure.entra]");
    same::<AzureDatabaseConfig>("[broker.target.provider.azure_database]");
    same::<AssertionConfig>("[broker.target.provider.kubernetes.assertion]");
    same::<OpenbaoConfig>("[broker.target.provider.openbao]");
    same::<KvConfig>("[broker.target.provider.openbao.kv]");
    same::<DynamicConfig>("[broker.target.provider.openbao.dynamic]");
    same::<GkeAccessConfig>("[broker.target.provider.kubernetes.gke]");
    same::<GcpConfig>("[broker.target.provider.gcp]");
    same::<Scope>("[broker.target.provider.gcp.scopes.NAME]");
    same::<Rule>("[[broker.target.provider.gcp.scopes.NAME.boundary]]");
    same::<FederationConfig>("[broker.target.provider.gcp.federation]");
    same::<CloudSqlConfig>("[broker.target.provider.cloudsql]");
    same::<GkeConfig>("[broker.target.provider.gke]");
    same::<SshConfig>("[broker.target.provider.ssh]");
    same::<Terms>("[broker.target.provider.ssh.scopes.NAME]");
    same::<GithubConfig>("[broker.target.provider.github]");
    same::<GithubScope>("[broker.target.provider.github.scopes.NAME]");
    same::<HumansConfig>("[broker.humans]");
    same::<GatewayConfig>("[gateway]");
    same::<Listener>("[[gateway.listeners]]");
    same::<OAuth>("[gateway.listeners.oauth]");
    same::<Certificate>("[gateway.listeners.certificate]");
    same::<LinkConfig>("[link]");
    same::<TelemetryConfig>("[telemetry]");
    same::<LogConfig>("[log]");
    same::<WebhookConfig>("[[broker.webhook]]");
    same::<AnswersConfig>("[broker.webhook.answers]");
    same::<PersonConfig>("[[broker.webhook.answers.people]]");
    assert_eq!(TABLES.len(), 55, "each table stands above");
}

/// The settings that stand in the table itself, as TOML.
fn body(head: &str, skip: &[&str]) -> String {
    let settings = table(head).settings.iter();
    let plain = settings.filter(|setting| !setting.example.is_empty() && !skip.contains(&setting.name));
    plain.fold(String::new(), |mut text, setting| {
        let _ = writeln!(text, "{} = {}", setting.name, setting.example);
        text
    })
}

fn maximal(provider: &str) -> String {
    let mut text = String::new();
    let mut add = |head: &str, of: &str, skip: &[&str]| {
        let _ = writeln!(text, "{head}\n{}", body(of, skip));
    };
    add("[broker]", "[broker]", &[]);
    add("[broker.rates]", "[broker.rates]", &[]);
    add("[[broker.issuer]]", "[[broker.issuer]]", &["cache", "review"]);
    add("[broker.issuer.cache]", "[broker.issuer.cache]", &[]);
    add("[broker.issuer.review]", "[broker.issuer.review]", &[]);
    add("[broker.issues]", "[broker.issues]", &[]);
    add("[[broker.webhook]]", "[[broker.webhook]]", &[]);
    add("[broker.webhook.answers]", "[broker.webhook.answers]", &[]);
    add("[[broker.webhook.answers.people]]", "[[broker.webhook.answers.people]]", &[]);
    add("[[broker.target]]", "[[broker.target]]", &[]);
    let from = format!("[broker.target.provider.{provider}]");
    add(&from, &from, &[]);
    if provider == "aws" {
        let scope = "[[broker.target.provider.aws.scopes.NAME]]";
        add(scope, scope, &[]);
    }
    if matches!(provider, "ssh" | "github") {
        let scope = format!("[broker.target.provider.{provider}.scopes.NAME]");
        add(&scope, &scope, &[]);
    }
    if matches!(provider, "aws" | "rds" | "eks") {
        add(&format!("[broker.target.provider.{provider}.assume]"), "[broker.target.provider.aws.assume]", &[]);
    }
    if provider == "kubernetes" {
        let assertion = "[broker.target.provider.kubernetes.assertion]";
        add(assertion, assertion, &[]);
        let eks = "[broker.target.provider.kubernetes.eks]";
        add(eks, eks, &[]);
        let aks = "[broker.target.provider.kubernetes.aks]";
        add(aks, aks, &[]);
        let gke = "[broker.target.provider.kubernetes.gke]";
        add(gke, gke, &[]);
        let federation = "[broker.target.provider.gcp.federation]";
        add("[broker.target.provider.kubernetes.gke.federation]", federation, &[]);
    }
    if matches!(provider, "azure" | "azure_database") {
        add(&format!("[broker.target.provider.{provider}.entra]"), "[broker.target.provider.azure.entra]", &[]);
    }
    if provider == "static" {
        let source = "[broker.target.provider.static.source.kubernetes-secret]";
        add(source, source, &[]);
        for rotation in [
            "[broker.target.provider.static.rotation]",
            "[broker.target.provider.static.rotation.postgres]",
            "[broker.target.provider.static.rotation.mysql]",
        ] {
            add(rotation, rotation, &[]);
        }
    }
    if provider == "openbao" {
        for table in ["[broker.target.provider.openbao.kv]", "[broker.target.provider.openbao.dynamic]"] {
            add(table, table, &[]);
        }
    }
    if provider == "gcp" {
        let scope = "[broker.target.provider.gcp.scopes.NAME]";
        add(scope, scope, &[]);
        let rule = "[[broker.target.provider.gcp.scopes.NAME.boundary]]";
        add(rule, rule, &[]);
    }
    if matches!(provider, "gcp" | "cloudsql" | "gke") {
        let federation = "[broker.target.provider.gcp.federation]";
        add(&format!("[broker.target.provider.{provider}.federation]"), federation, &[]);
    }
    add("[broker.humans]", "[broker.humans]", &[]);
    add("[broker.humans.issuer]", "[[broker.issuer]]", &[]);
    add("[gateway]", "[gateway]", &[]);
    add("[[gateway.listeners]]", "[[gateway.listeners]]", &["certificate", "oauth"]);
    add("[gateway.listeners.oauth]", "[gateway.listeners.oauth]", &[]);
    add("[gateway.listeners.certificate]", "[gateway.listeners.certificate]", &[]);
    add("[link]", "[link]", &[]);
    add("[telemetry]", "[telemetry]", &[]);
    add("[log]", "[log]", &[]);
    text
}

#[test]
fn a_file_with_every_setting_is_read() {
    for provider in [
        "database",
        "mysql",
        "static",
        "aws",
        "rds",
        "eks",
        "kubernetes",
        "azure",
        "azure_database",
        "openbao",
        "gcp",
        "cloudsql",
        "gke",
        "ssh",
        "github",
    ] {
        let text = maximal(provider);
        let read = crate::toml_file::parse::<Config>("writ.toml", &text);
        read.unwrap_or_else(|mistake| panic!("{mistake}\n{text}"));
    }
}

/// A required setting that is left out is missed, an optional one is not.
fn required<T: DeserializeOwned>(head: &str, rest: &str) {
    for setting in table(head).settings {
        let text = format!("{}{rest}", body(head, &[setting.name]));
        let rest_has_it = rest.lines().any(|line| line.starts_with(&format!("{} =", setting.name)));
        if setting.example.is_empty() || rest_has_it {
            continue;
        }
        assert_eq!(toml::from_str::<T>(&text).is_err(), setting.default.is_none(), "{head} {}", setting.name);
    }
}

#[test]
fn what_must_be_given_is_what_the_types_require() {
    let provider = "[provider.static]\nuser = \"app\"\n";
    required::<BrokerConfig<ProviderTable>>("[broker]", "");
    required::<WebhookConfig>("[[broker.webhook]]", "");
    required::<PersonConfig>("[[broker.webhook.answers.people]]", "");
    required::<IssuerConfig>("[[broker.issuer]]", "");
    required::<IssuingConfig>("[broker.issues]", "");
    required::<CacheConfig>("[broker.issuer.cache]", "");
    required::<ReviewConfig>("[broker.issuer.review]", "");
    required::<TargetConfig<ProviderTable>>("[[broker.target]]", provider);
    required::<DatabaseConfig>("[broker.target.provider.database]", "");
    required::<MysqlConfig>("[broker.target.provider.mysql]", "");
    required::<StaticConfig<SourceTable, RotationTable>>("[broker.target.provider.static]", "");
    required::<RotationTable>("[broker.target.provider.static.rotation]", "");
    required::<PostgresPasswordsConfig>("[broker.target.provider.static.rotation.postgres]", "");
    required::<MysqlPasswordsConfig>("[broker.target.provider.static.rotation.mysql]", "");
    required::<SecretsManagerConfig>("[broker.target.provider.static.source.aws-secretsmanager]", "");
    required::<SecretManagerConfig>("[broker.target.provider.static.source.gcp-secretmanager]", "");
    required::<KeyVaultSecretConfig>("[broker.target.provider.static.source.azure-keyvault]", "");
    required::<KubernetesSecretConfig>("[broker.target.provider.static.source.kubernetes-secret]", "");
    required::<AwsConfig>("[broker.target.provider.aws]", "");
    required::<Statement>("[[broker.target.provider.aws.scopes.NAME]]", "");
    required::<AssumeConfig>("[broker.target.provider.aws.assume]", "");
    required::<RdsConfig>("[broker.target.provider.rds]", "");
    required::<EksConfig>("[broker.target.provider.eks]", "");
    required::<KubernetesConfig<EksAccessConfig, AksAccessConfig, GkeAccessConfig>>(
        "[broker.target.provider.kubernetes]",
        "",
    );
    required::<EksAccessConfig>("[broker.target.provider.kubernetes.eks]", "");
    required::<AksAccessConfig>("[broker.target.provider.kubernetes.aks]", "");
    required::<AzureConfig>("[broker.target.provider.azure]", "");
    required::<EntraConfig>("[broker.target.provider.azure.entra]", "");
    required::<AzureDatabaseConfig>("[broker.target.provider.azure_database]", "");
    required::<AssertionConfig>("[broker.target.provider.kubernetes.assertion]", "");
    required::<OpenbaoConfig>("[broker.target.provider.openbao]", "");
    required::<KvConfig>("[broker.target.provider.openbao.kv]", "");
    required::<DynamicConfig>("[broker.target.provider.openbao.dynamic]", "");
    required::<GkeAccessConfig>("[broker.target.provider.kubernetes.gke]", "");
    required::<GcpConfig>("[broker.target.provider.gcp]", "");
    required::<Scope>("[broker.target.provider.gcp.scopes.NAME]", "");
    required::<Rule>("[[broker.target.provider.gcp.scopes.NAME.boundary]]", "");
    required::<FederationConfig>("[broker.target.provider.gcp.federation]", "");
    required::<CloudSqlConfig>("[broker.target.provider.cloudsql]", "");
    required::<GkeConfig>("[broker.target.provider.gke]", "");
    required::<SshConfig>("[broker.target.provider.ssh]", "");
    required::<Terms>("[broker.target.provider.ssh.scopes.NAME]", "");
    required::<GithubConfig>("[broker.target.provider.github]", "");
    required::<GithubScope>("[broker.target.provider.github.scopes.NAME]", "");
    required::<GatewayConfig>("[gateway]", "[[listeners]]\nlisten = \"127.0.0.1:0\"\n");
    required::<Listener>("[[gateway.listeners]]", "");
    required::<OAuth>("[gateway.listeners.oauth]", "");
    required::<Certificate>("[gateway.listeners.certificate]", "");
    required::<LinkConfig>("[link]", "");
    required::<TelemetryConfig>("[telemetry]", "");
    required::<LogConfig>("[log]", "");
}

/// Stated or left out, the same comes of it.
fn defaults<T: DeserializeOwned + std::fmt::Debug>(head: &str, rest: &str) {
    let in_rest = |name: &str| rest.lines().any(|line| line.starts_with(&format!("{name} =")));
    let (mut given, mut optional) = (String::new(), Vec::new());
    for setting in table(head).settings {
        match setting.default {
            None if !setting.example.is_empty() && !in_rest(setting.name) => {
                let _ = writeln!(given, "{} = {}", setting.name, setting.example);
            }
            None | Some("") => {}
            Some(default) => optional.push((setting.name, default)),
        }
    }
    let read =
        |text: &str| format!("{:?}", toml::from_str::<T>(text).unwrap_or_else(|error| panic!("{error}: {text}")));
    let left_out = read(&format!("{given}{rest}"));
    for (name, default) in optional {
        let value = format!("x = {default}");
        let value =
            if toml::from_str::<toml::Table>(&value).is_ok() { default.to_owned() } else { format!("{default:?}") };
        assert_eq!(read(&format!("{name} = {value}\n{given}{rest}")), left_out, "{head} {name}");
    }
}

#[test]
fn the_stated_defaults_are_the_types_own() {
    defaults::<BrokerConfig<ProviderTable>>("[broker]", "");
    defaults::<RatesConfig>("[broker.rates]", "");
    defaults::<IssuerConfig>("[[broker.issuer]]", "");
    defaults::<IssuingConfig>("[broker.issues]", "");
    defaults::<CacheConfig>("[broker.issuer.cache]", "");
    defaults::<ReviewConfig>("[broker.issuer.review]", "");
    defaults::<TargetConfig<ProviderTable>>("[[broker.target]]", "[provider.static]\nuser = \"app\"\n");
    defaults::<DatabaseConfig>("[broker.target.provider.database]", "");
    defaults::<MysqlConfig>("[broker.target.provider.mysql]", "");
    defaults::<StaticConfig<SourceTable, RotationTable>>("[broker.target.provider.static]", "");
    defaults::<RotationTable>("[broker.target.provider.static.rotation]", "");
    defaults::<PostgresPasswordsConfig>("[broker.target.provider.static.rotation.postgres]", "");
    defaults::<MysqlPasswordsConfig>("[broker.target.provider.static.rotation.mysql]", "");
    defaults::<SecretsManagerConfig>("[broker.target.provider.static.source.aws-secretsmanager]", "");
    defaults::<SecretManagerConfig>("[broker.target.provider.static.source.gcp-secretmanager]", "");
    defaults::<KeyVaultSecretConfig>("[broker.target.provider.static.source.azure-keyvault]", "");
    defaults::<KubernetesSecretConfig>("[broker.target.provider.static.source.kubernetes-secret]", "");
    defaults::<AwsConfig>("[broker.target.provider.aws]", "");
    defaults::<Statement>("[[broker.target.provider.aws.scopes.NAME]]", "");
    defaults::<AssumeConfig>("[broker.target.provider.aws.assume]", "");
    defaults::<RdsConfig>("[broker.target.provider.rds]", "");
    defaults::<EksConfig>("[broker.target.provider.eks]", "");
    defaults::<KubernetesConfig<EksAccessConfig, AksAccessConfig, GkeAccessConfig>>(
        "[broker.target.provider.kubernetes]",
        "",
    );
    defaults::<EksAccessConfig>("[broker.target.provider.kubernetes.eks]", "");
    defaults::<AksAccessConfig>("[broker.target.provider.kubernetes.aks]", "");
    defaults::<AzureConfig>("[broker.target.provider.azure]", "");
    defaults::<EntraConfig>("[broker.target.provider.azure.entra]", "");
    defaults::<AzureDatabaseConfig>("[broker.target.provider.azure_database]", "");
    defaults::<AssertionConfig>("[broker.target.provider.kubernetes.assertion]", "");
    defaults::<OpenbaoConfig>("[broker.target.provider.openbao]", "");
    defaults::<KvConfig>("[broker.target.provider.openbao.kv]", "");
    defaults::<DynamicConfig>("[broker.target.provider.openbao.dynamic]", "");
    defaults::<GkeAccessConfig>("[broker.target.provider.kubernetes.gke]", "");
    defaults::<GcpConfig>("[broker.target.provider.gcp]", "");
    defaults::<Scope>("[broker.target.provider.gcp.scopes.NAME]", "");
    defaults::<Rule>("[[broker.target.provider.gcp.scopes.NAME.boundary]]", "");
    defaults::<FederationConfig>("[broker.target.provider.gcp.federation]", "");
    defaults::<CloudSqlConfig>("[broker.target.provider.cloudsql]", "");
    defaults::<GkeConfig>("[broker.target.provider.gke]", "");
    defaults::<SshConfig>("[broker.target.provider.ssh]", "");
    defaults::<Terms>("[broker.target.provider.ssh.scopes.NAME]", "");
    defaults::<GithubConfig>("[broker.target.provider.github]", "");
    defaults::<GithubScope>("[broker.target.provider.github.scopes.NAME]", "");
    defaults::<GatewayConfig>("[gateway]", "[[listeners]]\nlisten = \"127.0.0.1:0\"\n");
    defaults::<Listener>("[[gateway.listeners]]", "");
    defaults::<LinkConfig>("[link]", "");
    defaults::<LogConfig>("[log]", "");
}

#[test]
fn the_checked_in_reference_is_the_printed_one() {
    let path = root().join("docs").join("configuration.md");
    if std::env::var_os("WRIT_BLESS").is_some() {
        std::fs::write(&path, reference()).expect("the reference is written");
    }
    let found = std::fs::read_to_string(&path).expect("the reference is checked in");
    assert!(found == reference(), "`docs/configuration.md` is out of date: run this test with WRIT_BLESS=1");
}
