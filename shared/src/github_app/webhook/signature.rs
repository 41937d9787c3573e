//! `X-Hub-Signature-256`: HMAC-SHA256 over the body as it arrived, before anything reads it (reference:
//! GitHub 2.1, 5.1). Compared in constant time, against each of the secrets while they rotate.

use http::HeaderMap;
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};

/// The header. GitHub's older `X-Hub-Signature` with SHA-1 is not looked at.
const HEADER: &str = "x-hub-signature-256";
const PREFIX: &str = "sha256=";
const BYTES: usize = 32;

/// Why a signature is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureProblem {
    /// There is none.
    #[error("the header X-Hub-Signature-256 is missing")]
    Missing,
    /// It is not `sha256=` and 64 lower-case hexadecimal digits, or there are several.
    #[error("the header X-Hub-Signature-256 must be sha256= and 64 lower-case hexadecimal digits, once")]
    Malformed,
    /// None of the secrets makes it.
    #[error("the signature does not fit the body")]
    Wrong,
}

/// Whether one of the secrets has signed exactly this body.
///
/// # Errors
/// [`SignatureProblem`].
pub fn verify(secrets: &[SecretString], headers: &HeaderMap, body: &[u8]) -> Result<(), SignatureProblem> {
    let mut values = headers.get_all(HEADER).iter();
    let value = values.next().ok_or(SignatureProblem::Missing)?;
    if values.next().is_some() {
        return Err(SignatureProblem::Malformed);
    }
    let signature = value.to_str().ok().and_then(decode).ok_or(SignatureProblem::Malformed)?;
    let signed = |secret: &SecretString| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
        hmac::verify(&key, body, &signature).is_ok()
    };
    // Each is tried: how long it takes does not tell which one fits.
    let fits = secrets.iter().fold(false, |fits, secret| signed(secret) | fits);
    if fits { Ok(()) } else { Err(SignatureProblem::Wrong) }
}

fn decode(value: &str) -> Option<[u8; BYTES]> {
    let digits = value.strip_prefix(PREFIX)?.as_bytes();
    if digits.len() != 2 * BYTES {
        return None;
    }
    let mut bytes = [0; BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const SIGNATURE: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn check(secrets: &[&str], values: &[&str], body: &[u8]) -> Result<(), SignatureProblem> {
        let secrets: Vec<SecretString> = secrets.iter().map(|secret| SecretString::from(*secret)).collect();
        let mut map = HeaderMap::new();
        for value in values {
            map.append(HEADER, HeaderValue::from_str(value).unwrap());
        }
        verify(&secrets, &map, body)
    }

    #[test]
    fn githubs_published_example_is_accepted_by_any_of_several_secrets() {
        let value = format!("{PREFIX}{SIGNATURE}");
        assert_eq!(check(&[SECRET], &[&value], BODY), Ok(()));
        assert_eq!(check(&["older", SECRET, "newer"], &[&value], BODY), Ok(()));
        assert_eq!(check(&["older", "newer"], &[&value], BODY), Err(SignatureProblem::Wrong));
        assert_eq!(check(&[], &[&value], BODY), Err(SignatureProblem::Wrong));
    }

    #[test]
    fn a_body_that_differs_in_one_byte_or_a_newline_is_refused() {
        let value = format!("{PREFIX}{SIGNATURE}");
        for body in [&b"Hello, World?"[..], b"Hello, World!\n", b"\xef\xbb\xbfHello, World!", b""] {
            assert_eq!(check(&[SECRET], &[&value], body), Err(SignatureProblem::Wrong));
        }
    }

    #[test]
    fn other_forms_of_a_right_signature_are_refused() {
        assert_eq!(check(&[SECRET], &[], BODY), Err(SignatureProblem::Missing));
        let right = format!("{PREFIX}{SIGNATURE}");
        for values in [
            &[SIGNATURE.to_owned()][..],
            &[format!("sha1={SIGNATURE}")],
            &[format!("SHA256={SIGNATURE}")],
            &[right.to_uppercase()],
            &[format!("{PREFIX}{}", SIGNATURE.to_uppercase())],
            &[format!("{PREFIX}{}", &SIGNATURE[1..])],
            &[format!("{right}0")],
            &[format!(" {right}")],
            &[String::new()],
            &[right.clone(), right.clone()],
        ] {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            assert_eq!(check(&[SECRET], &values, BODY), Err(SignatureProblem::Malformed), "{values:?}");
        }
    }

    proptest! {
        #[test]
        fn one_bit_off_is_refused(bit in 0_usize..256, body in proptest::collection::vec(any::<u8>(), 0..64)) {
            let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
            let mut signature = hmac::sign(&key, &body).as_ref().to_vec();
            let value = |signature: &[u8]| {
                format!("{PREFIX}{}", signature.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
            };
            prop_assert_eq!(check(&[SECRET], &[&value(&signature)], &body), Ok(()));
            signature[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(check(&[SECRET], &[&value(&signature)], &body), Err(SignatureProblem::Wrong));
        }
    }
}
