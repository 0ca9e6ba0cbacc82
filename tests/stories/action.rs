//! The action for GitHub Actions, on an emulated runner with the runner's own Node.js, through the real gateway to a real PostgreSQL.
//!
//! `runner` is the runner: its files, its variables, its token endpoint. `world` is what stands behind the gateway. `gitlab` and
//! `buildkite` are the other two platforms, whose parts are shell.

mod buildkite;
mod gitlab;
mod lint;
mod runner;
mod world;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use writ_world::stack::{TARGET, printed};

use self::runner::{Runner, Step};
use self::world::{FORBIDDEN, SECOND, World, world};
use super::canary::{Place, found, minted};
use super::evidence::{admin, eventually};

const PSQL: &str = "psql -X -A -t -v ON_ERROR_STOP=1";

/// Inputs for both targets, the second at a port.
fn both(world: &World) -> Vec<(&'static str, String)> {
    let mut inputs = world.inputs();
    inputs.push(("targets", format!("{TARGET}\n{SECOND}=0\n")));
    inputs
}

fn only(world: &World, target: &str) -> Vec<(&'static str, String)> {
    let mut inputs = world.inputs();
    inputs.push(("targets", target.to_owned()));
    inputs
}

#[test]
fn a_job_reaches_its_targets_and_leaves_nothing_behind() {
    let world = world();
    let mut runner = Runner::new(&world);
    let mut inputs = both(&world);
    inputs.extend([("ttl", "45m".to_owned()), ("reason", "migration 42 <b>".to_owned())]);
    inputs.push(("broker", format!("{}/", world.stack.broker())));
    let main = runner.main(&inputs);
    assert!(main.success, "{}", main.said);

    // What the steps that follow are told.
    assert_eq!(main.exported.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["PGSERVICEFILE"]);
    let services = Path::new(&main.exported[0].1).to_owned();
    assert!(services.starts_with(runner.temporary()), "{}", services.display());
    let addresses: Value = serde_json::from_str(main.output("addresses")).unwrap();
    let (socket, port) = (&addresses[TARGET], addresses[SECOND]["port"].as_u64().unwrap());
    assert_eq!((socket["user"].as_str(), socket["database"].as_str()), (Some(TARGET), Some(TARGET)));
    assert_eq!(addresses[SECOND]["host"], "127.0.0.1");
    assert!(main.output("expires-at").starts_with("20"), "{}", main.output("expires-at"));

    // Steps with an ordinary client, each connection under a token of its own.
    let asked = runner.tokens();
    let step = runner.step(&format!("{PSQL} service={TARGET} -c 'select current_user, current_database()'"));
    assert_eq!(step.said, "app|payments\n");
    let step =
        runner.step(&format!("for i in 1 2 3; do {PSQL} 'service={SECOND} dbname={TARGET}' -c 'select 6 * 7'; done"));
    assert_eq!(step.said, "42\n42\n42\n");
    let step = runner.step(&format!("{PSQL} -h 127.0.0.1 -p {port} -U anybody -d {TARGET} -c 'select 1'"));
    assert_eq!(step.said, "1\n");
    // One that knows no Unix sockets.
    let java = "public class One { public static void main(String[] url) throws Exception { \
                try (var session = java.sql.DriverManager.getConnection(url[0])) { \
                var rows = session.createStatement().executeQuery(\"select 6 * 7\"); rows.next(); \
                System.out.println(rows.getInt(1)); } } }";
    std::fs::write(runner.temporary().join("One.java"), java).unwrap();
    let url = format!("jdbc:postgresql://127.0.0.1:{port}/{TARGET}?user={SECOND}");
    let step = runner.step(&format!("java -cp /usr/share/java/postgresql.jar \"$RUNNER_TEMP/One.java\" '{url}'"));
    assert_eq!(step.said, "42\n");
    // What other steps set for servers of their own does not get in the way.
    let step = runner.step(&format!("export PGSSLMODE=verify-full; {PSQL} service={TARGET} -c 'select 2'"));
    assert_eq!(step.said, "2\n");
    assert_eq!(runner.tokens() - asked, 7);

    // Files for their owner alone, none of them in the workspace.
    let directory = services.parent().unwrap();
    assert_eq!(mode(directory), 0o700);
    for path in runner.written(directory) {
        assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
    }
    assert_eq!(runner.written(&runner.workspace()), Vec::<std::path::PathBuf>::new());

    let post = runner.post();
    assert!(post.success, "{}", post.said);
    assert_eq!(runner.left(), Vec::<String>::new());
    eventually(|| if live(&world) == 0 { Ok(()) } else { Err("a session lives".to_owned()) }).unwrap();

    // The summary names the writs, which the broker knows.
    assert!(
        post.summary.contains("| payments | 2 | 0 | ") && post.summary.contains("| reports | 5 | 0 | "),
        "{}",
        post.summary
    );
    assert!(post.summary.contains("migration 42 &lt;b&#62;"), "{}", post.summary);
    let writs = writs_in(&post.summary);
    assert_eq!(writs.len(), 7);
    // Which are those of the key that the way was opened with, for the reason that was given.
    let id = main.output("session-id");
    assert_eq!(main.output("session-url"), format!("{}/v1/sessions?key={id}", world.stack.broker()));
    assert!(post.summary.contains(&format!("`writ sessions ls --key={id}`")), "{}", post.summary);
    let listed = admin(&world.stack, &["sessions", "ls", &format!("--key={id}"), "--json"]).unwrap();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let listed = listed["items"].as_array().unwrap();
    assert_eq!(listed.iter().map(|one| one["writ"]["id"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>(), writs);
    let shown = admin(&world.stack, &["sessions", "show", listed[0]["id"].as_str().unwrap()]).unwrap();
    assert!(
        shown.contains(&format!("client key    {id}\n")) && shown.contains("reason        migration 42 <b>\n"),
        "{shown}"
    );
    for writ in writs {
        let shown = admin(&world.stack, &["writs", "show", &writ]).unwrap();
        assert!(shown.contains("octo-repo"), "{shown}");
    }
}

/// The example, step by step, with the addresses of this world in the place of its own.
#[test]
fn the_example_runs() {
    let world = world();
    let mut runner = Runner::new(&world);
    std::fs::copy(world.stack.roots(), runner.workspace().join("ca.pem")).unwrap();
    let migrations = "create table migrated (id int); insert into migrated values (1), (2);";
    std::fs::write(runner.workspace().join("migrations.sql"), migrations).unwrap();
    runner.program("writ", world.stack.binary());
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let gateway = format!("localhost:{}", world.stack.gateway_port());
    let text = std::fs::read_to_string(crate::coverage::root().join("examples/github-actions/workflow.yml")).unwrap();
    let job =
        runner::parsed(&text.replace("gateway.example:5432", &gateway).replace("15432", &free))["jobs"]["migrate"]
            .clone();
    assert_eq!((&job["permissions"]["id-token"], &job["environment"]), (&"write".into(), &"production".into()));

    let (mut addresses, mut said) = (String::new(), String::new());
    for step in job["steps"].as_array().unwrap() {
        let done = match (step["uses"].as_str().map(|uses| uses.split('@').next().unwrap()), step["run"].as_str()) {
            (Some("actions/checkout"), _) => continue,
            (Some("your-org/writ/action"), _) => {
                let inputs = step["with"].as_object().unwrap().iter();
                let inputs: Vec<_> =
                    inputs.map(|(name, value)| (name.as_str(), value.as_str().unwrap().to_owned())).collect();
                let done = runner.main(&inputs);
                addresses = done.output("addresses").to_owned();
                done
            }
            (None, Some(script)) => {
                for (name, value) in step["env"].as_object().into_iter().flatten() {
                    assert_eq!(value, "${{ steps.writ.outputs.addresses }}", "an expression that is not known here");
                    runner.set(name, &addresses);
                }
                runner.step(script)
            }
            other => panic!("a step that is not known here: {other:?}"),
        };
        assert!(done.success, "{step}: {}", done.said);
        said += &done.said;
    }
    assert!(said.contains("INSERT 0 2") && said.contains("     2\n(1 row)"), "{said}");
    let post = runner.post();
    assert!(post.success && post.summary.contains("Reason: migrations"), "{}", post.summary);
    assert_eq!(runner.left(), Vec::<String>::new());
    world.stack.superuser("drop table migrated").unwrap();
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn live(world: &World) -> usize {
    let page: Value =
        serde_json::from_str(&admin(&world.stack, &["sessions", "ls", "--live", "--json"]).unwrap()).unwrap();
    page["items"].as_array().unwrap().len()
}

fn writs_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
    words.filter(|word| word.len() == 31 && word.starts_with("writ-")).map(str::to_owned).collect()
}

/// In the midst of a session and after the job: nothing that opens anything, wherever the job could look.
#[test]
fn there_is_nothing_to_mask() {
    let world = world();
    let mut runner = Runner::new(&world);
    assert!(runner.main(&both(&world)).success);
    let mut session = runner.start(&format!(
        "{PSQL} service={TARGET} <<< $'select 1;\\n\\\\! touch $RUNNER_TEMP/up\\nselect pg_sleep(60);'"
    ));
    eventually(|| if runner.temporary().join("up").exists() { Ok(()) } else { Err("no session".to_owned()) }).unwrap();
    let mut places = runner.everything();
    assert!(places.iter().any(|place| place.name.ends_with("/environ") && contains(&place.bytes, b"PGSERVICEFILE=")));
    assert!(places.iter().any(|place| place.name.ends_with("/cmdline") && contains(&place.bytes, b"listen\0")));
    session.kill().unwrap();
    session.wait().unwrap();
    let post = runner.post();
    places.push(Place::new("the summary", post.summary));
    places.push(Place::new("what the steps said", runner.log()));
    places.extend(runner.everything());

    let (tokens, fingerprints) = (world.canaries(), world.fingerprints());
    assert!(tokens.len() > 2 && !fingerprints.is_empty() && places.len() > 20);
    assert_eq!(found(&tokens, &places), Vec::<String>::new());
    assert_eq!(minted(&fingerprints, &places), Vec::<String>::new());
    // Nor the key that the run proves: in PEM, or in PKCS #8, where the curve's name stands before the secret's octets.
    for private in [b"PRIVATE KEY-----".as_slice(), b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x04\x6d"] {
        let holding: Vec<&str> =
            places.iter().filter(|place| contains(&place.bytes, private)).map(|place| place.name.as_str()).collect();
        assert_eq!(holding, Vec::<&str>::new());
    }

    // The search would have found it: what an action that hands a token or a password on leaves.
    let token = world.stack.secrets()[0].clone();
    let step = runner.step(&format!("echo 'PGPASSWORD={token}' >> \"$GITHUB_ENV\"; echo '{token}' > token"));
    assert_eq!(step.said, "");
    let mut left = runner.start("sleep 60");
    let names: BTreeSet<String> = found(&tokens, &runner.everything()).into_iter().collect();
    left.kill().unwrap();
    left.wait().unwrap();
    for kind in ["environ", "/token", "set_env"] {
        assert!(names.iter().any(|name| name.contains(kind)), "{kind} is not among {names:?}");
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// What keeps a job out is said at the step that asks, and nothing stays behind.
#[test]
fn what_keeps_a_job_out_is_said() {
    let world = world();
    type Change = fn(&mut Runner, &mut Vec<(&'static str, String)>);
    let cases: [(&str, Change, &str); 9] = [
        (
            "no permission",
            |runner, _| runner.forget("ACTIONS_ID_TOKEN_REQUEST_URL"),
            "this job may not have ID tokens%0Ahelp: write `permissions: { id-token: write",
        ),
        (
            "half of a permission",
            |runner, _| runner.forget("ACTIONS_ID_TOKEN_REQUEST_TOKEN"),
            "this job may not have ID tokens",
        ),
        ("no target", |_, inputs| inputs.push(("targets", " \n".to_owned())), "`targets` names none"),
        (
            "no gateway there",
            |_, inputs| inputs.push(("gateway", "localhost:1".to_owned())),
            "the gateway at `localhost:1` cannot be reached",
        ),
        (
            "no authority",
            |_, inputs| inputs.push(("ca-cert", "none.pem".to_owned())),
            "`ca-cert` is `none.pem`, and there is no such file",
        ),
        (
            "another authority",
            |_, inputs| inputs.push(("ca-cert", stranger())),
            "is not the one that it should be: invalid peer certificate",
        ),
        (
            "a token endpoint that refuses",
            |runner, _| runner.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "wrong"),
            "GitHub's token endpoint refused with status 403",
        ),
        (
            "another program",
            |_, inputs| inputs.push(("cli-sha256", "0".repeat(64))),
            "and not the one that `cli-sha256` pins",
        ),
        ("no program", |_, inputs| inputs.push(("cli-path", "./writ".to_owned())), "there is no program"),
    ];
    for (name, change, words) in cases {
        let mut runner = Runner::new(&world);
        let mut inputs = only(&world, TARGET);
        change(&mut runner, &mut inputs);
        let main = runner.main(&inputs);
        assert!(
            !main.success && main.said.contains("::error title=Writ::") && main.said.contains(words),
            "{name}: {}",
            main.said
        );
        assert!(main.exported.is_empty(), "{name}");
        let post = runner.post();
        assert!(post.success && post.summary.is_empty(), "{name}: {}{}", post.said, post.summary);
        assert_eq!(runner.left(), Vec::<String>::new(), "{name}");
    }
}

/// A certificate that nobody here is vouched for by, as PEM.
fn stranger() -> String {
    rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap().cert.pem()
}

/// Policy denies: the client hears it in the gateway's own words, and the summary has it.
#[test]
fn a_workload_that_policy_keeps_out_hears_it_from_its_client() {
    let world = world();
    for (target, claims) in
        [(FORBIDDEN, &[][..]), (TARGET, &[("repository_id", "75")]), (TARGET, &[("environment", "staging")])]
    {
        let mut runner = Runner::with_claims(&world, claims);
        assert!(runner.main(&only(&world, target)).success);
        let step = runner.step(&format!("{PSQL} service={target} -c 'select 1'"));
        assert!(!step.success && step.said.contains("FATAL:") && step.said.contains("(request req-"), "{}", step.said);
        let post = runner.post();
        assert!(
            post.summary.contains(&format!("| {target} | 0 | 1 |  |")) && post.summary.contains("Refused:"),
            "{}",
            post.summary
        );
        assert_eq!(runner.left(), Vec::<String>::new());
    }
}

#[test]
fn the_ways_close_when_their_time_is_over() {
    let world = world();
    let mut runner = Runner::new(&world);
    let mut inputs = only(&world, TARGET);
    inputs.push(("ttl", "1s".to_owned()));
    assert!(runner.main(&inputs).success);
    eventually(|| if runner.listeners().is_empty() { Ok(()) } else { Err("it listens".to_owned()) }).unwrap();
    let step = runner.step(&format!("{PSQL} service={TARGET} -c 'select 1'"));
    assert!(!step.success, "{}", step.said);
    let post = runner.post();
    assert!(
        post.success && post.summary.contains("its time is over") && !post.said.contains("::warning"),
        "{}",
        post.said
    );
    assert_eq!(runner.left(), Vec::<String>::new());
}

/// Out of memory, a step that kills whatever it finds: the job ends, and says what happened.
#[test]
fn a_process_that_was_killed_is_missed() {
    let world = world();
    let mut runner = Runner::new(&world);
    assert!(runner.main(&only(&world, TARGET)).success);
    runner.kill_listeners();
    eventually(|| if runner.listeners().is_empty() { Ok(()) } else { Err("it lives".to_owned()) }).unwrap();
    let post = runner.post();
    assert!(
        post.success && post.said.contains("::warning title=Writ::") && post.summary.contains("was gone"),
        "{}",
        post.said
    );
    assert_eq!(runner.left(), Vec::<String>::new());
}

/// A first step that is cancelled, or fails, while it waits: the last one ends what it started.
#[test]
fn what_a_step_started_that_never_was_ready_is_ended() {
    let world = world();
    // Fakes of the program, none of which is ever ready. The first cancels the step once it has said what it started.
    let cancel = |states: &Path| {
        let saved = format!("grep -q '^process<<' '{}'/save_state_*", states.display());
        format!("for try in $(seq 100); do {saved} && break; sleep 0.1; done; kill -INT $PPID")
    };
    let lost = "rm \"$TMPDIR/events\"";
    for (name, cancelled) in [("cancelled", true), ("its record is lost", false)] {
        let mut runner = Runner::new(&world);
        let program = runner.workspace().join("writ");
        let script =
            if cancelled { cancel(&runner.temporary().join("_runner_file_commands")) } else { lost.to_owned() };
        std::fs::write(&program, format!("#!/bin/sh\n{script}\nsleep 60\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let mut inputs = only(&world, TARGET);
        inputs.push(("cli-path", program.display().to_string()));
        let main = runner.main(&inputs);
        assert!(!main.success && main.exported.is_empty(), "{name}: {}", main.said);
        assert_eq!(runner.listeners().len(), 1, "{name}: it had ended by itself");
        let post = runner.post();
        assert!(post.success && post.summary.is_empty() && !post.said.contains("::warning"), "{name}: {}", post.said);
        assert_eq!(runner.left(), Vec::<String>::new(), "{name}");
    }
}

/// What a step has put into the environment of those that follow says nothing to the action, which has inputs.
#[test]
fn variables_of_the_job_do_not_say_where_the_action_goes() {
    let world = world();
    let mut runner = Runner::new(&world);
    for (name, value) in [
        ("WRIT_GATEWAY", "localhost:1"),
        ("WRIT_AUDIENCE", "other"),
        ("WRIT_CA_FILE", "/none.pem"),
        ("WRIT_STATE", "/none"),
        ("WRIT_TOKEN_FILE", "/none"),
    ] {
        runner.set(name, value);
    }
    let mut inputs = only(&world, TARGET);
    inputs.retain(|(name, _)| *name != "audience");
    let main = runner.main(&inputs);
    assert!(main.success, "{}", main.said);
    assert_eq!(runner.step(&format!("{PSQL} service={TARGET} -c 'select 1'")).said, "1\n");
    assert!(runner.post().success);
    assert_eq!(runner.left(), Vec::<String>::new());
}

/// A port asks for no password, since the kernel says whose each connection is: another user of the machine finds nobody there.
#[test]
fn another_user_does_not_get_in_by_the_port() {
    if !nix::unistd::geteuid().is_root() {
        // Only root can be somebody else. The look itself is held to other owners by the client's own tests.
        return;
    }
    let world = world();
    let mut runner = Runner::new(&world);
    let main = runner.main(&only(&world, &format!("{TARGET}=0")));
    let addresses: Value = serde_json::from_str(main.output("addresses")).unwrap();
    let port = addresses[TARGET]["port"].to_string();
    let connect = |user: u32| {
        let mut command = Command::new("/usr/bin/psql");
        command.args(["-X", "-A", "-t", "-h", "127.0.0.1", "-U", TARGET, "-d", TARGET, "-p", &port, "-c", "select 1"]);
        printed(command.uid(user).gid(user).env_clear().env("HOME", "/").current_dir("/").stdin(Stdio::null()))
    };
    let asked = runner.tokens();
    let nobody = connect(65534).unwrap_err();
    assert!(nobody.contains("closed the connection") || nobody.contains("reset by peer"), "{nobody}");
    assert_eq!(runner.tokens(), asked);
    assert_eq!(connect(0).unwrap(), "1");
    runner.post();
}

/// A pinned program runs as a copy that nobody can change between the look and the start.
#[test]
fn a_pinned_program_runs() {
    let world = world();
    let mut runner = Runner::new(&world);
    let binary = world.stack.binary().display().to_string();
    let digest = printed(Command::new("sha256sum").arg(&binary)).unwrap().split(' ').next().unwrap().to_owned();
    let mut inputs = only(&world, TARGET);
    inputs.extend([("cli-path", binary), ("cli-sha256", digest)]);
    runner.set("PGSERVICEFILE", "/somebody/elses");
    let main = runner.main(&inputs);
    assert!(
        main.success && main.said.contains("::warning title=Writ::`PGSERVICEFILE` was set before"),
        "{}",
        main.said
    );
    let program = runner.listeners().pop().unwrap();
    assert!(program.starts_with(runner.temporary().to_str().unwrap()), "{program}");
    assert_eq!(runner.step(&format!("{PSQL} service={TARGET} -c 'select 1'")).said, "1\n");
    assert!(runner.post().success);
    assert_eq!(runner.left(), Vec::<String>::new());
}

/// The post step removes what the first step made, and nothing that somebody told it was that.
#[test]
fn the_post_step_ends_and_removes_nothing_of_others() {
    let world = world();
    let mut runner = Runner::new(&world);
    let victim = runner.workspace().join("precious");
    std::fs::create_dir(&victim).unwrap();
    let mut bystander = Command::new("/bin/sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
    runner.state("directory", victim.to_str().unwrap());
    runner.state("process", &format!("{}:1", bystander.id()));
    let Step { success, summary, .. } = runner.post();
    assert!(success && summary.is_empty() && victim.exists());
    let made = runner.temporary().join("writ-x");
    std::fs::create_dir(&made).unwrap();
    std::fs::File::create(made.join("events")).unwrap().write_all(b"{\"event\":").unwrap();
    runner.state("directory", made.to_str().unwrap());
    assert!(runner.post().success && !made.exists());
    assert!(bystander.try_wait().unwrap().is_none(), "a process of the same number and another start lives on");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}
