//! What the function serves as it was built: the API's document, the page that shows it, and Swagger UI.
//! `build.rs` packs it; how it is answered is `shared::contract::published`'s.

use shared::contract::published::{Kept, Published};

/// A file and where it is found.
struct File {
    path: &'static str,
    asset: Published,
}

const FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The file at that path.
pub(crate) fn at(path: &str) -> Option<&'static Published> {
    FILES.iter().find(|file| file.path == path).map(|file| &file.asset)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the finding")]

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use ring::digest::{SHA256, digest};

    use super::{FILES, at};
    use crate::POLICY;

    fn text(path: &str) -> String {
        String::from_utf8(at(path).unwrap().plain().unwrap()).unwrap()
    }

    #[test]
    fn the_page_names_only_files_that_are_here_and_each_of_them_has_its_version_in_its_name() {
        let page = text("/docs");
        let named: Vec<&str> =
            page.split(['"']).filter(|part| part.starts_with("/docs/") || *part == "/openapi.json").collect();
        assert!(named.len() > 3, "{named:?}");
        for path in &named {
            assert!(at(path).is_some(), "{path}");
        }
        for file in FILES.iter().filter(|file| file.path.starts_with("/docs/")) {
            assert!(named.contains(&file.path), "{} is not asked for", file.path);
            assert!(file.path.contains(|letter: char| letter.is_ascii_digit()), "{}", file.path);
        }
    }

    #[test]
    fn the_policy_allows_the_pages_own_script_and_no_other_that_stands_in_it() {
        let page = text("/docs");
        let script = page.split("<script>").nth(1).unwrap().split("</script>").next().unwrap();
        let hash = STANDARD.encode(digest(&SHA256, script.as_bytes()));
        assert!(POLICY.contains(&format!("'sha256-{hash}'")), "the hash of the script is {hash}");
        assert!(!POLICY.contains("unsafe-eval") && !POLICY.contains('*'));
    }

    #[test]
    fn the_document_is_json() {
        assert!(text("/openapi.json").starts_with("{\n"));
    }
}
