//! Which `id_token`s are accepted: the cases of reference 3.4 and those beside them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use ring::hmac;

use super::signing::{OTHER_RSA, RSA};
use super::*;

/// The claims with one of them changed, or taken away by `null`.
fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    let fields = claims.as_object_mut().unwrap();
    match value {
        Value::Null => fields.remove(name),
        value => fields.insert(name.to_owned(), value),
    };
    claims
}

#[tokio::test]
async fn a_bad_id_token_is_refused_for_its_fault() {
    let world = World::new().await;
    let key = Pair::rsa("r1", "RS256", RSA);
    world.serve_keys(&[&key]);
    let (good, now) = (world.claims(), world.clock.unix());
    let changed = |name: &str, value: Value| key.token(&with(&good, name, value));
    let header = |name: &str, value: Value| key.token_with(&with(&key.header(), name, value), &good);
    world.sign_in(&key.token(&good)).await.expect("a good one");

    let tampered = {
        let other = key.token(&with(&good, "sub", json!("somebody-else")));
        let (message, _) = other.rsplit_once('.').unwrap();
        let token = key.token(&good);
        format!("{message}.{}", token.rsplit_once('.').unwrap().1)
    };
    let hs256 = signed(&json!({ "alg": "HS256", "kid": "r1" }), &good, |message| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.public_der()), message).as_ref().to_vec()
    });
    let several = json!([CLIENT_ID, "other"]);
    let both = with(&with(&good, "aud", several.clone()), "azp", json!("other"));
    for (case, id_token, problem) in [
        // Reference 3.4.
        ("alg none", signed(&json!({ "alg": "none" }), &good, |_| vec![]), TokenProblem::Algorithm),
        ("HS256 keyed with the public key", hs256, TokenProblem::Algorithm),
        ("a changed payload", tampered, TokenProblem::Signature),
        ("an unknown kid", header("kid", json!("r2")), TokenProblem::UnknownKey),
        ("another issuer", changed("iss", json!("https://evil.example")), TokenProblem::Issuer),
        ("another audience", changed("aud", json!("other")), TokenProblem::Audience),
        ("expired", changed("exp", json!(now - 61)), TokenProblem::Expiry),
        ("no exp", changed("exp", Value::Null), TokenProblem::Expiry),
        ("no sub", changed("sub", Value::Null), TokenProblem::Subject),
        ("two audiences without azp", changed("aud", several), TokenProblem::AuthorizedParty),
        ("azp of another client", changed("azp", json!("other")), TokenProblem::AuthorizedParty),
        ("no nonce", changed("nonce", Value::Null), TokenProblem::Nonce),
        ("another nonce", changed("nonce", json!("n-0S6_WzA2Mk")), TokenProblem::Nonce),
        ("nbf in the future", changed("nbf", json!(now + 90)), TokenProblem::NotBefore),
        ("iat one day ahead", changed("iat", json!(now + 86_400)), TokenProblem::IssuedAt),
        // Beside them.
        ("no iss", changed("iss", Value::Null), TokenProblem::Issuer),
        ("a list of issuers", changed("iss", json!([good["iss"]])), TokenProblem::Malformed),
        ("a slash more", changed("iss", json!(format!("{}/", world.client.issuer))), TokenProblem::Issuer),
        ("no aud", changed("aud", Value::Null), TokenProblem::Audience),
        ("an audience that is no text", changed("aud", json!([CLIENT_ID, 1])), TokenProblem::Malformed),
        ("two audiences, azp of another", key.token(&both), TokenProblem::AuthorizedParty),
        ("exp as text", changed("exp", json!((now + 300).to_string())), TokenProblem::Malformed),
        ("no iat", changed("iat", Value::Null), TokenProblem::IssuedAt),
        ("an empty sub", changed("sub", json!("")), TokenProblem::Subject),
        ("a sub outside ASCII", changed("sub", json!("ad\u{e4}")), TokenProblem::Subject),
        ("a sub too long", changed("sub", json!("a".repeat(256))), TokenProblem::Subject),
        ("a sub that is a number", changed("sub", json!(1)), TokenProblem::Subject),
        ("a logout token", header("typ", json!("logout+jwt")), TokenProblem::Kind),
        ("the same, spelt out", header("typ", json!("application/LOGOUT+JWT")), TokenProblem::Kind),
        ("an access token", header("typ", json!("at+jwt")), TokenProblem::Kind),
        ("a critical extension", header("crit", json!(["b64"])), TokenProblem::Critical),
        ("another access token's", changed("at_hash", json!("AAAA")), TokenProblem::AccessTokenHash),
        ("another type's algorithm", header("alg", json!("ES256")), TokenProblem::Algorithm),
        ("another use of the type", header("alg", json!("PS256")), TokenProblem::Algorithm),
        ("an algorithm that is not ours", header("alg", json!("RS512")), TokenProblem::Algorithm),
        ("nothing", String::new(), TokenProblem::Malformed),
        ("four parts", format!("{}.x", key.token(&good)), TokenProblem::Malformed),
        ("too long", changed("more", json!("a".repeat(64 * 1024))), TokenProblem::Malformed),
    ] {
        assert_eq!(world.sign_in(&id_token).await.map(|_| ()), token(problem), "{case}");
    }

    // The same token, by a document that is another issuer's: a fresh process, so that nothing is kept.
    let other = World::new().await;
    let mut document = other.discovery();
    document["issuer"] = json!("https://sso.example");
    other.host.serve_json(DISCOVERY, &document);
    let result = other.sign_in_with(&other.key).await;
    assert_eq!(result.map(|_| ()), Err(SsoError::Discovery("is another issuer's")));
    assert_eq!(other.host.calls(TOKEN), 0, "nothing is sent to somebody else's address");
}

#[tokio::test]
async fn without_an_id_token_nobody_has_signed_in() {
    let world = World::new().await;
    world.host.serve_json(TOKEN, &json!({ "access_token": "at", "token_type": "Bearer" }));
    assert_eq!(world.exchange().await.map(|_| ()), token(TokenProblem::Missing));
}

#[tokio::test]
async fn each_of_our_algorithms_is_accepted() {
    for key in [Pair::es256("k"), Pair::rsa("k", "RS256", RSA), Pair::rsa("k", "PS256", RSA)] {
        let world = World::new().await;
        world.serve_keys(&[&key]);
        world.sign_in_with(&key).await.expect(key.algorithm);
    }
}

#[tokio::test]
async fn without_a_kid_only_the_one_key_that_fits_counts() {
    let (one, two) = (Pair::rsa("r1", "RS256", RSA), Pair::rsa("r2", "RS256", OTHER_RSA));
    let world = World::new().await;
    let nameless = |key: &Pair| key.token_with(&with(&key.header(), "kid", Value::Null), &world.claims());
    world.serve_keys(&[&one, &world.key]);
    world.sign_in(&nameless(&one)).await.expect("one key fits");
    // It is tried with that one alone; another one's signature may mean that keys have rotated.
    assert_eq!(world.sign_in(&nameless(&two)).await.map(|_| ()), token(TokenProblem::UnknownKey));

    let world = World::new().await;
    world.serve_keys(&[&one, &two]);
    assert_eq!(world.sign_in(&nameless(&one)).await.map(|_| ()), token(TokenProblem::AmbiguousKey));
}

#[tokio::test]
async fn clocks_may_be_a_minute_apart() {
    let world = World::new().await;
    let (good, now) = (world.claims(), world.clock.unix());
    for (name, moment, accepted) in [
        ("exp", now - 50, true),
        ("exp", now - 70, false),
        ("iat", now + 50, true),
        ("iat", now + 70, false),
        ("nbf", now + 50, true),
        ("nbf", now + 70, false),
        ("exp", i64::MAX, true),
        ("iat", i64::MIN, true),
    ] {
        let result = world.sign_in(&world.key.token(&with(&good, name, json!(moment)))).await;
        assert_eq!(result.is_ok(), accepted, "{name} {}", moment.saturating_sub(now));
    }
    #[allow(clippy::cast_precision_loss)]
    let fraction = json!(now as f64 + 300.5);
    world.sign_in(&world.key.token(&with(&good, "exp", fraction))).await.expect("a fraction of a second");
}

#[tokio::test]
async fn what_is_optional_counts_where_it_is_there() {
    let world = World::new().await;
    let good = world.claims();
    let hash = ring::digest::digest(&ring::digest::SHA256, b"at");
    let at_hash = json!(URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16]));
    let several = with(&with(&good, "aud", json!(["other", CLIENT_ID])), "azp", json!(CLIENT_ID));
    for claims in [with(&good, "at_hash", at_hash), with(&good, "azp", json!(CLIENT_ID)), several] {
        world.sign_in(&world.key.token(&claims)).await.expect("accepted");
    }
    for kind in [Value::Null, json!("jwt"), json!("application/jwt")] {
        let header = with(&world.key.header(), "typ", kind);
        world.sign_in(&world.key.token_with(&header, &good)).await.expect("accepted");
    }
}

#[tokio::test]
async fn who_signed_in_is_the_subject_and_the_rest_is_for_show() {
    let world = World::new().await;
    let mut claims = world.claims();
    let mut seen = async |name: &str, value: Value| {
        claims = with(&claims, name, value);
        world.sign_in(&world.key.token(&claims)).await.unwrap().claims
    };
    let bare = seen("more", json!({})).await;
    assert_eq!((bare.subject.as_str(), bare.login.as_str()), (SUBJECT, SUBJECT));
    assert_eq!((bare.session_id, bare.avatar_url), (None, None));
    assert_eq!(seen("name", json!("Ada L\u{f6}velace")).await.login, "Ada L\u{f6}velace");
    assert_eq!(seen("email", json!("ada@acme.example")).await.login, "ada@acme.example");
    assert_eq!(seen("preferred_username", json!(" ")).await.login, "ada@acme.example", "empty");
    assert_eq!(seen("preferred_username", json!(7)).await.login, "ada@acme.example", "odd");
    assert_eq!(seen("preferred_username", json!("ada\n1")).await.login, "ada@acme.example", "a line break");
    assert_eq!(seen("preferred_username", json!("ada")).await.login, "ada");
    assert_eq!(seen("sid", json!("s-1")).await.session_id.as_deref(), Some("s-1"));
    assert_eq!(seen("sid", json!(1)).await.session_id, None, "odd");
    let url = "https://img.example/a.png";
    assert_eq!(seen("picture", json!(url)).await.avatar_url.as_deref(), Some(url));
    for odd in [json!("http://img.example/a.png"), json!("javascript:alert(1)"), json!("a.png"), json!([])] {
        assert_eq!(seen("picture", odd).await.avatar_url, None);
    }
    assert_eq!(seen("name", json!("other")).await.subject, SUBJECT);
}

proptest! {
    #[test]
    fn no_byte_of_a_token_can_be_changed(place in any::<prop::sample::Index>(), byte in 0x20_u8..0x7f, rsa in any::<bool>()) {
        static KEYS: std::sync::LazyLock<[(Keys, String); 2]> = std::sync::LazyLock::new(|| {
            ring_provider::install();
            [Pair::es256("k1"), Pair::rsa("k1", "RS256", RSA)].map(|key| {
                let claims = json!({ "iss": "i", "sub": "s", "aud": "a", "exp": 1, "iat": 1, "nonce": "n" });
                (Keys::read(&json!({ "keys": [key.jwk()] })).unwrap(), key.token(&claims))
            })
        });
        let (keys, good) = &KEYS[usize::from(rsa)];
        let believed = |text: &str| SignedToken::parse(text).and_then(|token| keys.claims(&token));
        prop_assert!(believed(good).is_ok());
        let mut bytes = good.clone().into_bytes();
        let place = place.index(bytes.len());
        prop_assume!(bytes[place] != byte);
        bytes[place] = byte;
        prop_assert!(believed(&String::from_utf8(bytes).unwrap()).is_err());
    }

    #[test]
    fn no_text_makes_the_reading_panic(text in "[ -~]{0,60}", parts in "[A-Za-z0-9_-]{0,40}(\\.[A-Za-z0-9_-]{0,40}){2}") {
        for text in [text, parts] {
            prop_assert!(SignedToken::parse(&text).is_err());
        }
    }
}
