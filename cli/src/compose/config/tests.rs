//! What `writ check` says of typical mistakes: the file, the line, what is wrong, and what to write instead.

use std::path::{Path, PathBuf};

/// A configuration without a mistake, and every file that it names.
struct Sound {
    directory: tempfile::TempDir,
    text: String,
}

impl Sound {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        std::fs::create_dir(at.join("policies")).unwrap();
        std::fs::write(at.join("policies/one.cedar"), POLICY).unwrap();
        for secret in ["admin-token", "login.password"] {
            crate::private::replace(&at.join(secret), b"0123456789abcdef0123456789abcdef").unwrap();
        }
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(at.join("chain.pem"), made.cert.pem()).unwrap();
        crate::private::replace(&at.join("chain.key"), made.signing_key.serialize_pem().as_bytes()).unwrap();
        std::fs::write(at.join("broken.pem"), "-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n").unwrap();
        let text = SOUND.replace("@", &at.display().to_string());
        Self { directory, text }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What is said when `from` stands as `to`, and the line on which it stands.
    fn said(&self, from: &str, to: &str) -> (String, usize) {
        let at = self.directory.path().display().to_string();
        let (from, to) = (from.replace("@/", &format!("{at}/")), to.replace("@/", &format!("{at}/")));
        let (before, _) = self.text.split_once(&from).unwrap_or_else(|| panic!("`{from}` stands in the file"));
        let line = before.matches('\n').count() + 1;
        let said = check(&self.path("writ.toml"), &self.text.replacen(&from, &to, 1));
        (said.replace(&format!("{at}/"), ""), line)
    }
}

fn check(path: &Path, text: &str) -> String {
    std::fs::write(path, text).unwrap();
    crate::compose::run::check(path).map_or_else(|failure| failure.to_string(), |()| "nothing".to_owned())
}

const POLICY: &str = "@id(\"one\")\n@ttl(\"15m\")\npermit (principal, action, resource);\n";

const SOUND: &str = r#"[log]
format = "json"

[broker]
listen = "127.0.0.1:7000"
url = "https://127.0.0.1:7000"
state = "@/broker"
policies = "@/policies"
audience = "writ"
admin_token_file = "@/admin-token"
max_ttl = "1h"

[[broker.issuer]]
name = "ci"
issuer = "https://issuer.example"
algorithms = ["ES256"]
max_lifetime = "10m"

[[broker.target]]
name = "payments"
host = "db.example"
port = 5432
tls = "verify-full"

[broker.target.provider.database]
user = "writ_broker"
password_file = "@/login.password"
database = "payments"

[link]
state = "@/gateway"
broker_grace = "60s"

[gateway]
workers = 2
idle_timeout = "1h"

[[gateway.listeners]]
listen = "127.0.0.1:6432"
certificate = { chain = "@/chain.pem", key = "@/chain.key" }
"#;

/// What is written, what is written instead, how many lines behind its first the mistake stands, and what is said of it.
const MISTAKES: &[(&str, &str, usize, &str)] = &[
    ("[log]", "[logs]", 0, "there is no setting `logs` here"),
    ("format = \"json\"", "format = \"xml\"", 0, "`json`"),
    ("format = \"json\"", "filter = \"a=b=c\"", 0, "log.filter"),
    ("audience = ", "audiance = ", 0, "did you mean `audience`?"),
    ("port = 5432", "port = \"5432\"", 0, "write a whole number from 0 to 65535, without quotes"),
    ("port = 5432", "port = 70000", 0, "invalid value: integer `70000`"),
    ("max_ttl = \"1h\"", "max_ttl = \"1 hour\"", 0, "not a duration: write numbers with their units"),
    ("max_ttl = \"1h\"", "max_ttl = 3600", 0, "text in quotes"),
    ("max_ttl = \"1h\"", "max_ttl = \"400d\"", 0, "`400d` is out of range"),
    ("max_ttl = \"1h\"", "max_ttl = \"8000h\"", 0, "out of range: write 1s to"),
    ("listen = \"127.0.0.1:7000\"", "listen = \"localhost\"", 0, "write the address in figures and the port"),
    ("url = \"https://127.0.0.1:7000\"", "url = \"http://127.0.0.1:7000\"", 0, "write it as `https://host:port`"),
    ("url = \"https://127.0.0.1:7000\"", "url = \"https://127.0.0.1:7000/v1\"", 0, "without a path"),
    ("audience = \"writ\"", "audience = \"\"", 0, "name the audience"),
    ("policies = \"@/policies\"", "policies = \"@/nowhere\"", 0, "nowhere"),
    ("issuer = \"https://issuer.example\"", "issuer = \"http://issuer.example\"", 0, "https"),
    ("issuer = \"https://issuer.example\"", "issuer = \"issuer.example\"", 0, "or an https address"),
    ("algorithms = [\"ES256\"]", "algorithms = []", 0, "algorithm"),
    ("algorithms = [\"ES256\"]", "algorithms = [\"HS256\"]", 0, "HS256"),
    ("algorithms = [\"ES256\"]", "algorithms = [\"none\"]", 0, "none"),
    ("max_lifetime = \"10m\"", "max_lifetime = \"10m\"\njwks_file = \"@/jwks.json\"", 1, "jwks.json"),
    ("name = \"ci\"\n", "", 0, "the setting `name` is missing"),
    ("tls = \"verify-full\"", "tls = \"prefer\"", 0, "prefer"),
    ("tls = \"verify-full\"", "tls = \"disable\"", 0, "loopback addresses alone"),
    ("port = 5432", "port = 5432\nca_file = \"@/nowhere.pem\"", 1, "nowhere.pem"),
    ("[broker.target.provider.database]", "[broker.target.provider.oracle]", 0, "oracle"),
    ("password_file = \"@/login.password\"", "password_file = \"@/nothing\"", 0, "nothing"),
    ("password_file = \"@/login.password\"", "password = \"hunter2\"", 0, "did you mean `password_file`?"),
    ("broker_grace = \"60s\"", "broker_grace = \"60\"", 0, "not a duration: write"),
    ("idle_timeout = \"1h\"", "idle_timeout = \"0s\"", 0, "is not a duration"),
    ("workers = 2", "workers = -2", 0, "-2"),
    ("workers = 2", "workers = 0", 0, "write from 1"),
    ("listen = \"127.0.0.1:6432\"", "listen = \"127.0.0.1:7000\"", 0, "`127.0.0.1:7000` is the broker's own"),
    ("chain = \"@/chain.pem\"", "chain = \"@/broken.pem\"", 0, "`broken.pem` cannot be used: it is not PEM"),
    ("chain = \"@/chain.pem\"", "chain = \"@/none.pem\"", 0, "none.pem"),
    ("key = \"@/chain.key\"", "key = \"@/chain.pem\"", 0, "`chain.pem` cannot be used: it holds no private key in PEM"),
    ("listen = \"127.0.0.1:6432\"", "listen = \"127.0.0.1:6432\"\nauth = \"oauthbearer\"", 1, "add `oauth = "),
    (
        "listen = \"127.0.0.1:6432\"",
        "listen = \"127.0.0.1:6432\"\nproxy_protocol_from = [\"10.0.0.0/40\"]",
        1,
        "10.0.0.0/40",
    ),
    ("[gateway]", "[gateway", 0, "help: write `]`"),
];

#[test]
fn a_sound_file_is_taken() {
    let sound = Sound::new();
    assert_eq!(check(&sound.path("writ.toml"), &sound.text), "nothing");
}

#[test]
fn each_mistake_is_named_with_its_line() {
    let sound = Sound::new();
    let mut wrong = String::new();
    for (from, to, further, words) in MISTAKES {
        let (said, line) = sound.said(from, to);
        // A missing setting is missing from its table.
        let place = if to.is_empty() { "writ.toml:".to_owned() } else { format!("writ.toml:{}:", line + further) };
        if !said.contains(words) || !said.contains(&place) {
            wrong.push_str(&format!("{from} -> {to}\n  wanted `{place}` and `{words}`\n  said {said}\n"));
        }
        assert!(!said.contains("hunter2"), "a secret is shown: {said}");
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_provider_that_does_not_fit_its_target_is_named() {
    let sound = Sound::new();
    let (table, _) = SOUND.split_once("[broker.target.provider.database]\n").unwrap().1.split_once("\n[link]").unwrap();
    let table =
        format!("[broker.target.provider.database]\n{table}").replace("@", &sound.path("").display().to_string());
    let table = table.replace("//", "/");
    assert!(sound.text.contains(&table), "{table}");
    let role = "region = \"eu-west-1\"\nrole_arn = \"arn:aws:iam::123456789012:role/r\"";
    let tenant =
        "tenant_id = \"aaaabbbb-0000-cccc-1111-dddd2222eeee\"\nclient_id = \"00001111-aaaa-2222-bbbb-3333cccc4444\"";
    let scope = "scopes = { all = [{ actions = [\"*\"], resources = [\"*\"] }] }";
    let password = "user_field = \"username\"\npassword_field = \"password\"";
    let openbao = |address: &str, given: &str| {
        format!(
            "[broker.target.provider.openbao]\naddress = \"{address}\"\nrole = \"writ\"\naudience = \"bao\"\n{given}\n\
             dynamic = {{ path = \"database/creds/a\", notes = \"writ\" }}"
        )
    };
    let from = |source: &str| format!("[broker.target.provider.static]\nuser = \"app\"\nsource = {{ {source} }}");
    let google = "service_account = \"r@p.iam.gserviceaccount.com\"\nfederation = { by = \"broker\" }";
    let oauth = "scopes = { all = { oauth = [\"https://www.googleapis.com/auth/cloud-platform\"] } }";
    for (provider, words) in [
        (format!("[broker.target.provider.aws]\n{role}\n{scope}"), "write `protocol = \"aws\"`"),
        (format!("[broker.target.provider.eks]\n{role}\ncluster = \"prod\""), "write `protocol = \"kubernetes\"`"),
        (format!("[broker.target.provider.eks]\n{role}\ncluster = \"/\""), "no cluster's name"),
        ("[broker.target.provider.rds]\nregion = \"eu-west-1\"\nuser = \"app\"".to_owned(), "is no endpoint of RDS"),
        ("[broker.target.provider.rds]\nregion = \"eu\"\nuser = \"app\"".to_owned(), "write a region's name"),
        (format!("[broker.target.provider.azure]\n{tenant}\nresource = \"arm\""), "write `protocol = \"azure\"`"),
        (format!("[broker.target.provider.azure]\n{tenant}\nresource = \"all\""), "which is no resource"),
        (format!("[broker.target.provider.azure_database]\n{tenant}"), "no `user`: write it"),
        (
            "[broker.target.provider.kubernetes]\nservice_account = \"a/b\"\n[broker.target.provider.kubernetes.aks]\ntenant_id = \"x\"\nclient_id = \"y\"".to_owned(),
            "write the tenant's id",
        ),
        (openbao("https://bao.example", "fields = [\"username\"]"), "a database takes a user's password"),
        (openbao("http://bao.example", password), "is no address of an OpenBao"),
        (from("kubernetes-secret = { secret = \"legacy\", key = \"a\" }"), "write `namespace/name`"),
        (from("aws-secretsmanager = { region = \"eu\", secret = \"a\" }"), "write a region's name"),
        (from("hashicorp-vault = { secret = \"a\" }"), "write one of `file`, `env`, `aws-secretsmanager`"),
        (from("env = \"A=B\""), "is not a name"),
        (from("file = \"/nowhere/at/all\""), "/nowhere/at/all"),
        (format!("[broker.target.provider.gcp]\n{google}\n{oauth}"), "write `protocol = \"gcp\"`"),
        ("[broker.target.provider.gcp]".to_owned(), "no service account"),
        ("[broker.target.provider.cloudsql]".to_owned(), "no service account"),
        (
            "[broker.target.provider.kubernetes]\nservice_account = \"a/b\"\ngke = { service_account = \"c\" }".to_owned(),
            "is no service account's address",
        ),
    ] {
        let said = check(&sound.path("writ.toml"), &sound.text.replace(&table, &provider));
        assert!(said.contains(words), "`{words}`: {said}");
    }
    let trusted = sound.text.replace(&table, &openbao("https://bao.example", password));
    assert!(check(&sound.path("writ.toml"), &trusted).contains("add `[broker.issues]`"));
    let trusted = trusted.replacen("[[broker.issuer]]", "[broker.issues]\n\n[[broker.issuer]]", 1);
    assert_eq!(check(&sound.path("writ.toml"), &trusted), "nothing");
    let secret = "secret = \"shop/orders\", key = \"password\"";
    let cluster = "assertion = { audience = \"k8s\" }, server = \"https://k8s.example\"";
    let trusted = trusted.replace(
        &openbao("https://bao.example", password),
        &from(&format!("kubernetes-secret = {{ {secret}, {cluster} }}")),
    );
    assert_eq!(check(&sound.path("writ.toml"), &trusted), "nothing");
    for provider in [
        from("env = \"APP_PASSWORD\""),
        from("aws-secretsmanager = { region = \"eu-west-1\", secret = \"prod/orders\" }"),
    ] {
        assert_eq!(check(&sound.path("writ.toml"), &sound.text.replace(&table, &provider)), "nothing");
    }
    let endpoint = "payments.abc.eu-west-1.rds.amazonaws.com";
    let rds = "[broker.target.provider.rds]\nregion = \"eu-west-1\"\nuser = \"app\"";
    let text = sound.text.replace(&table, rds).replace("db.example", endpoint);
    assert_eq!(check(&sound.path("writ.toml"), &text), "nothing");
    let issues = "[broker.issues]\nkms_key = \"alias/writ\"\n\n[[broker.issuer]]";
    let said = check(&sound.path("writ.toml"), &sound.text.replacen("[[broker.issuer]]", issues, 1));
    assert!(said.contains("write the key's ARN"), "{said}");
    for (key, words) in [
        ("https://writ.vault.azure.net/keys/issuer", "write the key's identifier with its version"),
        ("projects/p/locations/l/keyRings/r/cryptoKeys/k", "is no version of a key: write its resource name"),
    ] {
        let issues = issues.replace("alias/writ", key);
        let said = check(&sound.path("writ.toml"), &sound.text.replacen("[[broker.issuer]]", &issues, 1));
        assert!(said.contains(words), "{said}");
    }
}

/// A certificate for one host is nothing to another, unless both are written so.
#[test]
fn an_authority_is_shared_only_where_both_targets_say_so() {
    let sound = Sound::new();
    let said = |web: &str, other: &str| {
        let target = |name: &str, more: &str| {
            format!(
                "[[broker.target]]\nname = \"{name}\"\nprotocol = \"ssh\"\nhost = \"{name}.example\"\n\n\
                 [broker.target.provider.ssh]\nuser = \"deploy\"\n{more}\n\n"
            )
        };
        let both = format!("{}{}[link]", target("web", web), target("other", other));
        check(&sound.path("writ.toml"), &sound.text.replacen("[link]", &both, 1))
    };
    for (web, other, whose) in [
        ("", "authority = \"web\"", "web"),
        ("", "other_authorities = [\"next\", \"web\"]", "web"),
        ("authority = \"other\"", "other_authorities = [\"next\"]", "other"),
        ("other_authorities = [\"other\"]", "", "other"),
    ] {
        let said = said(web, other);
        let words = format!(
            "the authority `{whose}` is the target `{whose}`'s own: write another name, or `authority = \"{whose}\"`"
        );
        assert!(said.contains(&words) && said.matches("writ.toml:").count() == 1, "{web} {other}: {said}");
    }
    for (web, other) in [
        ("authority = \"web\"", "authority = \"web\""),
        ("authority = \"fleet\"", "authority = \"fleet\"\nother_authorities = [\"web\"]"),
        ("authority = \"next\"\nother_authorities = [\"web\"]", ""),
        ("other_authorities = [\"next\"]", "authority = \"payments\""),
    ] {
        assert_eq!(said(web, other), "nothing", "{web} {other}");
    }
}

#[test]
fn an_admin_token_that_opens_nothing_is_named() {
    use std::os::unix::fs::PermissionsExt as _;
    let sound = Sound::new();
    let file = sound.path("admin-token");
    crate::private::replace(&file, b"short").unwrap();
    let said = check(&sound.path("writ.toml"), &sound.text);
    assert!(said.contains("broker.admin_token_file") && said.contains("has 5 characters"), "{said}");
    crate::private::replace(&file, b"0123456789abcdef0123456789abcdef\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let said = check(&sound.path("writ.toml"), &sound.text);
    assert!(said.contains("can be read by others (mode 644)"), "{said}");
    // Whoever is done with the first steps removes it.
    std::fs::remove_file(&file).unwrap();
    assert_eq!(check(&sound.path("writ.toml"), &sound.text), "nothing");
}

#[test]
fn a_rotation_that_cannot_work_is_named() {
    let sound = Sound::new();
    let at = sound.directory.path().display();
    std::fs::write(sound.path("secret.json"), r#"{"username":"app_a","password":"hunter2"}"#).unwrap();
    let database = format!(
        "[broker.target.provider.database]\nuser = \"writ_broker\"\npassword_file = \"{at}/login.password\"\ndatabase = \"payments\"\n"
    );
    let rotated = |place: &str, rotation: &str, login: &str| {
        let text = format!(
            "[broker.target.provider.static]\n{place}\n\n[broker.target.provider.static.rotation]\n{rotation}\n\n\
             [broker.target.provider.static.rotation.{login}]\nuser = \"rotator\"\npassword_file = \"{at}/login.password\"\n"
        );
        assert!(sound.text.contains(&database));
        check(&sound.path("writ.toml"), &sound.text.replace(&database, &text))
    };
    let file = format!("password_file = \"{at}/secret.json\"");
    let turns = "users = [\"app_a\", \"app_b\"]\nevery = \"30d\"";
    assert_eq!(rotated(&file, turns, "postgres"), "nothing");
    let secret = "source = { aws-secretsmanager = { region = \"eu-west-1\", secret = \"a\"";
    for (place, rotation, login, words) in [
        (file.as_str(), "users = [\"app_a\"]\nevery = \"30d\"", "postgres", "`users` names 1: write two"),
        (&file, "users = [\"app_a\", \"rotator\"]\nevery = \"30d\"", "postgres", "write a login of its own"),
        (&file, "users = [\"app_a\", \"app_b\"]\nevery = \"1h\"", "postgres", "sessions last up to `1h`"),
        (&file, "users = [\"app_a\", \"app_b\"]\nevery = \"59m\"", "postgres", "write `1h` to `366d`"),
        (&file, "users = [\"app_a\", \"app_b\"]\nevery = 30", "postgres", "text in quotes"),
        (&file, turns, "mysql", "write `protocol = \"mysql\"`"),
        (&format!("user = \"app_a\"\n{file}"), turns, "postgres", "leave `user` out"),
        ("password_env = \"PATH\"", turns, "postgres", "keep it in a file or in one of the services"),
        ("source = { env = \"PATH\" }", turns, "postgres", "keep it in a file or in one of the services"),
        (&format!("{secret}, stage = \"AWSPREVIOUS\" }} }}"), turns, "postgres", "leave it out"),
    ] {
        let said = rotated(place, rotation, login);
        assert!(said.contains(words) && !said.contains("hunter2"), "{place} {rotation}: {said}");
    }
    let none = rotated(&file, turns, "postgres.x");
    assert!(none.contains("there is no setting `x`") || none.contains("missing"), "{none}");
}

#[test]
fn two_targets_do_not_change_one_password() {
    let sound = Sound::new();
    let at = sound.directory.path().display().to_string();
    for name in ["one.json", "two.json"] {
        std::fs::write(sound.path(name), r#"{"username":"app_a","password":"hunter2"}"#).unwrap();
    }
    std::os::unix::fs::symlink(sound.path("one.json"), sound.path("link.json")).unwrap();
    let target = |name: &str, host: &str, place: &str, users: &str, login: &str| {
        format!(
            "\n[[broker.target]]\nname = \"{name}\"\nhost = \"{host}\"\n\n[broker.target.provider.static]\n{place}\n\n\
             [broker.target.provider.static.rotation]\nusers = [{users}]\nevery = \"30d\"\n\n\
             [broker.target.provider.static.rotation.postgres]\nuser = \"rotator\"\npassword_file = \"{at}/login.password\"\n{login}\n"
        )
    };
    let file = |name: &str| format!("password_file = \"{at}/{name}\"");
    let aws = |secret: &str| {
        format!("source = {{ aws-secretsmanager = {{ region = \"eu-west-1\", secret = \"{secret}\" }} }}")
    };
    let (ab, bc, cd) = ("\"app_a\", \"app_b\"", "\"app_b\", \"app_c\"", "\"app_c\", \"app_d\"");
    let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/a-AbCdEf";
    let kubernetes = |key: &str| {
        format!("source = {{ kubernetes-secret = {{ secret = \"a/b\", key = \"{key}\", in_cluster = true }} }}")
    };
    let google = "source = { gcp-secretmanager = { secret = \"projects/acme-prod/secrets/a\" } }".to_owned();
    let azure = |name: &str| {
        format!("source = {{ azure-keyvault = {{ secret = \"https://{name}.vault.azure.net/secrets/a\" }} }}")
    };
    for (one, other, host, users, login, words) in [
        (file("one.json"), file("one.json"), "b.example", cd, "", Some("its secret")),
        (file("one.json"), file("link.json"), "b.example", cd, "", Some("its secret")),
        (file("one.json"), format!("source = {{ file = \"{at}/one.json\" }}"), "b.example", cd, "", Some("its secret")),
        (aws("prod/a"), aws(arn), "b.example", cd, "", Some("its secret")),
        (kubernetes("c"), kubernetes("c"), "b.example", cd, "", Some("its secret")),
        (google.clone(), google, "b.example", cd, "", Some("its secret")),
        (azure("acme"), azure("acme"), "b.example", cd, "", Some("its secret")),
        (file("one.json"), file("two.json"), "A.example", bc, "", Some("its user `app_b`")),
        (file("one.json"), file("two.json"), "b.example", ab, "host = \"a.example\"", Some("its user `app_a`")),
        (file("one.json"), file("two.json"), "b.example", ab, "", None),
        (file("one.json"), file("two.json"), "a.example", ab, "port = 5433", None),
        (file("one.json"), file("two.json"), "a.example", cd, "", None),
        (aws("prod/a"), aws("prod/b"), "b.example", ab, "", None),
        (kubernetes("c"), kubernetes("d"), "b.example", ab, "", None),
        (azure("acme"), azure("other"), "b.example", ab, "", None),
    ] {
        let added = target("first", "a.example", &one, ab, "") + &target("second", host, &other, users, login);
        let text = sound.text.replace("\n[link]\n", &format!("{added}\n[link]\n"));
        let said = check(&sound.path("writ.toml"), &text);
        match words {
            Some(words) => {
                let whole = format!("broker.target `second`: {words} takes turns for the target `first` too");
                assert!(said.contains(&whole) && !said.contains("hunter2"), "{other} {host} {users}: {said}");
            }
            // What is not on this machine may be missing here.
            None => assert!(!said.contains("takes turns"), "{other} {host} {users}: {said}"),
        }
    }
}

#[test]
fn every_mistake_is_reported_at_once() {
    let sound = Sound::new();
    let text =
        sound.text.replace("audience = \"writ\"", "audience = \"\"").replace("max_ttl = \"1h\"", "max_ttl = \"0s\"");
    let said = check(&sound.path("writ.toml"), &text.replace("chain.pem", "broken.pem"));
    for words in ["name the audience", "out of range", "broken.pem"] {
        assert!(said.contains(words), "`{words}`: {said}");
    }
}

#[test]
fn a_policy_is_checked_with_its_file_and_line() {
    let sound = Sound::new();
    let policy = sound.path("policies/two.cedar");
    for (text, words) in [
        ("@id(\"two\")\n@tll(\"15m\")\npermit (principal, action, resource);", "tll"),
        ("@id(\"two\")\n@ttl(\"soon\")\npermit (principal, action, resource);", "soon"),
        ("@id(\"one\")\npermit (principal, action, resource);", "one"),
        ("permit (principal, action, resource)", "two.cedar"),
        ("@id(\"two\")\npermit (principal, action == Writ::Action::\"fly\", resource);", "fly"),
    ] {
        std::fs::write(&policy, text).unwrap();
        let said = check(&sound.path("writ.toml"), &sound.text);
        assert!(said.contains("two.cedar:") && said.contains(words), "{text}: {said}");
    }
}

#[test]
fn the_files_in_the_documents_have_the_right_form() {
    for name in ["docs/install.md", "docs/examples/writ.toml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
        let text = std::fs::read_to_string(path).unwrap();
        let blocks: Vec<&str> = match name.ends_with(".toml") {
            true => vec![&text],
            false => text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect(),
        };
        assert!(!blocks.is_empty(), "{name}");
        for block in blocks {
            crate::toml_file::parse::<super::Config>(name, block).unwrap_or_else(|mistake| panic!("{mistake}"));
        }
    }
}
