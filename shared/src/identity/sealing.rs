//! Sealing the users' provider tokens before they reach the table: AES-256-GCM, keys by name.
//! What a sealed token belongs to is bound into it, so a row copied elsewhere does not open (DESIGN 6).

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad as Associated, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::generated_key;
use crate::clock::{NoEntropy, random};
use crate::provider::ProviderType;
use crate::secrets::fields::{Fields, text};
use crate::secrets::{FromSecret, Secret, SecretsError};

const KEY_BYTES: usize = 32;
const LONGEST_KEY_ID: usize = 64;

/// What a sealed token belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aad<'a> {
    /// The table, so that a backup of production does not open in a test.
    pub table: &'a str,
    /// Whose it is: a user, or the state of a sign-in under way.
    pub user: &'a str,
    /// Of which host.
    pub provider: ProviderType,
    /// What it is: an access or a refresh token, own or brokered, an ID token, a sign-in's verifier.
    pub kind: &'a str,
    /// The row's version: an older token put back does not open.
    pub version: u64,
}

impl Aad<'_> {
    /// Each part after its length, so that no two different tuples give the same bytes.
    fn bytes(&self, key_id: &str) -> Vec<u8> {
        let version = self.version.to_be_bytes();
        let parts: [&[u8]; 6] = [
            self.table.as_bytes(),
            self.user.as_bytes(),
            self.provider.as_str().as_bytes(),
            self.kind.as_bytes(),
            &version,
            key_id.as_bytes(),
        ];
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

/// A sealed token as the table keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The key that opens it.
    pub key_id: String,
    /// Nonce (12 bytes), ciphertext, tag (16 bytes).
    pub bytes: Vec<u8>,
}

/// Why something could not be sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The key ring does not hold this key (any more).
    #[error("no token key is named {0:?}")]
    UnknownKey(String),
    /// The bytes, or what they belong to, are not what was sealed.
    #[error("the sealed token does not belong here or was changed")]
    Tampered,
    /// The operating system gave no random bytes; nothing was sealed.
    #[error("the operating system gave no random bytes")]
    NoEntropy,
}

impl From<NoEntropy> for SealError {
    fn from(_: NoEntropy) -> Self {
        Self::NoEntropy
    }
}

/// The keys: one that seals and, while rotating, older ones that still open.
pub struct KeyRing {
    current: String,
    keys: BTreeMap<String, LessSafeKey>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.keys.keys().collect();
        f.debug_struct("KeyRing").field("current", &self.current).field("keys", &names).finish()
    }
}

impl KeyRing {
    /// Seals a token with the current key and a random nonce.
    ///
    /// # Errors
    /// [`SealError::NoEntropy`].
    pub fn seal(&self, aad: &Aad<'_>, plaintext: &SecretString) -> Result<Sealed, SealError> {
        let key = self.key(&self.current)?;
        let nonce = random::<NONCE_LEN>()?;
        let associated = Associated::from(aad.bytes(&self.current));
        let secret = plaintext.expose_secret().as_bytes();
        // With room for the tag, so that no copy of the plaintext is left behind by growing.
        let mut bytes = Vec::with_capacity(NONCE_LEN + secret.len() + AES_256_GCM.tag_len());
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(secret);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = key
            .seal_in_place_separate_tag(nonce, associated, &mut bytes[NONCE_LEN..])
            .map_err(|_| SealError::Tampered)?;
        bytes.extend_from_slice(tag.as_ref());
        Ok(Sealed { key_id: self.current.clone(), bytes })
    }

    /// Opens a sealed token that belongs to what `aad` says.
    ///
    /// # Errors
    /// [`SealError::UnknownKey`] or [`SealError::Tampered`].
    pub fn open(&self, aad: &Aad<'_>, sealed: &Sealed) -> Result<SecretString, SealError> {
        let key = self.key(&sealed.key_id)?;
        let (nonce, content) = sealed.bytes.split_at_checked(NONCE_LEN).ok_or(SealError::Tampered)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Tampered)?;
        let mut content = Zeroizing::new(content.to_vec());
        let opened = key
            .open_in_place(nonce, Associated::from(aad.bytes(&sealed.key_id)), &mut content)
            .map_err(|_| SealError::Tampered)?;
        let text = std::str::from_utf8(opened).map_err(|_| SealError::Tampered)?;
        Ok(SecretString::from(text))
    }

    /// Whether another key than this one seals now, so that what it has sealed is to be sealed anew.
    #[must_use]
    pub fn is_outdated(&self, key_id: &str) -> bool {
        key_id != self.current
    }

    fn key(&self, id: &str) -> Result<&LessSafeKey, SealError> {
        self.keys.get(id).ok_or_else(|| SealError::UnknownKey(id.to_owned()))
    }
}

impl FromSecret for KeyRing {
    fn from_secret(secret: &str) -> Result<Self, String> {
        let mut fields = Fields::parse(secret)?;
        let current = fields.text("current")?;
        let mut keys = BTreeMap::new();
        for (id, value) in fields.object("keys")? {
            check_key_id(&id)?;
            let field = format!("keys.{id}");
            let encoded = Zeroizing::new(text(&field, value)?);
            let decoded = STANDARD.decode(encoded.trim());
            let bytes = Zeroizing::new(decoded.map_err(|_| format!("{field} is not base64"))?);
            let key = UnboundKey::new(&AES_256_GCM, &bytes)
                .map_err(|_| format!("{field} has {} bytes; expected {KEY_BYTES}", bytes.len()))?;
            keys.insert(id, LessSafeKey::new(key));
        }
        if fields.has(generated_key::NAME) {
            let text = Zeroizing::new(fields.text(generated_key::NAME)?);
            let key = UnboundKey::new(&AES_256_GCM, &*generated_key::key(&text)?)
                .map_err(|_| format!("{} gives no key", generated_key::NAME))?;
            // Two keys of one name would leave rows that only one of them opens.
            if keys.insert(generated_key::NAME.to_owned(), LessSafeKey::new(key)).is_some() {
                return Err(format!("keys.{0} and {0} give two keys of one name", generated_key::NAME));
            }
        }
        if !keys.contains_key(&current) {
            return Err("current names no key of keys".to_owned());
        }
        Ok(Self { current, keys })
    }
}

/// Why a stored row could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The key ring cannot be read.
    #[error(transparent)]
    Keys(#[from] SecretsError),
    /// The row does not open.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// Opens a row with the key ring; with one read anew where another process has sealed with a key that
/// this one does not know yet.
///
/// # Errors
/// [`OpenError`].
pub async fn open(keys: &Secret<KeyRing>, aad: &Aad<'_>, sealed: &Sealed) -> Result<SecretString, OpenError> {
    match keys.get().await?.open(aad, sealed) {
        Err(SealError::UnknownKey(_)) => Ok(keys.refresh().await?.open(aad, sealed)?),
        opened => Ok(opened?),
    }
}

/// A key's name is stored in every row and printed: short and plain.
fn check_key_id(id: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if id.is_empty() || id.len() > LONGEST_KEY_ID || !id.bytes().all(plain) {
        return Err(format!(
            "keys has a name that is not 1 to {LONGEST_KEY_ID} letters, digits, dots, dashes or underscores"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn encoded(byte: u8) -> String {
        STANDARD.encode([byte; KEY_BYTES])
    }

    fn ring() -> KeyRing {
        let secret = json!({"current": "k2", "keys": {"k1": encoded(1), "k2": encoded(2), "k3": encoded(2)}});
        KeyRing::from_secret(&secret.to_string()).unwrap()
    }

    const AAD: Aad<'_> = Aad {
        table: "installations",
        user: "usr_01",
        provider: ProviderType::Github,
        kind: "access",
        version: 7,
    };

    fn opened(aad: &Aad<'_>, sealed: &Sealed) -> Result<String, SealError> {
        ring().open(aad, sealed).map(|text| text.expose_secret().to_owned())
    }

    #[test]
    fn what_was_sealed_opens_where_it_belongs() {
        for token in ["", "ghu_1234", "käse 🧀", &"x".repeat(10_000)] {
            let sealed = ring().seal(&AAD, &token.into()).unwrap();
            assert_eq!((sealed.key_id.as_str(), sealed.bytes.len()), ("k2", 12 + token.len() + 16));
            assert_eq!(opened(&AAD, &sealed), Ok(token.to_owned()));
        }
    }

    #[test]
    fn no_other_table_user_provider_kind_version_or_key_opens_it() {
        let sealed = ring().seal(&AAD, &"ghu_1234".into()).unwrap();
        for other in [
            Aad { table: "other", ..AAD },
            Aad { user: "usr_02", ..AAD },
            Aad { provider: ProviderType::Gitlab, ..AAD },
            Aad { kind: "refresh", ..AAD },
            Aad { version: 6, ..AAD },
        ] {
            assert_eq!(opened(&other, &sealed), Err(SealError::Tampered), "{other:?}");
        }
        // k3 is the same key as k2 by another name.
        for key_id in ["k1", "k3"] {
            let renamed = Sealed { key_id: key_id.to_owned(), ..sealed.clone() };
            assert_eq!(opened(&AAD, &renamed), Err(SealError::Tampered), "{key_id}");
        }
    }

    #[test]
    fn parts_that_run_together_are_not_confused() {
        let sealed = ring().seal(&Aad { table: "ab", user: "c", ..AAD }, &"t".into()).unwrap();
        assert_eq!(opened(&Aad { table: "a", user: "bc", ..AAD }, &sealed), Err(SealError::Tampered));
    }

    #[test]
    fn the_same_token_is_never_sealed_to_the_same_bytes() {
        let sealed: Vec<Sealed> = (0..50).map(|_| ring().seal(&AAD, &"t".into()).unwrap()).collect();
        let nonces: std::collections::HashSet<&[u8]> = sealed.iter().map(|s| &s.bytes[..NONCE_LEN]).collect();
        assert_eq!(nonces.len(), sealed.len());
    }

    #[test]
    fn after_a_rotation_old_rows_open_and_are_known_to_be_old() {
        let before = json!({"current": "k1", "keys": {"k1": encoded(1)}}).to_string();
        let sealed = KeyRing::from_secret(&before).unwrap().seal(&AAD, &"ghu_1234".into()).unwrap();
        assert_eq!(opened(&AAD, &sealed).unwrap(), "ghu_1234");
        assert!(ring().is_outdated(&sealed.key_id));
        assert!(!ring().is_outdated(&ring().seal(&AAD, &"ghu_1234".into()).unwrap().key_id));
        let after = json!({"current": "k2", "keys": {"k2": encoded(2)}}).to_string();
        let after = KeyRing::from_secret(&after).unwrap();
        assert_eq!(after.open(&AAD, &sealed).unwrap_err(), SealError::UnknownKey("k1".to_owned()));
    }

    #[test]
    fn a_malformed_key_ring_is_refused_by_its_field() {
        let refusal = |value: Value| KeyRing::from_secret(&value.to_string()).unwrap_err();
        let keys = json!({"k1": encoded(1)});
        assert_eq!(refusal(json!([])), "it is not a JSON object");
        assert_eq!(refusal(json!({"keys": keys})), "current is missing");
        assert_eq!(refusal(json!({"current": 1, "keys": keys})), "current is a number; expected a string");
        assert_eq!(refusal(json!({"current": "k1"})), "keys is missing");
        assert_eq!(refusal(json!({"current": "k1", "keys": ["k1"]})), "keys is a list; expected an object");
        assert_eq!(refusal(json!({"current": "k1", "keys": {}})), "current names no key of keys");
        assert_eq!(refusal(json!({"current": "k9", "keys": keys})), "current names no key of keys");
        assert_eq!(
            refusal(json!({"current": "k1", "keys": {"k1": 5}})),
            "keys.k1 is a number; expected a string"
        );
        assert_eq!(refusal(json!({"current": "k1", "keys": {"k1": "hunter2!"}})), "keys.k1 is not base64");
        assert_eq!(
            refusal(json!({"current": "k1", "keys": {"k1": STANDARD.encode([0; 16])}})),
            "keys.k1 has 16 bytes; expected 32"
        );
        for id in ["", "a b", "a\nb", &"k".repeat(65)] {
            assert!(
                refusal(json!({"current": "k1", "keys": {id: encoded(1)}})).starts_with("keys has a name")
            );
        }
    }

    #[test]
    fn the_key_that_a_stack_generates_seals_from_the_start_and_opens_after_a_rotation() {
        let generated = "g".repeat(64);
        let first = json!({"current": "generated", "keys": {}, "generated": generated});
        let sealed =
            KeyRing::from_secret(&first.to_string()).unwrap().seal(&AAD, &"ghu_1234".into()).unwrap();
        assert_eq!(sealed.key_id, "generated");
        let rotated = json!({"current": "k1", "keys": {"k1": encoded(1)}, "generated": generated});
        let rotated = KeyRing::from_secret(&rotated.to_string()).unwrap();
        assert_eq!(rotated.open(&AAD, &sealed).unwrap().expose_secret(), "ghu_1234");
        assert!(rotated.is_outdated(&sealed.key_id));
        let other = json!({"current": "generated", "keys": {}, "generated": "h".repeat(64)});
        let other = KeyRing::from_secret(&other.to_string()).unwrap();
        assert_eq!(other.open(&AAD, &sealed).unwrap_err(), SealError::Tampered);
    }

    #[test]
    fn a_generated_key_that_is_short_or_named_twice_is_refused() {
        let refusal = |value: Value| KeyRing::from_secret(&value.to_string()).unwrap_err();
        assert_eq!(
            refusal(json!({"current": "generated", "keys": {}, "generated": "g".repeat(20)})),
            "generated has 20 characters; expected at least 43 random ones"
        );
        let twice = json!({"generated": encoded(1)});
        assert_eq!(
            refusal(json!({"current": "generated", "keys": twice, "generated": "g".repeat(64)})),
            "keys.generated and generated give two keys of one name"
        );
        assert_eq!(
            refusal(json!({"current": "generated", "keys": {}})),
            "current names no key of keys",
            "a ring without the generated text has no such key"
        );
    }

    #[test]
    fn a_printed_key_ring_shows_names_only() {
        assert_eq!(format!("{:?}", ring()), r#"KeyRing { current: "k2", keys: ["k1", "k2", "k3"] }"#);
    }

    proptest! {
        #[test]
        fn one_changed_byte_anywhere_does_not_open(
            token in ".{0,40}", index in any::<prop::sample::Index>(), change in 1..=255_u8,
        ) {
            let mut sealed = ring().seal(&AAD, &token.into()).unwrap();
            *index.get_mut(&mut sealed.bytes) ^= change;
            prop_assert_eq!(opened(&AAD, &sealed), Err(SealError::Tampered));
        }

        #[test]
        fn any_cut_or_lengthened_row_does_not_open(length in 0_usize..60) {
            let mut sealed = ring().seal(&AAD, &"ghu_1234".into()).unwrap();
            prop_assume!(length != sealed.bytes.len());
            sealed.bytes.resize(length, 0);
            prop_assert_eq!(opened(&AAD, &sealed), Err(SealError::Tampered));
        }

        #[test]
        fn any_other_owner_does_not_open(
            a in (".{0,4}", ".{0,4}", 0..4_usize, ".{0,4}", 0..3_u64),
            b in (".{0,4}", ".{0,4}", 0..4_usize, ".{0,4}", 0..3_u64),
        ) {
            fn aad(parts: &(String, String, usize, String, u64)) -> Aad<'_> {
                let (table, user, provider, kind, version) = parts;
                Aad { table, user, provider: ProviderType::ALL[*provider], kind, version: *version }
            }
            let sealed = ring().seal(&aad(&a), &"t".into()).unwrap();
            prop_assert_eq!(opened(&aad(&b), &sealed).is_ok(), a == b);
        }

        #[test]
        fn any_text_is_no_key_ring(text in any::<String>()) {
            prop_assert!(KeyRing::from_secret(&text).is_err());
        }
    }
}
