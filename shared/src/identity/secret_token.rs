//! Opaque tokens that we give out: session cookies, API keys, sign-in states.
//! 256 random bits each, of which only the SHA-256 is ever stored (DESIGN 3).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretString};

use crate::clock::{NoEntropy, random};

const BYTES: usize = 32;

/// A token whose holder is somebody, because nobody can guess it.
#[derive(Clone, Debug)]
pub struct SecretToken(SecretString);

/// What is stored of a token. A table that leaks signs nobody in, and looking a token up by its hash
/// tells nothing by the time it takes.
///
/// It is not comparable: the table finds it, and where two stand beside each other, they are compared in constant time.
#[derive(Clone, Debug)]
pub struct TokenHash(String);

impl SecretToken {
    /// A new token: the prefix, which tells one kind from another, and 43 characters of base64url.
    ///
    /// # Errors
    /// [`NoEntropy`]: nothing was issued.
    pub fn generate(prefix: &str) -> Result<Self, NoEntropy> {
        let random = URL_SAFE_NO_PAD.encode(random::<BYTES>()?);
        Ok(Self(format!("{prefix}{random}").into()))
    }

    /// The token that somebody sent, if it has the form of one with this prefix; whether it is one,
    /// the table knows. Anything else is refused before it costs a look into the table.
    #[must_use]
    pub fn parse(prefix: &str, text: &str) -> Option<Self> {
        let random = text.strip_prefix(prefix)?;
        let mut bytes = [0; BYTES];
        let length = URL_SAFE_NO_PAD.decode_slice(random, &mut bytes).ok()?;
        (length == BYTES).then(|| Self(text.to_owned().into()))
    }

    /// What is stored of it.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash(URL_SAFE_NO_PAD.encode(digest(&SHA256, self.0.expose_secret().as_bytes())))
    }

    /// The token itself, for its holder.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl TokenHash {
    /// The hash as a key of the table: 43 characters of base64url.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_token_is_new_each_time_and_parses_with_its_own_prefix_only() {
        let token = SecretToken::generate("key_").unwrap();
        assert_ne!(token.expose(), SecretToken::generate("key_").unwrap().expose());
        assert_eq!(token.expose().len(), 4 + 43);
        let parsed = SecretToken::parse("key_", token.expose()).unwrap();
        assert_eq!(parsed.hash().as_str(), token.hash().as_str());
        assert!(SecretToken::parse("", token.expose()).is_none());
        assert!(SecretToken::parse("ses_", token.expose()).is_none());
    }

    #[test]
    fn what_cannot_have_been_issued_is_no_token() {
        let token = SecretToken::generate("").unwrap();
        let token = token.expose();
        let megabyte = "A".repeat(1 << 20);
        for text in [
            "",
            &token[1..],
            &format!("{token}A"),
            &format!("{token}="),
            &format!(" {token}"),
            &format!("{}+", &token[1..]),
            &megabyte,
        ] {
            assert!(SecretToken::parse("", text).is_none(), "{}", text.len());
        }
    }

    #[test]
    fn the_hash_is_the_sha_256_of_the_whole_token() {
        let text = format!("key_{}", "A".repeat(43));
        let token = SecretToken::parse("key_", &text).unwrap();
        assert_eq!(
            URL_SAFE_NO_PAD.decode(token.hash().as_str()).unwrap(),
            digest(&SHA256, text.as_bytes()).as_ref()
        );
    }

    #[test]
    fn a_printed_token_shows_nothing_secret() {
        let token = SecretToken::generate("key_").unwrap();
        assert!(!format!("{token:?}").contains(&token.expose()[4..]));
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_to_itself_or_not_at_all(prefix in ".{0,3}", text in any::<String>()) {
            if let Some(token) = SecretToken::parse(&prefix, &text) {
                prop_assert_eq!(token.expose(), text);
            }
        }
    }
}
