//! The functions' own handlers, mounted in this process under their folders' names.
//! Which route leads to which is `template.yaml`'s business.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use shared::contract::{Request, Response};
use shared::service::Service;

use crate::gateway::Handler;

/// Every function's handler by its folder's name, all over one service.
#[must_use]
pub fn all(service: &Arc<Service>) -> HashMap<String, Handler> {
    [
        ("connections", mounted(service, connections::handle)),
        ("github-installations", mounted(service, github_installations::handle)),
        ("github-user-installation", mounted(service, github_user_installation::handle)),
        ("github-webhook", mounted(service, github_webhook::handle)),
        ("mapped-installations", mounted(service, mapped_installations::handle)),
        ("sign-in", mounted(service, sign_in::handle)),
        ("user-installations", mounted(service, user_installations::handle)),
        ("user-repositories", mounted(service, user_repositories::handle)),
        ("web", mounted(service, web::handle)),
    ]
    .map(|(name, handler)| (name.to_owned(), handler))
    .into()
}

fn mounted<H, F>(service: &Arc<Service>, handle: H) -> Handler
where
    H: Fn(Arc<Service>, Request) -> F + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let service = Arc::clone(service);
    Arc::new(move |request| Box::pin(handle(Arc::clone(&service), request)))
}
