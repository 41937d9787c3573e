//! Replays the corpus without any fuzzer: what a fuzzer has found once stays found.
//! The rules are the targets' own.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the finding")]

use std::fs;
use std::path::{Path, PathBuf};

use fuzz::{TARGETS, Target};

fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} has no seed", folder.display());
    files
}

/// Inputs near those of the corpus: cut short, a byte gone, a byte another one, a part twice.
fn neighbours(input: &[u8], of: u64) -> impl Iterator<Item = Vec<u8>> {
    let mut state = of;
    let mut next = move |below: usize| {
        // SplitMix64: the same neighbours on every machine.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % below.max(1) as u64).unwrap()
    };
    (0..24).map(move |round| {
        let mut near = input.to_vec();
        let at = next(near.len());
        match round % 4 {
            0 => near.truncate(at),
            1 if !near.is_empty() => drop(near.remove(at)),
            2 if !near.is_empty() => near[at] = [b'"', b'\n', b';', 0xff, b'0', b'/'][next(6)],
            _ => near.extend_from_within(at..),
        }
        near
    })
}

fn replay(target: &str, run: Target) {
    for (number, file) in corpus(target).iter().enumerate() {
        let input = fs::read(file).unwrap();
        for near in std::iter::once(input.clone()).chain(neighbours(&input, number as u64)) {
            let outcome = std::panic::catch_unwind(|| run(&near));
            assert!(
                outcome.is_ok(),
                "{} near {}: {:?}",
                target,
                file.display(),
                String::from_utf8_lossy(&near)
            );
        }
    }
}

macro_rules! replayed {
    ($($target:ident)*) => {
        $(#[test]
        fn $target() {
            replay(stringify!($target), fuzz::$target::run);
        })*

        #[test]
        fn every_target_is_replayed_and_has_a_program_for_the_fuzzer() {
            let replayed = [$(stringify!($target)),*];
            assert_eq!(TARGETS.map(|(name, _)| name), replayed);
            for name in replayed {
                let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz_targets/{name}.rs"));
                let text = fs::read_to_string(program).unwrap();
                assert!(text.contains(&format!("fuzz::{name}::run(data)")), "{text}");
            }
        }
    };
}

replayed! {
    accept_encoding app_secrets authorization bitbucket_json cookies event_envelope github_json gitlab_json
    if_none_match json_bodies link_header openid_documents openid_tokens private_key queries settings
    token_answers webhook
}
