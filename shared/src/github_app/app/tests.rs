//! What the App does when GitHub refuses its JWT, and when it does not know a key itself.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::*;
use crate::secrets::SecretSource;

const KEY: &str = include_str!("../../../fixtures/pem/rsa-pkcs1.pem");
const OTHER_KEY: &str = include_str!("../../../fixtures/pem/other-pkcs1.pem");
const UNKNOWN_KEY: &str = "A JSON web token could not be decoded";
const SKEW: &str = "'Expiration time' claim ('exp') is too far in the future";

/// The App's secret, whose keys a test exchanges.
#[derive(Clone, Debug, Default)]
struct Stored(Arc<(Mutex<Vec<&'static str>>, AtomicUsize)>);

impl Stored {
    fn put(&self, keys: &[&'static str]) {
        *self.0.0.lock().unwrap() = keys.to_vec();
    }

    fn reads(&self) -> usize {
        self.0.1.load(Ordering::Relaxed)
    }
}

impl SecretSource for Stored {
    fn read<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<SecretString, SecretsError>> {
        self.0.1.fetch_add(1, Ordering::Relaxed);
        let secret = json!({
            "app_id": 4001,
            "client_id": "Iv23liABCDEF",
            "client_secret": "secret",
            "private_key": *self.0.0.lock().unwrap(),
            "webhook_secret": "secret",
        });
        Box::pin(async move { Ok(secret.to_string().into()) })
    }
}

fn app(keys: &[&'static str]) -> (GithubApp, Stored, Clock) {
    let (stored, clock) = (Stored::default(), Clock::system());
    stored.put(keys);
    let secrets = Secrets::new(stored.clone(), clock.clone());
    (GithubApp::new(secrets, "app", clock.clone()), stored, clock)
}

#[tokio::test]
async fn a_key_that_github_does_not_know_is_read_again_and_the_new_one_signs() {
    let (app, stored, clock) = app(&[KEY]);
    let first = app.jwt().await.unwrap();
    stored.put(&[OTHER_KEY]);
    clock.advance(Duration::from_secs(11));
    let second = app.jwt_after_refusal(&first, UNKNOWN_KEY, None).await.unwrap().unwrap();
    assert_ne!(second.key(), first.key());
    assert_eq!(app.jwt().await.unwrap().key(), second.key());
}

#[tokio::test]
async fn while_rotating_the_other_key_signs_when_github_does_not_know_the_first() {
    let (app, _, _) = app(&[KEY, OTHER_KEY]);
    let first = app.jwt().await.unwrap();
    let second = app.jwt_after_refusal(&first, UNKNOWN_KEY, None).await.unwrap().unwrap();
    assert_ne!(second.key(), first.key());
}

#[tokio::test]
async fn the_same_key_is_not_sent_twice() {
    let (app, stored, clock) = app(&[KEY]);
    let first = app.jwt().await.unwrap();
    clock.advance(Duration::from_secs(11));
    assert!(app.jwt_after_refusal(&first, UNKNOWN_KEY, None).await.unwrap().is_none());
    assert_eq!(stored.reads(), 2);
}

#[tokio::test]
async fn a_wrong_clock_is_repaired_without_reading_the_secret() {
    let (app, stored, clock) = app(&[KEY]);
    clock.advance(Duration::from_secs(200));
    let first = app.jwt().await.unwrap();
    let date = httpdate::fmt_http_date(std::time::SystemTime::now());
    let second = app.jwt_after_refusal(&first, SKEW, Some(&date)).await.unwrap().unwrap();
    assert_ne!(first.token().expose_secret(), second.token().expose_secret());
    assert_eq!(stored.reads(), 1);
    assert!(app.jwt_after_refusal(&first, SKEW, None).await.unwrap().is_none());
    assert!(app.jwt_after_refusal(&first, SKEW, Some("soon")).await.unwrap().is_none());
}

#[tokio::test]
async fn no_other_refusal_is_answered_with_another_jwt() {
    let (app, _, _) = app(&[KEY]);
    let first = app.jwt().await.unwrap();
    assert!(app.jwt_after_refusal(&first, "Integration not found", None).await.unwrap().is_none());
}

#[tokio::test]
async fn a_jwt_by_a_key_that_was_added_just_now_is_ours() {
    let (theirs, _, _) = app(&[OTHER_KEY]);
    let token = theirs.jwt().await.unwrap();
    let token = token.token().expose_secret();
    let (ours, stored, clock) = app(&[KEY]);
    assert_eq!(ours.verify(token).await.unwrap(), Err(UNKNOWN_KEY));
    stored.put(&[KEY, OTHER_KEY]);
    assert_eq!(ours.verify(token).await.unwrap(), Err(UNKNOWN_KEY));
    clock.advance(Duration::from_secs(11));
    assert_eq!(ours.verify(token).await.unwrap(), Ok(()));
}

#[tokio::test]
async fn forged_jwts_do_not_make_us_read_the_secret_again_and_again() {
    let (app, stored, _) = app(&[KEY]);
    for _ in 0..20 {
        assert_eq!(app.verify("a.b.c").await.unwrap(), Err(UNKNOWN_KEY));
    }
    assert_eq!(stored.reads(), 1);
}
