//! Each trouble that a provider must bear, switched on and off while the front runs.

use std::io::Read as _;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;
use writ_fakes::dead::{Silent, refusing};
use writ_fakes::sts::Trouble;

use crate::support::World;

#[test]
fn each_trouble_shows_as_aws_would_show_it() {
    let world = World::start();
    let role = world.role("troubled");
    let ask = || world.web_identity(&role, &world.token(), &json!({}));
    for (trouble, code, status) in [
        (Trouble::WrongAudience, "InvalidIdentityToken", 400),
        (Trouble::ExpiredAssertion, "ExpiredTokenException", 400),
        (Trouble::Untrusted, "AccessDenied", 403),
        (Trouble::Throttled, "Throttling", 400),
        (Trouble::ServerError, "ServiceUnavailable", 503),
        (Trouble::ClockAhead, "ExpiredTokenException", 400),
        (Trouble::ClockBehind, "InvalidIdentityToken", 400),
    ] {
        world.front.trouble(Some(trouble));
        ask().refused(code, status);
    }
    world.front.trouble(Some(Trouble::CutShort));
    let cut = ask();
    assert!(cut.0["code"].as_str().is_some() && cut.0["status"] == 0, "{cut:?}");
    world.front.trouble(Some(Trouble::FarExpiry));
    let far = ask();
    let told = far.answer()["Credentials"]["Expiration"].as_str().unwrap().to_owned();
    let issued = world.front.session(&far.keys().access_key).unwrap();
    assert_eq!(issued.expires - issued.issued, 3600);
    assert!(told[..4].parse::<i64>().unwrap() >= 2035, "{told}");
    world.front.trouble(None);
    ask().keys();
}

#[tokio::test]
async fn silence_is_silence_and_ends_when_it_is_told() {
    let world = World::start();
    world.front.trouble(Some(Trouble::Silent));
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(1)).build().unwrap();
    let asked = client.post(world.front.url()).body("Action=GetCallerIdentity").send().await;
    assert!(asked.unwrap_err().is_timeout());
    world.front.trouble(None);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let asked = client.post(world.front.url()).body("Action=GetCallerIdentity").send().await;
    assert_eq!(asked.unwrap().status(), 400);
}

#[test]
fn the_dead_answer_nobody() {
    let silent = Silent::start().unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", silent.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    stream.read(&mut [0; 1]).unwrap_err();
    TcpStream::connect(("127.0.0.1", refusing().unwrap())).unwrap_err();
}
