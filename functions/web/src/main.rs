//! The bootstrap of `web`: it needs nothing from its start, and its handler.

use std::process::ExitCode;

use shared::runtime::{exit_code, run};
use shared::service::Needs;

fn main() -> ExitCode {
    exit_code(run(Needs::default(), web::handle))
}
