//! The bootstrap of `reconcile`: what it needs from its start, and its handler.

use std::process::ExitCode;

use shared::runtime::{exit_code, run_scheduled};
use shared::service::Needs;

fn main() -> ExitCode {
    let needs = Needs { table: true, github_app: true, github: true, ..Needs::default() };
    exit_code(run_scheduled(needs, reconcile::handle))
}
