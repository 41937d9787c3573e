//! The binary as Lambda starts it: it answers its events, or says in one line which setting keeps it from that.

use std::path::Path;

use benchmarks::starts;

const BINARY: &str = env!("CARGO_BIN_EXE_web");
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

#[test]
fn it_answers_each_of_its_events() {
    assert_eq!(starts::answers_its_events(Path::new(BINARY), Path::new(ROOT)), Ok(()));
}

#[test]
fn it_names_a_setting_that_is_missing_or_wrong() {
    assert_eq!(starts::names_what_is_wrong(Path::new(BINARY)), Ok(()));
}
