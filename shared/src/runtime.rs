//! The Lambda bootstrap: logging, settings, warm-up, the loop. A function's `main` is one call of [`run`] or
//! [`run_scheduled`], a handler's one call of [`respond`]. Also the one place where a request is told of: at the boundary, once.

mod outgoing;
mod scheduled;
mod work;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use lambda_http::RequestExt;
use lambda_http::request::RequestContext;
use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::clock::Clock;
use crate::config::Config;
use crate::contract::{Family, Request, Response};
use crate::failure::Failure;
use crate::metrics::Metrics;
use crate::service::{Needs, Service};

use outgoing::{outgoing, without_body_for_head};
use work::{Ended, Work};

pub use scheduled::{Scheduled, run_scheduled};

/// Why a function does not start, in one line.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// The HTTP client.
    #[error(transparent)]
    Client(#[from] crate::provider::upstream::ClientError),
    /// tokio, or the loop itself.
    #[error("the runtime failed: {0}")]
    Runtime(String),
}

/// Runs a function until Lambda ends it.
///
/// # Errors
/// [`StartError`]: printed as one line, it tells the operator what to set.
pub fn run<H, F>(needs: Needs, handler: H) -> Result<(), StartError>
where
    H: Fn(Arc<Service>, Request) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    start(crate_of::<H>(), needs, |service| {
        lambda_http::run(lambda_http::service_fn(move |request: Request| {
            let answer = handler(service.clone(), request);
            async move { Ok::<_, std::convert::Infallible>(answer.await) }
        }))
    })
}

/// What every function does at its start, and then the loop over its events.
fn start<L, F>(function: &'static str, needs: Needs, serve: L) -> Result<(), StartError>
where
    L: FnOnce(Arc<Service>) -> F,
    F: Future<Output = Result<(), lambda_runtime::Error>>,
{
    let config = Config::from_env()?;
    log_to_stdout(config.log_level, function);
    log_panics();
    // One event at a time: a single thread saves the start of the others (reference: rust-lambda, 1.1).
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| StartError::Runtime(error.to_string()))?;
    runtime.block_on(async {
        let clock = Clock::system();
        let metrics = Metrics::to_stdout(function, clock.clone());
        let service = Service::with_metrics(config, clock, metrics)?;
        service.warm_up(needs).await;
        serve(service).await.map_err(|error| StartError::Runtime(error.to_string()))
    })
}

/// What `main` returns: a start that fails says why on standard error, in one line, and exits with 1.
#[must_use]
pub fn exit_code(result: Result<(), StartError>) -> std::process::ExitCode {
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

/// The function of a handler by its folder's name, as the template and the log groups have it: that of its crate, with
/// hyphens where Rust has underscores. A process has as many names as functions, so each is made once and kept.
fn crate_of<H>() -> &'static str {
    static NAMES: Mutex<BTreeMap<&str, &str>> = Mutex::new(BTreeMap::new());
    let in_rust = std::any::type_name::<H>().split("::").next().unwrap_or_default();
    if !in_rust.contains('_') {
        return in_rust;
    }
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    names.entry(in_rust).or_insert_with(|| in_rust.replace('_', "-").leak())
}

/// JSON lines on standard output, which Lambda takes to CloudWatch. The level is ours; libraries are heard
/// from `WARN` on, because theirs would show headers and addresses.
fn log_to_stdout(level: Level, function: &'static str) {
    let targets = Targets::new()
        .with_default(LevelFilter::from_level(Level::WARN.min(level)))
        // A line's target is Rust's name of the crate.
        .with_targets(
            ["shared", &function.replace('-', "_")].map(|target| (target, LevelFilter::from_level(level))),
        )
        // It would say once more why an invocation failed, or that it panicked.
        .with_target("lambda_runtime::layers::panic", LevelFilter::OFF);
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false);
    // A second subscriber is a test's own: let it be.
    let _ = tracing_subscriber::registry().with(targets).with(lines).try_init();
}

/// Answers a request in the form of its API family, compressed and with an ETag where that is right, and tells the log
/// and the metrics of it, once. A handler that panics is answered for too. Who takes part in the answer notes it in the
/// request's [`Record`](crate::record).
pub async fn respond<H>(service: &Arc<Service>, family: Family, mut request: Request, handler: H) -> Response
where
    H: AsyncFnOnce(&Arc<Service>, &Request) -> Result<Response, Failure>,
{
    let (route, request_id) = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => {
            (context.route_key.clone(), context.request_id.clone())
        }
        _ => (None, None),
    };
    let work = Work::begin(service, "request", crate_of::<H>(), request.lambda_context_ref())
        .known_as(Some(route.unwrap_or_default()), request_id);
    request.extensions_mut().insert(Arc::clone(work.record()));
    let answer = async { outgoing(family, &request, handler(service, &request).await?) };
    let (response, failure) = match Work::run(answer).await {
        Ok(response) => (response, None),
        Err(failure) => (family.failure(&failure), Some(failure)),
    };
    let response = without_body_for_head(&request, response);
    let status = Some(response.status());
    work.end(service, &Ended { status, failure: failure.as_ref(), ..Ended::default() });
    response
}

/// A panic is told by its place. Its words stay out: they may quote what a caller has sent.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        tracing::error!(location, "panicked");
    }));
}

#[cfg(test)]
mod tests {
    use super::crate_of;

    fn handler() {}

    fn crate_of_value<H>(_: H) -> &'static str {
        crate_of::<H>()
    }

    #[test]
    fn a_handler_logs_under_the_name_of_its_crate() {
        assert_eq!(crate_of_value(handler), env!("CARGO_CRATE_NAME"));
    }

    #[test]
    fn a_name_of_several_words_has_the_hyphens_of_its_folder_and_is_made_once() {
        let name = crate_of::<lambda_runtime::Context>();
        assert_eq!(name, "lambda-runtime");
        assert_eq!(name.as_ptr(), crate_of::<lambda_runtime::Context>().as_ptr());
    }
}
