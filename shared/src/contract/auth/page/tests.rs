//! What the pages look like, and that nothing in them can be anything but text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Notice, POLICY, Page, STYLE, confirm_linking, failure};
use crate::contract::auth::ReturnTo;
use crate::contract::testing::{every_failure, header, wire};
use crate::provider::ProviderType;
use http::StatusCode;

const ALL: [Notice; 8] = [
    Notice::StateMissing(ProviderType::Github),
    Notice::StateExpired(ProviderType::Github),
    Notice::StateReused(ProviderType::Gitlab),
    Notice::AccessDenied(ProviderType::Bitbucket),
    Notice::SignInFailed(ProviderType::EnterpriseSso),
    Notice::ApprovalPending,
    Notice::InstallationNotYours,
    Notice::ProviderNotConfigured(ProviderType::Gitlab),
];

#[test]
fn a_page_is_whole_and_loads_nothing() {
    insta::assert_snapshot!(wire(&Notice::StateMissing(ProviderType::Github).page()));
}

#[test]
fn every_notice_has_its_status_its_code_and_its_words() {
    let shown: Vec<_> = ALL
        .into_iter()
        .map(|notice| {
            let response = notice.page();
            let html = String::from_utf8_lossy(response.body().as_ref()).into_owned();
            let body = html.split("<body>\n").nth(1).expect("a body").replace("</body>\n</html>\n", "");
            format!("{} {}\n{body}", response.status(), header(&response, "x-error-code"))
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn a_person_is_asked_before_an_account_is_linked() {
    let back = ReturnTo::parse("/a?b=%22&c=d").expect("a path");
    insta::assert_snapshot!(wire(&confirm_linking(ProviderType::EnterpriseSso, &back, "A-b_1")));
}

#[test]
fn every_failure_is_a_page_with_a_code() {
    for cause in every_failure() {
        let response = failure(&cause);
        assert!(!header(&response, "x-error-code").is_empty(), "{cause}");
        assert_eq!(header(&response, "content-type"), "text/html; charset=utf-8");
        assert!(response.status().is_client_error() || response.status().is_server_error());
    }
}

#[test]
fn a_wrong_return_to_is_400_and_named() {
    let response = failure(&ReturnTo::parse("//evil<script>").expect_err("another host"));
    insta::assert_snapshot!(wire(&response));
}

#[test]
fn the_policy_allows_the_style_and_nothing_else() {
    let hash = STANDARD.encode(ring::digest::digest(&ring::digest::SHA256, STYLE.as_bytes()));
    let policy = POLICY.to_str().expect("visible ASCII").to_owned();
    assert!(policy.contains(&format!("style-src 'sha256-{hash}'")), "the hash of STYLE is {hash}");
    assert!(!policy.contains("unsafe"));
}

#[test]
fn text_and_link_cannot_become_markup() {
    let page =
        Page::new("<b>\"'&", "</p><script>alert(1)</script>").with_link("\"><script>".to_owned(), "a<b");
    let html = page.html();
    assert!(!html.contains("<script>") && !html.contains("<b>\""));
    assert!(
        html.contains("<h1>&lt;b&gt;&quot;&#39;&amp;</h1>")
            && html.contains("href=\"&quot;&gt;&lt;script&gt;\"")
    );
    assert_eq!(page.answer(StatusCode::OK, "x").status(), StatusCode::OK);
}
