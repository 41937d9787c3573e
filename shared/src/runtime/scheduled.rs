//! The bootstrap of functions that a schedule invokes: their payload, their deadline, and how they fail.
//! What they do is theirs; functions behind the HTTP API start in `runtime`.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::SystemTime;

use lambda_runtime::{Context, Diagnostic, LambdaEvent};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::work::{Ended, Work};
use super::{StartError, crate_of, start};
use crate::failure::Failure;
use crate::provider::upstream::Budget;
use crate::service::{LONGEST, Needs, Service, time_left};

/// What a schedule says when it invokes a function: `{"full": true}`, alone or as the `detail` of an event of
/// EventBridge. Nothing at all is a run of the usual kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Option<Payload>")]
pub struct Scheduled {
    /// Everything is to be looked at, not only what changed.
    pub full: bool,
}

#[derive(Deserialize)]
struct Payload {
    full: Option<bool>,
    detail: Option<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    full: Option<bool>,
}

impl From<Option<Payload>> for Scheduled {
    fn from(payload: Option<Payload>) -> Self {
        let full = payload.and_then(|payload| payload.full.or_else(|| payload.detail?.full));
        Self { full: full.unwrap_or_default() }
    }
}

/// Runs a function that a schedule invokes, until Lambda ends it. The handler is told what it may spend: until a
/// second before its invocation is ended. A failure fails the invocation, so that Lambda counts an error. What was
/// done or why not is one line of the log.
///
/// # Errors
/// [`StartError`]: printed as one line, it tells the operator what to set.
pub fn run_scheduled<H, F, T>(needs: Needs, handler: H) -> Result<(), StartError>
where
    H: Fn(Arc<Service>, Scheduled, Budget) -> F,
    F: Future<Output = Result<T, Failure>>,
    T: Serialize + fmt::Debug,
{
    let function = crate_of::<H>();
    start(function, needs, |service| {
        lambda_runtime::run(lambda_runtime::service_fn(move |event: LambdaEvent<Scheduled>| {
            let LambdaEvent { payload, context, .. } = event;
            let deadline = deadline(&context, SystemTime::now());
            let work = Work::begin(&service, "run", function, Some(&context))
                .known_as(None, Some(context.request_id));
            let budget = service.budget_until(deadline).noted_in(Arc::clone(work.record()));
            let service = Arc::clone(&service);
            let done = handler(Arc::clone(&service), payload, budget);
            async move {
                let result = Work::run(done).await;
                let summary = result.as_ref().ok().map(|summary| format!("{summary:?}"));
                work.end(&service, &Ended { summary, failure: result.as_ref().err(), status: None });
                result.map_err(Failed)
            }
        }))
    })
}

fn deadline(context: &Context, now: SystemTime) -> Instant {
    Instant::now() + time_left(Some(context.deadline()), now).unwrap_or(LONGEST)
}

/// A failed invocation, as Lambda is told of it.
#[derive(Debug)]
struct Failed(Failure);

impl From<Failed> for Diagnostic {
    fn from(failed: Failed) -> Self {
        Self { error_type: "Failure".to_owned(), error_message: failed.0.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn read(payload: &str) -> Result<Scheduled, serde_json::Error> {
        serde_json::from_str(payload)
    }

    #[test]
    fn a_payload_says_full_by_itself_or_inside_an_event_of_eventbridge() {
        for payload in [
            r#"{"full": true}"#,
            r#"{"full": true, "since": "yesterday"}"#,
            r#"{"version": "0", "id": "6a7e8feb", "detail-type": "Scheduled Event", "source": "aws.scheduler",
                "account": "1", "time": "2026-01-01T00:00:00Z", "region": "us-east-1", "resources": [],
                "detail": {"full": true}}"#,
            r#"{"full": null, "detail": {"full": true}}"#,
        ] {
            assert_eq!(read(payload).unwrap(), Scheduled { full: true }, "{payload}");
        }
    }

    #[test]
    fn what_does_not_say_full_is_a_run_of_the_usual_kind() {
        for payload in [
            "null",
            "{}",
            r#"{"full": false}"#,
            r#"{"full": null}"#,
            r#"{"version": "0", "detail-type": "Scheduled Event", "detail": {}}"#,
            r#"{"detail": null}"#,
            r#"{"detail": {"full": false, "more": 1}}"#,
            r#"{"full": false, "detail": {"full": true}}"#,
        ] {
            assert_eq!(read(payload).unwrap(), Scheduled::default(), "{payload}");
        }
    }

    #[test]
    fn a_payload_that_means_something_else_is_refused_and_not_guessed_at() {
        for payload in ["", "1", r#""full""#, r#"{"full": "yes"}"#, r#"{"full": 1}"#, r#"{"detail": "full"}"#]
        {
            assert!(read(payload).is_err(), "{payload}");
        }
    }

    #[test]
    fn the_handler_has_until_a_second_before_its_end_however_far_that_is() {
        let (before, now) = (Instant::now(), SystemTime::now());
        let left = |left: Duration| {
            let end = (now + left).duration_since(SystemTime::UNIX_EPOCH).unwrap();
            let mut context = Context::default();
            context.deadline = u64::try_from(end.as_millis()).unwrap();
            deadline(&context, now).duration_since(before).as_secs()
        };
        assert!((898..910).contains(&left(Duration::from_secs(900))));
        assert!((58..70).contains(&left(Duration::from_secs(60))));
        let none = deadline(&Context::default(), now).duration_since(before);
        assert!((25..35).contains(&none.as_secs()), "a deadline in 1970 is none");
    }

    #[test]
    fn a_failure_is_told_in_its_own_words() {
        let failed = Failed(Failure::Unavailable("DynamoDB: ThrottlingException".to_owned()));
        let text = "temporarily unavailable: DynamoDB: ThrottlingException";
        assert_eq!(Diagnostic::from(failed).error_message, text);
    }
}
