//! The bootstrap of `github-installations`: what it needs from its start, and its handler.

use std::process::ExitCode;

use shared::runtime::{exit_code, run};
use shared::service::Needs;

fn main() -> ExitCode {
    let needs = Needs { table: true, token_keys: true, github_app: true, github: true };
    exit_code(run(needs, github_installations::handle))
}
