//! The JWKS, and what a rotation makes of tokens that were signed before it.

use http::StatusCode;
use local::sandbox_openid::{Algorithm, OldKeys};
use serde_json::Value;

use super::lab::{Lab, parts};

async fn keys(lab: &Lab) -> Vec<Value> {
    lab.get(&lab.url("/certs")).await.json()["keys"].as_array().unwrap().clone()
}

fn kids(keys: &[Value]) -> Vec<&str> {
    keys.iter().filter(|key| key["use"] == "sig").map(|key| key["kid"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_jwks_holds_one_rsa_key_for_signatures_and_one_that_is_not() {
    let lab = Lab::new().await;
    let keys = keys(&lab).await;
    let uses: Vec<_> =
        keys.iter().map(|key| (key["use"].as_str().unwrap(), key["alg"].as_str().unwrap())).collect();
    assert_eq!(uses, [("sig", "RS256"), ("enc", "RSA-OAEP")]);
    for key in &keys {
        assert_eq!((&key["kty"], &key["e"]), (&"RSA".into(), &"AQAB".into()));
        assert!(key.get("d").is_none() && key.get("p").is_none(), "nothing private");
    }
    assert_ne!(keys[0]["n"], keys[1]["n"]);
}

#[tokio::test]
async fn a_new_key_signs_at_once_and_the_old_ones_stay_as_long_as_they_are_kept() {
    let lab = Lab::new().await;
    let before = lab.sign_in("sso-cat").await;
    let kid = lab.sandbox.rotate_keys(Algorithm::Es256, OldKeys::Keep).unwrap();
    let after = lab.sign_in("sso-cat").await;
    assert_eq!(parts(after.id()).0["kid"], kid);
    assert_eq!(parts(after.id()).0["alg"], "ES256");
    assert!(lab.verified(before.id()).await.is_some() && lab.verified(after.id()).await.is_some());
    assert_eq!(kids(&keys(&lab).await).len(), 2);

    let rsa = lab.sandbox.rotate_keys(Algorithm::Rs256, OldKeys::Drop).unwrap();
    assert_eq!(kids(&keys(&lab).await), [rsa.as_str()]);
    assert_ne!(parts(before.id()).0["kid"], rsa, "the other RSA key");
    assert!(lab.verified(before.id()).await.is_none() && lab.verified(after.id()).await.is_none());
    assert!(!lab.opens(after.access()).await, "nor does the provider believe what they signed");
    let renewed = lab.refresh(after.refresh()).await;
    assert_eq!(renewed.status, StatusCode::OK, "refresh tokens have a key of their own");
    assert!(lab.verified(renewed.json()["id_token"].as_str().unwrap()).await.is_some());
}
