//! HTTP/1.1 as it is on the wire, as far as a front needs it: one message read, passed on, written.
//! What goes wrong with it is `fault`'s business.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A request or an answer, its body whole and not in chunks.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// The first line.
    pub(crate) start: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What stands in a header because of this very connection.
const OF_CONNECTION: [&str; 4] = ["connection", "keep-alive", "transfer-encoding", "content-length"];

impl Message {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The same with this header in place of all of that name.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self = self.without(name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self
    }

    /// The first line, the headers and a length, which need not be the body's.
    pub(crate) fn head(&self, length: usize) -> Vec<u8> {
        let mut head = format!("{}\r\n", self.start);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        // Neither has a body, nor a length (RFC 9110, 8.6).
        if !self.start.contains(" 204 ") && !self.start.contains(" 304 ") {
            head.push_str(&format!("content-length: {length}\r\n"));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head(self.body.len());
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Reads the first line and the headers.
    fn of_head(head: &[u8]) -> io::Result<Self> {
        let text = std::str::from_utf8(head).map_err(|_| malformed())?;
        let mut lines = text.split("\r\n");
        let start = lines.next().ok_or_else(malformed)?.to_owned();
        let header = |line: &str| -> io::Result<(String, String)> {
            let (name, value) = line.split_once(':').ok_or_else(malformed)?;
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        };
        let headers = lines.filter(|line| !line.is_empty()).map(header).collect::<io::Result<_>>()?;
        Ok(Self { start, headers, body: Vec::new() })
    }
}

fn malformed() -> io::Error {
    io::Error::from(ErrorKind::InvalidData)
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// The next request of a connection; none at its end. What comes after it stays in `buffer`.
pub(crate) async fn read_request(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<Message>> {
    let end = loop {
        if let Some(end) = end_of_head(buffer) {
            break end;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let mut request = Message::of_head(&buffer[..end])?;
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while buffer.len() < end + length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    request.body = buffer[end..end + length].to_vec();
    buffer.drain(..end + length);
    Ok(Some(request))
}

/// What the sandbox itself answers, over a connection for this call alone.
pub(crate) async fn pass_on(sandbox: SocketAddr, request: &Message) -> io::Result<Message> {
    let mut stream = TcpStream::connect(sandbox).await?;
    stream.set_nodelay(true)?;
    let mut asked = request.clone();
    asked.headers.retain(|(name, _)| !OF_CONNECTION.contains(&name.to_ascii_lowercase().as_str()));
    stream.write_all(&asked.with("connection", "close").bytes()).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    let end = end_of_head(&bytes).ok_or_else(malformed)?;
    let mut answer = Message::of_head(&bytes[..end])?;
    let in_chunks = answer.header("transfer-encoding").is_some();
    answer.headers.retain(|(name, _)| !OF_CONNECTION.contains(&name.to_ascii_lowercase().as_str()));
    answer.body = if in_chunks { joined(&bytes[end..])? } else { bytes[end..].to_vec() };
    Ok(answer)
}

/// A body that came in chunks (RFC 9112, 7.1).
fn joined(mut rest: &[u8]) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n").ok_or_else(malformed)?;
        let size = std::str::from_utf8(&rest[..line]).map_err(|_| malformed())?;
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| malformed())?;
        if size == 0 {
            return Ok(body);
        }
        let chunk = rest.get(line + 2..line + 2 + size).ok_or_else(malformed)?;
        body.extend_from_slice(chunk);
        rest = rest.get(line + 4 + size..).ok_or_else(malformed)?;
    }
}
