//! What the documentation says to paste.

const GUIDE: &str = include_str!("../../../../docs/providers/mysql.md");

/// The statements that an admin runs, with a password put in.
pub(crate) fn statements(mariadb: bool, password: &str) -> String {
    let from = GUIDE.find(if mariadb { "\nMariaDB:\n" } else { "\nMySQL:\n" }).unwrap();
    let block = GUIDE[from..].split("```sql\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(block.contains("'PASSWORD'"));
    block.replace("'PASSWORD'", &format!("'{password}'"))
}

#[test]
fn the_guide_names_every_setting() {
    let settings =
        "user password_file password_env host port client_host default_roles pool_size call_timeout_ms sweep_limit";
    for setting in settings.split(' ') {
        assert!(GUIDE.contains(&format!("`{setting}`")), "{setting}");
    }
}
