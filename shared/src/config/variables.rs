//! Reading single variables: one method per form that a value may have.
//! Every refusal names the variable, what is wrong with it and what was expected, in one line.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tracing::Level;
use url::Url;

use super::hosts::is_this_machine;

/// A setting is missing or wrong; one line that tells the operator what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {problem}; expected {expected}")]
pub struct ConfigError {
    variable: &'static str,
    problem: String,
    expected: String,
}

impl ConfigError {
    pub(super) fn new(
        variable: &'static str,
        problem: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self { variable, problem: problem.into(), expected: expected.into() }
    }

    /// The name of the variable.
    #[must_use]
    pub const fn variable(&self) -> &'static str {
        self.variable
    }
}

/// The environment, as something that gives a value for a name.
pub(super) struct Variables<F> {
    lookup: F,
}

impl<F: Fn(&str) -> Option<String>> Variables<F> {
    pub(super) const fn new(lookup: F) -> Self {
        Self { lookup }
    }

    pub(super) fn optional(&self, name: &'static str) -> Option<String> {
        let value = (self.lookup)(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    pub(super) fn required(&self, name: &'static str, expected: &str) -> Result<String, ConfigError> {
        self.optional(name).ok_or_else(|| ConfigError::new(name, "is not set", expected))
    }

    /// A table's name or ARN, in the characters that DynamoDB takes.
    pub(super) fn table_name(&self, name: &'static str) -> Result<String, ConfigError> {
        let expected = "the name of the DynamoDB table";
        let value = self.required(name, expected)?;
        made_of(name, value, expected, |c| c.is_ascii_alphanumeric() || "_-.:/".contains(c))
    }

    /// A secret's name or ARN, in the characters that Secrets Manager takes.
    pub(super) fn secret_id(&self, name: &'static str) -> Result<String, ConfigError> {
        self.optional_secret_id(name)?.ok_or_else(|| ConfigError::new(name, "is not set", SECRET_ID))
    }

    pub(super) fn optional_secret_id(&self, name: &'static str) -> Result<Option<String>, ConfigError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "/_+=.@:!-".contains(c);
        self.optional(name).map(|value| made_of(name, value, SECRET_ID, allowed)).transpose()
    }

    pub(super) fn region(&self, name: &'static str) -> Result<String, ConfigError> {
        let expected = "an AWS region, e.g. eu-central-1";
        let value = self.required(name, expected)?;
        made_of(name, value, expected, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    }

    /// An RFC 9110 token, which is what a cookie's name has to be (RFC 6265, 4.1.1).
    pub(super) fn token(&self, name: &'static str, default: &str) -> Result<String, ConfigError> {
        let value = self.optional(name).unwrap_or_else(|| default.to_owned());
        let expected = format!("letters, digits and !#$%&'*+-.^_`|~ only, e.g. {default}");
        made_of(name, value, &expected, |c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
    }

    pub(super) fn number<T>(
        &self,
        name: &'static str,
        default: T,
        range: RangeInclusive<T>,
    ) -> Result<T, ConfigError>
    where
        T: FromStr + PartialOrd + Display,
    {
        let Some(text) = self.optional(name) else { return Ok(default) };
        let problem = |what: &str| {
            let expected = format!("a whole number from {} to {}", range.start(), range.end());
            ConfigError::new(name, format!("is {} {what}", shown(&text)), expected)
        };
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(problem("which is no whole number"));
        }
        match text.parse() {
            Ok(number) if range.contains(&number) => Ok(number),
            _ => Err(problem("which is out of range")),
        }
    }

    pub(super) fn boolean(&self, name: &'static str, default: bool) -> Result<bool, ConfigError> {
        match self.optional(name).as_deref() {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => Err(ConfigError::new(name, format!("is {}", shown(other)), "true or false")),
        }
    }

    pub(super) fn level(&self, name: &'static str, default: Level) -> Result<Level, ConfigError> {
        const LEVELS: [(&str, Level); 5] = [
            ("error", Level::ERROR),
            ("warn", Level::WARN),
            ("info", Level::INFO),
            ("debug", Level::DEBUG),
            ("trace", Level::TRACE),
        ];
        let Some(text) = self.optional(name) else { return Ok(default) };
        let found = LEVELS.into_iter().find(|(word, _)| text.eq_ignore_ascii_case(word));
        found.map(|(_, level)| level).ok_or_else(|| {
            let expected = "one of error, warn, info, debug, trace";
            ConfigError::new(name, format!("is {}", shown(&text)), expected)
        })
    }

    pub(super) fn url(&self, name: &'static str, default: &str) -> Result<Url, ConfigError> {
        let text = self.optional(name).unwrap_or_else(|| default.to_owned());
        parse_base_url(&text).map_err(|problem| ConfigError::new(name, problem, URL))
    }

    pub(super) fn optional_url(&self, name: &'static str) -> Result<Option<Url>, ConfigError> {
        let parse =
            |text: String| parse_base_url(&text).map_err(|problem| ConfigError::new(name, problem, URL));
        self.optional(name).map(parse).transpose()
    }

    /// Two URLs of one host: both or neither, because one alone would send the secrets of one host
    /// to the default of the other.
    pub(super) fn url_pair(
        &self,
        names: [&'static str; 2],
        defaults: [&str; 2],
    ) -> Result<[Url; 2], ConfigError> {
        let given = names.map(|name| self.optional(name).is_some());
        if given[0] != given[1] {
            let (set, missing) = if given[0] { (names[0], names[1]) } else { (names[1], names[0]) };
            return Err(ConfigError::new(
                missing,
                format!("is not set although {set} is"),
                "both or neither",
            ));
        }
        Ok([self.url(names[0], defaults[0])?, self.url(names[1], defaults[1])?])
    }

    pub(super) fn certificates(
        &self,
        name: &'static str,
    ) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
        let Some(text) = self.optional(name) else { return Ok(Vec::new()) };
        let expected = "certificates in PEM form (-----BEGIN CERTIFICATE-----)";
        let text = text.replace("\\n", "\n");
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        match found {
            Ok(certificates) if !certificates.is_empty() => Ok(certificates),
            Ok(_) => Err(ConfigError::new(name, "contains no certificate", expected)),
            Err(_) => Err(ConfigError::new(name, "is not well-formed PEM", expected)),
        }
    }
}

const SECRET_ID: &str = "the name or ARN of a secret in Secrets Manager";
const URL: &str = "https://host[:port][/path] (http:// only for this machine)";

/// A base URL: absolute, https (http for this machine only), nothing but origin and path.
///
/// Stricter than the URL standard, which also repairs backslashes, blanks and missing slashes.
/// The problem does not repeat the text: it may contain a password.
pub(crate) fn parse_base_url(text: &str) -> Result<Url, &'static str> {
    if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err("contains a blank, a control character or a backslash");
    }
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    if !matches!(scheme.as_deref(), Some("https" | "http")) {
        return Err("does not start with https://");
    }
    let mut url = Url::parse(text).map_err(|_| "is not a URL")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if url.domain().is_some_and(|name| !name.chars().all(plain)) {
        return Err("contains a host name with characters that none has");
    }
    if !url.username().is_empty() || url.password().is_some() || text.contains('@') {
        return Err("contains a user name or password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("contains a query or fragment");
    }
    if url.scheme() == "http" && !is_this_machine(&url) {
        return Err("is http:// to another machine, which would send tokens unencrypted");
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

fn made_of(
    name: &'static str,
    value: String,
    expected: &str,
    allowed: impl Fn(char) -> bool,
) -> Result<String, ConfigError> {
    match value.chars().find(|c| !allowed(*c)) {
        None => Ok(value),
        Some(c) => Err(ConfigError::new(name, format!("contains the character {c:?}"), expected)),
    }
}

/// A value as it may stand in an error: on one line and short.
fn shown(value: &str) -> String {
    const LONGEST: usize = 40;
    if value.chars().count() > LONGEST {
        format!("{:?}...", value.chars().take(LONGEST).collect::<String>())
    } else {
        format!("{value:?}")
    }
}
