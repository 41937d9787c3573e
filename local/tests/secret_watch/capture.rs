//! The one subscriber of this process: `listener` hears everything that our crates say. In the target `logs` the text is
//! kept in memory too, with what the libraries say, to be searched as a whole.

use std::io::Write;
use std::sync::{Mutex, Once, PoisonError};

use serde_json::Value;
use tracing::Level;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::guard;
use super::listener::{self, Listener};

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// The crates whose every word is ours to answer for.
const OURS: [&str; 12] = [
    "shared",
    "local",
    "user_installations",
    "user_repositories",
    "github_installations",
    "github_user_installation",
    "mapped_installations",
    "sign_in",
    "connections",
    "github_webhook",
    "reconcile",
    "web",
];

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Kept(&'static Mutex<Vec<u8>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Whether the whole text is kept.
const KEPT: bool = matches!(env!("CARGO_CRATE_NAME").as_bytes(), b"logs");

/// From here on everything is heard.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let own =
            Targets::new().with_default(Level::WARN).with_targets(OURS.map(|name| (name, Level::TRACE)));
        let heard = tracing_subscriber::registry().with(Listener(guard::report).with_filter(own));
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if let Some((place, reason, words)) = listener::in_panic(panic) {
                guard::report(&place, &reason, &words);
            }
            before(panic);
        }));
        if !KEPT {
            heard.init();
            return;
        }
        let targets =
            Targets::new().with_default(Level::DEBUG).with_targets(OURS.map(|name| (name, Level::TRACE)));
        let lines = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_span_events(FmtSpan::NEW | FmtSpan::CLOSE)
            .with_writer(|| Kept(&LOG))
            .with_filter(targets);
        // As the functions write them.
        let requests = tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_writer(|| Kept(&LINES))
            .with_filter(Targets::new().with_target("shared::runtime::work", Level::INFO));
        heard.with(lines).with(requests).init();
    });
}

/// What has been logged so far.
pub(crate) fn text() -> String {
    String::from_utf8_lossy(&LOG.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
}

/// The lines of all requests and runs so far.
pub(crate) fn requests() -> Vec<Value> {
    let text = LINES.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let text = String::from_utf8(text).expect("JSON is UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}
