//! Logins that are nearly right.

use writ_provider_kit as kit;

use crate::server::{LIFE, Login, Server, code};

pub(crate) async fn near_misses_do_not_get_in(server: &Server) {
    let (writ, other) = (kit::writ(Some("app".to_owned()), LIFE), kit::writ(Some("app".to_owned()), LIFE));
    let (minted, others) = (server.mint(&writ).await.unwrap(), server.mint(&other).await.unwrap());
    let (credential, stranger) = (minted.credential().unwrap(), others.credential().unwrap());
    let (user, password) = (credential.principal.as_str(), credential.secret.expose());
    let verifier = format!(
        "SELECT {} FROM mysql.user WHERE User = '{user}'",
        if server.mariadb() { "authentication_string" } else { "SUBSTRING(authentication_string, 28)" }
    );
    let stored = server.ask::<String>(&verifier).await.concat();
    let shouted = user.to_uppercase();
    let mut flipped = password.to_vec();
    flipped[0] = if flipped[0] == b'a' { b'b' } else { b'a' };
    let short = &password[..password.len() - 1];
    let long = [password, b"a"].concat();
    let upper = password.to_ascii_uppercase();
    let id = writ.id.to_string();
    let next = format!("{user}0");
    let misses: [(&str, &str, &[u8], bool); 11] = [
        ("no TLS", user, password, false),
        ("no password", user, b"", true),
        ("another writ's password", user, stranger.secret.expose(), true),
        ("another writ's user", &stranger.principal, password, true),
        ("one character changed", user, &flipped, true),
        ("one character less", user, short, true),
        ("one character more", user, &long, true),
        ("the password in capitals", user, &upper, true),
        ("the name in capitals", &shouted, password, true),
        ("what the server stores", user, stored.as_bytes(), true),
        ("a name that begins so", &next, password, true),
    ];
    for (miss, user, password, tls) in misses {
        assert_eq!(code(server.login(&Login { user, password, tls }).await), 1045, "{miss}");
    }
    if server.mariadb() {
        let refused = server.login(&Login { user: &id, password, tls: true }).await;
        assert_eq!(code(refused), 1045, "the writ's id alone");
    }
    server.run(&format!("ALTER USER '{user}'@'%' ACCOUNT LOCK")).await;
    let locked = code(server.session(&minted).await);
    assert!([3118, 4151].contains(&locked), "locked: {locked}");
    // Unlocked it is let in: none of the others was refused for another reason than its own.
    server.run(&format!("ALTER USER '{user}'@'%' ACCOUNT UNLOCK")).await;
    server.session(&minted).await.unwrap();
    server.revoke(&writ).await;
    assert_eq!(code(server.session(&minted).await), 1045, "revoked");
    server.session(&others).await.unwrap();
    server.revoke(&other).await;
}
