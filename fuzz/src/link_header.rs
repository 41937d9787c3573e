//! `Link` headers of hosts: what is read of them, and what of it a client of ours is shown.
//! Where a listing goes on by them is in the targets of the hosts.

use std::sync::LazyLock;

use shared::contract::github::rewrite_link;
use shared::link_header::{parameter, target};
use shared::provider::paging::page_of;
use url::Url;

use crate::hosts::url;

static PUBLIC: LazyLock<Url> = LazyLock::new(|| url("https://installations.test/stage"));

/// What is shown names pages of ours only, and what is read stands in the header.
pub fn run(data: &[u8]) {
    let Ok(header) = std::str::from_utf8(data) else { return };
    for relation in ["prev", "next", "last", "first", ""] {
        if let Some(target) = target(header, relation) {
            assert!(header.contains(&format!("<{target}>")), "{target:?} stands nowhere");
            let page = parameter(target, "page");
            assert_eq!(page_of(header, relation), page.and_then(|page| page.parse().ok()));
        }
    }
    if let Some(shown) = rewrite_link(header, &PUBLIC, "/user/installations") {
        for link in shown.split(", ") {
            let (address, relation) = link.split_once("; ").expect("a relation");
            assert!(matches!(relation, "rel=\"prev\"" | "rel=\"next\"" | "rel=\"last\"" | "rel=\"first\""));
            let address = address.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
            let address = url(address.expect("an address in angle brackets"));
            assert_eq!(address.origin(), PUBLIC.origin());
            assert_eq!(address.path(), "/stage/user/installations");
            for (name, value) in address.query_pairs() {
                assert!(matches!(&*name, "page" | "per_page"), "{name}");
                assert!(value.parse::<u32>().is_ok_and(|number| number > 0), "{value}");
            }
        }
        // Whoever reads ours finds the same pages.
        let ours = target(&shown, "next").and_then(|target| parameter(target, "page"));
        let theirs = target(header, "next").and_then(|target| parameter(target, "page"));
        assert_eq!(
            ours.map(|page| page.parse::<u32>()),
            theirs
                .filter(|page| page.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|page| page.parse::<u32>().ok())
                .filter(|page| *page > 0)
                .map(Ok)
        );
    }
}
