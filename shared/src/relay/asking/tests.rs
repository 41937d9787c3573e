//! What is sent for a copy, which 304 is about it, and what the client is shown then. With a real table and the
//! sandbox's GitHub it is tried in `local/tests/end_to_end/predicted_etags.rs`.

use http::header::{AUTHORIZATION, IF_NONE_MATCH};
use proptest::prelude::*;

use super::*;

const GITHUBS_VARY: &str = "Accept, Authorization, Cookie, X-GitHub-OTP";

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
}

/// A copy that was fetched with the tag `"then"`.
fn copy() -> Arc<Copy> {
    let headers = headers(&[
        ("etag", "\"then\""),
        ("vary", GITHUBS_VARY),
        ("content-type", "application/json; charset=utf-8"),
        ("link", "<https://api.github.com/user/installations?page=2>; rel=\"next\""),
        ("x-github-media-type", "github.v3; format=json"),
        ("x-ratelimit-remaining", "17"),
        ("x-github-request-id", "THEN:1"),
    ]);
    Arc::new(Copy { headers, body: Bytes::from_static(b"{\"total_count\":0}"), fetched_at: 0 })
}

fn conditions() -> Conditions {
    Conditions { copy: Some(copy()), guess: Mutex::default() }
}

/// The headers of a call with this token and the client's condition, completed.
fn sent(conditions: &Conditions, token: &str, client: &HeaderMap) -> HeaderMap {
    let mut sent = client.clone();
    sent.insert(AUTHORIZATION, token.parse().unwrap());
    conditions.complete(&mut sent);
    sent
}

fn client(tags: &str) -> HeaderMap {
    if tags.is_empty() { HeaderMap::new() } else { headers(&[("if-none-match", tags)]) }
}

/// The tag of the copy under this token.
fn today(token: &str) -> HeaderValue {
    predict(GITHUBS_VARY, &headers(&[("authorization", token)]), &copy().body).unwrap()
}

fn not_modified(lines: &[(&'static str, &str)]) -> Answer {
    Answer { status: StatusCode::NOT_MODIFIED, headers: headers(lines), body: Bytes::new() }
}

#[test]
fn the_copys_tag_for_this_very_token_stands_behind_the_clients() {
    let conditions = conditions();
    for token in ["Bearer ghu_1", "Bearer ghu_2"] {
        let tag = today(token);
        assert_eq!(sent(&conditions, token, &client(""))[IF_NONE_MATCH], tag);
        let both = format!("\"x\", {}", tag.to_str().unwrap());
        assert_eq!(sent(&conditions, token, &client("\"x\""))[IF_NONE_MATCH], both);
    }
    assert_ne!(today("Bearer ghu_1"), today("Bearer ghu_2"));
}

#[test]
fn what_the_client_names_itself_is_sent_as_it_is_and_no_guess_of_ours() {
    let conditions = conditions();
    let tag = today("Bearer ghu_1").to_str().unwrap().to_owned();
    for tags in [&tag, &format!("W/{tag}"), &format!("\"x\", {tag}"), "*", "\"x\", *"] {
        assert_eq!(sent(&conditions, "Bearer ghu_1", &client(tags))[IF_NONE_MATCH], *tags);
        assert!(conditions.last().is_none_or(|guess| !guess.added), "{tags}");
    }
}

#[test]
fn a_copy_without_vary_is_no_guess() {
    let mut bare = Arc::into_inner(copy()).unwrap();
    bare.headers.remove(VARY);
    let conditions = Conditions { copy: Some(bare.into()), guess: Mutex::default() };
    assert_eq!(sent(&conditions, "Bearer ghu_1", &client("")).get(IF_NONE_MATCH), None);
    assert_eq!(sent(&Conditions::default(), "Bearer ghu_1", &client("\"x\""))[IF_NONE_MATCH], "\"x\"");
}

#[test]
fn a_304_is_about_the_tag_that_it_names_and_without_one_about_the_only_one_that_was_sent() {
    let tag = today("Bearer ghu_1").to_str().unwrap().to_owned();
    let weak = format!("W/{tag}");
    let lists =
        [String::new(), "\"x\"".to_owned(), "\"x\", \"y\"".to_owned(), tag.clone(), format!("\"x\", {weak}")];
    let mut told = String::new();
    for tags in &lists {
        let (conditions, client) = (conditions(), client(tags));
        sent(&conditions, "Bearer ghu_1", &client);
        let guess = conditions.last().unwrap();
        let meant = [
            not_modified(&[("etag", &tag)]),
            not_modified(&[("etag", &weak)]),
            not_modified(&[("etag", "\"x\"")]),
            not_modified(&[]),
        ]
        .map(|answer| guess.is_meant_by(&answer, &client));
        let names: Vec<_> = meant
            .iter()
            .map(|meant| meant.map_or("unclear", |ours| if ours { "ours" } else { "theirs" }))
            .collect();
        told.push_str(&format!("[{}] {}\n", tags.replace(&tag, "\"today\""), names.join(" ")));
    }
    // By the copy's tag, the same as a weak one, another tag, and none.
    insta::assert_snapshot!(told.trim_end(), @r#"
    [] ours ours theirs ours
    ["x"] ours ours theirs unclear
    ["x", "y"] ours ours theirs unclear
    ["today"] ours ours theirs ours
    ["x", W/"today"] ours ours theirs theirs
    "#);
}

#[test]
fn a_confirmed_copy_has_its_own_headers_and_the_news_of_the_304() {
    let fresh = not_modified(&[
        ("etag", "W/\"now\""),
        ("x-ratelimit-remaining", "4999"),
        ("x-github-request-id", "NOW:1"),
        ("server", "github.com"),
    ]);
    let relayed = Relayed::confirmed(copy(), "\"now\"".parse().unwrap(), &fresh, &client(""));
    assert_eq!((relayed.answer().status, &relayed.answer().body), (StatusCode::OK, &copy().body));
    let shown: Vec<String> = relayed.answer().headers.iter().map(|line| format!("{line:?}")).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    ("etag", "W/\"now\"")
    ("vary", "Accept, Authorization, Cookie, X-GitHub-OTP")
    ("content-type", "application/json; charset=utf-8")
    ("link", "<https://api.github.com/user/installations?page=2>; rel=\"next\"")
    ("x-github-media-type", "github.v3; format=json")
    ("x-ratelimit-remaining", "4999")
    ("x-github-request-id", "NOW:1")
    "#);

    let bare = Relayed::confirmed(copy(), "\"now\"".parse().unwrap(), &not_modified(&[]), &client(""));
    assert_eq!(bare.answer().headers[ETAG], "\"now\"");
    for name in OF_ONE_CALL {
        assert_eq!(bare.answer().headers.get(&name), None, "{name} is of another call");
    }
}

#[test]
fn who_knows_the_body_by_its_tag_of_then_or_of_now_is_told_that_it_is_the_same() {
    let url = Url::parse("https://installations.example").unwrap();
    for (tags, known) in
        [("", false), ("\"x\"", false), ("\"then\"", true), ("W/\"then\"", true), ("\"x\", \"now\"", true)]
    {
        let fresh = not_modified(&[("etag", "\"now\"")]);
        let relayed = Relayed::confirmed(copy(), "\"now\"".parse().unwrap(), &fresh, &client(tags));
        assert_eq!(relayed.shows_news(), !known, "{tags}");
        let response = relayed.response(&url, "/user/installations");
        let (status, length) = (response.status(), response.body().len());
        if known {
            assert_eq!((status, length), (StatusCode::NOT_MODIFIED, 0), "{tags}");
            assert_eq!(response.headers().get(CONTENT_TYPE), None, "{tags}");
        } else {
            assert_eq!((status, length), (StatusCode::OK, copy().body.len()), "{tags}");
        }
        assert_eq!(response.headers()[ETAG], "\"now\"", "{tags}");
    }
}

#[test]
fn a_whole_answer_with_the_copys_body_is_known_by_the_copys_tag_and_any_other_is_not() {
    let whole = |body: &'static [u8], tags: &str| {
        let answer = Answer {
            status: StatusCode::OK,
            headers: headers(&[("etag", "\"now\"")]),
            body: Bytes::from_static(body),
        };
        let relayed = Relayed::whole(answer, &copy(), &client(tags));
        (relayed.copy().is_some(), relayed.known)
    };
    assert_eq!(whole(b"{\"total_count\":0}", "\"then\""), (true, true));
    assert_eq!(whole(b"{\"total_count\":0}", "\"x\""), (true, false));
    assert_eq!(whole(b"{\"total_count\":1}", "\"then\""), (false, false));
}

#[test]
fn a_body_keeps_its_last_tags_and_is_known_by_each_of_them() {
    let mut kept = copy();
    for n in 0..12 {
        let tag = format!("\"token-{n}\"").parse().unwrap();
        let relayed = Relayed::confirmed(kept.clone(), tag, &not_modified(&[]), &client(""));
        assert_eq!(relayed.answer().headers.get_all(ETAG).iter().count(), 1, "the client is told today's");
        let mut headers = relayed.answer().headers.clone();
        headers.remove(ETAG);
        headers.extend(relayed.tags().into_iter().map(|tag| (ETAG, tag.clone())));
        kept = Arc::new(Copy { headers, body: relayed.answer().body.clone(), fetched_at: 0 });
    }
    let tags: Vec<_> = kept.tags().map(|tag| tag.to_str().unwrap()).collect();
    assert_eq!((tags.len(), tags[0], tags[7]), (TAGS, "\"token-11\"", "\"token-4\""));
    assert!(kept.is_known(&client("W/\"token-4\"")) && !kept.is_known(&client("\"token-3\"")));
}

#[test]
fn what_is_not_found_shows_nothing_of_the_copy() {
    let fresh = not_modified(&[("etag", "\"now\"")]);
    let relayed = Relayed::confirmed(copy(), "\"now\"".parse().unwrap(), &fresh, &client("\"then\""));
    let relayed = relayed.not_found();
    assert_eq!(relayed.answer().status, StatusCode::NOT_FOUND);
    assert!(relayed.copy().is_none() && !relayed.known);
}

proptest! {
    #[test]
    fn whatever_the_client_asks_for_is_asked_for_and_at_most_one_tag_more(
        tags in proptest::collection::vec("(W/)?\"[a-z]{0,6}\"|\\*", 0..4),
        token in "[a-z0-9_]{1,30}",
    ) {
        let client = client(&tags.join(", "));
        let sent = sent(&conditions(), &token, &client);
        let theirs = if_none_match::count(&client);
        let all = if_none_match::count(&sent);
        let wildcard = if_none_match::is_wildcard(&client);
        prop_assert_eq!(all, theirs + usize::from(!wildcard));
        for tag in &tags {
            prop_assert!(if_none_match::names(&sent, &tag.parse().unwrap()));
        }
        prop_assert_eq!(if_none_match::names(&sent, &today(&token)), !wildcard);
    }
}
