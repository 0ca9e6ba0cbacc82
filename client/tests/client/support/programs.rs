//! Stand-ins for the programs that CI systems put into a job's PATH. They refuse any other words than the documented ones.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// A program in `directory` that prints what `script` says.
pub(crate) fn write(directory: &Path, name: &str, script: &str) {
    let path = directory.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A program that takes these arguments and no others, and then prints `output`.
pub(crate) fn strict(directory: &Path, name: &str, arguments: &[&str], output: &str) {
    let tests: Vec<String> = arguments
        .iter()
        .enumerate()
        .map(|(at, argument)| format!("[ \"${{{}}}\" = '{argument}' ] || exit 65", at + 1))
        .collect();
    let script = format!("[ $# = {} ] || exit 64\n{}\nprintf '%s\\n' '{output}'", arguments.len(), tests.join("\n"));
    write(directory, name, &script);
}
