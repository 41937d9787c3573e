//! Many starts of one binary as one line of a table: medians, because a busy machine only ever adds time.
//! How they were measured is not known here.

use std::time::Duration;

use crate::process::Measurement;

/// The table's head.
pub const HEAD: &str = "| function | binary MB | to first connection ms | to first /next ms | times the bare start | first event ms | second event ms | resident MiB | peak MiB | answers |\n|---|---|---|---|---|---|---|---|---|---|";

/// A line of the table; `bare` are the starts of the program that does nothing.
#[must_use]
pub fn line(function: &str, binary_bytes: u64, runs: &[Measurement], bare: &[Measurement]) -> String {
    let time = |of: fn(&Measurement) -> Duration| {
        median(runs.iter().map(|run| nanos(of(run))).collect())
            .map_or_else(missing, |nanos| decimal(nanos, 1_000_000))
    };
    let next = |runs: &[Measurement]| median(runs.iter().map(|run| nanos(run.first_next)).collect());
    let ratio = match (next(runs), next(bare)) {
        (Some(ours), Some(bare)) if bare > 0 => decimal(ours, bare),
        _ => missing(),
    };
    let memory = |of: fn(&Measurement) -> Option<u64>| {
        median(runs.iter().filter_map(of).collect()).map_or_else(missing, |kib| decimal(kib, 1024))
    };
    let status = runs.last().filter(|run| run.status > 0).map_or_else(missing, |run| run.status.to_string());
    let cells = [
        function.to_owned(),
        decimal(binary_bytes, 1_000_000),
        time(|run| run.first_connection),
        time(|run| run.first_next),
        ratio,
        time(|run| run.first_event),
        time(|run| run.second_event),
        memory(|run| run.resident),
        memory(|run| run.peak),
        status,
    ];
    format!("| {} |", cells.join(" | "))
}

/// The head of the table of events under a share of the CPU.
pub const SHARES_HEAD: &str =
    "| function | memory MB | first event ms | second event ms |\n|---|---|---|---|";

/// A line of that table.
#[must_use]
pub fn share_line(function: &str, megabytes: u64, runs: &[Measurement]) -> String {
    let time = |of: fn(&Measurement) -> Duration| {
        median(runs.iter().map(|run| nanos(of(run))).collect())
            .map_or_else(missing, |nanos| decimal(nanos, 1_000_000))
    };
    let (first, second) = (time(|run| run.first_event), time(|run| run.second_event));
    format!("| {function} | {megabytes} | {first} | {second} |")
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

/// A quotient with two decimals.
fn decimal(value: u64, unit: u64) -> String {
    let hundredths = (u128::from(value) * 100 + u128::from(unit) / 2) / u128::from(unit);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn missing() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(millis: u64, resident: Option<u64>) -> Measurement {
        let time = Duration::from_millis(millis);
        Measurement {
            first_connection: time,
            first_next: time * 2,
            first_event: Duration::from_micros(1234),
            second_event: Duration::from_micros(5),
            status: 401,
            resident,
            peak: None,
        }
    }

    #[test]
    fn a_line_shows_medians_and_what_is_unknown_as_a_dash() {
        let runs = [run(1, Some(1024)), run(100, Some(2048)), run(3, Some(1536))];
        assert_eq!(
            line("sign-in", 4_239_999, &runs, &[run(2, None)]),
            "| sign-in | 4.24 | 3.00 | 6.00 | 1.50 | 1.23 | 0.01 | 1.50 | - | 401 |"
        );
        assert_eq!(
            line("sign-in", 4_239_999, &runs[..1], &[]),
            "| sign-in | 4.24 | 1.00 | 2.00 | - | 1.23 | 0.01 | 1.00 | - | 401 |"
        );
    }
}
