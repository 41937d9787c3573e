//! The bootstrap of `github-webhook`: what it needs from its start, and its handler.

use std::process::ExitCode;

use shared::runtime::{exit_code, run};
use shared::service::Needs;

fn main() -> ExitCode {
    let needs = Needs { table: true, github_app: true, ..Needs::default() };
    exit_code(run(needs, github_webhook::handle))
}
