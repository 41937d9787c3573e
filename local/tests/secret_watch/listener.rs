//! Every event, span and panic as it happens, looked through for secrets.
//! What becomes of a finding is the business of whoever is told.

use std::error::Error;
use std::fmt::{Debug, Write as _};
use std::panic::PanicHookInfo;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::finder;

/// Looks through what is said and tells where, why and what.
pub(crate) struct Listener<T>(pub(crate) T);

impl<T: Fn(&str, &str, &str) + 'static> Listener<T> {
    fn hear(&self, metadata: &Metadata<'_>, record: impl FnOnce(&mut Said)) {
        let mut said = Said(metadata.name().to_owned());
        record(&mut said);
        if let Some(reason) = finder::told(&said.0) {
            let whence = format!("{} at line {}", metadata.target(), metadata.line().unwrap_or_default());
            (self.0)(&whence, &reason, &said.0);
        }
    }
}

impl<S, T> Layer<S> for Listener<T>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    T: Fn(&str, &str, &str) + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.hear(attributes.metadata(), |said| attributes.record(said));
    }

    fn on_record(&self, span: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(metadata) = context.metadata(span) {
            self.hear(metadata, |said| values.record(said));
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.hear(event.metadata(), |said| event.record(said));
    }
}

/// All fields, one after the other.
struct Said(String);

impl Said {
    fn add(&mut self, field: &Field, value: impl std::fmt::Display) {
        // Writing into a text does not fail.
        let _ = write!(self.0, " {}: {value}", field.name());
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut cause = Some(value);
        while let Some(error) = cause {
            self.add(field, format_args!("{error} {error:?}"));
            cause = error.source();
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, format_args!("{value:?}"));
    }
}

/// A panic of our own crates, if its words hold a secret: where, why and what.
pub(crate) fn in_panic(panic: &PanicHookInfo<'_>) -> Option<(String, String, String)> {
    let place = panic.location()?;
    let words = panic.payload_as_str().unwrap_or_default();
    Some((format!("a panic at {place}"), in_words(place.file(), words)?, words.to_owned()))
}

/// Why a panic in that file must not say this. What a failing test prints is its own.
pub(crate) fn in_words(file: &str, words: &str) -> Option<String> {
    let ours = ["shared/src/", "functions/", "local/src/"].iter().any(|part| file.contains(part));
    finder::told(words).filter(|_| ours)
}
