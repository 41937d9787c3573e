//! A run of the built binary, in an environment that is empty but for what a test sets.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Starting in a debug build, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that has ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A program that runs; it is killed when this is dropped.
pub(crate) struct Run {
    child: Child,
    data: PathBuf,
    output: PathBuf,
    errors: PathBuf,
}

/// The command with these arguments.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_git-installations"));
    command.env_clear().args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command that ends by itself.
pub(crate) fn ends(mut command: Command) -> Ended {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A run on this folder and on free ports, once it is ready.
pub(crate) async fn start(data: &Path, more: &[&str]) -> Run {
    let mut arguments = vec!["--port", "0", "--data", data.to_str().unwrap()];
    arguments.extend(more);
    start_command(command(&arguments), data).await
}

/// The same of a command that has been put together already.
pub(crate) async fn start_command(mut command: Command, data: &Path) -> Run {
    let beside = |end: &str| data.with_extension(end);
    let (output, errors) = (beside("stdout"), beside("stderr"));
    let child = command
        .stdout(File::create(&output).unwrap())
        .stderr(File::create(&errors).unwrap())
        .spawn()
        .unwrap();
    let mut run = Run { child, data: data.to_owned(), output, errors };
    let started = Instant::now();
    while !run.output().contains("Ctrl-C stops it.") {
        let ended = run.child.try_wait().unwrap();
        assert!(ended.is_none(), "it ended with {ended:?}: {}", run.errors());
        assert!(started.elapsed() < PATIENCE, "it is not ready: {}", run.errors());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    run
}

impl Run {
    pub(crate) fn output(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap()
    }

    pub(crate) fn errors(&self) -> String {
        std::fs::read_to_string(&self.errors).unwrap()
    }

    pub(crate) fn ready_file(&self) -> PathBuf {
        self.data.join("ready.json")
    }

    pub(crate) fn ready(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.ready_file()).unwrap()).unwrap()
    }

    /// A text of `ready.json`.
    pub(crate) fn told(&self, name: &str) -> String {
        self.ready()[name].as_str().unwrap_or_else(|| panic!("no {name}: {}", self.ready())).to_owned()
    }

    /// Sends a signal and waits for the end.
    pub(crate) async fn signal(mut self, signal: &str) -> ExitStatus {
        let kill = format!("kill -{signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        let sent = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(sent.elapsed() < PATIENCE, "it does not stop: {}", self.errors());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn get(&self, path: &str, header: (&str, &str)) -> (u16, Value) {
        answer(client().get(format!("{}{path}", self.told("url"))).header(header.0, header.1)).await
    }

    /// The same as the demo user of this run.
    pub(crate) async fn ask(&self, path: &str) -> Value {
        let key = self.told("api_key");
        let (status, body) = self.get(path, ("X-Session-API-Key", &key)).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn client() -> reqwest::Client {
    shared::provider::upstream::http_client(&[]).unwrap()
}

/// Status and JSON; a body that is no JSON is null.
pub(crate) async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
}
