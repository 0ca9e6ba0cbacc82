//! No secret stands where somebody can read it: not in logs, metrics, evidence, files, processes, nor in what a client is told.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use writ_core::credential::{Fingerprint, Secret};
use writ_world::stack::Stack;

use super::canary::{Canary, Place, files, found, minted, processes};
use super::evidence::{admin, eventually};

const STATIC_PASSWORD: &str = "canary-static-0f6d1c93b7";
/// What signs what receivers of webhooks are told, what signs their answers, and the address that lets anybody write there.
const WEBHOOK: [&str; 3] =
    ["canary-webhook-5b1e7a90c4d2", "canary-answers-c81f0d6e35a7", "canary-address-92ad47be10f3"];
/// What only the customer's own database and the customer may see.
const CUSTOMERS: &str = "canary-customer-4111-1111";

/// With a channel that is told of approvals.
fn stack() -> (Stack, TcpListener) {
    let channel = TcpListener::bind("127.0.0.1:0").unwrap();
    channel.set_nonblocking(true).unwrap();
    let stack = Stack::start_with(&[], |cluster, at, configuration| {
        let port = cluster.port();
        std::fs::write(at.join("static.password"), STATIC_PASSWORD).unwrap();
        let policy = "@id(\"static\")\n@record(\"full\")\npermit (principal is Writ::Workload, action in \
                      Writ::Action::\"use\", resource == Writ::Target::\"fixed\");\n\
                      @id(\"held\") @hold(\"2m\") @role(\"app\")\npermit (principal is Writ::Workload, action == \
                      Writ::Action::\"connect\", resource == Writ::Target::\"payments\")\n\
                      when { context has database && context.database == \"template1\" };\n";
        std::fs::write(at.join("policies/static.cedar"), policy).unwrap();
        let target = format!(
            "\n[[broker.target]]\nname = \"fixed\"\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"disable\"\n\n\
             [broker.target.provider.static]\nuser = \"fixed\"\npassword_file = \"{}/static.password\"\n",
            at.display()
        );
        Ok(configuration.replace("filter = \"info\"", "filter = \"debug\"")
            + &target
            + &webhook(at, channel.local_addr().unwrap().port()))
    })
    .unwrap();
    stack.superuser(&format!("create role fixed login password '{STATIC_PASSWORD}'")).unwrap();
    // From here on the server's log holds everything that it can.
    for setting in ["log_statement = 'all'", "log_min_duration_statement = 0", "log_connections = on"] {
        stack.superuser(&format!("alter system set {setting}")).unwrap();
    }
    stack.superuser("alter system set log_error_verbosity = verbose").unwrap();
    stack.superuser("select pg_reload_conf()").unwrap();
    eventually(|| stack.superuser("show log_statement").and_then(|all| if all == "all" { Ok(()) } else { Err(all) }))
        .unwrap();
    (stack, channel)
}

fn webhook(at: &Path, port: u16) -> String {
    let [secret, answers, address] = WEBHOOK;
    for (name, secret) in [("webhook.secret", secret), ("answers.secret", answers)] {
        std::fs::write(at.join(name), secret).unwrap();
        std::fs::set_permissions(at.join(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let at = at.display();
    format!(
        "\n[[broker.webhook]]\nname = \"ops\"\nformat = \"slack\"\nurl = \"http://127.0.0.1:{port}/services/{address}\"\n\
         secret_file = \"{at}/webhook.secret\"\n\n[broker.webhook.answers]\nsecret_file = \"{at}/answers.secret\"\n\n\
         [[broker.webhook.answers.people]]\nid = \"U1\"\nissuer = \"https://people.test\"\nsubject = \"ann\"\n"
    )
}

/// A question that the channel is told and refuses, and an answer that it did not sign.
fn asked(stack: &Stack, channel: &TcpListener) -> Vec<Place> {
    let mut held = psql(stack, "payments", &stack.token().unwrap(), "select 1");
    let held = held.env("PGDATABASE", "template1").env("PGCONNECT_TIMEOUT", "60");
    let mut held = held.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let told =
        eventually(|| channel.accept().map_err(|error| error.to_string())).map(|(connection, _)| refuse(connection));
    let listed = admin(stack, &["approvals", "ls", "--json"]);
    held.kill().unwrap();
    held.wait().unwrap();
    let told = told.unwrap();
    assert!(String::from_utf8_lossy(&told).contains("template1"), "the channel is told of it");
    eventually(|| {
        let log = std::fs::read_to_string(stack.state().join("serve.log")).map_err(|error| error.to_string())?;
        if log.contains("a webhook was refused") { Ok(()) } else { Err("the log does not say so".to_owned()) }
    })
    .unwrap();
    let headers = "X-Slack-Request-Timestamp: 1\nX-Slack-Signature: v0=00\n";
    vec![
        Place::new("what the channel is told", told),
        Place::new("writ approvals ls", listed.unwrap()),
        curl(stack, "/v1/webhooks/ops/answers", &["--header", "@-", "--data", "payload=x"], headers),
    ]
}

/// Refuses a request; returns its body.
fn refuse(mut connection: TcpStream) -> Vec<u8> {
    connection.set_nonblocking(false).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let (mut read, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let count = connection.read(&mut part).unwrap();
        assert!(count > 0, "the request ended early");
        read.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&read).to_ascii_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
        if body.len() >= length.unwrap() {
            connection
                .write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                .unwrap();
            return body.as_bytes().to_vec();
        }
    }
}

/// Everything that is secret here, and where it may stand.
fn canaries(stack: &Stack) -> Vec<Canary> {
    let at = stack.state();
    let keys = std::fs::read_dir(at.join("broker/keys")).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<Canary> =
        keys.filter(|path| path.extension() == Some("key".as_ref())).map(|path| Canary::key(&path)).collect();
    assert_eq!(all.len(), 6, "the keys of the CA, the ledger, bundles, session tokens, recordings and masks");
    all.extend(["key.der", "opening.key"].map(|name| Canary::key(&at.join("gateway/identity").join(name))));
    for name in ["login.password", "static.password", "admin-token"] {
        let Ok(secret) = std::fs::read(at.join(name)) else { continue };
        all.push(Canary::new(name, secret.trim_ascii(), &[at.join(name)]));
    }
    for (secret, name) in WEBHOOK.iter().zip(["webhook.secret", "answers.secret", "writ.toml"]) {
        if at.join("webhook.secret").exists() {
            all.push(Canary::new(name, secret.as_bytes(), &[at.join(name)]));
        }
    }
    // The claims of a token may be known; who has its signature has the token.
    let signatures = stack.secrets().into_iter().filter_map(|token| Some(token.rsplit_once('.')?.1.to_owned()));
    all.extend(signatures.map(|signature| Canary::new("a token's signature", signature.as_bytes(), &[])));
    all
}

fn psql(stack: &Stack, user: &str, token: &str, statement: &str) -> Command {
    let mut psql = stack.client(Path::new("/usr/bin/psql"), token);
    psql.env("PGUSER", user).args(["-X", "-c", statement]);
    psql
}

/// What a client or `writ` printed, to either stream.
fn told(name: &str, command: &mut Command) -> Place {
    let output = command.output().unwrap();
    Place::new(name, [output.stdout, output.stderr].concat())
}

/// Asks the broker as curl does; what is secret comes on standard input.
fn curl(stack: &Stack, path: &str, arguments: &[&str], input: &str) -> Place {
    let mut command = Command::new("/usr/bin/curl");
    command.args(["--silent", "--show-error", "--include", "--max-time", "20", "--cacert"]).arg(stack.authority());
    command.args(arguments).arg(stack.broker() + path);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Place::new(format!("the answer of {path}"), [output.stdout, output.stderr].concat())
}

/// Everything that goes wrong, and what each client is told.
fn refusals(stack: &Stack) -> Vec<Place> {
    let used = stack.token().unwrap();
    let forged = format!("{}AAAA", stack.token().unwrap());
    let mut all = vec![
        told("a good session", &mut psql(stack, "payments", &used, "select 1")),
        told("a replay", &mut psql(stack, "payments", &used, "select 1")),
        told("a forged token", &mut psql(stack, "payments", &forged, "select 1")),
        told("an unknown target", &mut psql(stack, "nothing", &stack.token().unwrap(), "select 1")),
        told(
            "an unknown database",
            psql(stack, "payments", &stack.token().unwrap(), "select 1").env("PGDATABASE", "x"),
        ),
        told("a plain connection", psql(stack, "payments", &used, "select 1").env("PGSSLMODE", "disable")),
        told("no SQL", &mut psql(stack, "payments", &stack.token().unwrap(), "selec 1")),
        told("its own role", &mut psql(stack, "payments", &stack.token().unwrap(), "\\du")),
    ];
    // A token that was pasted where the user name belongs. psql itself prints the user names that it is given.
    let mut misplaced = psql(stack, &stack.token().unwrap(), "", "select 1");
    misplaced.env("PGPASSWORD", "x");
    all.push(told("a token as user name", &mut misplaced));
    let exchange = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&audience=payments\
                    &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&subject_token=";
    all.push(curl(stack, "/v1/token", &["--data", "@-"], &format!("{exchange}{forged}")));
    all.push(curl(stack, "/v1/writs", &["--header", "@-"], &format!("Authorization: Bearer {used}\n")));
    all.push(curl(stack, "/v1/gateways/enrol", &["--json", "@-"], &format!("{{\"join_token\":\"{used}\"}}")));
    let wrong = psql(stack, "fixed", &stack.token().unwrap(), "select 'x'::int").output().unwrap();
    all.push(Place::new("an error of the target", [wrong.stdout, wrong.stderr].concat()));
    all
}

fn slow(stack: &Stack, user: &str) -> Child {
    let statement = format!("select '{CUSTOMERS}', pg_sleep(60)");
    let mut psql = psql(stack, user, &stack.token().unwrap(), &statement);
    psql.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn pages(stack: &Stack) -> Vec<Place> {
    let sessions = admin(stack, &["sessions", "ls", "--json"]).unwrap();
    let page: Value = serde_json::from_str(&sessions).unwrap();
    let mut all = vec![Place::new("writ sessions ls", sessions)];
    for row in page["items"].as_array().unwrap() {
        let (session, writ) = (row["id"].as_str().unwrap(), row["writ"]["id"].as_str().unwrap());
        for arguments in
            [["sessions", "show", session].as_slice(), &["writs", "show", writ], &["ledger", "prove", writ]]
        {
            let output = stack.writ(arguments).unwrap();
            all.push(Place::new(format!("writ {}", arguments.join(" ")), [output.stdout, output.stderr].concat()));
        }
    }
    for arguments in
        [["writs", "ls", "--json"].as_slice(), &["gateways", "ls"], &["ledger", "verify"], &["ledger", "key"]]
    {
        all.push(Place::new(format!("writ {}", arguments.join(" ")), admin(stack, arguments).unwrap()));
    }
    let token = std::fs::read_to_string(stack.state().join("admin-token")).unwrap();
    let bearer = format!("Authorization: Bearer {}\n", token.trim());
    for path in ["/metrics", "/v1/me", "/v1/sessions", "/v1/writs", "/v1/gateways"] {
        all.push(curl(stack, path, &["--header", "@-"], &bearer));
        assert!(String::from_utf8_lossy(&all.last().unwrap().bytes).contains(" 200"), "{path}");
    }
    for path in ["/healthz", "/readyz", "/openapi.json", "/v1/login", "/ledger/checkpoint"] {
        all.push(curl(stack, path, &[], ""));
    }
    all
}

/// What anybody on the machine, the operator included, can read.
fn public(stack: &Stack) -> Vec<Place> {
    let mut all = files(stack.state());
    all.extend(stack.ids().into_iter().flat_map(processes));
    let postmaster = std::fs::read_to_string(stack.cluster().data().join("postmaster.pid")).unwrap();
    let target = processes(postmaster.lines().next().unwrap().parse().unwrap());
    assert!(target.iter().any(|place| String::from_utf8_lossy(&place.bytes).contains("postgres: ")));
    all.extend(target);
    all
}

fn fingerprints(stack: &Stack) -> Vec<String> {
    let page: Value = serde_json::from_str(&admin(stack, &["writs", "ls", "--json"]).unwrap()).unwrap();
    let rows = page["items"].as_array().unwrap().clone();
    rows.iter().filter_map(|row| row["credential"]["fingerprint"].as_str().map(str::to_owned)).collect()
}

#[test]
fn no_secret_stands_where_somebody_can_read_it() {
    let (stack, channel) = stack();
    let session_token = stack.session_token().unwrap();
    let mut places = vec![told("a session token", &mut psql(&stack, "payments", &session_token, "select 1"))];
    places.extend(refusals(&stack));
    places.extend(asked(&stack, &channel));
    // In the midst of sessions, with their spools open and their roles alive.
    let mut running = [slow(&stack, "payments"), slow(&stack, "fixed")];
    eventually(|| {
        let count = stack.superuser("select count(*) from pg_stat_activity where query like '%pg_sleep(60)%'")?;
        if count == "3" { Ok(()) } else { Err(count) }
    })
    .unwrap();
    places.extend(public(&stack));
    for child in &mut running {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    places.extend(pages(&stack));
    places.extend(public(&stack));
    let target = Place::new("the target's own log", stack.cluster().log());
    let canaries = canaries(&stack);
    let fingerprints = fingerprints(&stack);
    assert!(canaries.len() > 20 && places.len() > 100 && fingerprints.len() > 5);

    // The target's own log has the statements. Nobody else has them in the clear.
    let customers = [Canary::new("the customer's data", CUSTOMERS.as_bytes(), &[])];
    assert_eq!(found(&customers, std::slice::from_ref(&target)).len(), 1);
    assert!(String::from_utf8_lossy(&target.bytes).contains("CREATE ROLE \"writ-"), "the log has what mints");
    assert_eq!(found(&customers, &places), Vec::<String>::new());

    places.push(target);
    assert_eq!(found(&canaries, &places), Vec::<String>::new());
    assert_eq!(minted(&fingerprints, &places), Vec::<String>::new());
}

/// Each secret in each form, in each kind of place: the search above would have found it.
#[test]
fn the_search_finds_what_is_planted() {
    let stack = Stack::start().unwrap();
    let session_token = stack.session_token().unwrap();
    let canaries = canaries(&stack);
    for canary in &canaries {
        for (number, form) in canary.forms().iter().enumerate() {
            let planted = [b"level=debug text=\"", form.as_slice(), b"\" next"].concat();
            let place = Place::new("a log", planted);
            assert_eq!(
                found(std::slice::from_ref(canary), &[place]),
                [format!("{} in a log", canary.name)],
                "{number}"
            );
        }
    }
    // Each key is what its file holds.
    for place in files(stack.state()) {
        let own = canaries.iter().filter(|canary| canary.owned_by(&place));
        let copy = Place::new("a copy", &*place.bytes);
        own.for_each(|canary| assert_eq!(found(std::slice::from_ref(canary), std::slice::from_ref(&copy)).len(), 1));
    }
    let planted = |places: &[Place]| found(&canaries, places);
    assert_eq!(planted(&public(&stack)), Vec::<String>::new());
    let secret = session_token.rsplit_once('.').unwrap().1;
    let log = stack.state().join("serve.log");
    writeln!(std::fs::File::options().append(true).open(log).unwrap(), "a debug line with {secret}").unwrap();
    std::fs::write(stack.state().join("gateway/spool/planted"), STANDARD.encode([b"xy", secret.as_bytes()].concat()))
        .unwrap();
    let mut child = Command::new("/bin/sleep").arg("60").env("LEFT_OVER", secret).spawn().unwrap();
    stack.superuser("alter system set log_statement = 'all'").unwrap();
    stack.superuser("select pg_reload_conf()").unwrap();
    let mut all = planted(&public(&stack));
    all.extend(planted(&processes(child.id())));
    child.kill().unwrap();
    child.wait().unwrap();
    eventually(|| {
        stack.superuser(&format!("select '{secret}'"))?;
        if planted(&[Place::new("the target's log", stack.cluster().log())]).is_empty() {
            Err(String::new())
        } else {
            Ok(())
        }
    })
    .unwrap();
    for kind in ["serve.log", "planted", "environ"] {
        assert_eq!(all.iter().filter(|place| place.ends_with(kind)).count(), 1, "{kind} of {all:?}");
    }

    let password = "Zm9vYmFyYmF6cXV4MDEyMzQ1Njc4OWFiY2RlZmdoaWo";
    let fingerprint = Fingerprint::of_random(&Secret::new(password.into())).as_str().to_owned();
    let place = Place::new("a log", format!("password=x{password}y"));
    assert_eq!(minted(&[fingerprint], &[place]), ["a minted password in a log"]);
}

/// A crash writes no memory to a disk, whatever the limits say.
#[test]
fn a_crash_leaves_no_core() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("writ.toml");
    assert!(Command::new("/usr/bin/mkfifo").arg(&fifo).status().unwrap().success());
    let stack = super::shared().unwrap();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "ulimit -S -c $(ulimit -H -c); exec \"$0\" \"$@\""]).arg(stack.binary());
    let mut child = command.args(["check", "--config", "writ.toml"]).current_dir(directory.path()).spawn().unwrap();
    // Opened once the other side reads: then it is well past its start.
    let pipe = std::fs::File::options().write(true).open(&fifo).unwrap();
    assert!(Command::new("/bin/kill").args(["-ABRT", &child.id().to_string()]).status().unwrap().success());
    drop(pipe);
    let status = child.wait().unwrap();
    assert_eq!((status.signal(), status.core_dumped()), (Some(6), false));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}
