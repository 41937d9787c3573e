//! Where and why Python's `json` module says that a text is not JSON (Python 3.12, `json/decoder.py`).
//! FastAPI passes both on to the client; positions count characters from 0.

/// No value is expected deeper than this; `serde_json` refuses such texts as well.
const MAX_DEPTH: usize = 128;

/// Python's `JSONDecodeError`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DecodeError {
    /// The character it is about.
    pub(super) position: usize,
    /// What Python says.
    pub(super) message: &'static str,
}

/// The first error in a text, or nothing where Python's reader is content.
pub(super) fn first_error(text: &str) -> Option<DecodeError> {
    let mut reader = Reader { text: text.chars().collect(), at: 0 };
    reader.document().err()
}

struct Reader {
    text: Vec<char>,
    at: usize,
}

type Read = Result<(), DecodeError>;

const fn error(position: usize, message: &'static str) -> Read {
    Err(DecodeError { position, message })
}

impl Reader {
    fn document(&mut self) -> Read {
        self.skip_space();
        self.value(0)?;
        self.skip_space();
        if self.at == self.text.len() { Ok(()) } else { error(self.at, "Extra data") }
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Read {
        match self.peek() {
            Some('"') => self.string(),
            Some('{') if depth < MAX_DEPTH => self.object(depth),
            Some('[') if depth < MAX_DEPTH => self.array(depth),
            Some('t') => self.word("true"),
            Some('f') => self.word("false"),
            Some('n') => self.word("null"),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Read {
        self.at += 1;
        self.skip_space();
        if self.take('}') {
            return Ok(());
        }
        loop {
            if self.peek() != Some('"') {
                return error(self.at, "Expecting property name enclosed in double quotes");
            }
            self.string()?;
            self.skip_space();
            if !self.take(':') {
                return error(self.at, "Expecting ':' delimiter");
            }
            self.skip_space();
            self.value(depth + 1)?;
            self.skip_space();
            if self.take('}') {
                return Ok(());
            }
            if !self.take(',') {
                return error(self.at, "Expecting ',' delimiter");
            }
            self.skip_space();
        }
    }

    fn array(&mut self, depth: usize) -> Read {
        self.at += 1;
        self.skip_space();
        if self.take(']') {
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            self.skip_space();
            if self.take(']') {
                return Ok(());
            }
            if !self.take(',') {
                return error(self.at, "Expecting ',' delimiter");
            }
            self.skip_space();
        }
    }

    fn string(&mut self) -> Read {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                None => return error(start, "Unterminated string starting at"),
                Some('"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some('\\') => self.escape(start)?,
                Some('\0'..='\u{1f}') => return error(self.at, "Invalid control character at"),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self, start: usize) -> Read {
        self.at += 1;
        match self.peek() {
            None => error(start, "Unterminated string starting at"),
            Some('u') => {
                // Python wants to see what follows the four digits before it believes them.
                let digits = self.text.get(self.at + 1..self.at + 6);
                if digits.is_some_and(|digits| digits.iter().take(4).all(char::is_ascii_hexdigit)) {
                    self.at += 5;
                    Ok(())
                } else {
                    error(self.at, "Invalid \\uXXXX escape")
                }
            }
            Some('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't') => {
                self.at += 1;
                Ok(())
            }
            Some(_) => error(self.at - 1, "Invalid \\escape"),
        }
    }

    fn word(&mut self, word: &str) -> Read {
        if word.chars().enumerate().all(|(index, wanted)| self.text.get(self.at + index) == Some(&wanted)) {
            self.at += word.len();
            Ok(())
        } else {
            error(self.at, "Expecting value")
        }
    }

    fn number(&mut self) -> Read {
        let start = self.at;
        self.take('-');
        if !self.take('0') && self.digits() == 0 {
            return error(start, "Expecting value");
        }
        let whole = self.at;
        if self.take('.') && self.digits() == 0 {
            self.at = whole;
            return Ok(());
        }
        let mantissa = self.at;
        if self.take('e') || self.take('E') {
            let _ = self.take('+') || self.take('-');
            if self.digits() == 0 {
                self.at = mantissa;
            }
        }
        Ok(())
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|next| next.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{DecodeError, first_error};

    /// Every line was given to Python's `json.loads` through FastAPI.
    #[test]
    fn errors_are_where_python_sees_them() {
        const NAME: &str = "Expecting property name enclosed in double quotes";
        const VALUE: &str = "Expecting value";
        const COMMA: &str = "Expecting ',' delimiter";
        const COLON: &str = "Expecting ':' delimiter";
        const OPEN: &str = "Unterminated string starting at";
        for (text, position, message) in [
            ("{", 1, NAME),
            ("{ ", 2, NAME),
            ("{name:1}", 1, NAME),
            ("{'name':1}", 1, NAME),
            ("{,}", 1, NAME),
            (r#"{"name":"a",}"#, 12, NAME),
            (r#"{"a":1,1:2}"#, 7, NAME),
            (r#"{"a":1,"#, 7, NAME),
            ("nul", 0, VALUE),
            (" ", 1, VALUE),
            ("-", 0, VALUE),
            ("+1", 0, VALUE),
            (".5", 0, VALUE),
            ("éx", 0, VALUE),
            (r#"{"name":}"#, 8, VALUE),
            (r#"{"a":"#, 5, VALUE),
            ("[", 1, VALUE),
            ("[1,]", 3, VALUE),
            ("[1,", 3, VALUE),
            ("\n\n{\"name\":tru}", 10, VALUE),
            (r#"{"é":x}"#, 5, VALUE),
            (r#"{"name":"a""#, 11, COMMA),
            (r#"{"name":"a" "b"}"#, 12, COMMA),
            (r#"{"name":01}"#, 9, COMMA),
            ("[1 2]", 3, COMMA),
            ("[1", 2, COMMA),
            (r#"{"name" "a"}"#, 8, COLON),
            (r#"{"a""#, 4, COLON),
            (r#"{"name":"a"#, 8, OPEN),
            (r#"{"name":"\"#, 8, OPEN),
            (r#"{"a":"b\"#, 5, OPEN),
            (r#""abc"#, 0, OPEN),
            ("{\"name\":\"a\nb\"}", 10, "Invalid control character at"),
            ("{\"name\":\"a\tb\"}", 10, "Invalid control character at"),
            (r#"{"name":"\x"}"#, 9, r"Invalid \escape"),
            (r#""\u00e9"#, 2, r"Invalid \uXXXX escape"),
            (r#"{"name":"\u12"}"#, 10, r"Invalid \uXXXX escape"),
            (r#"{"name":"\u"#, 10, r"Invalid \uXXXX escape"),
            (r#"{"name":"a"} x"#, 13, "Extra data"),
            (r#"{"name":"a"}}"#, 12, "Extra data"),
            ("1.", 1, "Extra data"),
            ("1e5x", 3, "Extra data"),
            ("[]x", 2, "Extra data"),
        ] {
            assert_eq!(first_error(text), Some(DecodeError { position, message }), "{text}");
        }
    }

    #[test]
    fn a_text_nested_without_end_is_refused_and_not_followed() {
        assert!(first_error(&"[".repeat(1_000_000)).is_some());
    }

    proptest! {
        #[test]
        fn what_serde_reads_has_no_error(text in r#"[\[\]{}",:0-9a-z\\ .eE+-]{0,12}"#) {
            if serde_json::from_str::<serde_json::Value>(&text).is_ok() {
                prop_assert_eq!(first_error(&text), None, "{}", text);
            }
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".*") {
            let _ = first_error(&text);
        }
    }
}
