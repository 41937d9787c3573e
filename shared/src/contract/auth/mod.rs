//! `/auth/*`: who is signed in, the pages a person may see on the way, and the redirects between them.
//! Pages load nothing and run nothing; redirects lead to configured hosts or back to ourselves.

mod logout;
pub mod page;
pub mod redirect;
pub mod return_to;
pub mod session;

pub use logout::{logout_refused, session_at_issuer};
pub use page::{Notice, confirm_linking};
pub use return_to::ReturnTo;
pub use session::{LinkStatus, LinkedProvider, Session};

/// The schemas of these bodies, for the API's document.
#[cfg(feature = "openapi")]
pub(in crate::contract) fn describe(generator: &mut schemars::SchemaGenerator) {
    logout::describe(generator);
    session::describe(generator);
}
