//! What SECURITY.md and docs/security-rules.md say of the code is there: every test that they name, every file.
//! Whether the rules hold is those tests' business.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

const DOCUMENTS: [&str; 2] = ["SECURITY.md", "docs/security-rules.md"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn document(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every test of the workspace by its module, which is a file's name, or its folder's where the file is `tests.rs` or
/// `mod.rs`.
fn tests() -> BTreeMap<String, BTreeSet<String>> {
    let function = Regex::new(r"(?m)^\s*(?:async )?fn ([a-z0-9_]+)\(").unwrap();
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut folders: Vec<PathBuf> =
        ["shared", "local", "functions", "benchmarks"].map(|name| root().join(name)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let mut marked = text.match_indices("test]").map(|(at, _)| at).collect::<Vec<_>>();
                // In `proptest!` the attribute may stand further away; each still comes right before its function.
                marked.dedup();
                let names =
                    marked.into_iter().filter_map(|at| Some(function.captures(&text[at..])?[1].to_owned()));
                found.entry(module(&path)).or_default().extend(names);
            }
        }
    }
    found
}

fn module(path: &Path) -> String {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let folder =
        || path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
    if matches!(stem, "tests" | "mod" | "lib" | "main") { folder().to_owned() } else { stem.to_owned() }
}

#[test]
fn every_test_that_a_security_document_names_exists() {
    let tests = tests();
    let named = Regex::new(r"`([a-z0-9_]+)::([a-z0-9_]{12,})`").unwrap();
    let mut missing = Vec::new();
    for name in DOCUMENTS {
        let text = document(name);
        let mut count = 0;
        for found in named.captures_iter(&text) {
            count += 1;
            if !tests.get(&found[1]).is_some_and(|names| names.contains(&found[2])) {
                missing.push(format!("{name}: {}", &found[0]));
            }
        }
        assert!(count > 20, "{name} names {count} tests");
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_file_that_a_security_document_names_exists() {
    let named = Regex::new(r"`([a-zA-Z0-9_./-]+\.(?:rs|toml|yaml|md|py))`").unwrap();
    for name in DOCUMENTS {
        for found in named.captures_iter(&document(name)) {
            assert!(root().join(&found[1]).is_file(), "{name}: {}", &found[1]);
        }
    }
}

/// The rows of the tables of rules: every line that begins with a number of a rule, such as `| G1`.
#[test]
fn every_rule_names_a_test_that_guards_it_or_says_why_it_does_not_apply() {
    let number = Regex::new(r"^\| ([GS]\d+) \|").unwrap();
    let test = Regex::new(r"`[a-z0-9_]+::[a-z0-9_]{12,}`").unwrap();
    let mut numbers = BTreeSet::new();
    for line in document("docs/security-rules.md").lines() {
        let Some(found) = number.captures(line) else { continue };
        assert!(numbers.insert(found[1].to_owned()), "{} is there twice", &found[1]);
        let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
        assert_eq!(cells.len(), 4, "number, rule, where it is kept, what guards it: {line}");
        let guarded = test.is_match(cells[3]);
        assert!(guarded || cells[3].trim_start().starts_with("does not apply"), "{line}");
    }
    assert!(numbers.len() > 50, "{} rules", numbers.len());
}
