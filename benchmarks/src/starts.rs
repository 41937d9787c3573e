//! What every function's binary must do when it is started: answer its events, or say in one line why not.
//! Each function's own tests call these with its binary.

use std::path::Path;
use std::process::{Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::aws::Secrets;
use crate::http::Server;
use crate::process::{command, measure};
use crate::runtime_api::RuntimeApi;
use crate::{aws, events};

/// How long a binary may take to end that cannot start.
const PATIENCE: Duration = Duration::from_secs(20);

/// Settings without which no function starts.
const REQUIRED: [&str; 10] = [
    "TABLE_NAME",
    "GITHUB_APP_SECRET_ID",
    "TOKEN_KEYS_SECRET_ID",
    "AWS_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
];

/// Settings with a value that cannot be meant.
const WRONG: [(&str, &str); 10] = [
    ("TABLE_NAME", "a table"),
    ("PUBLIC_URL", "localhost:3000"),
    ("GITHUB_API_URL", "http://github.example/api/v3"),
    ("GITHUB_WEB_URL", "ftp://github.com"),
    ("UPSTREAM_CONCURRENCY", "0"),
    ("PREDICT_ETAGS", "perhaps"),
    ("STALE_IF_ERROR_SECONDS", "-1"),
    ("SESSION_COOKIE_NAME", "a cookie"),
    ("LOG_LEVEL", "loud"),
    ("EXTRA_CA_PEM", "no certificate"),
];

/// Starts the binary for each event of its function and looks at the answer.
///
/// # Errors
/// What kept it from answering, or that it answered with a failure of its own.
pub fn answers_its_events(binary: &Path, root: &Path) -> Result<(), String> {
    let name = binary.file_stem().unwrap_or_default().to_string_lossy();
    let key = root.join("local/fixtures/sandbox-app.private-key.pem");
    let key = std::fs::read_to_string(&key).map_err(|error| format!("{}: {error}", key.display()))?;
    for event in events::of(root, &name)? {
        let status = measure(binary, &event, &Secrets::new(&key))?.status;
        if !(200..500).contains(&status) {
            return Err(format!("{name} answered {status} to {event}"));
        }
    }
    Ok(())
}

/// Starts the binary without each setting that it needs, and with each that is wrong.
///
/// # Errors
/// The setting that was not named in the one line that an operator gets to see.
pub fn names_what_is_wrong(binary: &Path) -> Result<(), String> {
    for variable in REQUIRED {
        for value in [None, Some("")] {
            is_named(variable, &ended(binary, variable, value)?)?;
        }
    }
    for (variable, value) in WRONG {
        is_named(variable, &ended(binary, variable, Some(value))?)?;
    }
    Ok(())
}

fn is_named(variable: &str, output: &Output) -> Result<(), String> {
    let said = String::from_utf8_lossy(&output.stderr);
    let one_line = said.ends_with('\n') && said.matches('\n').count() == 1;
    let named = said.starts_with(&format!("error: {variable} ")) && said.contains("; expected ");
    let quiet = output.stdout.is_empty();
    if one_line && named && quiet && output.status.code() == Some(1) {
        Ok(())
    } else {
        Err(format!(
            "{variable}: {} with {said:?} and {:?}",
            output.status,
            String::from_utf8_lossy(&output.stdout)
        ))
    }
}

/// What the binary says with one variable changed, in an environment that is right otherwise.
fn ended(binary: &Path, variable: &str, value: Option<&str>) -> Result<Output, String> {
    let text = |error: std::io::Error| error.to_string();
    let secrets = Secrets::new("");
    let aws = Server::start(|| (), move |request| Some(aws::answer(&request, &secrets))).map_err(text)?;
    let api = RuntimeApi::start(|| ()).map_err(text)?;
    let mut command = command(binary, &api, &aws);
    match value {
        Some(value) => command.env(variable, value),
        None => command.env_remove(variable),
    };
    command.stdout(Stdio::piped());
    let mut process = command.spawn().map_err(|error| format!("{}: {error}", binary.display()))?;
    let started = Instant::now();
    while process.try_wait().map_err(text)?.is_none() {
        if started.elapsed() > PATIENCE {
            process.kill().map_err(text)?;
            return Err(format!("with {variable} = {value:?} it starts"));
        }
        thread::sleep(Duration::from_millis(5));
    }
    process.wait_with_output().map_err(text)
}
