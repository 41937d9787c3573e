//! What comes of a secret is compared in constant time or looked up by its hash, never with `==`.
//! The types help: `SecretString`, `SecretToken` and `TokenHash` have no equality; what they are turned into has.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// What tells that a value comes of a secret.
const SECRET: &str =
    r"(?i)expose|secret|hash\b|hash\(|nonce|verifier|signature\b|hmac|fingerprint|cookie|confirmation";

/// Comparisons of what stands in the table already, so that nobody can try values.
const OF_THE_TABLE: [&str; 2] = [
    "session.sso_session.as_deref() == Some(&*session::within_issuer(issuer, &session.hash))",
    "ending.hash == session.hash",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every source file that is deployed, without its comments and its tests, each run of white space as one blank.
pub(crate) fn sources() -> Vec<(PathBuf, String)> {
    let mut folders = vec![root().join("shared/src")];
    for function in fs::read_dir(root().join("functions")).unwrap() {
        folders.push(function.unwrap().path().join("src"));
    }
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("tests") {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") && !path.ends_with("tests.rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap_or_default();
                let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
                let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
                found.push((path, words.join(" ")));
            }
        }
    }
    found
}

/// The comparisons in a text, each with both of its sides.
fn comparisons(text: &str) -> Vec<String> {
    let operator = Regex::new(" (==|!=) ").unwrap();
    let side = |chars: &mut dyn Iterator<Item = (usize, char)>, opening: [char; 2], closing: [char; 2]| {
        let (mut depth, mut last) = (0, ' ');
        for (at, c) in chars {
            if opening.contains(&c) {
                depth += 1;
            } else if closing.contains(&c) {
                if depth == 0 {
                    return Some(at);
                }
                depth -= 1;
            } else if depth == 0
                && (matches!(c, ';' | '{' | '}' | ',') || (matches!(c, '&' | '|') && last == c))
            {
                return Some(at);
            }
            last = c;
        }
        None
    };
    let found = operator.find_iter(text).map(|found| {
        let before = &text[..found.start()];
        let from = side(&mut before.char_indices().rev(), [')', ']'], ['(', '[']).map_or(0, |at| at + 1);
        let after = &text[found.end()..];
        let to = side(&mut after.char_indices(), ['(', '['], [')', ']']).unwrap_or(after.len());
        text[from..found.end() + to].trim_matches(['|', '&', ' ']).to_owned()
    });
    found.collect()
}

#[test]
fn nothing_that_comes_of_a_secret_is_compared_in_a_time_that_tells_where_it_differs() {
    let secret = Regex::new(SECRET).unwrap();
    let sources = sources();
    let mut seen = 0;
    let mut wrong = Vec::new();
    for (path, text) in &sources {
        let all = comparisons(text);
        seen += all.len();
        for comparison in all.into_iter().filter(|one| secret.is_match(one)) {
            if !OF_THE_TABLE.iter().any(|known| comparison.ends_with(known)) {
                wrong.push(format!("{}: {comparison}", path.display()));
            }
        }
    }
    assert!(sources.len() > 100 && seen > 200, "{} files, {seen} comparisons", sources.len());
    assert!(wrong.is_empty(), "compare with `constant_time::same`:\n{}", wrong.join("\n"));
}

#[test]
fn an_equality_that_is_written_by_hand_is_in_constant_time() {
    let by_hand = Regex::new(r"impl PartialEq[^{]* for (\w+) \{(.*?)\} \}").unwrap();
    for (path, text) in sources() {
        for found in by_hand.captures_iter(&text) {
            assert!(found[2].contains("same("), "{}: {}", path.display(), &found[1]);
        }
    }
}

#[test]
fn a_comparison_is_found_with_both_of_its_sides() {
    for (text, expected) in [
        ("if a && x.hash() == y.z { b }", "x.hash() == y.z"),
        ("f(|s| s.expose_secret() != t(u, v).w, 1)", "s.expose_secret() != t(u, v).w"),
        ("let n = a[nonce] == b;", "let n = a[nonce] == b"),
    ] {
        let found = comparisons(text);
        assert!(found.len() == 1 && found[0].ends_with(expected), "{text}: {found:?}");
    }
    let secret = Regex::new(SECRET).unwrap();
    for text in [
        "a.expose() == b",
        "given_nonce != c",
        "state_hash == h",
        "client.client_secret == x",
        "k.hash() == l",
    ] {
        assert!(secret.is_match(text), "{text}");
    }
}
