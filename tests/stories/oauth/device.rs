//! A human before psql 18: its device flow, the issuer's pages, and then a session of that human's own.

use writ_world::browser::Browser;
use writ_world::oidc;

use super::super::evidence::{admin, eventually, holding};
use super::talking::Talking;
use super::{House, house, psql_18};

/// A psql that waits for its human: the page to open and the code to enter there.
fn waiting(house: &House, client_id: &str) -> (Talking, String, String) {
    let mut command = house.bearer_client(&psql_18().unwrap(), "");
    command.env_remove("PGPASSWORD").env("PGOAUTHDEBUG", "UNSAFE").env("PGOAUTHCAFILE", house.issuer.authority());
    command.args(["-X", "-A", "-t", "-c", "select current_user, 6 * 7"]);
    command.arg(format!("oauth_issuer={} oauth_client_id={client_id}", house.issuer.url()));
    let mut psql = Talking::start(&mut command);
    let (address, code) = psql.hear(|line| {
        let (address, code) = line.strip_prefix("Visit ")?.split_once(" and enter the code: ")?;
        Some((address.to_owned(), code.trim().to_owned()))
    });
    (psql, address, code)
}

/// How many connections were told where to get a token and ended.
fn told(house: &House) -> usize {
    house.stack.log().matches("postgres.oauth_discovery").count()
}

#[tokio::test]
async fn psql_18_lets_a_human_in_by_the_device_flow() {
    let house = house().unwrap();
    let before = told(&house);
    let (psql, address, code) = waiting(&house, oidc::PSQL);
    // libpq leaves its first connection, which asked where to get a token, open without a word. The gateway does not wait.
    eventually(|| if told(&house) > before { Ok(()) } else { Err("the first connection is still open".to_owned()) })
        .unwrap();
    let mut browser = Browser::new(&house.issuer.authority(), "grace").unwrap();
    let page = browser.enter(&address, &code).await.unwrap();
    assert!(page.contains("Sign-in Success"), "{page}");
    let said = psql.over().unwrap_or_else(|said| panic!("{said}\n{}", house.issuer.log()));
    assert!(said.lines().any(|line| line == "app|42"), "{said}");
    let writs = admin(&house.stack, &["writs", "ls", "--json"]).unwrap();
    assert!(writs.contains("\"grace\"") && writs.contains(house.issuer.url()), "{writs}");
    // psql shows what it hears from the issuer, because it was told to debug.
    let token = said.split("\"access_token\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    assert!(token.starts_with("eyJ"), "{said}");
    assert_eq!(holding(house.stack.state(), token.as_bytes()), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn psql_18_is_not_let_in_where_the_human_declines() {
    let house = house().unwrap();
    let (psql, address, code) = waiting(&house, oidc::PSQL);
    let mut browser = Browser::new(&house.issuer.authority(), "grace").unwrap();
    browser.decline(&address, &code).await.unwrap();
    let said = psql.over().unwrap_err();
    assert!(said.contains("access_denied"), "{said}");
}

#[tokio::test]
async fn an_access_token_that_is_no_jwt_is_refused_with_words() {
    let house = house().unwrap();
    let (psql, address, code) = waiting(&house, oidc::CLI);
    Browser::new(&house.issuer.authority(), "grace").unwrap().enter(&address, &code).await.unwrap();
    let said = psql.over().unwrap_err();
    assert!(said.contains("FATAL:  the token was refused") && said.contains("HINT:"), "{said}");
}
