//! The trust that our Terraform modules plan: every module and example holds, what they print is a configuration, and what they
//! plan lets the right workload in and none that nearly is.
//!
//! One file for each cloud that has a fake: the plan's trust is loaded into it, and the real broker mints against it. Where a plan trusts
//! jobs of GitHub's themselves, no broker stands between: the job goes there by the cloud's own client, or by a target that passes its
//! token on.

mod aws;
mod azure;
mod client;
mod gcp;
mod job;
mod plan;
mod trial;

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use writ_world::stack::{binary, printed};

use crate::coverage::root;

/// The clouds whose providers this binary has.
const CLOUDS: [&str; 3] = ["aws", "gcp", "azure"];

/// The script, over stubs or with all that the machine has; in `kept` it leaves plans and outputs.
fn terraform(arguments: &[&str], kept: &Path) -> Result<String, String> {
    let mut command = Command::new(root().join("tests/terraform/run"));
    printed(command.arg("--keep").arg(kept).args(arguments).stdin(Stdio::null()))
}

/// A file that the script left.
fn left(kept: &Path, name: &str) -> Value {
    let text = std::fs::read_to_string(kept.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_str(&text).unwrap()
}

#[test]
fn every_module_and_example_holds() {
    let kept = tempfile::tempdir().unwrap();
    let said = terraform(&[], kept.path()).unwrap_or_else(|said| panic!("{said}"));
    assert!(said.contains("aws/modules/role: ") && said.contains("azure/modules/aks: "), "{said}");
    assert!(!said.contains("FAILED"), "{said}");
}

/// What an admin pastes into the configuration is read by the binary as it stands.
#[test]
fn what_the_examples_print_is_a_configuration() {
    let kept = tempfile::tempdir().unwrap();
    terraform(&["--stubs", "examples"], kept.path()).unwrap_or_else(|said| panic!("{said}"));
    for name in CLOUDS.iter().flat_map(|cloud| [format!("{cloud}-basic"), format!("{cloud}-complete")]) {
        let outputs = left(kept.path(), &format!("{name}.outputs.json"));
        let own = "[broker]\nlisten = \"0.0.0.0:8443\"\nurl = \"https://broker.example:8443\"\nstate = \"state\"\n\
                   policies = \"policies\"\naudience = \"writ\"\n\n\
                   [[broker.issuer]]\nname = \"github\"\npreset = \"github-actions\"\n\n";
        let at = tempfile::tempdir().unwrap();
        std::fs::create_dir(at.path().join("policies")).unwrap();
        let authority = rcgen::generate_simple_self_signed(["authority.example".to_owned()]).unwrap().cert.pem();
        std::fs::write(at.path().join("authority.pem"), authority).unwrap();
        let pasted = plan::with_authority(outputs["writ"].as_str().unwrap(), &at.path().join("authority.pem"));
        std::fs::write(at.path().join("writ.toml"), format!("{own}{pasted}\n")).unwrap();
        let mut check = Command::new(binary().unwrap());
        check.args(["check", "--config", "writ.toml"]).current_dir(at.path()).stdin(Stdio::null());
        printed(&mut check).unwrap_or_else(|said| panic!("{name}: {said}\n{pasted}"));
    }
}
