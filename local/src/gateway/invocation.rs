//! One invocation of a handler through `lambda_http`'s own adapter: the path that a deployed function takes.
//! What happens to a handler that panics or never answers is the gateway's to decide.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use lambda_http::lambda_runtime::Config;
use lambda_http::request::LambdaRequest;
use lambda_http::{Context, LambdaEvent, Service};

use super::Handler;
use super::event::Stamp;

/// The context that Lambda would hand to this invocation.
pub(super) fn context(stamp: &Stamp, function: &str, timeout: Duration) -> Context {
    let mut config = Config::default();
    function.clone_into(&mut config.function_name);
    let mut context = Context::default();
    context.request_id.clone_from(&stamp.invocation_id);
    context.deadline = stamp.unix_millis + u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX / 2);
    context.invoked_function_arn = format!("arn:aws:lambda:local:000000000000:function:{function}");
    context.xray_trace_id = Some(stamp.trace.clone());
    context.env_config = Arc::new(config);
    context
}

/// The text that the handler's answer becomes on its way to API Gateway;
/// `None` where Lambda would report a failed invocation.
pub(super) async fn invoke(handler: Handler, event: String, context: Context) -> Option<String> {
    let request: LambdaRequest = serde_json::from_str(&event).ok()?;
    let mut adapter = lambda_http::Adapter::from(lambda_http::service_fn(move |request| {
        let answer = handler(request);
        async move { Ok::<_, Infallible>(answer.await) }
    }));
    let Ok(answer) = adapter.call(LambdaEvent::new(request, context)).await;
    serde_json::to_string(&answer).ok()
}
