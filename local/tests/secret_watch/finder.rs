//! Secrets in a text: those that are known, and whatever has the form of one.

use std::collections::{BTreeSet, HashSet};
use std::sync::{PoisonError, RwLock};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Beginnings that only a secret has, and how many characters must follow. Keys are listed with their prefix
/// and four characters; more than that is the key itself. The shortest JWT's head has 19 characters, and an id of a
/// request, which may begin with anything, 15.
const FORMS: [(&str, usize); 16] = [
    ("ghu_", 6),
    ("ghr_", 6),
    ("gho_", 6),
    ("ghs_", 6),
    ("ghp_", 6),
    ("github_pat_", 6),
    ("glpat-", 6),
    ("gik_", 5),
    ("eyJ", 16),
    ("code=", 1),
    ("state=", 1),
    ("code_verifier=", 1),
    ("client_secret=", 1),
    ("refresh_token=", 1),
    ("Bearer ", 1),
    ("Basic ", 4),
];

/// Those of them that no answer holds either: tokens of the hosts, keys of ours beyond their prefix.
const TOKENS: [&str; 9] = ["ghu_", "ghr_", "gho_", "ghs_", "ghp_", "github_pat_", "glpat-", "gik_", "eyJ"];

/// A key's file, whatever kind of key it is.
const WORDS: [&str; 2] = ["PRIVATE KEY", "-----BEGIN"];

/// 256 random bits in base64url: states, verifiers, sessions, and their hashes.
const RANDOM: usize = 43;

/// As many numbers in a row are bytes that somebody printed.
const BYTES: usize = 16;

/// Secrets that this run has made or was given.
#[derive(Default)]
pub(crate) struct Known(BTreeSet<String>);

impl Known {
    pub(crate) fn add(&mut self, secret: &str) {
        assert!(secret.len() >= 8, "{secret:?} is too short to be looked for");
        self.0.insert(secret.to_owned());
        self.0.insert(utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string());
    }

    /// The lines of a PEM file, each of which is a part of the key.
    pub(crate) fn add_pem(&mut self, pem: &str) {
        for line in pem.lines().filter(|line| line.len() > 16) {
            self.add(line);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Parts of all secrets that this process has learnt of: whatever of a token's characters stands together in them.
static LEARNT: RwLock<Option<HashSet<String>>> = RwLock::new(None);

/// A part that is shorter may be a word.
const SHORTEST_PART: usize = 16;

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| !is_of_a_token(c)).filter(|part| part.len() >= SHORTEST_PART)
}

/// From here on this is looked for in whatever any service of this process tells.
pub(crate) fn learn(secret: &str) {
    let mut parts = parts(secret).peekable();
    if parts.peek().is_some() {
        let mut learnt = LEARNT.write().unwrap_or_else(PoisonError::into_inner);
        learnt.get_or_insert_default().extend(parts.map(ToOwned::to_owned));
    }
}

/// The keys of a key ring's secret.
pub(crate) fn learn_keys(ring: &str) {
    let ring: serde_json::Value = serde_json::from_str(ring).unwrap_or_default();
    for key in ring["keys"].as_object().into_iter().flatten().filter_map(|(_, key)| key.as_str()) {
        learn(key.trim_end_matches('='));
    }
    learn(ring["generated"].as_str().unwrap_or_default());
}

fn is_learnt(text: &str) -> bool {
    let learnt = LEARNT.read().unwrap_or_else(PoisonError::into_inner);
    learnt.as_ref().is_some_and(|learnt| parts(text).any(|part| learnt.contains(part)))
}

/// Why this must not stand in a log.
pub(crate) fn told(text: &str) -> Option<String> {
    if is_learnt(text) { Some("a secret of this test".to_owned()) } else { form(text) }
}

/// Why this must not stand in an answer, which may hold random texts that are no secrets.
pub(crate) fn told_in_answer(text: &str) -> Option<String> {
    if is_learnt(text) {
        return Some("a secret of this test".to_owned());
    }
    if let Some(word) = WORDS.iter().find(|word| text.contains(*word)) {
        return Some(format!("a key's {word}"));
    }
    let least = |form: &str| FORMS.iter().find(|(known, _)| *known == form).map_or(1, |(_, least)| *least);
    TOKENS.iter().find(|form| follows(text, form, least(form))).map(|form| format!("a value after {form}"))
}

/// The text without anything that could be a secret.
pub(crate) fn redacted(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for part in text.split_inclusive(|c| !is_of_a_token(c)) {
        let word = part.trim_end_matches(|c| !is_of_a_token(c));
        if word.len() >= SHORTEST_PART || word.chars().any(|c| c.is_ascii_digit()) {
            result.push_str(&format!("[{}]", word.len()));
            result.push_str(&part[word.len()..]);
        } else {
            result.push_str(part);
        }
    }
    result.chars().take(2000).collect()
}

/// Each line that holds a secret, with the reason first.
pub(crate) fn leaks(text: &str, known: &Known) -> Vec<String> {
    text.lines().filter_map(|line| leak(line, known).map(|reason| format!("{reason}: {line}"))).collect()
}

fn leak(line: &str, known: &Known) -> Option<String> {
    if let Some(secret) = known.0.iter().find(|secret| line.contains(secret.as_str())) {
        return Some(format!("the secret {secret}"));
    }
    form(line)
}

/// Whatever looks like a secret.
fn form(line: &str) -> Option<String> {
    if let Some(word) = WORDS.iter().find(|word| line.contains(*word)) {
        return Some(format!("a key's {word}"));
    }
    if let Some((form, _)) = FORMS.iter().find(|(form, least)| follows(line, form, *least)) {
        return Some(format!("a value after {form}"));
    }
    if line.split(|c| !is_of_a_token(c)).any(is_random) {
        return Some(format!("{RANDOM} random characters"));
    }
    let longest_list = line.split(|c: char| !(c.is_ascii_digit() || c == ',' || c == ' '));
    if longest_list.map(|list| list.split(", ").count()).max().unwrap_or_default() >= BYTES {
        return Some("a list of bytes".to_owned());
    }
    None
}

/// Whether so many characters of a token stand after this.
fn follows(line: &str, form: &str, least: usize) -> bool {
    line.split(form).skip(1).any(|rest| rest.chars().take_while(|c| is_of_a_token(*c)).count() >= least)
}

fn is_of_a_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

fn is_random(run: &str) -> bool {
    run.len() >= RANDOM
        && run.contains(|c: char| c.is_ascii_uppercase())
        && run.contains(|c: char| c.is_ascii_lowercase())
        && run.contains(|c: char| c.is_ascii_digit())
}
