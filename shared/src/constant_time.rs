//! Comparing what must not be guessed step by step: the time it takes does not tell where two texts differ.
//! The signature of a webhook is compared by ring, what is looked up by its hash by the table.

use subtle::ConstantTimeEq as _;

/// Whether two texts are the same. How long they are is no secret.
pub(crate) fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::same;

    proptest! {
        #[test]
        fn texts_are_the_same_exactly_where_they_are_equal(one in "[ab]{0,4}", other in "[ab]{0,4}") {
            prop_assert_eq!(same(&one, &other), one == other);
        }
    }

    #[test]
    fn a_beginning_or_another_last_character_is_not_the_same() {
        let text = "A".repeat(43);
        assert!(same(&text, &"A".repeat(43)));
        assert!(!same(&text, &text[1..]));
        assert!(!same(&text, &format!("{}B", &text[1..])));
        assert!(!same(&text, ""));
    }
}
