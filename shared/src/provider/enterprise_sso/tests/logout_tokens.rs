//! Which logout tokens are accepted.

use super::*;

fn with(claims: &Value, changes: &[(&str, Value)]) -> Value {
    let mut claims = claims.clone();
    for (name, value) in changes {
        claims[*name] = value.clone();
    }
    claims
}

fn without(claims: &Value, name: &str) -> Value {
    let mut claims = claims.clone();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

#[tokio::test]
async fn a_good_one_names_whose_session_has_ended() {
    let world = World::new().await;
    let good = world.logout_claims();
    let expected = LogoutToken {
        jti: "jti-1".to_owned(),
        subject: Some(SUBJECT.to_owned()),
        session_id: Some("session-1".to_owned()),
        expires_at: world.clock.unix() + 120,
    };
    // `logout+jwt` is only recommended.
    for kind in [json!("logout+jwt"), json!("application/logout+jwt"), json!("JWT"), Value::Null] {
        let token = world.key.token_with(&with(&world.key.header(), &[("typ", kind.clone())]), &good);
        assert_eq!(world.log_out(&token).await, Ok(expected.clone()), "{kind}");
    }
    let found = world.log_out(&world.key.token(&without(&good, "sid"))).await.unwrap();
    assert_eq!((found.subject.as_deref(), found.session_id), (Some(SUBJECT), None));
    let found = world.log_out(&world.key.token(&without(&good, "sub"))).await.unwrap();
    assert_eq!((found.subject, found.session_id.as_deref()), (None, Some("session-1")));
    let detail =
        json!({ "http://schemas.openid.net/event/backchannel-logout": { "reason": "x" }, "other": 1 });
    world.log_out(&world.key.token(&with(&good, &[("events", detail)]))).await.expect("with more in it");
}

#[tokio::test]
async fn a_bad_one_is_refused_for_its_fault() {
    let world = World::new().await;
    let (good, now) = (world.logout_claims(), world.clock.unix());
    let changed = |name: &str, value: Value| world.key.token(&with(&good, &[(name, value)]));
    let lacking = |name: &str| world.key.token(&without(&good, name));
    let header =
        |name: &str, value: Value| world.key.token_with(&with(&world.key.header(), &[(name, value)]), &good);
    let event = |value: Value| json!({ "http://schemas.openid.net/event/backchannel-logout": value });
    let tampered = {
        let other = changed("sub", json!("somebody-else"));
        let token = world.key.token(&good);
        format!("{}.{}", other.rsplit_once('.').unwrap().0, token.rsplit_once('.').unwrap().1)
    };
    for (case, text, problem) in [
        ("alg none", signed(&json!({ "alg": "none" }), &good, |_| vec![]), TokenProblem::Algorithm),
        ("HS256", signed(&json!({ "alg": "HS256" }), &good, |_| vec![0; 32]), TokenProblem::Algorithm),
        ("a changed payload", tampered, TokenProblem::Signature),
        ("an unknown key", header("kid", json!("k2")), TokenProblem::UnknownKey),
        ("another kind", header("typ", json!("at+jwt")), TokenProblem::Kind),
        ("a critical extension", header("crit", json!(["x"])), TokenProblem::Critical),
        ("another issuer", changed("iss", json!("https://sso.example")), TokenProblem::Issuer),
        ("no issuer", lacking("iss"), TokenProblem::Issuer),
        ("another audience", changed("aud", json!(["other"])), TokenProblem::Audience),
        ("no audience", lacking("aud"), TokenProblem::Audience),
        ("expired", changed("exp", json!(now - 61)), TokenProblem::Expiry),
        ("no exp", lacking("exp"), TokenProblem::Expiry),
        ("from the future", changed("iat", json!(now + 90)), TokenProblem::IssuedAt),
        ("no iat", lacking("iat"), TokenProblem::IssuedAt),
        ("no jti", lacking("jti"), TokenProblem::TokenId),
        ("an empty jti", changed("jti", json!("")), TokenProblem::TokenId),
        ("no events", lacking("events"), TokenProblem::Event),
        ("no such event", changed("events", json!({ "other": {} })), TokenProblem::Event),
        ("an event that is no object", changed("events", event(json!(true))), TokenProblem::Event),
        ("an empty event", changed("events", event(Value::Null)), TokenProblem::Event),
        ("events in a list", changed("events", json!([event(json!({}))])), TokenProblem::Event),
        ("a nonce", changed("nonce", json!(NONCE)), TokenProblem::Nonce),
        ("an empty nonce", changed("nonce", Value::Null), TokenProblem::Nonce),
        ("nobody", world.key.token(&without(&without(&good, "sid"), "sub")), TokenProblem::Session),
        (
            "odd names",
            world.key.token(&with(&good, &[("sid", json!(1)), ("sub", json!(""))])),
            TokenProblem::Session,
        ),
        ("an id_token", world.key.token(&world.claims()), TokenProblem::Event),
        ("no token", "logout".to_owned(), TokenProblem::Malformed),
    ] {
        assert_eq!(world.log_out(&text).await, token(problem), "{case}");
    }
}

#[tokio::test]
async fn what_cannot_be_a_token_costs_no_call() {
    let world = World::new().await;
    for text in ["", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", &"a".repeat(100_000)] {
        assert!(matches!(world.log_out(text).await, Err(SsoError::Token(_))));
    }
    assert_eq!((world.host.calls(DISCOVERY), world.host.calls(KEYS)), (0, 0));
}
