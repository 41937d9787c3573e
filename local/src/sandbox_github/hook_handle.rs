//! What the sandbox's handle can do about webhooks.
//! How they are sent lives in `hookshot`.

use super::SandboxGithub;
use super::deliveries::Delivery;
use super::delivery_faults::DeliveryFaults;
use super::hookshot::SignedDelivery;
use super::state::lock;

impl SandboxGithub {
    /// Where webhooks go from now on; with `None` they wait, for [`SandboxGithub::take_undelivered`] too.
    pub fn set_webhook_url(&self, url: Option<String>) {
        *lock(&self.github.hookshot.url) = url;
        self.github.hookshot.wake();
    }

    /// The secret that deliveries and redeliveries are signed with from now on.
    pub fn set_webhook_secret(&self, secret: &str) {
        secret.clone_into(&mut lock(&self.github.hookshot.secret));
    }

    /// Makes something go wrong with webhooks; the default lets everything go right again.
    pub fn deliveries(&self, faults: DeliveryFaults) {
        *lock(&self.github.hookshot.faults) = faults;
        self.github.hookshot.wake();
    }

    /// Sends everything that waits, held or delayed or not, and returns when it is delivered.
    pub async fn deliver_now(&self) {
        self.github.deliver_now().await;
    }

    /// Waits until everything is delivered that is not held, with its delays.
    pub async fn drain(&self) {
        self.github.drain().await;
    }

    /// Takes what waits out of the sandbox's hands, in the order of the events: for tests that deliver by
    /// themselves. Hold deliveries, or set no address, so that something waits.
    #[must_use]
    pub fn take_undelivered(&self) -> Vec<SignedDelivery> {
        self.github.take_undelivered()
    }

    /// The log of deliveries, oldest first.
    #[must_use]
    pub fn delivery_log(&self) -> Vec<Delivery> {
        self.github.store.lock().deliveries().entries().cloned().collect()
    }

    /// Queues GitHub's `ping`.
    pub fn ping(&self) {
        self.github.ping();
    }
}
