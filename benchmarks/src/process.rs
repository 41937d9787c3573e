//! One start of a function's binary, from the moment it is spawned until it rests after two events.
//! Its environment is Lambda's, with the AWS endpoints and the git hosts on this machine.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::aws::{self, Secrets};
use crate::cpu_share::CpuShare;
use crate::http::Server;
use crate::runtime_api::{Outcome, RuntimeApi};

/// How long a process may settle before its memory is read.
const REST: Duration = Duration::from_millis(30);

/// What one start was measured at.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// From the spawn to the first connection to anything.
    pub first_connection: Duration,
    /// From the spawn to the first request for an event.
    pub first_next: Duration,
    /// From the first event to its answer.
    pub first_event: Duration,
    /// From the second event to its answer.
    pub second_event: Duration,
    /// The status of the second answer.
    pub status: u64,
    /// Resident memory at rest, in KiB.
    pub resident: Option<u64>,
    /// The most that was ever resident, in KiB.
    pub peak: Option<u64>,
}

/// Ends the process with the measurement, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for a process that has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the binary once and gives it the event twice.
///
/// # Errors
/// What kept the binary from answering, with what it wrote to its standard error.
pub fn measure(binary: &Path, event: &str, secrets: &Secrets) -> Result<Measurement, String> {
    measure_with(binary, event, secrets, None)
}

/// The same; the events get a share of the CPU only, as in Lambda, where starting gets all of one.
///
/// # Errors
/// As [`measure`], and that the share could not be given.
pub fn measure_with(
    binary: &Path,
    event: &str,
    secrets: &Secrets,
    share: Option<&CpuShare>,
) -> Result<Measurement, String> {
    let connected: Arc<OnceLock<Instant>> = Arc::default();
    let note = |connected: &Arc<OnceLock<Instant>>| {
        let connected = Arc::clone(connected);
        // Only the first of all connections counts.
        move || _ = connected.set(Instant::now())
    };
    let known = secrets.clone();
    let aws =
        Server::start(note(&connected), move |request| Some(aws::answer(&request, &known))).map_err(text)?;
    let api = RuntimeApi::start(note(&connected)).map_err(text)?;
    let mut command = command(binary, &api, &aws);
    let spawned = Instant::now();
    let mut process = Running(command.spawn().map_err(|error| format!("{}: {error}", binary.display()))?);
    if let Some(errors) = process.0.stderr.take() {
        api.watch(errors);
    }
    steps(&api, event, process.0.id(), spawned, &connected, share)
        .map_err(|problem| format!("{}: {problem}", binary.display()))
}

fn steps(
    api: &RuntimeApi,
    event: &str,
    id: u32,
    spawned: Instant,
    connected: &OnceLock<Instant>,
    share: Option<&CpuShare>,
) -> Result<Measurement, String> {
    let asked = api.asked()?;
    if let Some(share) = share {
        share.limit(id).map_err(text)?;
    }
    let (first_event, _) = api.outcome(event)?;
    api.asked()?;
    let (second_event, outcome) = api.outcome(event)?;
    api.asked()?;
    std::thread::sleep(REST);
    let status = match outcome {
        Outcome::Answer(answer) => {
            let answer: Value = serde_json::from_slice(&answer).map_err(text)?;
            answer["statusCode"].as_u64().unwrap_or_default()
        }
        Outcome::Error(_) => 0,
    };
    Ok(Measurement {
        first_connection: connected.get().unwrap_or(&asked).duration_since(spawned),
        first_next: asked.duration_since(spawned),
        first_event,
        second_event,
        status,
        resident: memory(id, "VmRSS"),
        peak: memory(id, "VmHWM"),
    })
}

/// The binary with the environment that Lambda gives it.
pub(crate) fn command(binary: &Path, api: &RuntimeApi, aws: &Server) -> Command {
    let here = format!("http://{}", aws.address());
    let mut command = Command::new(binary);
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.env("AWS_LAMBDA_RUNTIME_API", api.address().to_string());
    command.envs([
        ("AWS_LAMBDA_FUNCTION_NAME", "measured"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_TIMEOUT", "29"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "measured"),
        ("AWS_SECRET_ACCESS_KEY", "measured"),
        ("TABLE_NAME", "git-installations"),
        ("GITHUB_APP_SECRET_ID", Secrets::GITHUB_APP),
        ("TOKEN_KEYS_SECRET_ID", Secrets::TOKEN_KEYS),
        ("OAUTH_CLIENTS_SECRET_ID", Secrets::OAUTH_CLIENTS),
        ("LOG_LEVEL", "warn"),
    ]);
    for name in [
        "AWS_ENDPOINT_URL_DYNAMODB",
        "AWS_ENDPOINT_URL_SECRETS_MANAGER",
        "PUBLIC_URL",
        "GITHUB_API_URL",
        "GITHUB_WEB_URL",
        "GITLAB_URL",
        "BITBUCKET_API_URL",
        "BITBUCKET_WEB_URL",
    ] {
        command.env(name, &here);
    }
    command
}

/// A line of `/proc/<id>/status`, in KiB; systems without it tell nothing.
fn memory(id: u32, line: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let rest = status.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(':'))?;
    rest.trim().trim_end_matches(" kB").parse().ok()
}

fn text(error: impl Into<io::Error>) -> String {
    error.into().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_that_is_not_there_is_named() {
        let error = measure(Path::new("no/such/binary"), "{}", &Secrets::new("PEM")).unwrap_err();
        assert!(error.starts_with("no/such/binary: "), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_binary_that_ends_is_reported_at_once_with_its_last_words() {
        let started = Instant::now();
        let error = measure(Path::new("/bin/ls"), "{}", &Secrets::new("PEM")).unwrap_err();
        assert!(error.starts_with("/bin/ls: it ended; "), "{error}");
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_memory_of_a_process_is_read() {
        // Read first: other threads of this process may take more until the peak is read, which never falls.
        let resident = memory(std::process::id(), "VmRSS").unwrap();
        assert!(resident > 100);
        assert!(memory(std::process::id(), "VmHWM").unwrap() >= resident);
    }
}
