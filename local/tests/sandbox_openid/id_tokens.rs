//! What ID tokens say, and every way in which one can be wrong.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use local::sandbox_openid::IdTokenChange;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::lab::{CLIENT, Lab, Tokens, parts};

#[tokio::test]
async fn an_id_token_has_keycloaks_claims_and_our_nonce() {
    let lab = Lab::new().await;
    let tokens = lab.sign_in("sso-cat").await;
    let claims = lab.verified(tokens.id()).await.unwrap();
    let now = lab.clock.unix();
    assert_eq!(claims["iss"], lab.sandbox.issuer());
    assert_eq!((&claims["aud"], &claims["azp"]), (&json!(CLIENT), &json!(CLIENT)));
    assert_eq!(
        (&claims["typ"], &claims["nonce"], &claims["acr"]),
        (&json!("ID"), &json!("a nonce"), &json!("1"))
    );
    assert_eq!((&claims["sid"], &claims["session_state"]), (&tokens.0["session_state"], &claims["sid"]));
    let number = |name: &str| claims[name].as_i64().unwrap();
    assert!((now - 5..=now).contains(&number("iat")) && number("exp") == number("iat") + 300);
    assert!(number("auth_time") <= number("iat"));
    let hash = digest(&SHA256, tokens.access().as_bytes());
    assert_eq!(claims["at_hash"], URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16]));
    let sub = claims["sub"].as_str().unwrap();
    assert!(sub.len() == 36 && sub.as_bytes()[14] == b'4', "{sub}");
    assert_eq!(claims["name"], "Sandbox cat");
    assert_eq!(claims["email_verified"], true);
    let (header, _) = parts(tokens.id());
    assert_eq!((&header["alg"], &header["typ"]), (&json!("RS256"), &json!("JWT")));

    let again = lab.sign_in("sso-cat").await;
    let (_, claims) = parts(again.id());
    assert_eq!(claims["sub"], sub, "the subject stays");
    let (_, namesake) = parts(lab.sign_in("sso-namesake").await.id());
    assert_eq!(
        (&namesake["email"], &namesake["email_verified"]),
        (&json!("sso-cat@example.com"), &json!(false))
    );
    assert_ne!(namesake["sub"], sub);
}

#[tokio::test]
async fn a_refreshed_id_token_is_of_the_same_sign_in_and_repeats_no_nonce() {
    let lab = Lab::new().await;
    let first = lab.sign_in("sso-cat").await;
    lab.clock.advance(std::time::Duration::from_secs(100));
    let second = Tokens(lab.refresh(first.refresh()).await.json());
    let (_, old) = parts(first.id());
    let new = lab.verified(second.id()).await.unwrap();
    for name in ["iss", "sub", "aud", "sid", "auth_time"] {
        assert_eq!(new[name], old[name], "{name}");
    }
    assert_eq!(new["nonce"], Value::Null);
    assert!(new["iat"].as_i64() > old["iat"].as_i64());
}

/// Why a careful client refuses a token; `None`: it would not.
async fn refusal(lab: &Lab, token: &str) -> Option<&'static str> {
    let (header, claims) = parts(token);
    if header["alg"] != "RS256" {
        return Some("alg");
    }
    if header["kid"].is_null() {
        return Some("no kid");
    }
    if lab.verified(token).await.is_none() {
        return Some("signature");
    }
    let now = lab.clock.unix();
    let number = |name: &str| claims[name].as_i64();
    let wrong = [
        ("iss", claims["iss"] != lab.sandbox.issuer()),
        ("aud and azp", claims["aud"].is_array() && claims["azp"].is_null()),
        ("aud", claims["aud"] != CLIENT && !claims["aud"].is_array()),
        ("azp", !claims["azp"].is_null() && claims["azp"] != CLIENT),
        ("exp", number("exp").is_none_or(|exp| exp <= now)),
        ("nbf", number("nbf").is_some_and(|nbf| nbf > now + 60)),
        ("iat", number("iat").is_none_or(|iat| iat > now + 60)),
        ("sub", claims["sub"].is_null()),
        ("nonce", claims["nonce"] != "a nonce"),
    ];
    wrong.into_iter().find(|(_, wrong)| *wrong).map(|(name, _)| name)
}

#[tokio::test]
async fn each_change_spoils_the_next_id_token_in_its_own_way_and_only_that_one() {
    let lab = Lab::new().await;
    let expected = |change: IdTokenChange| match change {
        IdTokenChange::AlgNone | IdTokenChange::Hs256KeyedWithPem | IdTokenChange::Hs256KeyedWithDer => "alg",
        IdTokenChange::Tampered | IdTokenChange::UnknownKid => "signature",
        IdTokenChange::WrongIssuer => "iss",
        IdTokenChange::WrongAudience => "aud",
        IdTokenChange::Expired | IdTokenChange::NoExpiry => "exp",
        IdTokenChange::NoSubject => "sub",
        IdTokenChange::TwoAudiencesWithoutAzp => "aud and azp",
        IdTokenChange::AzpOfAnother => "azp",
        IdTokenChange::NonceMissing | IdTokenChange::NonceOther => "nonce",
        IdTokenChange::NotBeforeInFuture => "nbf",
        IdTokenChange::IssuedTomorrow => "iat",
        IdTokenChange::NoKid => "no kid",
    };
    for change in IdTokenChange::ALL {
        lab.sandbox.id_token_change(change);
        let spoiled = lab.sign_in("sso-cat").await;
        assert_eq!(refusal(&lab, spoiled.id()).await, Some(expected(change)), "{change:?}");
        let sound = lab.sign_in("sso-cat").await;
        assert_eq!(refusal(&lab, sound.id()).await, None, "after {change:?}");
    }
    let tolerable: Vec<_> = IdTokenChange::ALL.into_iter().filter(|one| !one.must_be_refused()).collect();
    assert_eq!(tolerable, [IdTokenChange::NoKid]);
}

#[tokio::test]
async fn a_forged_hs256_token_is_keyed_with_the_public_key() {
    let lab = Lab::new().await;
    let jwks = lab.get(&lab.url("/certs")).await.json();
    let key = jwks["keys"].as_array().unwrap().iter().find(|key| key["alg"] == "RS256").unwrap();
    let n = URL_SAFE_NO_PAD.decode(key["n"].as_str().unwrap()).unwrap();
    lab.sandbox.id_token_change(IdTokenChange::Hs256KeyedWithDer);
    let answer = lab.exchange(&lab.code("sso-cat").await).await;
    assert_eq!(answer.status, StatusCode::OK);
    let token = answer.json()["id_token"].as_str().unwrap().to_owned();
    let (input, signature) = token.rsplit_once('.').unwrap();
    // SubjectPublicKeyInfo of a key of 2048 bits and the exponent 65537, put together by hand.
    let before = [
        0x30, 0x82, 0x01, 0x22, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
        0x05, 0x00, 0x03, 0x82, 0x01, 0x0f, 0x00, 0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00,
    ];
    let spki = [&before[..], &n, &[0x02, 0x03, 0x01, 0x00, 0x01]].concat();
    let mac = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &spki);
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    assert!(ring::hmac::verify(&mac, input.as_bytes(), &signature).is_ok());
}
