//! `writ login` against a conformant issuer, by both flows, and what the broker makes of its result.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use writ_world::browser::Browser;
use writ_world::stack::printed;

use super::super::evidence::holding;
use super::talking::Talking;
use super::{ADMIN, House, house};

/// A state of its own for `writ`, so that each human has their own login.
struct Desk<'h> {
    house: &'h House,
    state: tempfile::TempDir,
}

impl<'h> Desk<'h> {
    fn new(house: &'h House) -> Self {
        Self { house, state: tempfile::tempdir().unwrap() }
    }

    fn writ(&self) -> Command {
        let mut command = Command::new(self.house.stack.binary());
        command.arg("--state").arg(self.state.path());
        command
    }

    fn login(&self, more: &[&str]) -> Talking {
        let mut command = self.writ();
        command.args(["login", "--broker", &self.house.stack.broker(), "--ca-file"]).arg(self.house.stack.authority());
        Talking::start(command.arg("--issuer-ca-file").arg(self.house.issuer.authority()).args(more))
    }

    fn browser(&self, login: &str) -> Browser {
        Browser::new(&self.house.issuer.authority(), login).unwrap()
    }

    /// Holds what `writ login` left and said: a token in a file of its owner's alone, which the broker takes for an admin's.
    fn check(&self, said: &str) {
        assert!(said.contains("logged in;"), "{said}");
        let file = self.state.path().join("login.token");
        let token = std::fs::read_to_string(&file).unwrap();
        assert!(token.starts_with("eyJ") && !said.contains(&token), "the token is printed");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let gateways = printed(self.writ().args(["gateways", "ls"])).unwrap();
        assert!(gateways.lines().count() >= 2, "{gateways}");
        // The broker has seen it, and kept nothing of it.
        assert_eq!(holding(self.house.stack.state(), token.as_bytes()), Vec::<std::path::PathBuf>::new());
    }
}

fn indented_address(line: &str) -> Option<String> {
    line.strip_prefix("  https://").map(|rest| format!("https://{rest}"))
}

/// The page and the code that `writ login --device` shows.
fn page_and_code(login: &mut Talking) -> (String, String) {
    let page = login.hear(indented_address);
    let code = login.hear(|line| line.strip_prefix("  ").map(str::to_owned));
    (page, code)
}

#[tokio::test]
async fn an_admin_logs_in_by_code_and_pkce() {
    let house = house().unwrap();
    let desk = Desk::new(&house);
    let mut login = desk.login(&[]);
    let address = login.hear(indented_address);
    let page = desk.browser(ADMIN).agree(&address).await.unwrap();
    assert!(page.contains("go back to the terminal"), "{page}\n{}", house.issuer.log());
    let said = login.over().unwrap_or_else(|said| panic!("{said}\n{}", house.issuer.log()));
    desk.check(&said);
}

#[tokio::test]
async fn an_admin_logs_in_by_the_device_flow() {
    let house = house().unwrap();
    let desk = Desk::new(&house);
    let mut login = desk.login(&["--device"]);
    let (page, code) = page_and_code(&mut login);
    let page = desk.browser(ADMIN).enter(&page, &code).await.unwrap();
    assert!(page.contains("Sign-in Success"), "{page}");
    let said = login.over().unwrap_or_else(|said| panic!("{said}\n{}", house.issuer.log()));
    desk.check(&said);
}

#[tokio::test]
async fn a_human_who_is_no_admin_is_known_and_may_do_nothing() {
    let house = house().unwrap();
    let desk = Desk::new(&house);
    let mut login = desk.login(&["--device"]);
    let (page, code) = page_and_code(&mut login);
    desk.browser("mallory").enter(&page, &code).await.unwrap();
    login.over().unwrap();
    let refused = printed(desk.writ().args(["gateways", "ls"])).unwrap_err();
    assert!(refused.contains("you may not do this"), "{refused}");
}

#[tokio::test]
async fn a_login_that_is_declined_leaves_no_token() {
    let house = house().unwrap();
    let desk = Desk::new(&house);
    let mut login = desk.login(&["--device"]);
    let (page, code) = page_and_code(&mut login);
    desk.browser(ADMIN).decline(&page, &code).await.unwrap();
    let said = login.over().unwrap_err();
    assert!(said.contains("error: the login was declined in the browser"), "{said}");
    assert!(!desk.state.path().join("login.token").exists());
}
