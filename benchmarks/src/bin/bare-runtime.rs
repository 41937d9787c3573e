//! The floor of a start: a Lambda function in Rust that reads no settings, has no client and does nothing.
//! What a function of ours takes longer than this is its own; the rest is the operating system's and the measuring's.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;

fn main() -> io::Result<()> {
    let api = std::env::var("AWS_LAMBDA_RUNTIME_API").map_err(io::Error::other)?;
    let mut stream = TcpStream::connect(&api)?;
    stream.set_nodelay(true)?;
    let mut answers = BufReader::new(stream.try_clone()?);
    loop {
        let next = format!("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nhost: {api}\r\n\r\n");
        stream.write_all(next.as_bytes())?;
        let id = answer(&mut answers)?;
        let body = r#"{"statusCode":200}"#;
        let done = format!(
            "POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nhost: {api}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(done.as_bytes())?;
        answer(&mut answers)?;
    }
}

/// Reads one answer and gives the id of the request that it hands over, if it does.
fn answer(answers: &mut impl BufRead) -> io::Result<String> {
    let (mut id, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if answers.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some((name, value)) = line.trim_end().split_once(':') else {
            if line.trim_end().is_empty() {
                break;
            }
            continue;
        };
        if name.eq_ignore_ascii_case("lambda-runtime-aws-request-id") {
            value.trim().clone_into(&mut id);
        } else if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    answers.read_exact(&mut vec![0; length])?;
    Ok(id)
}
