//! `make demo-aws` and `make demo-kubernetes`: a CI job that holds nothing but its token, and what becomes of that at a target
//! that is no database.
//!
//! The stage is the tests' own: real servers where there are any, fakes that say so where there are none. [`guard`] runs the
//! demo and leaves nothing behind, however it ends; [`stage`] is Writ and the job; one file for each target.

mod aws;
mod guard;
mod kubernetes;
mod show;
mod stage;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [name] if matches!(*name, "aws" | "kubernetes") => guard::run(name),
        ["--on-stage", "aws"] => played(aws::play),
        ["--on-stage", "kubernetes"] => played(kubernetes::play),
        _ => {
            show::note("usage: writ-demos aws|kubernetes");
            ExitCode::from(2)
        }
    }
}

fn played(play: fn() -> Result<(), String>) -> ExitCode {
    match guard::take_signals().and_then(|()| play()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            show::note(&format!("the demo stopped: {why}"));
            ExitCode::FAILURE
        }
    }
}
