//! What our JWTs say, how long one is used, and which JWTs of others are ours.

use std::time::Duration;

use proptest::prelude::*;
use ring::hmac;
use secrecy::ExposeSecret;
use serde_json::json;

use super::*;
use crate::secrets::FromSecret;

const KEY: &str = include_str!("../../../fixtures/pem/rsa-pkcs1.pem");
const OTHER_KEY: &str = include_str!("../../../fixtures/pem/other-pkcs1.pem");
const PUBLIC_KEY: &str = include_str!("../../../fixtures/pem/rsa-public.pem");
const NOW: i64 = 1_800_000_000;

fn app_with(keys: &[&str]) -> AppCredentials {
    let secret = json!({
        "app_id": 4001,
        "client_id": "Iv23liABCDEF",
        "client_secret": "secret",
        "private_key": keys,
        "webhook_secret": "secret",
    });
    AppCredentials::from_secret(&secret.to_string()).unwrap()
}

fn app() -> AppCredentials {
    app_with(&[KEY])
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// The verdict about claims that are right except for one.
fn verdict(claim: &str, value: Value) -> Result<(), &'static str> {
    let mut claims = json!({"iss": "Iv23liABCDEF", "iat": NOW - 60, "exp": NOW + 540});
    claims[claim] = value;
    let token = signed(&Header::new(Algorithm::RS256), &claims, KEY);
    verify(&app(), &token, NOW)
}

fn signed(header: &Header, claims: &Value, key: &str) -> String {
    let key = PrivateKey::from_text(key).unwrap();
    jsonwebtoken::encode(header, claims, key.signing()).unwrap()
}

#[test]
fn a_jwt_says_what_github_wants_to_read() {
    let clock = Clock::system();
    let jwt = AppJwt::new(clock.clone()).issue(&app()).unwrap();
    let token = jwt.token().expose_secret();
    assert_eq!(part(token, 0), json!({"typ": "JWT", "alg": "RS256"}));
    let claims = part(token, 1);
    let issued = claims["iat"].as_i64().unwrap();
    assert!((clock.unix() - 60 - issued).abs() <= 1, "{claims}");
    assert_eq!(claims["exp"].as_i64().unwrap() - issued, 600);
    assert_eq!(claims["iss"], "Iv23liABCDEF");
    assert_eq!(URL_SAFE_NO_PAD.decode(claims["jti"].as_str().unwrap()).unwrap().len(), 16);
    assert_eq!(verify(&app(), token, clock.unix()), Ok(()));
}

#[test]
fn one_jwt_is_used_until_a_minute_before_its_end() {
    let clock = Clock::system();
    let issuer = AppJwt::new(clock.clone());
    let first = issuer.issue(&app()).unwrap();
    clock.advance(Duration::from_secs(470));
    assert!(Arc::ptr_eq(&first, &issuer.issue(&app()).unwrap()));
    clock.advance(Duration::from_secs(20));
    let second = issuer.issue(&app()).unwrap();
    assert_ne!(part(first.token().expose_secret(), 1)["jti"], part(second.token().expose_secret(), 1)["jti"]);
}

#[test]
fn another_client_id_or_key_gets_another_jwt() {
    let issuer = AppJwt::new(Clock::system());
    let first = issuer.issue(&app()).unwrap();
    let mut renamed = app();
    renamed.client_id = "Iv23liOTHER".to_owned();
    assert_eq!(part(issuer.issue(&renamed).unwrap().token().expose_secret(), 1)["iss"], "Iv23liOTHER");
    assert_ne!(issuer.issue(&app_with(&[OTHER_KEY])).unwrap().key(), first.key());
}

#[test]
fn a_refused_key_gives_way_to_the_next_and_is_tried_again_when_all_are_refused() {
    let issuer = AppJwt::new(Clock::system());
    let app = app_with(&[KEY, OTHER_KEY]);
    let first = issuer.issue(&app).unwrap();
    issuer.refuse(&first);
    let second = issuer.issue(&app).unwrap();
    assert_ne!(second.key(), first.key());
    issuer.refuse(&second);
    assert_eq!(issuer.issue(&app).unwrap().key(), first.key());
}

#[test]
fn a_wrong_clock_is_repaired_by_githubs_date_and_stays_repaired() {
    let ours = Clock::system();
    let github = Clock::system();
    ours.advance(Duration::from_secs(7200));
    let issuer = AppJwt::new(ours.clone());
    let wrong = issuer.issue(&app()).unwrap();
    assert_eq!(verify(&app(), wrong.token().expose_secret(), github.unix()), Err(FAR_EXPIRY));
    let date = httpdate::fmt_http_date(std::time::SystemTime::now());
    assert!(issuer.repair_clock(&date));
    let repaired = issuer.issue(&app()).unwrap();
    assert_eq!(verify(&app(), repaired.token().expose_secret(), github.unix()), Ok(()));
    assert!(Arc::ptr_eq(&repaired, &issuer.issue(&app()).unwrap()));
    for clock in [&ours, &github] {
        clock.advance(Duration::from_secs(3600));
    }
    let later = issuer.issue(&app()).unwrap();
    assert_eq!(verify(&app(), later.token().expose_secret(), github.unix()), Ok(()));
}

#[test]
fn what_is_no_http_date_repairs_nothing() {
    let issuer = AppJwt::new(Clock::system());
    let first = issuer.issue(&app()).unwrap();
    for date in ["", "yesterday", "2026-01-01T00:00:00Z", "Thu, 01 Jan 1969 00:00:00 GMT"] {
        assert!(!issuer.repair_clock(date), "{date}");
    }
    assert!(Arc::ptr_eq(&first, &issuer.issue(&app()).unwrap()));
}

#[test]
fn githubs_refusals_are_told_apart() {
    for message in [
        "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
        "'Expiration time' claim ('exp') is too far in the future",
        "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
    ] {
        assert!(is_clock_skew(message) && !is_unknown_key(message), "{message}");
    }
    assert!(is_unknown_key("A JSON web token could not be decoded"));
    for message in ["Bad credentials", "Requires authentication", "Integration not found", ""] {
        assert!(!is_clock_skew(message) && !is_unknown_key(message), "{message}");
    }
}

#[test]
fn the_issuer_is_the_client_id_or_the_app_id() {
    for ours in [json!("Iv23liABCDEF"), json!("4001"), json!(4001)] {
        assert_eq!(verdict("iss", ours.clone()), Ok(()), "{ours}");
    }
    for other in
        [json!("Iv23liOTHER"), json!(4002), json!("04001"), json!(4001.0), json!(["4001"]), json!("")]
    {
        assert_eq!(verdict("iss", other.clone()), Err(WRONG_ISSUER), "{other}");
    }
    assert_eq!(verdict("iss", Value::Null), Err(NO_ISSUER));
}

#[test]
fn exp_is_ahead_and_at_most_ten_minutes_and_some_leeway() {
    for exp in [NOW + 1, NOW + 600, NOW + 660] {
        assert_eq!(verdict("exp", json!(exp)), Ok(()), "{exp}");
    }
    assert_eq!(verdict("exp", json!(NOW + 661)), Err(FAR_EXPIRY));
    assert_eq!(verdict("exp", json!(i64::MAX)), Err(FAR_EXPIRY));
    for wrong in
        [json!(NOW), json!(0), json!(-1), json!(u64::MAX), json!("1800000300"), json!(1.8e9), Value::Null]
    {
        assert_eq!(verdict("exp", wrong.clone()), Err(WRONG_EXPIRY), "{wrong}");
    }
}

#[test]
fn iat_is_there_and_not_ahead_beyond_the_leeway() {
    for iat in [0, NOW, NOW + 60] {
        assert_eq!(verdict("iat", json!(iat)), Ok(()), "{iat}");
    }
    for wrong in [json!(NOW + 61), json!("1800000000"), json!(1.5), Value::Null] {
        assert_eq!(verdict("iat", wrong.clone()), Err(WRONG_ISSUED), "{wrong}");
    }
}

#[test]
fn any_of_our_keys_signs_for_us_and_no_other_does() {
    let claims = json!({"iss": "4001", "iat": NOW, "exp": NOW + 60});
    let token = signed(&Header::new(Algorithm::RS256), &claims, OTHER_KEY);
    assert_eq!(verify(&app_with(&[KEY, OTHER_KEY]), &token, NOW), Ok(()));
    assert_eq!(verify(&app(), &token, NOW), Err(UNDECODABLE));
}

#[test]
fn no_other_algorithm_is_taken() {
    let claims = URL_SAFE_NO_PAD.encode(json!({"iss": "4001", "iat": NOW, "exp": NOW + 60}).to_string());
    let message = |alg: &str| {
        format!("{}.{claims}", URL_SAFE_NO_PAD.encode(json!({"typ": "JWT", "alg": alg}).to_string()))
    };
    for none in ["none", "None", "NONE", ""] {
        for signature in ["", "AAAA"] {
            assert_eq!(verify(&app(), &format!("{}.{signature}", message(none)), NOW), Err(UNDECODABLE));
        }
    }
    // The classic confusion: the public key, which is no secret, as an HMAC key.
    let public = app().private_keys()[0].verifying().try_get_as_bytes().unwrap().to_vec();
    for secret in [PUBLIC_KEY.as_bytes(), PUBLIC_KEY.trim().as_bytes(), &public] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let forged = hmac::sign(&key, message("HS256").as_bytes());
        let token = format!("{}.{}", message("HS256"), URL_SAFE_NO_PAD.encode(forged));
        assert_eq!(verify(&app(), &token, NOW), Err(WRONG_ALGORITHM));
    }
    for other in ["HS384", "RS384", "RS512", "PS256", "ES256", "EdDSA"] {
        assert_eq!(verify(&app(), &format!("{}.AAAA", message(other)), NOW), Err(WRONG_ALGORITHM));
    }
}

#[test]
fn a_header_that_brings_its_own_key_changes_nothing() {
    let claims = json!({"iss": "4001", "iat": NOW, "exp": NOW + 60});
    let mut header = Header::new(Algorithm::RS256);
    header.jku = Some("https://evil.example/jwks.json".to_owned());
    header.kid = Some("../../dev/null".to_owned());
    assert_eq!(verify(&app(), &signed(&header, &claims, OTHER_KEY), NOW), Err(UNDECODABLE));
    assert_eq!(verify(&app(), &signed(&header, &claims, KEY), NOW), Ok(()));
}

#[test]
fn a_critical_extension_is_refused() {
    let claims = json!({"iss": "4001", "iat": NOW, "exp": NOW + 60});
    let mut header = Header::new(Algorithm::RS256);
    header.crit = Some(vec!["b64".to_owned()]);
    assert_eq!(verify(&app(), &signed(&header, &claims, KEY), NOW), Err(UNDECODABLE));
}

#[test]
fn what_is_no_jwt_is_refused() {
    let token = AppJwt::new(Clock::system()).issue(&app()).unwrap();
    let token = token.token().expose_secret();
    for text in ["", ".", "..", "...", "a.b.c", &token[1..], &format!("{token}."), &format!("{token} ")] {
        assert_eq!(verify(&app(), text, Clock::system().unix()), Err(UNDECODABLE), "{text}");
    }
    assert_eq!(verify(&app(), &"a".repeat(8 * 1024 + 1), NOW), Err(TOO_LONG));
}

#[test]
fn claims_that_are_no_object_are_refused() {
    for claims in [json!([]), json!("iss"), json!(1), Value::Null] {
        let token = signed(&Header::new(Algorithm::RS256), &claims, KEY);
        assert_eq!(verify(&app(), &token, NOW), Err(UNDECODABLE), "{claims}");
    }
}

#[test]
fn a_printed_jwt_shows_no_token() {
    let issuer = AppJwt::new(Clock::system());
    let jwt = issuer.issue(&app()).unwrap();
    for printed in [format!("{jwt:?}"), format!("{issuer:?}")] {
        assert!(!printed.contains("eyJ"), "{printed}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_changed_character_makes_it_not_ours(index in any::<prop::sample::Index>(), to in "[A-Za-z0-9_.-]") {
        let claims = json!({"iss": "4001", "iat": NOW, "exp": NOW + 60});
        let token = signed(&Header::new(Algorithm::RS256), &claims, KEY);
        let at = index.index(token.len());
        prop_assume!(token[at..=at] != to);
        let changed = format!("{}{to}{}", &token[..at], &token[at + 1..]);
        prop_assert!(verify(&app(), &changed, NOW).is_err());
    }

    #[test]
    fn any_text_is_refused_without_a_panic(text in any::<String>(), parts in "[A-Za-z0-9_-]{0,40}(\\.[A-Za-z0-9_-]{0,40}){0,4}") {
        prop_assert!(verify(&app(), &text, NOW).is_err());
        prop_assert!(verify(&app(), &parts, NOW).is_err());
    }
}
