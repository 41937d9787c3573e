//! GitHub's `Link` header with our own URLs in it (RFC 8288; GitHub docs, pagination).
//! Nothing but page numbers is taken from upstream: no host, no path, no other parameter.

use url::Url;

use crate::link_header;

/// The relations that GitHub writes, in its order.
const RELATIONS: [&str; 4] = ["prev", "next", "last", "first"];

/// The same pages under `path` of our public URL, or nothing if the header names none or cannot be read.
#[must_use]
pub fn rewrite_link(upstream_link: &str, public_url: &Url, path: &str) -> Option<String> {
    let rewritten: Vec<_> = RELATIONS
        .into_iter()
        .filter_map(|relation| {
            let target = link_header::target(upstream_link, relation)?;
            let page = number(&link_header::parameter(target, "page")?)?;
            let per_page = link_header::parameter(target, "per_page").and_then(|value| number(&value));
            Some(format!("<{}>; rel=\"{relation}\"", page_url(public_url, path, page, per_page)))
        })
        .collect();
    (!rewritten.is_empty()).then(|| rewritten.join(", "))
}

/// A number of pages or items: digits only, above zero.
fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number > 0)
}

fn page_url(public_url: &Url, path: &str, page: u32, per_page: Option<u32>) -> Url {
    let mut url = public_url.clone();
    let path = format!("{}/{}", public_url.path().trim_end_matches('/'), path.trim_start_matches('/'));
    url.set_path(&path);
    url.set_fragment(None);
    url.set_query(Some(&match per_page {
        Some(per_page) => format!("per_page={per_page}&page={page}"),
        None => format!("page={page}"),
    }));
    url
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;
    use url::Url;

    use super::rewrite_link;

    fn rewritten(link: &str) -> Option<String> {
        rewrite_link(
            link,
            &Url::parse("https://installations.example/").expect("a URL"),
            "/user/installations",
        )
    }

    #[test]
    fn the_pages_stay_and_the_urls_become_ours() {
        let upstream = "<https://api.github.com/user/installations?per_page=2&page=2>; rel=\"prev\", \
                        <https://api.github.com/user/installations?per_page=2&page=4>; rel=\"next\", \
                        <https://api.github.com/user/installations?per_page=2&page=20>; rel=\"last\", \
                        <https://api.github.com/user/installations?per_page=2&page=1>; rel=\"first\"";
        let ours = upstream.replace("api.github.com", "installations.example");
        assert_eq!(rewritten(upstream), Some(ours));
    }

    #[test]
    fn a_public_url_may_have_a_path() {
        let public_url = Url::parse("https://example.org/stage/?x=1#y").expect("a URL");
        assert_eq!(
            rewrite_link("</?page=2>; rel=\"next\"", &public_url, "/user/installations").as_deref(),
            Some("<https://example.org/stage/user/installations?page=2>; rel=\"next\"")
        );
    }

    #[test]
    fn a_poisoned_link_yields_our_url_or_nothing() {
        for poisoned in [
            "",
            "garbage",
            "<>; rel=\"next\"",
            "<https://evil.example>; rel=\"next\"",
            "<https://evil.example/?page=x>; rel=\"next\"",
            "<https://evil.example/?page=0>; rel=\"next\"",
            "<https://evil.example/?page=-1>; rel=\"next\"",
            "<https://evil.example/?page=+1>; rel=\"next\"",
            "<https://evil.example/?page=4294967296>; rel=\"next\"",
            "<https://evil.example/?page=2>; rel=\"evil\"",
            "<https://evil.example/?page=2>",
            "<https://evil.example/?page=2%0d%0aset-cookie:x>; rel=\"next\"",
        ] {
            assert_eq!(rewritten(poisoned), None, "{poisoned}");
        }
        assert_eq!(
            rewritten("<https://evil.example/steal?page=2&per_page=x&token=y>; rel=\"next\"").as_deref(),
            Some("<https://installations.example/user/installations?page=2>; rel=\"next\"")
        );
    }

    proptest! {
        #[test]
        fn whatever_upstream_says_only_our_own_urls_come_out(
            link in r#"(<?(https?:)?//[a-z.]{1,8}/?[?&a-z=0-9_%]{0,16}(page=[0-9]{1,3})?>?; ?rel="?(next|last|x)"?,? ?){0,3}.{0,8}"#,
        ) {
            let ours = Regex::new(
                r#"^(<https://installations\.example/user/installations\?(per_page=\d+&)?page=[1-9]\d*>; rel="(prev|next|last|first)"(, |$))+$"#,
            ).expect("a regex");
            if let Some(link) = rewritten(&link) {
                prop_assert!(ours.is_match(&link), "{}", link);
            }
        }

        #[test]
        fn no_text_makes_the_reader_panic(link in ".*") {
            let _ = rewritten(&link);
        }
    }
}
