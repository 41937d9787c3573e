//! The functions' own handlers, mounted in this process under their folders' names.
//! Which route leads to which is `template.yaml`'s business.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use shared::contract::{Request, Response};
use shared::service::Service;

use crate::gateway::Handler;

/// Makes a function's handler of its service.
type Mount = fn(Arc<Service>) -> Handler;

/// Every function's handler by its folder's name, all over one service.
#[must_use]
pub fn all(service: &Arc<Service>) -> HashMap<String, Handler> {
    each_over(|_| Arc::clone(service))
}

/// Every function's handler by its folder's name, each over the service that it is given.
#[must_use]
pub fn each_over(service_of: impl Fn(&str) -> Arc<Service>) -> HashMap<String, Handler> {
    let all: [(&str, Mount); 9] = [
        ("connections", |service| mounted(service, connections::handle)),
        ("github-installations", |service| mounted(service, github_installations::handle)),
        ("github-user-installation", |service| mounted(service, github_user_installation::handle)),
        ("github-webhook", |service| mounted(service, github_webhook::handle)),
        ("mapped-installations", |service| mounted(service, mapped_installations::handle)),
        ("sign-in", |service| mounted(service, sign_in::handle)),
        ("user-installations", |service| mounted(service, user_installations::handle)),
        ("user-repositories", |service| mounted(service, user_repositories::handle)),
        ("web", |service| mounted(service, web::handle)),
    ];
    all.into_iter().map(|(name, mount)| (name.to_owned(), mount(service_of(name)))).collect()
}

fn mounted<H, F>(service: Arc<Service>, handle: H) -> Handler
where
    H: Fn(Arc<Service>, Request) -> F + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    Arc::new(move |request| Box::pin(handle(Arc::clone(&service), request)))
}
