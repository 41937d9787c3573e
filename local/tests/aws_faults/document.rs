//! What was seen, as `docs/failures-aws.md` says it.

use std::fmt::Write as _;

use crate::fault::{Often, Trouble};
use crate::matrix::{Call, Matrix};

const HEAD: &str = "\
# When AWS fails

Every call that a flow makes to DynamoDB and Secrets Manager, and what its caller is told when that call fails. The test
`aws_faults` of `local` writes this document (`WRITE_FAILURES=1 cargo test -p local --test aws_faults`) and is held
against it. After every one of these failures nothing in the table contradicts anything else (`cargo run -- check`), the
same process answers the same request as soon as the call works, and the table is then what it would have been.

- **A failure that passes** is not seen: the SDK tries three times (500, throttling, no answer within 1.5 s, an answer
  that was lost), a batch of which not everything was done goes on with the rest. The columns are about what lasts. Of many calls that are
  alike, one for each of many installations, the first two and the last are tried.
- **Fails**: 500, throttling or no answer, for as long as the call is tried. What cannot be answered then is 503 with
  `Retry-After: 5`.
- **Answers lost**: a write is done, and no answer comes, however often.
- **Conflict**: somebody else is at the item or has changed it; once, and for ever.
- *not all is noted*: the answer is right; what is only remembered for later, such as a page of a list or the time of
  a use, is remembered the next time.
- *then 401*: a token whose renewal was granted and could not be written is lost with it (its host takes a refresh token
  once); signing in there again mends it.
- *then 404*, *then 400*: it was done, though the answer was lost.
";

pub(crate) fn of(matrix: &Matrix) -> String {
    let mut text = HEAD.to_owned();
    for (number, (flow, word, calls)) in matrix.seen.iter().enumerate() {
        let _ = write!(
            text,
            "\n## {}: `{}`, {word}\n\n| call | fails | answers lost | conflict once | conflict |\n|---|---|---|---|---|\n",
            capitalised(flow.name),
            flow.function
        );
        for call in calls {
            let seen = |trouble, often| {
                matrix.cells.get(&(number, call.clone(), trouble, often)).map_or("", String::as_str)
            };
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} |",
                name(call),
                seen(Trouble::Error, Often::ForEver),
                seen(Trouble::AnswerLost, Often::ForEver),
                seen(Trouble::Conflict, Often::Once),
                seen(Trouble::Conflict, Often::ForEver),
            );
        }
    }
    text
}

/// The sections of a document; the first is its head.
fn sections(text: &str) -> Vec<&str> {
    let starts = text.match_indices("\n## ").map(|(at, _)| at);
    let bounds: Vec<usize> = std::iter::once(0).chain(starts).chain([text.len()]).collect();
    bounds.windows(2).map(|bounds| &text[bounds[0]..bounds[1]]).collect()
}

fn title(section: &str) -> &str {
    section.trim_start().lines().next().unwrap_or_default()
}

/// What is written, with the sections that were seen in place of those of the same titles, or after them.
pub(crate) fn renewed(written: &str, seen: &str) -> String {
    let mut all: Vec<&str> = if written.is_empty() { Vec::new() } else { sections(written) };
    for section in sections(seen) {
        match all.iter_mut().find(|other| title(other) == title(section)) {
            Some(other) => *other = section,
            None => all.push(section),
        }
    }
    all.concat()
}

/// A line of what was seen that says something else than what is written. What was not tried says nothing.
pub(crate) fn contradiction(seen: &str, written: &str) -> Option<(String, String)> {
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let agree = |seen: &str, written: &str| {
        let (seen, written) = (cells(seen), cells(written));
        let agrees = |(seen, written): (&String, &String)| seen.is_empty() || seen == written;
        seen.len() == written.len() && seen.iter().zip(&written).all(agrees)
    };
    let written = sections(written);
    for seen in sections(seen) {
        let Some(written) = written.iter().find(|other| title(other) == title(seen)) else {
            return Some((title(seen).to_owned(), "(no such section)".to_owned()));
        };
        let count = seen.lines().count().max(written.lines().count());
        let lines = |text: &str| -> Vec<String> {
            text.lines().chain(std::iter::repeat("(no line)")).take(count).map(str::to_owned).collect()
        };
        let differing =
            lines(seen).into_iter().zip(lines(written)).find(|(seen, written)| !agree(seen, written));
        if differing.is_some() {
            return differing;
        }
    }
    None
}

fn name(call: &Call) -> String {
    let (operation, keys) = call.named.name.split_once(' ').unwrap_or((&call.named.name, ""));
    let nth = if call.nth > 0 { format!(", {}", call.nth + 1) } else { String::new() };
    format!("{operation} `{keys}`{nth}")
}

fn capitalised(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}
