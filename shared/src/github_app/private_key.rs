//! An App's RSA private key, in every form in which one arrives (reference: github, 1.8).
//! What is refused is refused with a text that tells what it is and what to do.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jsonwebtoken::{DecodingKey, EncodingKey};
use ring::digest::{SHA256, digest};
use ring::signature::RsaKeyPair;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use zeroize::Zeroizing;

use crate::ring_provider;

/// Which key it is: the SHA-256 of its public part, safe to log.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; 32]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// A key that signs as the App; printed, it shows its id only.
#[derive(Clone)]
pub struct PrivateKey {
    id: KeyId,
    signing: EncodingKey,
    verifying: DecodingKey,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PrivateKey").field(&self.id).finish()
    }
}

/// Why a text is not an App's private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrivateKeyProblem {
    /// Nothing there.
    #[error("is empty")]
    Empty,
    /// No `-----BEGIN` anywhere, not even after decoding base64.
    #[error("contains no PEM block")]
    NotPem,
    /// A block that begins and does not end.
    #[error("is cut off: its -----END line is missing")]
    CutOff,
    /// Two keys in one text.
    #[error("contains more than one PEM block; give several keys as a list")]
    Several,
    /// ssh-keygen's own format.
    #[error("is an OpenSSH key; convert it with `ssh-keygen -p -m PEM -f FILE`")]
    OpenSsh,
    /// Protected by a passphrase.
    #[error("is encrypted; decrypt it with `openssl rsa -in FILE`")]
    Encrypted,
    /// The public half.
    #[error("is a public key")]
    Public,
    /// A certificate or a request for one.
    #[error("is a certificate")]
    Certificate,
    /// EC, Ed25519 and the like: GitHub takes RS256 only.
    #[error("is not an RSA key")]
    NotRsa,
    /// A PEM block of some other type.
    #[error("is a PEM block of another type")]
    OtherBlock,
    /// The block's content is not a consistent key.
    #[error("is damaged: its content is not an RSA private key")]
    Damaged,
    /// Fewer than 2048 bits.
    #[error("is too small: it has fewer than 2048 bits")]
    TooSmall,
    /// More than 4096 bits, or a size that ring does not compute with.
    #[error("has an unusual size; take 2048, 3072 or 4096 bits")]
    UnusualSize,
}

impl PrivateKey {
    /// Parses PKCS#1 or PKCS#8 PEM, with real or escaped line breaks or none, quoted, or wrapped in base64.
    ///
    /// # Errors
    /// What the text is instead.
    pub fn from_text(text: &str) -> Result<Self, PrivateKeyProblem> {
        ring_provider::install();
        if text.trim().is_empty() {
            return Err(PrivateKeyProblem::Empty);
        }
        let text = unwrapped(text).ok_or(PrivateKeyProblem::NotPem)?;
        let pem = canonical(&text)?;
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| PrivateKeyProblem::Damaged)?;
        let key = Zeroizing::new(key);
        let pair = match &*key {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            _ => return Err(PrivateKeyProblem::NotRsa),
        };
        let pair = pair.map_err(|rejected| match rejected.to_string().as_str() {
            "TooSmall" => PrivateKeyProblem::TooSmall,
            "TooLarge" | "PrivateModulusLenNotMultipleOf512Bits" => PrivateKeyProblem::UnusualSize,
            "WrongAlgorithm" => PrivateKeyProblem::NotRsa,
            _ => PrivateKeyProblem::Damaged,
        })?;
        let public = pair.public().as_ref();
        let mut id = [0; 32];
        id.copy_from_slice(digest(&SHA256, public).as_ref());
        Ok(Self {
            id: KeyId(id),
            signing: EncodingKey::from_rsa_der(key.secret_der()),
            verifying: DecodingKey::from_rsa_der(public),
        })
    }

    /// Which key it is.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    pub(super) const fn signing(&self) -> &EncodingKey {
        &self.signing
    }

    pub(super) const fn verifying(&self) -> &DecodingKey {
        &self.verifying
    }
}

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

/// The text with a `-----BEGIN`: itself without escapes, or what its base64 decodes to.
fn unwrapped(text: &str) -> Option<Zeroizing<String>> {
    let plain = unescaped(text);
    if plain.contains(BEGIN) {
        return Some(plain);
    }
    let mut compact = Zeroizing::new(String::with_capacity(plain.len()));
    compact.extend(plain.chars().filter(|c| !c.is_whitespace() && !matches!(c, '"' | '\'')));
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if compact.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    let bytes = GeneralPurpose::new(alphabet, lenient).decode(compact.as_bytes()).ok()?;
    let bytes = Zeroizing::new(bytes);
    let decoded = unescaped(std::str::from_utf8(&bytes).ok()?);
    decoded.contains(BEGIN).then_some(decoded)
}

/// Line breaks in place of `\n` and `\r` however often escaped; other backslashes (`\/`, `\"`) fall away.
fn unescaped(text: &str) -> Zeroizing<String> {
    let mut plain = Zeroizing::new(String::with_capacity(text.len()));
    let mut escaped = false;
    for c in text.chars() {
        match c {
            '\\' => escaped = true,
            'n' | 'r' if std::mem::take(&mut escaped) => plain.push('\n'),
            _ => {
                escaped = false;
                plain.push(c);
            }
        }
    }
    plain
}

/// The one PEM block of the text as RFC 7468 writes it: begin, content, end, each on its line.
fn canonical(text: &str) -> Result<Zeroizing<String>, PrivateKeyProblem> {
    let (_, rest) = text.split_once(BEGIN).ok_or(PrivateKeyProblem::NotPem)?;
    let (label, rest) = rest.split_once(DASHES).ok_or(PrivateKeyProblem::CutOff)?;
    check_label(label)?;
    let end = format!("-----END {label}-----");
    let (content, after) = rest.split_once(&end).ok_or(PrivateKeyProblem::CutOff)?;
    if content.contains("ENCRYPTED") {
        return Err(PrivateKeyProblem::Encrypted);
    }
    if content.contains(DASHES) {
        return Err(PrivateKeyProblem::CutOff);
    }
    if after.contains(BEGIN) {
        return Err(PrivateKeyProblem::Several);
    }
    let mut pem = Zeroizing::new(String::with_capacity(text.len() + 8));
    pem.push_str(BEGIN);
    pem.push_str(label);
    pem.push_str("-----\n");
    pem.extend(content.chars().filter(|c| !c.is_whitespace()));
    pem.push('\n');
    pem.push_str(&end);
    pem.push('\n');
    Ok(pem)
}

fn check_label(label: &str) -> Result<(), PrivateKeyProblem> {
    match label {
        "RSA PRIVATE KEY" | "PRIVATE KEY" => Ok(()),
        "OPENSSH PRIVATE KEY" => Err(PrivateKeyProblem::OpenSsh),
        "ENCRYPTED PRIVATE KEY" => Err(PrivateKeyProblem::Encrypted),
        "EC PRIVATE KEY" | "EC PARAMETERS" | "DSA PRIVATE KEY" => Err(PrivateKeyProblem::NotRsa),
        _ if label.ends_with("PUBLIC KEY") => Err(PrivateKeyProblem::Public),
        _ if label.contains("CERTIFICATE") => Err(PrivateKeyProblem::Certificate),
        _ => Err(PrivateKeyProblem::OtherBlock),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    macro_rules! pem {
        ($name:literal) => {
            include_str!(concat!("../../fixtures/pem/", $name, ".pem"))
        };
    }

    fn parse(text: &str) -> Result<KeyId, PrivateKeyProblem> {
        PrivateKey::from_text(text).map(|key| key.id())
    }

    #[test]
    fn every_form_of_one_key_is_the_same_key() {
        let pkcs1 = pem!("rsa-pkcs1");
        let wanted = parse(pkcs1).unwrap();
        assert_ne!(parse(pem!("other-pkcs1")).unwrap(), wanted);
        let base64 = pem!("rsa-pkcs1-base64");
        for (form, text) in [
            ("PKCS#8", pem!("rsa-pkcs8").to_owned()),
            ("CRLF", pem!("rsa-pkcs1-crlf").to_owned()),
            ("escaped", pem!("rsa-pkcs1-escaped").to_owned()),
            ("escaped twice", pem!("rsa-pkcs1-escaped").replace('\\', "\\\\")),
            ("escaped CRLF", pkcs1.replace('\n', "\\r\\n")),
            ("escaped slashes", pkcs1.replace('/', "\\/")),
            ("one line", pem!("rsa-pkcs1-one-line").to_owned()),
            ("blanks for line breaks", pkcs1.replace('\n', " ")),
            ("no newline at the end", pem!("rsa-pkcs1-no-newline").to_owned()),
            ("quoted", format!("\"{pkcs1}\"")),
            ("quoted and escaped", format!(" '{}' ", pem!("rsa-pkcs1-escaped"))),
            ("JSON string", serde_json::to_string(pkcs1).unwrap()),
            ("surrounding whitespace", format!("\n\t  {pkcs1}\n\n ")),
            ("indented", pkcs1.replace('\n', "\n    ")),
            ("byte order mark", format!("\u{feff}{pkcs1}")),
            ("base64", base64.to_owned()),
            ("base64 without padding", base64.trim_end_matches('=').to_owned()),
            ("base64, URL-safe", base64.replace('+', "-").replace('/', "_")),
            (
                "base64 in lines",
                base64
                    .as_bytes()
                    .chunks(76)
                    .map(|line| format!("{}\n", std::str::from_utf8(line).unwrap()))
                    .collect(),
            ),
            ("base64, quoted", format!("\"{base64}\"")),
        ] {
            assert_eq!(parse(&text), Ok(wanted), "{form}");
        }
    }

    #[test]
    fn what_is_no_usable_key_is_called_by_its_name() {
        use PrivateKeyProblem as P;
        let pkcs1 = pem!("rsa-pkcs1");
        for (text, problem) in [
            ("", P::Empty),
            (" \n ", P::Empty),
            ("hunter2", P::NotPem),
            ("aHVudGVyMg==", P::NotPem),
            ("/run/secrets/key.pem", P::NotPem),
            (pem!("openssh"), P::OpenSsh),
            (pem!("rsa-pkcs1-encrypted"), P::Encrypted),
            (pem!("rsa-pkcs8-encrypted"), P::Encrypted),
            (pem!("rsa-public"), P::Public),
            (pem!("rsa-public-pkcs1"), P::Public),
            (pem!("ec-public"), P::Public),
            (pem!("certificate"), P::Certificate),
            (pem!("ec-sec1"), P::NotRsa),
            (pem!("ec-pkcs8"), P::NotRsa),
            (pem!("ed25519-pkcs8"), P::NotRsa),
            (pem!("rsa-1024"), P::TooSmall),
            (pem!("rsa-pkcs1-truncated"), P::CutOff),
            (pem!("rsa-pkcs1-cut"), P::Damaged),
            (&pkcs1.repeat(2), P::Several),
            (&pkcs1.replacen("MII", "???", 1), P::Damaged),
            ("-----BEGIN RSA PRIVATE KEY-----\n-----END RSA PRIVATE KEY-----", P::Damaged),
            ("-----BEGIN RSA PRIVATE KEY", P::CutOff),
            ("-----BEGIN PGP MESSAGE-----\n\n-----END PGP MESSAGE-----", P::OtherBlock),
        ] {
            assert_eq!(parse(text), Err(problem), "{text}");
        }
    }

    #[test]
    fn a_key_that_does_not_fit_together_is_damaged() {
        // Two digits of the modulus exchanged: still well-formed, no longer p times q.
        let damaged = {
            let lines: Vec<&str> = pem!("rsa-pkcs1").lines().collect();
            let (left, right) = lines[2].split_at(10);
            let swapped = format!("{}{left}", right);
            pem!("rsa-pkcs1").replace(lines[2], &swapped)
        };
        assert_eq!(parse(&damaged), Err(PrivateKeyProblem::Damaged));
    }

    #[test]
    fn a_printed_key_shows_nothing_secret() {
        let key = PrivateKey::from_text(pem!("rsa-pkcs1")).unwrap();
        let printed = format!("{key:?}");
        assert_eq!(printed, format!("PrivateKey(KeyId({}))", key.id()));
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in any::<String>()) {
            prop_assert!(parse(&text).is_err());
        }

        #[test]
        fn any_content_between_the_lines_is_refused(
            label in "(RSA |EC |OPENSSH |ENCRYPTED |)(PRIVATE|PUBLIC) KEY",
            content in "[A-Za-z0-9+/=\\\\\n -]{0,200}",
        ) {
            let text = format!("-----BEGIN {label}-----\n{content}\n-----END {label}-----\n");
            prop_assert!(parse(&text).is_err());
        }

        #[test]
        fn a_key_cut_anywhere_is_refused(length in 0..pem!("rsa-pkcs1").len() - 1) {
            prop_assert!(parse(&pem!("rsa-pkcs1")[..length]).is_err());
        }
    }
}
