//! Secrets in a text: those that are known, and whatever has the form of one.

use std::collections::BTreeSet;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Beginnings that only a secret has, and how many characters must follow. Keys are listed with their prefix
/// and four characters; more than that is the key itself.
const FORMS: [(&str, usize); 15] = [
    ("ghu_", 6),
    ("ghr_", 6),
    ("gho_", 6),
    ("ghs_", 6),
    ("ghp_", 6),
    ("github_pat_", 6),
    ("gik_", 5),
    ("eyJ", 10),
    ("code=", 1),
    ("state=", 1),
    ("code_verifier=", 1),
    ("client_secret=", 1),
    ("refresh_token=", 1),
    ("Bearer ", 1),
    ("Basic ", 4),
];

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

/// Each line that holds a secret, with the reason first.
pub(crate) fn leaks(text: &str, known: &Known) -> Vec<String> {
    text.lines().filter_map(|line| leak(line, known).map(|reason| format!("{reason}: {line}"))).collect()
}

fn leak(line: &str, known: &Known) -> Option<String> {
    if let Some(secret) = known.0.iter().find(|secret| line.contains(secret.as_str())) {
        return Some(format!("the secret {secret}"));
    }
    if let Some(word) = WORDS.iter().find(|word| line.contains(*word)) {
        return Some(format!("a key's {word}"));
    }
    for (form, least) in FORMS {
        let mut parts = line.split(form);
        parts.next();
        if parts.any(|rest| rest.chars().take_while(|c| is_of_a_token(*c)).count() >= least) {
            return Some(format!("a value after {form}"));
        }
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

fn is_of_a_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

fn is_random(run: &str) -> bool {
    run.len() >= RANDOM
        && run.contains(|c: char| c.is_ascii_uppercase())
        && run.contains(|c: char| c.is_ascii_lowercase())
        && run.contains(|c: char| c.is_ascii_digit())
}

#[test]
fn every_kind_of_secret_is_found() {
    let mut known = Known::default();
    known.add("sandbox/client secret");
    for line in [
        "token ghu_0123456789abcdef",
        "refresh=ghr_0123456789abcdef",
        "key gik_AbCdEfGhIj",
        "GET /callback?code=0123&x=1",
        "GET /callback?x=1&state=a",
        "authorization: \"Bearer x\"",
        "jwt eyJhbGciOiJSUzI1NiJ9.e30.x",
        "-----BEGIN RSA PRIVATE KEY-----",
        "secret sandbox/client secret",
        "secret=sandbox%2Fclient%20secret",
        "session 0A0a0A0a0A0a0A0a0A0a0A0a0A0a0A0a0A0a0A0a0A0",
        "Blob { inner: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16] }",
    ] {
        assert_eq!(leaks(line, &known).len(), 1, "{line}");
    }
}

#[test]
fn what_a_log_may_say_is_no_leak() {
    let mut known = Known::default();
    known.add("sandbox-client-secret");
    for line in [
        "request failed request_id=\"l4hvK/F+b48EQPo=\" failure=github: the host did not answer in time",
        "key gik_AbCd of usr_01M7XT5HJNKV9FDM3HPZ9WD9YB",
        "trace Root=1-692fa1c0-000000000000000000000007",
        "no code, no state, status=404, [1, 2, 3]",
    ] {
        assert_eq!(leaks(line, &known), [""; 0], "{line}");
    }
}
