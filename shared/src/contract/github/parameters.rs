//! What GitHub's two routes take: page numbers and a login.
//! A wrong one is named in the error; a wrong login can only be one that does not exist.

use std::fmt;

use serde_json::Value;

use crate::contract::query::Query;
use crate::failure::{Failure, FieldProblem, Location};

/// GitHub serves no more items on a page (GitHub REST docs).
const MAX_PER_PAGE: u32 = 100;

/// The longest login at GitHub.
const MAX_USERNAME: usize = 39;

/// The query of `GET /user/installations`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// The page; absent, or below 1, GitHub's default of 1 is meant.
    pub page: Option<u32>,
    /// The size of a page; absent, or below 1, GitHub's default of 30 is meant; above 100 it is 100, as at GitHub.
    pub per_page: Option<u32>,
}

impl ListQuery {
    /// Reads the part of the URL behind `?`.
    ///
    /// # Errors
    /// [`Failure::Invalid`] that names every parameter that is not an integer.
    pub fn parse(raw_query: &str) -> Result<Self, Failure> {
        let query = Query::new(raw_query);
        let mut problems = Vec::new();
        let mut read =
            |name: &'static str, most: u32| match query.last(name).map(|text| number(name, &text, most)) {
                Some(Ok(number)) => number,
                Some(Err(problem)) => {
                    problems.push(*problem);
                    None
                }
                None => None,
            };
        let page = read("page", u32::MAX);
        let per_page = read("per_page", MAX_PER_PAGE);
        if problems.is_empty() { Ok(Self { page, per_page }) } else { Err(Failure::Invalid(problems)) }
    }
}

/// A decimal integer, clamped; nothing if it is below 1.
fn number(name: &str, text: &str, most: u32) -> Result<Option<u32>, Box<FieldProblem>> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Box::new(FieldProblem {
            kind: "int_parsing",
            location: vec![Location::Name("query".to_owned()), Location::Name(name.to_owned())],
            message: "must be an integer".to_owned(),
            input: Value::from(text),
            context: None,
        }));
    }
    // Digits alone fail to be read only where they are too many.
    let number = if negative { 0 } else { digits.parse().unwrap_or(most).min(most) };
    Ok((number > 0).then_some(number))
}

/// A user's login at GitHub, in the form in which it may become part of a URL.
///
/// 1 to 39 ASCII letters, digits and hyphens, not starting with one; underscores join the short code of an
/// enterprise to the logins of its managed users (GitHub docs, managed users). Logins that differ in case only are
/// the same to GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    /// Reads a path segment that has been percent-decoded.
    ///
    /// # Errors
    /// [`Failure::Invalid`] at `["path","username"]`, which GitHub's family answers with 404.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let is_login_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if (1..=MAX_USERNAME).contains(&text.len())
            && !text.starts_with('-')
            && text.bytes().all(is_login_byte)
        {
            return Ok(Self(text.to_owned()));
        }
        Err(Failure::Invalid(vec![FieldProblem {
            kind: "string_pattern_mismatch",
            location: vec![Location::Name("path".to_owned()), Location::Name("username".to_owned())],
            message: "must be 1 to 39 letters, digits, hyphens or underscores and not start with a hyphen"
                .to_owned(),
            input: Value::from(text),
            context: None,
        }]))
    }

    /// The login as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ListQuery, Username};
    use crate::failure::Failure;

    fn page(raw_query: &str) -> Option<(Option<u32>, Option<u32>)> {
        ListQuery::parse(raw_query).ok().map(|query| (query.page, query.per_page))
    }

    #[test]
    fn numbers_are_clamped_as_github_clamps_them() {
        assert_eq!(page(""), Some((None, None)));
        assert_eq!(page("page=2&per_page=50&since=x"), Some((Some(2), Some(50))));
        assert_eq!(page("page=1&page=3"), Some((Some(3), None)));
        assert_eq!(page("page=0&per_page=0"), Some((None, None)));
        assert_eq!(page("page=-1&per_page=-99999999999999999999"), Some((None, None)));
        assert_eq!(page("page=99999999999999999999&per_page=101"), Some((Some(u32::MAX), Some(100))));
    }

    #[test]
    fn what_is_no_integer_is_refused_and_named() {
        for text in ["", "x", "1.0", "1e3", "+1", "%2B1", "1_0", " 1", "--1", "-", "%D9%A1"] {
            let raw_query = format!("per_page={text}&page={text}");
            let Err(Failure::Invalid(problems)) = ListQuery::parse(&raw_query) else { panic!("{text}") };
            assert_eq!(problems.len(), 2, "{text}");
        }
    }

    #[test]
    fn logins_of_people_and_of_managed_users_are_taken() {
        let longest = "a".repeat(39);
        for login in ["octocat", "Octo-Cat", "mona_acme", "a", "1", "a-", "a--b", &longest] {
            assert_eq!(Username::parse(login).expect(login).as_str(), login);
        }
    }

    #[test]
    fn what_could_change_a_url_is_no_login() {
        let long = "a".repeat(40);
        for text in [
            "", "-a", ".", "..", "a/b", "..%2f", "%2f", "a?b", "a#b", "a b", "a.b", "a\n", "é", "a\0",
            "a\\b", "a@b", &long,
        ] {
            assert!(Username::parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_asked_for_is_bounded_or_refused_by_name(page in ".{0,12}", per_page in "-?[0-9]{0,24}") {
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair("page", &page).append_pair("per_page", &per_page).finish();
            match ListQuery::parse(&query) {
                Ok(query) => {
                    prop_assert!(query.page.is_none_or(|page| page >= 1));
                    prop_assert!(query.per_page.is_none_or(|per_page| (1..=100).contains(&per_page)));
                }
                Err(Failure::Invalid(problems)) => prop_assert!(!problems.is_empty()),
                Err(other) => prop_assert!(false, "{:?}", other),
            }
        }

        #[test]
        fn what_is_a_login_is_one_segment_of_an_address(text in "[a-zA-Z0-9_./%?#@-]{0,42}|.*") {
            if let Ok(name) = Username::parse(&text) {
                let base = url::Url::parse("https://api.github.com/users/").unwrap();
                let address = base.join(&format!("{name}/installation")).unwrap();
                prop_assert_eq!(address.as_str(), format!("https://api.github.com/users/{text}/installation"));
            }
        }
    }
}
