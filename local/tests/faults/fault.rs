//! What can go wrong with one call to a host, on the wire and in what the host says, and how a front does it.
//! What becomes of it is `cell`'s to look at.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::wire::{Message, pass_on};

/// Stands in everything that a host says while it fails, and may be shown to nobody.
pub(crate) const WORDS: &str = "whoops-of-the-host";
/// The seconds of a `Retry-After`.
const WAIT: &str = "77";
/// How far away a rate limit's reset is.
pub(crate) const RESET: i64 = 3_600;
const ENDLESS: usize = 100 * 1024 * 1024;
const CHUNK: usize = 256 * 1024;
/// Slower than any deadline of these tests, however short the answer is.
const DRIP: Duration = Duration::from_millis(25);

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    BadRequest,
    Unauthorized,
    Forbidden,
    PrimaryLimit,
    SecondaryLimit,
    SingleSignOn,
    Suspended,
    NotFound,
    Gone,
    Unprocessable,
    TooManyRequests,
    TooManyRequestsSilent,
    Internal,
    BadGateway,
    Unavailable,
    GatewayTimeout,
    Html,
    Truncated,
    Empty,
    Endless,
    Bomb,
    Stall,
    StallInBody,
    Reset,
    AnswerLost,
    IdleClosed,
    CutShort,
    CutLong,
    Drip,
    Redirect,
    PoisonedLink,
    Dns,
    Tls,
}

impl Fault {
    pub(crate) const ALL: [Self; 33] = [
        Self::BadRequest,
        Self::Unauthorized,
        Self::Forbidden,
        Self::PrimaryLimit,
        Self::SecondaryLimit,
        Self::SingleSignOn,
        Self::Suspended,
        Self::NotFound,
        Self::Gone,
        Self::Unprocessable,
        Self::TooManyRequests,
        Self::TooManyRequestsSilent,
        Self::Internal,
        Self::BadGateway,
        Self::Unavailable,
        Self::GatewayTimeout,
        Self::Html,
        Self::Truncated,
        Self::Empty,
        Self::Endless,
        Self::Bomb,
        Self::Stall,
        Self::StallInBody,
        Self::Reset,
        Self::AnswerLost,
        Self::IdleClosed,
        Self::CutShort,
        Self::CutLong,
        Self::Drip,
        Self::Redirect,
        Self::PoisonedLink,
        Self::Dns,
        Self::Tls,
    ];

    /// Its name in the table, and what the host does.
    pub(crate) const fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::BadRequest => ("400", "an error in JSON"),
            Self::Unauthorized => ("401", "`Bad credentials`, at every try"),
            Self::Forbidden => ("403", "a refusal in JSON"),
            Self::PrimaryLimit => ("403 rate limit", "`x-ratelimit-remaining: 0`, and a reset in an hour"),
            Self::SecondaryLimit => ("403 secondary limit", "`retry-after: 77`"),
            Self::SingleSignOn => ("403 SAML", "`x-github-sso: required`"),
            Self::Suspended => ("403 suspended", "`This installation has been suspended`"),
            Self::NotFound => ("404", "an error in JSON"),
            Self::Gone => ("410", "an error in JSON"),
            Self::Unprocessable => ("422", "an error in JSON"),
            Self::TooManyRequests => ("429", "`retry-after: 77`"),
            Self::TooManyRequestsSilent => ("429 without a time", "no `Retry-After`, no body"),
            Self::Internal => ("500", "a page for people"),
            Self::BadGateway => ("502", "a page for people, at every try"),
            Self::Unavailable => ("503", "a page for people, at every try"),
            Self::GatewayTimeout => ("504", "a page for people, at every try"),
            Self::Html => ("HTML", "200 with a page for people in place of JSON"),
            Self::Truncated => ("half a JSON", "200, the first half of the real body, its length right"),
            Self::Empty => ("empty body", "200 and nothing"),
            Self::Endless => ("100 MB", "200 with a body of 100 MB"),
            Self::Bomb => ("100 MB in 100 KB", "the same compressed by gzip"),
            Self::Stall => ("silence", "the request is read, and nothing is answered"),
            Self::StallInBody => ("silence in the body", "half of the real answer, and no more"),
            Self::Reset => ("reset", "the connection is reset when the request is read, at every try"),
            Self::AnswerLost => (
                "answer lost",
                "the call is carried out, and the connection closed without an answer, every time",
            ),
            Self::IdleClosed => {
                ("idle connections closed", "those that were kept alive are closed before the call")
            }
            Self::CutShort => {
                ("length too large", "`Content-Length` promises more than comes before the end")
            }
            Self::CutLong => ("length too small", "`Content-Length` is half of what comes"),
            Self::Drip => ("drip", "one byte of the real answer every 25 ms"),
            Self::Redirect => ("redirect", "302 to another host"),
            Self::PoisonedLink => {
                ("poisoned `Link`", "the real answer, whose further pages are said to be at another host")
            }
            Self::Dns => ("no address", "the host's name does not resolve"),
            Self::Tls => ("TLS", "the host's certificate is nobody's whom we trust"),
        }
    }

    /// Whether the real answer comes, whole and at once.
    pub(crate) const fn spares_answer(self) -> bool {
        matches!(self, Self::IdleClosed | Self::PoisonedLink)
    }

    /// Whether only a deadline ends it.
    pub(crate) const fn is_slow(self) -> bool {
        matches!(self, Self::Stall | Self::StallInBody | Self::Drip)
    }

    /// Whether it is not this call that goes wrong but every connection to its host.
    pub(crate) const fn is_of_host(self) -> bool {
        matches!(self, Self::Dns | Self::Tls)
    }

    /// What the host says of its own, where it is not asked at all.
    fn said(self, now: i64) -> Option<Message> {
        let json = |status: &str, text: &str| {
            let message = format!("{text}: {WORDS}, http://inside.example/");
            answer(
                status,
                "application/json",
                json!({ "message": message, "error": { "message": message } }).to_string(),
            )
        };
        let page = |status: &str| {
            let page = format!(
                "<!DOCTYPE html><html><title>{WORDS}</title><a href=\"http://inside.example/\"></html>"
            );
            answer(status, "text/html; charset=utf-8", page)
        };
        Some(match self {
            Self::BadRequest => json("400 Bad Request", "No"),
            Self::Unauthorized => json("401 Unauthorized", "Bad credentials"),
            Self::Forbidden => json("403 Forbidden", "Forbidden"),
            Self::PrimaryLimit => json("403 Forbidden", "API rate limit exceeded")
                .with("x-ratelimit-limit", "5000")
                .with("x-ratelimit-remaining", "0")
                .with("x-ratelimit-reset", &(now + RESET).to_string()),
            Self::SecondaryLimit => {
                json("403 Forbidden", "You have exceeded a secondary rate limit").with("retry-after", WAIT)
            }
            Self::SingleSignOn => {
                json("403 Forbidden", "Resource protected by organization SAML enforcement")
                    .with("x-github-sso", "required; url=https://github.example/orgs/o/sso")
            }
            Self::Suspended => json("403 Forbidden", "This installation has been suspended"),
            Self::NotFound => json("404 Not Found", "Not Found"),
            Self::Gone => json("410 Gone", "Gone"),
            Self::Unprocessable => json("422 Unprocessable Entity", "Validation Failed"),
            Self::TooManyRequests => json("429 Too Many Requests", "Slow down").with("retry-after", WAIT),
            Self::TooManyRequestsSilent => answer("429 Too Many Requests", "text/plain", String::new()),
            Self::Internal => page("500 Internal Server Error"),
            Self::BadGateway => page("502 Bad Gateway"),
            Self::Unavailable => page("503 Service Unavailable"),
            Self::GatewayTimeout => page("504 Gateway Timeout"),
            Self::Html => page("200 OK"),
            Self::Empty => answer("200 OK", "application/json", String::new()),
            _ => return None,
        })
    }
}

fn answer(status: &str, kind: &str, body: String) -> Message {
    let headers = [("content-type", kind), ("x-internal", WORDS), ("server", "http://inside.example/")];
    Message {
        start: format!("HTTP/1.1 {status}"),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        body: body.into_bytes(),
    }
}

/// Where a call goes wrong: what it was, where its host is really, and where nobody may be led to.
pub(crate) struct Scene<'a> {
    pub(crate) request: &'a Message,
    pub(crate) sandbox: SocketAddr,
    pub(crate) elsewhere: SocketAddr,
    pub(crate) now: i64,
}

/// Lets it happen; tells whether the connection is of use afterwards.
pub(crate) async fn happen(fault: Fault, stream: &mut TcpStream, scene: Scene<'_>) -> std::io::Result<bool> {
    if let Some(said) = fault.said(scene.now) {
        stream.write_all(&said.bytes()).await?;
        return Ok(true);
    }
    match fault {
        Fault::Stall => std::future::pending::<()>().await,
        Fault::Reset => {
            stream.set_zero_linger()?;
            return Ok(false);
        }
        Fault::Redirect => {
            let path = scene.request.start.split(' ').nth(1).unwrap_or("/");
            let target = format!("http://{}{path}", scene.elsewhere);
            let redirect = answer("302 Found", "text/html", String::new()).with("location", &target);
            stream.write_all(&redirect.bytes()).await?;
            return Ok(true);
        }
        Fault::Endless => {
            let endless = answer("200 OK", "application/json", String::new());
            stream.write_all(&endless.head(ENDLESS)).await?;
            let chunk = vec![b' '; CHUNK];
            for _ in 0..ENDLESS / CHUNK {
                stream.write_all(&chunk).await?;
            }
            return Ok(true);
        }
        Fault::Bomb => {
            let mut bomb =
                answer("200 OK", "application/json", String::new()).with("content-encoding", "gzip");
            bomb.body = compressed().to_vec();
            stream.write_all(&bomb.bytes()).await?;
            return Ok(true);
        }
        _ => {}
    }
    // The rest are the real answer, spoiled: a 304 would have nothing to spoil.
    let real = pass_on(scene.sandbox, &scene.request.clone().without("if-none-match")).await?;
    let half = real.body.len() / 2;
    match fault {
        Fault::Truncated => {
            let cut = Message { body: real.body[..half].to_vec(), ..real };
            stream.write_all(&cut.bytes()).await?;
            Ok(true)
        }
        Fault::StallInBody => {
            stream.write_all(&real.head(real.body.len() + 1)).await?;
            stream.write_all(&real.body[..half]).await?;
            std::future::pending().await
        }
        Fault::AnswerLost => Ok(false),
        Fault::CutShort => {
            stream.write_all(&real.head(real.body.len() + 100)).await?;
            stream.write_all(&real.body).await?;
            Ok(false)
        }
        Fault::CutLong => {
            stream.write_all(&real.head(half)).await?;
            stream.write_all(&real.body).await?;
            Ok(true)
        }
        Fault::Drip => {
            for byte in real.bytes() {
                stream.write_all(&[byte]).await?;
                tokio::time::sleep(DRIP).await;
            }
            Ok(true)
        }
        Fault::PoisonedLink => {
            stream.write_all(&poisoned(real, scene.elsewhere).bytes()).await?;
            Ok(true)
        }
        _ => {
            stream.write_all(&real.bytes()).await?;
            Ok(true)
        }
    }
}

/// The real answer; its further pages, and those of every kind of paging, are elsewhere.
fn poisoned(real: Message, elsewhere: SocketAddr) -> Message {
    let at = format!("http://{elsewhere}/steal?page=2&cursor=stolen");
    let link = format!("<{at}>; rel=\"next\", <{at}>; rel=\"last\"");
    let mut answer = real.without("x-next-page").with("link", &link);
    if let Ok(mut page) = serde_json::from_slice::<Value>(&answer.body)
        && page.get("values").is_some()
    {
        page["next"] = json!(at);
        answer.body = page.to_string().into_bytes();
    }
    answer
}

fn compressed() -> &'static [u8] {
    static BOMB: OnceLock<Vec<u8>> = OnceLock::new();
    BOMB.get_or_init(|| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let chunk = vec![b' '; CHUNK];
        for _ in 0..ENDLESS / CHUNK {
            encoder.write_all(&chunk).expect("memory takes everything");
        }
        encoder.finish().expect("memory takes everything")
    })
}
