//! What the documentation says to paste.

const GUIDE: &str = include_str!("../../../../docs/providers/static.md");

/// The login that sets passwords, and its own.
pub(crate) const ROTATOR: &str = "rotator-canary-5b1d";
/// The password of `app_a` to begin with.
pub(crate) const FIRST: &str = "first-canary-0e77";

/// The statements that an admin runs at a server, with passwords put in.
pub(crate) fn statements(server: &str) -> String {
    let from = GUIDE.find(&format!("\n{server}:\n")).unwrap();
    let block = GUIDE[from..].split("```sql\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(block.contains("'PASSWORD'") && block.contains("'ROTATOR'"));
    let put = |text: &str, name: &str, value: &str| {
        let quoted = |word: &str| format!("'{word}'");
        text.replace(&quoted(name), &quoted(value))
    };
    put(&put(block, "PASSWORD", FIRST), "ROTATOR", ROTATOR)
}

#[test]
fn the_guide_names_every_setting() {
    for setting in
        "users every postgres mysql user password_file password_env database client_host host port call_timeout_ms"
            .split(' ')
    {
        assert!(GUIDE.contains(&format!("`{setting}`")), "{setting}");
    }
}
