//! The one key that a stack makes by itself: from a random text, because Secrets Manager generates no bytes.
//! Which keys there are and which one seals is the key ring's business.

use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use zeroize::Zeroizing;

/// The name of the key, and of the secret's field with its text.
pub(crate) const NAME: &str = "generated";
/// So many random letters and digits hold 256 bits: 43 · log2(62) = 256.03.
const SHORTEST: usize = 43;

/// The key of a generated text.
///
/// One round of SHA-256 is enough, and a slow derivation as for passwords would protect nothing: the text was
/// drawn uniformly from letters and digits by Secrets Manager (the template asks for 64, which are 381 bits),
/// so guessing the text is harder than guessing the key.
///
/// # Errors
/// What is wrong with the text; never a part of it.
pub(crate) fn key(text: &str) -> Result<Zeroizing<[u8; SHA256_OUTPUT_LEN]>, String> {
    let length = text.chars().count();
    if length < SHORTEST {
        return Err(format!("{NAME} has {length} characters; expected at least {SHORTEST} random ones"));
    }
    let mut key = Zeroizing::new([0; SHA256_OUTPUT_LEN]);
    key.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_sha_256_of_the_text() {
        let text = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ab";
        // printf %s abc... | sha256sum
        let expected = "fa443f246563d77f1f47c322251159e32a357005bf6bfcc618c3c905e849cbcd";
        let key = key(text).unwrap();
        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
    }

    #[test]
    fn a_text_with_less_than_256_bits_is_refused_without_being_told() {
        let short = "x".repeat(42);
        let refusal = key(&short).unwrap_err();
        assert_eq!(refusal, "generated has 42 characters; expected at least 43 random ones");
        assert!(key(&"x".repeat(43)).is_ok());
    }
}
