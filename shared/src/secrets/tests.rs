//! When Secrets Manager is asked, and what is used when it does not answer.

use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use futures::future::BoxFuture;

use super::*;

/// An in-memory Secrets Manager that counts its calls.
#[derive(Clone, Debug, Default)]
struct Source {
    answers: Arc<Mutex<HashMap<String, Result<String, SecretsError>>>>,
    calls: Arc<AtomicUsize>,
}

impl Source {
    fn put(&self, text: &str) {
        self.answers.lock().unwrap().insert("a".to_owned(), Ok(text.to_owned()));
    }

    fn fail(&self) {
        self.answers.lock().unwrap().insert("a".to_owned(), Err(unavailable()));
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

impl SecretSource for Source {
    fn read<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<SecretString, SecretsError>> {
        Box::pin(async move {
            self.calls.fetch_add(1, Ordering::Relaxed);
            // Gives way, as a call over the network does, so that other readers come in between.
            tokio::task::yield_now().await;
            let answer = self.answers.lock().unwrap().get(id).cloned();
            answer.unwrap_or_else(|| Err(SecretsError::NotFound(id.to_owned()))).map(SecretString::from)
        })
    }
}

fn unavailable() -> SecretsError {
    SecretsError::Unavailable { secret: "a".to_owned(), reason: "InternalServiceError".to_owned() }
}

fn secrets() -> (Secrets, Source, Clock) {
    let (source, clock) = (Source::default(), Clock::system());
    source.put("one");
    (Secrets::new(source.clone(), clock.clone()), source, clock)
}

async fn text(secrets: &Secrets) -> Result<String, SecretsError> {
    secrets.get("a").await.map(|text| text.expose_secret().to_owned())
}

#[tokio::test]
async fn a_secret_is_read_once_in_five_minutes() {
    let (secrets, source, clock) = secrets();
    assert_eq!(text(&secrets).await.unwrap(), "one");
    source.put("two");
    clock.advance(Duration::from_secs(290));
    assert_eq!(text(&secrets).await.unwrap(), "one");
    assert_eq!(source.calls(), 1);
    clock.advance(Duration::from_secs(11));
    assert_eq!(text(&secrets).await.unwrap(), "two");
    assert_eq!(source.calls(), 2);
}

#[tokio::test]
async fn a_refresh_reads_at_once_but_not_more_than_every_ten_seconds() {
    let (secrets, source, clock) = secrets();
    secrets.get("a").await.unwrap();
    source.put("two");
    assert_eq!(secrets.refresh("a").await.unwrap().expose_secret(), "one");
    clock.advance(Duration::from_secs(11));
    assert_eq!(secrets.refresh("a").await.unwrap().expose_secret(), "two");
    secrets.refresh("a").await.unwrap();
    assert_eq!(source.calls(), 2);
}

#[tokio::test]
async fn readers_at_the_same_time_cause_one_call() {
    let (secrets, source, clock) = secrets();
    futures::future::join_all((0..10).map(|_| secrets.get("a"))).await;
    assert_eq!(source.calls(), 1);
    clock.advance(Duration::from_secs(301));
    futures::future::join_all((0..10).map(|_| secrets.refresh("a"))).await;
    assert_eq!(source.calls(), 2);
}

#[tokio::test]
async fn readers_at_the_same_time_share_a_failure_and_the_next_one_tries_again() {
    let (secrets, source, _) = secrets();
    source.fail();
    let answers = futures::future::join_all((0..10).map(|_| secrets.get("a"))).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap_err() == unavailable()));
    assert_eq!(source.calls(), 1);
    source.put("two");
    assert_eq!(text(&secrets).await.unwrap(), "two");
}

#[tokio::test]
async fn a_reader_that_gives_up_leaves_the_others_working() {
    let (secrets, source, _) = secrets();
    {
        let mut first = std::pin::pin!(secrets.get("a"));
        assert!(futures::poll!(first.as_mut()).is_pending());
    }
    assert_eq!(text(&secrets).await.unwrap(), "one");
    assert_eq!(source.calls(), 2);
}

#[tokio::test]
async fn the_last_value_goes_on_being_used_while_secrets_manager_is_down() {
    let (secrets, source, clock) = secrets();
    secrets.get("a").await.unwrap();
    source.fail();
    for _ in 0..3 {
        clock.advance(Duration::from_secs(86_400));
        assert_eq!(text(&secrets).await.unwrap(), "one");
    }
    assert_eq!(source.calls(), 4);
    // While it is down, it is not asked by every request either.
    assert_eq!(text(&secrets).await.unwrap(), "one");
    assert_eq!(source.calls(), 4);
    source.put("two");
    clock.advance(Duration::from_secs(11));
    assert_eq!(text(&secrets).await.unwrap(), "two");
}

#[tokio::test]
async fn a_secret_that_was_never_read_fails_with_its_reason() {
    let (secrets, source, _) = secrets();
    assert_eq!(secrets.get("b").await.unwrap_err(), SecretsError::NotFound("b".to_owned()));
    source.fail();
    let error = text(&secrets).await.unwrap_err();
    assert_eq!(error.to_string(), "the secret a cannot be read: InternalServiceError");
}

#[tokio::test]
async fn one_secret_does_not_wait_for_another() {
    let (secrets, _, _) = secrets();
    let entry = secrets.entry("b");
    let _reading = entry.state.lock().await;
    assert_eq!(text(&secrets).await.unwrap(), "one");
}

#[tokio::test]
async fn a_printed_cache_shows_no_value() {
    let (_, source, clock) = secrets();
    source.put("hunter2");
    // The source of this test prints its values; the cache must not.
    #[derive(Debug)]
    struct Quiet;
    impl SecretSource for Quiet {
        fn read<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<SecretString, SecretsError>> {
            Box::pin(async { Ok("hunter2".into()) })
        }
    }
    let secrets = Secrets::new(Quiet, clock);
    secrets.get("a").await.unwrap();
    assert!(!format!("{secrets:?}").contains("hunter2"));
}

/// A number, as a type that is parsed from a secret; counts how often it is.
#[derive(Debug)]
struct Number(u32);

static PARSED: AtomicUsize = AtomicUsize::new(0);

impl FromSecret for Number {
    fn from_secret(text: &str) -> Result<Self, String> {
        PARSED.fetch_add(1, Ordering::Relaxed);
        text.parse().map(Self).map_err(|_| "it is not a number".to_owned())
    }
}

#[tokio::test]
async fn a_typed_secret_is_parsed_when_its_text_changes_and_a_slip_changes_nothing() {
    let (secrets, source, clock) = secrets();
    let number: Secret<Number> = Secret::new(secrets, "a");
    let malformed = SecretsError::Malformed { secret: "a".to_owned(), what: "it is not a number".to_owned() };
    assert_eq!(number.get().await.unwrap_err(), malformed);
    for (text, expected, parsed) in
        [("1", 1, 2), ("1", 1, 2), ("2", 2, 3), ("two", 2, 4), ("two", 2, 4), ("3", 3, 5)]
    {
        source.put(text);
        clock.advance(Duration::from_secs(11));
        assert_eq!(number.refresh().await.unwrap().0, expected, "{text}");
        assert_eq!(number.get().await.unwrap().0, expected, "{text}");
        assert_eq!(PARSED.load(Ordering::Relaxed), parsed, "{text}");
    }
}
