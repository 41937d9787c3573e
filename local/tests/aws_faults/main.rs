//! Every call that a flow makes to DynamoDB and Secrets Manager fails, in every way in which it can: nothing is lost,
//! nothing is doubled, what cannot be answered is 503 with the time to ask again, and the same process recovers.
//! `WRITE_FAILURES=1` makes `docs/failures-aws.md` of what it has seen, against which it is held from then on.
//!
//! By default one in so many failures is tried; `AWS_FAULTS=all` tries all of them, `AWS_FAULTS=<part of a flow's
//! name>` those of that flow. `WRITE_FAILURES=1` tries what the document tells of, and writes it anew; with a flow its
//! sections only.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "in a test a panic is the finding")]

mod bench;
mod document;
mod fault;
mod flows;
mod flows_of_callers;
mod flows_of_github;
#[path = "../end_to_end/harness.rs"]
mod harness;
mod matrix;
mod picture;

use std::path::Path;

use crate::matrix::{Extent, Matrix};

/// Where it is written what happens.
const DOCUMENT: &str = "docs/failures-aws.md";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_to_aws_fails_in_every_way_and_nothing_is_lost_doubled_or_left_over() {
    let wanted = std::env::var("AWS_FAULTS").unwrap_or_default();
    let writes = std::env::var_os("WRITE_FAILURES").is_some();
    let (extent, flow) = match &*wanted {
        flow if writes => (Extent::Document, flow),
        "" => (Extent::Sample, ""),
        "all" => (Extent::All, ""),
        flow => (Extent::All, flow),
    };
    let matrix = Matrix::play(extent, flow).await;
    println!("{}", matrix.counts());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(DOCUMENT);
    let seen = document::of(&matrix);
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let written = if writes { document::renewed(&written, &seen) } else { written };
    if writes {
        std::fs::write(&path, &written).unwrap();
    }
    assert!(
        matrix.problems.is_empty(),
        "{} problems:\n{}",
        matrix.problems.len(),
        matrix.problems.join("\n")
    );
    if !written.is_empty()
        && let Some((seen, written)) = document::contradiction(&seen, &written)
    {
        panic!(
            "{DOCUMENT} says something else; WRITE_FAILURES=1 writes it anew.\nseen:    {seen}\nwritten: {written}"
        );
    }
}
