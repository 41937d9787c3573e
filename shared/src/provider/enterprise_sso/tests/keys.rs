//! When keys are read again, for whom and how often; and which of a set are keys to us.

use super::signing::{OTHER_RSA, RSA};
use super::*;

fn forged(kid: &str, claims: &Value) -> String {
    let header = json!({ "alg": "ES256", "typ": "logout+jwt", "kid": kid });
    signed(&header, claims, |_| vec![7; 64])
}

#[tokio::test]
async fn a_rotated_key_needs_no_restart() {
    let world = World::new().await;
    world.sign_in_with(&world.key).await.unwrap();
    world.sign_in_with(&world.key).await.unwrap();
    assert_eq!(world.host.calls(KEYS), 1, "kept");
    let new = Pair::es256("k2");
    world.serve_keys(&[&new, &world.key]);
    world.sign_in_with(&new).await.expect("found at once");
    world.sign_in_with(&world.key).await.expect("the old one is still there");
    assert_eq!(world.host.calls(KEYS), 2);

    // The next one has to wait for the cooldown.
    let newer = Pair::es256("k3");
    world.serve_keys(&[&newer]);
    assert_eq!(world.sign_in_with(&newer).await.map(|_| ()), token(TokenProblem::UnknownKey));
    assert_eq!(world.host.calls(KEYS), 2);
    world.pass(kept::COOLDOWN_SECONDS);
    world.sign_in_with(&newer).await.expect("after the cooldown");
    assert_eq!(world.sign_in_with(&world.key).await.map(|_| ()), token(TokenProblem::UnknownKey), "gone");
}

#[tokio::test]
async fn a_rotated_key_without_a_name_is_found_too() {
    let world = World::new().await;
    let nameless = |key: &Pair| key.token_with(&json!({ "alg": "ES256" }), &world.claims());
    world.sign_in(&nameless(&world.key)).await.unwrap();
    let new = Pair::es256("k2");
    world.serve_keys(&[&new]);
    world.sign_in(&nameless(&new)).await.expect("found at once");
}

#[tokio::test]
async fn forged_logout_tokens_neither_hammer_the_issuer_nor_keep_a_new_key_from_a_sign_in() {
    let world = World::new().await;
    world.sign_in_with(&world.key).await.unwrap();
    let posted = async |from: usize| {
        for number in from..from + 100 {
            let result = world.log_out(&forged(&format!("forged-{number}"), &world.logout_claims())).await;
            assert_eq!(result, token(TokenProblem::UnknownKey));
        }
    };
    posted(0).await;
    assert_eq!(world.host.calls(KEYS), 2, "one call for all of them");
    let new = Pair::es256("k2");
    world.serve_keys(&[&new]);
    posted(100).await;
    assert_eq!(world.host.calls(KEYS), 2);
    world.sign_in_with(&new).await.expect("a sign-in has its own permit");
    assert_eq!(world.host.calls(KEYS), 3);
    world.log_out(&new.token(&world.logout_claims())).await.expect("what it found serves logout too");

    world.pass(kept::COOLDOWN_SECONDS);
    posted(200).await;
    assert_eq!(world.host.calls(KEYS), 4, "one call in five minutes");
}

#[tokio::test]
async fn the_same_holds_in_a_process_that_knows_nothing_yet() {
    let world = World::new().await;
    for number in 0..100 {
        let result = world.log_out(&forged(&format!("forged-{number}"), &world.logout_claims())).await;
        assert_eq!(result, token(TokenProblem::UnknownKey));
    }
    assert_eq!((world.host.calls(KEYS), world.host.calls(DISCOVERY)), (1, 1));
}

#[tokio::test]
async fn forged_logout_tokens_do_not_hammer_an_issuer_that_fails() {
    for broken in [KEYS, DISCOVERY] {
        let world = World::new().await;
        world.host.serve(broken, 500, &[], "");
        for _ in 0..100 {
            let result = world.log_out(&forged("k1", &world.logout_claims())).await;
            assert_eq!(result, Err(SsoError::Host(ProviderError::BadResponse { status: 500 })));
        }
        assert_eq!(world.host.calls(broken), 1, "{broken}");
        // A sign-in asks all the same.
        assert!(world.sign_in_with(&world.key).await.is_err());
        assert_eq!(world.host.calls(broken), 2, "{broken}");

        world.host.serve_json(DISCOVERY, &world.discovery());
        world.serve_keys(&[&world.key]);
        world.pass(kept::PAUSE_SECONDS);
        world.log_out(&world.key.token(&world.logout_claims())).await.expect("after a pause");
    }
}

#[tokio::test]
async fn a_failed_look_for_a_new_key_does_not_count_for_sign_ins() {
    let world = World::new().await;
    world.sign_in_with(&world.key).await.unwrap();
    let new = Pair::es256("k2");
    world.host.serve(KEYS, 500, &[], "");
    let result = world.sign_in_with(&new).await.map(|_| ());
    assert_eq!(result, Err(SsoError::Host(ProviderError::BadResponse { status: 500 })));
    world.sign_in_with(&world.key).await.expect("the known ones stay");
    world.serve_keys(&[&new]);
    world.sign_in_with(&new).await.expect("tried again at once");
}

#[tokio::test]
async fn keys_are_read_again_after_an_hour_and_old_ones_are_the_last_resort() {
    let world = World::new().await;
    world.sign_in_with(&world.key).await.unwrap();
    world.pass(kept::FRESH_SECONDS - 5);
    world.sign_in_with(&world.key).await.unwrap();
    assert_eq!(world.host.calls(KEYS), 1);
    world.pass(10);
    world.sign_in_with(&world.key).await.unwrap();
    assert_eq!(world.host.calls(KEYS), 2);

    world.host.serve_json(KEYS, &json!({ "keys": [] }));
    world.pass(kept::FRESH_SECONDS);
    world.sign_in_with(&world.key).await.expect("the copy of before");
    world.sign_in_with(&world.key).await.expect("the copy of before");
    assert_eq!(world.host.calls(KEYS), 3, "not at every sign-in");
    world.pass(kept::LAST_RESORT_SECONDS - kept::FRESH_SECONDS - 10);
    world.sign_in_with(&world.key).await.expect("for a day");
    world.pass(20);
    let result = world.sign_in_with(&world.key).await.map(|_| ());
    assert_eq!(result, Err(SsoError::KeySet("has no key that can verify a token")));
}

#[tokio::test]
async fn many_sign_ins_at_once_read_each_document_once() {
    let world = World::new().await;
    let id_token = world.key.token(&world.claims());
    let all = futures::future::join_all((0..8).map(|_| world.sign_in(&id_token))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!((world.host.calls(DISCOVERY), world.host.calls(KEYS), world.host.calls(TOKEN)), (1, 1, 8));

    let new = Pair::es256("k2");
    world.serve_keys(&[&new]);
    let id_token = new.token(&world.claims());
    let all = futures::future::join_all((0..8).map(|_| world.sign_in(&id_token))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(world.host.calls(KEYS), 2);

    // A failure is shared by those who waited for it.
    let world = World::new().await;
    world.host.serve(DISCOVERY, 500, &[], "");
    let all = futures::future::join_all((0..8).map(|_| world.exchange())).await;
    assert!(all.iter().all(Result::is_err));
    assert_eq!(world.host.calls(DISCOVERY), 1);
}

#[tokio::test]
async fn who_misses_the_same_key_shares_one_look_for_it() {
    let (document, clock, budget) = (Kept::default(), Clock::system(), budget());
    let held = document.get(Asker::User, &clock, &budget, async { Ok(1) }).await.unwrap();
    let newer = || document.newer_than(&held, Asker::User, &clock, &budget, async { Ok(2) });
    let (one, two) = tokio::join!(newer(), newer());
    for found in [one, two] {
        assert_eq!(found.unwrap().map(|held| *held.value), Some(2));
    }
}

#[tokio::test]
async fn another_issuer_has_its_own_documents() {
    let (one, two) = (World::new().await, World::new().await);
    one.sign_in_with(&one.key).await.unwrap();
    two.serve_keys(&[&two.key, &one.key]);
    two.host.serve_json(TOKEN, &json!({ "access_token": "at", "id_token": two.key.token(&two.claims()) }));
    let grant = one.sso.exchange_code(&two.client, "c", "https://us.example", "v", NONCE, &budget()).await;
    grant.expect("by the other issuer's key");
    assert_eq!((two.host.calls(DISCOVERY), two.host.calls(KEYS)), (1, 1));
}

#[test]
fn an_odd_key_costs_nothing_but_itself() {
    let good = Pair::es256("k1");
    let rsa = Pair::rsa("r1", "RS256", RSA);
    let changed = |key: &Pair, name: &str, value: Value| {
        let mut jwk = key.jwk();
        jwk[name] = value;
        jwk
    };
    for odd in [
        json!(null),
        json!("key"),
        json!({}),
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": "AAAA" }),
        json!({ "kty": "oct", "kid": "k1", "k": "c2VjcmV0" }),
        changed(&good, "kty", json!("XY")),
        changed(&good, "use", json!("enc")),
        changed(&good, "use", json!(1)),
        changed(&good, "key_ops", json!(["encrypt"])),
        changed(&good, "crv", json!("P-521")),
        changed(&good, "x", json!("AAAA")),
        changed(&good, "y", json!("*")),
        changed(&rsa, "n", json!("AQAB")),
        changed(&rsa, "n", json!("AAAA")),
        changed(&rsa, "n", json!(7)),
        changed(&rsa, "e", json!(null)),
    ] {
        assert!(Keys::read(&json!({ "keys": [odd] })).is_err(), "{odd}");
        let keys = Keys::read(&json!({ "keys": [odd, good.jwk()] })).unwrap();
        ring_provider::install();
        let text = good.token(&json!({}));
        assert!(keys.claims(&SignedToken::parse(&text).unwrap()).is_ok(), "{odd}");
    }
    for set in [json!([]), json!({}), json!({ "keys": {} }), json!({ "keys": [] })] {
        assert!(matches!(Keys::read(&set), Err(SsoError::KeySet(_))), "{set}");
    }
}

#[test]
fn what_a_key_says_of_itself_is_kept_to() {
    ring_provider::install();
    let believed = |jwk: Value, key: &Pair| {
        let text = key.token(&json!({}));
        let keys = Keys::read(&json!({ "keys": [jwk] })).unwrap();
        keys.claims(&SignedToken::parse(&text).unwrap()).map(|_| ())
    };
    let changed = |key: &Pair, name: &str, value: Value| {
        let mut jwk = key.jwk();
        jwk[name] = value;
        jwk
    };
    let (ec, rsa, pss) = (Pair::es256("k"), Pair::rsa("k", "RS256", RSA), Pair::rsa("k", "PS256", RSA));
    assert_eq!(believed(changed(&ec, "key_ops", json!(["verify"])), &ec), Ok(()));
    assert_eq!(believed(changed(&ec, "alg", json!("ES256")), &ec), Ok(()));
    assert_eq!(believed(changed(&ec, "alg", json!("ES384")), &ec), Err(TokenProblem::Algorithm));
    assert_eq!(believed(rsa.jwk(), &pss), Err(TokenProblem::Algorithm));
    let any = |key: &Pair| {
        let mut jwk = key.jwk();
        jwk.as_object_mut().unwrap().remove("alg");
        jwk
    };
    assert_eq!((believed(any(&rsa), &rsa), believed(any(&rsa), &pss)), (Ok(()), Ok(())));
    assert_eq!(believed(any(&Pair::rsa("k", "RS256", OTHER_RSA)), &rsa), Err(TokenProblem::Signature));
    // A modulus with its sign's zero byte, as some libraries write it: AAAA is three of them.
    let padded = format!("AAAA{}", rsa.jwk()["n"].as_str().unwrap());
    assert_eq!(believed(changed(&rsa, "n", json!(padded)), &rsa), Ok(()));
    // Keys of two types may share a name.
    let both = Keys::read(&json!({ "keys": [ec.jwk(), rsa.jwk()] })).unwrap();
    for key in [&ec, &rsa] {
        assert!(both.claims(&SignedToken::parse(&key.token(&json!({}))).unwrap()).is_ok());
    }
}
