//! The integers that pydantic 2.11.5 accepts in a query, and the ones it refuses.
//! The rules were read off pydantic itself; OpenHands 0.53.0 runs it.

use serde_json::Value;

use crate::failure::{FieldProblem, Location};

/// Digits (and a minus sign) that pydantic reads at most.
const MAX_LENGTH: usize = 4300;

/// Why a text is not an integer to pydantic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAnInteger {
    /// It has another form.
    Malformed,
    /// It has more digits than are read.
    TooLong,
}

impl NotAnInteger {
    /// The problem as FastAPI lists it.
    #[must_use]
    pub fn problem(self, name: &str, input: &str) -> FieldProblem {
        let (kind, message) = match self {
            Self::Malformed => {
                ("int_parsing", "Input should be a valid integer, unable to parse string as an integer")
            }
            Self::TooLong => {
                ("int_parsing_size", "Unable to parse input string as an integer, exceeded maximum size")
            }
        };
        FieldProblem {
            kind,
            location: vec![Location::Name("query".to_owned()), Location::Name(name.to_owned())],
            message: message.to_owned(),
            input: Value::from(input),
            context: None,
        }
    }
}

/// Reads an integer as pydantic does; one that `i64` cannot hold becomes the nearest that it can.
///
/// Surrounding white space (as Unicode has it) is trimmed; one sign; leading zeros; single underscores between
/// digits, and any number of them after leading zeros; a decimal part of zeros only. What pydantic accepts by
/// mistake, a sign behind leading zeros (`0-1`), is refused.
///
/// # Errors
/// [`NotAnInteger`], which pydantic reports as `int_parsing` or `int_parsing_size`.
pub fn parse(text: &str) -> Result<i64, NotAnInteger> {
    if plain_length(text) > MAX_LENGTH {
        return Err(NotAnInteger::TooLong);
    }
    let text = text.trim();
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = significant_digits(unsigned).ok_or(NotAnInteger::Malformed)?;
    if digits.len() + usize::from(negative) > MAX_LENGTH {
        return Err(NotAnInteger::Malformed);
    }
    let magnitude = digits
        .bytes()
        .fold(0_i64, |value, digit| value.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    Ok(if negative { -magnitude } else { magnitude })
}

/// The length of the number that the text starts with, in its plain form (`-?[1-9][0-9]*`), else 0.
///
/// Only such a number is reported as too long; any other long one is malformed to pydantic.
fn plain_length(text: &str) -> usize {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    if unsigned.starts_with('0') { 0 } else { digits + (text.len() - unsigned.len()) }
}

/// The digits of an unsigned number without leading zeros and underscores, or nothing if it is none.
fn significant_digits(unsigned: &str) -> Option<String> {
    let whole = match unsigned.split_once('.') {
        Some((whole, decimals)) if !decimals.is_empty() && decimals.bytes().all(|digit| digit == b'0') => {
            whole
        }
        Some(_) => return None,
        None => unsigned,
    };
    if !whole.ends_with(|last: char| last.is_ascii_digit()) {
        return None;
    }
    let significant = if whole.starts_with('0') { whole.trim_start_matches(['0', '_']) } else { whole };
    let groups_are_digits = significant
        .split('_')
        .all(|group| !group.is_empty() && group.bytes().all(|digit| digit.is_ascii_digit()));
    (significant.is_empty() || groups_are_digits).then(|| significant.replace('_', ""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{NotAnInteger, parse};

    /// Every line was given to pydantic 2.11.5 (`TypeAdapter(int).validate_python`).
    #[test]
    fn pydantic_accepts_these() {
        for (text, value) in [
            ("1", 1),
            (" 1 ", 1),
            ("\t1\n", 1),
            ("\u{b}1\u{c}", 1),
            ("\u{a0}1\u{2003}", 1),
            ("\u{85}1", 1),
            ("+1", 1),
            ("-1", -1),
            ("-0", 0),
            ("+0", 0),
            ("00", 0),
            ("01", 1),
            ("-01", -1),
            ("+01", 1),
            ("1_0", 10),
            ("-1_0", -10),
            ("0_1", 1),
            ("0__1", 1),
            ("-0__1", -1),
            ("0_0", 0),
            ("0__0", 0),
            ("1_000_000.000", 1_000_000),
            ("1.0", 1),
            ("1.00", 1),
            ("-1.0", -1),
            ("+1.0", 1),
            ("1.0 ", 1),
            ("0.0", 0),
            ("00.0", 0),
            ("0_0.0", 0),
            ("1_0.0", 10),
            ("0_1.0", 1),
            ("9223372036854775807", i64::MAX),
            ("9223372036854775808", i64::MAX),
            ("-99999999999999999999", -i64::MAX),
        ] {
            assert_eq!(parse(text), Ok(value), "{text:?}");
        }
    }

    /// Every line was given to pydantic 2.11.5, but for the last two: it takes them for -1.
    #[test]
    fn pydantic_refuses_these() {
        for text in [
            "", " ", "x", "1.5", "1e3", "true", "null", "+-1", "--1", "++1", "- 1", "+ 1", "1__0", "_1",
            "1_", "0_", "00_", "-_1", "+_1", "1.", ".0", "0.", "-.0", "00.", "0_.0", "1.0_0", "1_.0", "1._0",
            "1.0.0", "1 .0", "1__0.0", "0x1", "1,000", "١", "１", "−1", "1\0", "\u{1c}1", "-", "+", "_",
            "1-", "0+1", "0e0", "0x", "0-1", "00_-1",
        ] {
            assert_eq!(parse(text), Err(NotAnInteger::Malformed), "{text:?}");
        }
    }

    /// Every line was given to pydantic 2.11.5.
    #[test]
    fn the_digit_limit_is_pydantics() {
        let ones = |count: usize| "1".repeat(count);
        for accepted in [
            ones(4300),
            format!("+{}", ones(4300)),
            format!("-{}", ones(4299)),
            format!("-0{}", ones(4299)),
            "0".repeat(5000),
            format!("{}1", "0".repeat(4300)),
            format!("0{}", ones(4300)),
            format!("{}.00", ones(4300)),
            format!("1.{}", "0".repeat(5000)),
            format!("  {}", ones(4300)),
            vec!["1"; 4300].join("_"),
        ] {
            assert!(parse(&accepted).is_ok(), "{} characters", accepted.len());
        }
        for too_long in [
            ones(4301),
            format!("-{}", ones(4300)),
            format!("{} ", ones(4301)),
            format!("{}x", ones(4301)),
            format!("{}.0", ones(4301)),
            format!("{}.5", ones(4301)),
            format!("{}_1", ones(4301)),
        ] {
            assert_eq!(parse(&too_long), Err(NotAnInteger::TooLong), "{} characters", too_long.len());
        }
        for malformed in [
            format!(" {}", ones(4301)),
            format!("+{}", ones(4301)),
            format!("0{}", ones(4301)),
            format!("-0{}", ones(4300)),
            format!("{}x", ones(4300)),
            format!("{}_1", ones(4300)),
            vec!["1"; 4301].join("_"),
            "x".repeat(4301),
        ] {
            assert_eq!(parse(&malformed), Err(NotAnInteger::Malformed), "{} characters", malformed.len());
        }
    }

    /// The grammar once more, as a regular expression over the whole text.
    fn oracle(text: &str) -> Option<i64> {
        let grammar = regex::Regex::new(r"^\s*([+-]?)(?:0[0_]*)?((?:0|[1-9]\d*(?:_\d+)*)?)(?:\.0+)?\s*$")
            .expect("a regex");
        let ascii = text.trim();
        let found = grammar.captures(ascii).filter(|_| ascii.is_ascii())?;
        let whole = ascii.split('.').next()?;
        if !whole.ends_with(|last: char| last.is_ascii_digit()) {
            return None;
        }
        let digits = found[2].replace('_', "");
        let value: i128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
        i64::try_from(if &found[1] == "-" { -value } else { value }).ok()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn the_reader_agrees_with_the_grammar(text in r"[ \t]?[-+]?[01_.]{0,6}[0-9_.x-]{0,4}[ \n]?") {
            prop_assert_eq!(parse(&text).ok(), oracle(&text), "{:?}", text);
        }

        #[test]
        fn every_integer_is_read_as_itself(value in -i64::MAX..=i64::MAX) {
            prop_assert_eq!(parse(&value.to_string()), Ok(value));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".*") {
            let _ = parse(&text);
        }
    }
}
