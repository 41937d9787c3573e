//! The built binary on a folder and on known ports: used from the moment at which it answers, whatever it still
//! prepares, and killed when it is dropped.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use local::stack::TABLE;
use shared::config::Aws;
use shared::provider::upstream::http_client;
use shared::store::Table;

use crate::chance::Chance;

/// Starting in a debug build, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Below the ports that a system gives to whoever asks for any.
const PORTS: std::ops::Range<u64> = 20_000..32_000;
/// The gateway's and those after it: GitHub's, DynamoDB's and the others'.
const TAKEN: u16 = 7;

/// Where a service runs, each time that it runs.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    data: PathBuf,
    port: u16,
}

/// A service that runs; it is killed when this is dropped.
pub(crate) struct Service(Child);

impl Place {
    pub(crate) fn new(data: &Path, chance: &mut Chance) -> Self {
        let is_free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
        loop {
            let port = u16::try_from(PORTS.start + chance.below(PORTS.end - PORTS.start)).unwrap();
            if (port..port + TAKEN).all(is_free) {
                return Self { data: data.to_owned(), port };
            }
        }
    }

    /// Starts the program, which may not answer yet.
    pub(crate) fn begin(&self) -> Service {
        let errors = File::options().create(true).append(true).open(self.errors()).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_git-installations"))
            .env_clear()
            .args(["--port", &self.port.to_string(), "--data", self.data.to_str().unwrap()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn();
        Service(child.unwrap())
    }

    /// Starts it, and waits until it answers.
    pub(crate) async fn start(&self) -> Service {
        let mut service = self.begin();
        let (http, url) = (http_client(&[]).unwrap(), format!("{}/healthz", self.url()));
        let started = Instant::now();
        while !http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            let ended = service.0.try_wait().unwrap();
            assert!(ended.is_none(), "it ended with {ended:?}: {}", self.said());
            assert!(started.elapsed() < PATIENCE, "it does not answer: {}", self.said());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        service
    }

    pub(crate) fn url(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    pub(crate) fn github(&self) -> String {
        format!("http://localhost:{}", self.port + 1)
    }

    /// The table, as somebody from outside reads it.
    pub(crate) fn table(&self) -> Table {
        let endpoint = format!("http://127.0.0.1:{}", self.port + 2);
        let aws = Aws::from_lookup(|name| match name {
            "AWS_REGION" => Some("us-east-1".to_owned()),
            "AWS_ENDPOINT_URL_DYNAMODB" => Some(endpoint.clone()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("local".to_owned()),
            _ => None,
        });
        Table::new(shared::aws::dynamodb(&aws.unwrap(), http_client(&[]).unwrap()), TABLE)
    }

    /// What it has written to standard error in all its runs.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(self.errors()).unwrap_or_default()
    }

    fn errors(&self) -> PathBuf {
        self.data.with_extension("stderr")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // SIGKILL. It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
