//! The two AWS services that the functions use, on this machine, behind the wire format of the real ones.
//! The functions reach them with the AWS SDK, which knows of them by the SDK's own endpoint variables only.

pub mod access;
pub mod call_names;
pub mod dynamodb;
pub mod hook;
pub mod secrets_manager;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use access::Access;
use hook::Hook;

/// A server that ends when this is dropped.
#[derive(Debug)]
struct Server {
    url: String,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl Server {
    /// Serves `app` behind `hook`, for those whom `access` lets.
    fn start(listener: TcpListener, app: Router, hook: Hook, access: Access) -> std::io::Result<Self> {
        let url = format!("http://{}", listener.local_addr()?);
        let app = app
            .layer(axum::middleware::from_fn_with_state(access, access::authorize))
            .layer(axum::middleware::from_fn_with_state(hook, hook::intercept));
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(async move {
            // A dropped sender says the same as a sent word.
            let shutdown = async { drop(stopped.await) };
            if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(shutdown).await {
                tracing::error!(%error, "an embedded AWS endpoint ended");
            }
        });
        Ok(Self { url, stop, ended })
    }

    /// Lets running calls finish.
    async fn stop(self) {
        drop(self.stop);
        // It can only have panicked, and then it has ended as well.
        let _ = self.ended.await;
    }
}

#[cfg(test)]
mod tests;
