//! Reading what a host says about further pages: `Link` headers (RFC 8288) as numbers.
//! Links themselves are never followed; addresses are built from the host's configuration.

use parse_link_header::parse_with_rel;

/// The page number of the `Link` of that relation (`next`, `last`), if it names one.
#[must_use]
pub fn page_of(link: &str, relation: &str) -> Option<u32> {
    parse_with_rel(link).ok()?.get(relation)?.queries.get("page")?.parse().ok()
}

/// Pages of `per_page` items that hold `total` items; at least one.
#[must_use]
pub fn pages(total: u64, per_page: u32) -> u32 {
    u32::try_from(total.div_ceil(u64::from(per_page.max(1)))).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINK: &str = r#"<https://api.github.com/user/installations?page=2&per_page=100>; rel="next", <https://api.github.com/user/installations?page=5&per_page=100>; rel="last""#;

    #[test]
    fn next_and_last_are_read_from_a_header_that_holds_several_links() {
        assert_eq!(page_of(LINK, "next"), Some(2));
        assert_eq!(page_of(LINK, "last"), Some(5));
        assert_eq!(page_of(LINK, "prev"), None);
    }

    #[test]
    fn links_without_a_page_number_name_no_page() {
        assert_eq!(page_of(r#"<https://example.com/?cursor=abc>; rel="next""#, "next"), None);
        assert_eq!(page_of(r#"<https://example.com/?page=-1>; rel="next""#, "next"), None);
        assert_eq!(page_of("nonsense", "next"), None);
    }

    #[test]
    fn page_counts_round_up_and_never_reach_zero() {
        assert_eq!(pages(0, 100), 1);
        assert_eq!(pages(100, 100), 1);
        assert_eq!(pages(101, 100), 2);
        assert_eq!(pages(1500, 100), 15);
    }

    proptest! {
        #[test]
        fn no_header_makes_the_reader_panic(link in ".{0,200}") {
            let _ = page_of(&link, "next");
        }
    }
}
