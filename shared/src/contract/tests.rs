//! Rules that hold for the answers of every family.

use http::{HeaderValue, StatusCode};
use lambda_http::Body;

use super::testing::{LOG_ONLY, body, every_failure, header};
use super::{Family, bytes, empty};

const FAMILIES: [Family; 4] = [Family::OpenHands, Family::Github, Family::Neptun, Family::Auth];

#[test]
fn no_answer_may_be_stored_and_all_vary_by_who_asks() {
    let mut answers = vec![
        empty(StatusCode::NO_CONTENT),
        bytes(StatusCode::OK, HeaderValue::from_static("text/plain"), vec![1]),
    ];
    for family in FAMILIES {
        answers.push(family.json(StatusCode::OK, &[1]));
        answers.extend(every_failure().iter().map(|failure| family.failure(failure)));
    }
    for answer in answers {
        assert_eq!(header(&answer, "cache-control"), "no-store");
        assert_eq!(header(&answer, "vary"), "Cookie, Authorization, X-Session-API-Key");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
    }
}

#[test]
fn no_failure_shows_an_upstream_url_or_a_text_for_the_log() {
    for family in FAMILIES {
        for failure in every_failure() {
            let response = family.failure(&failure);
            let text = body(&response);
            assert!(!text.contains(LOG_ONLY) && !text.contains("api.github.com"), "{family:?} {failure:?}");
        }
    }
}

#[test]
fn all_families_agree_on_the_status_of_a_failure() {
    for failure in every_failure() {
        let statuses = FAMILIES.map(|family| family.failure(&failure).status());
        assert!(statuses.iter().all(|status| *status == statuses[0]), "{failure:?}: {statuses:?}");
    }
}

#[test]
fn only_authentication_is_401() {
    for failure in every_failure() {
        let is_authentication = matches!(
            failure,
            crate::failure::Failure::Unauthenticated(_)
                | crate::failure::Failure::NotLinked(_)
                | crate::failure::Failure::SignInExpired(_)
                | crate::failure::Failure::Provider {
                    error: crate::provider::ProviderError::Unauthorized,
                    ..
                }
        );
        let status = Family::OpenHands.failure(&failure).status();
        assert_eq!(status == StatusCode::UNAUTHORIZED, is_authentication, "{failure:?}");
    }
}

#[test]
fn what_helps_later_says_when() {
    for failure in every_failure() {
        let response = Family::OpenHands.failure(&failure);
        let says_when = !header(&response, "retry-after").is_empty();
        assert_eq!(says_when, matches!(response.status().as_u16(), 429 | 503), "{failure:?}");
    }
}

#[test]
fn text_is_sent_as_text_and_other_bytes_as_bytes() {
    let plain = HeaderValue::from_static("text/plain");
    assert_eq!(*bytes(StatusCode::OK, plain.clone(), b"a".to_vec()).body(), Body::Text("a".to_owned()));
    assert_eq!(*bytes(StatusCode::OK, plain, vec![0xff]).body(), Body::Binary(vec![0xff]));
}
