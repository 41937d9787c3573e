//! What is logged while Secrets Manager is down. Alone in its process: what a thread captures of the logs
//! depends on what other threads have logged before.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the finding")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use secrecy::SecretString;
use shared::clock::Clock;
use shared::secrets::{SecretSource, Secrets, SecretsError};

/// Gives one secret, or fails.
#[derive(Clone, Debug, Default)]
struct Source {
    down: Arc<AtomicBool>,
}

impl SecretSource for Source {
    fn read<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<SecretString, SecretsError>> {
        let down = self.down.load(Ordering::Relaxed);
        Box::pin(async move {
            if down {
                let reason = "InternalServiceError".to_owned();
                Err(SecretsError::Unavailable { secret: id.to_owned(), reason })
            } else {
                Ok("hunter2".into())
            }
        })
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(line)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn that_an_old_value_is_used_is_logged_once_for_each_outage() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_writer(move || writer.clone()).init();
    let (source, clock) = (Source::default(), Clock::system());
    let secrets = Secrets::new(source.clone(), clock.clone());
    for _ in 0..2 {
        source.down.store(false, Ordering::Relaxed);
        clock.advance(Duration::from_secs(301));
        secrets.get("a").await.unwrap();
        source.down.store(true, Ordering::Relaxed);
        for _ in 0..3 {
            clock.advance(Duration::from_secs(301));
            secrets.get("a").await.unwrap();
        }
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(log.matches("going on with the value read before").count(), 2, "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}
