//! Lambda's Runtime API for one process: hands it events and notes when it asks and when it answers.
//! How the process is started, and what its environment says, is not known here.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use crate::http::{Request, Response, Server};

/// How long a process may take for anything before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the process did.
#[derive(Debug)]
enum Step {
    /// It asked for an event.
    Asked(Instant),
    /// It was done with an event.
    Ended(Instant, Outcome),
    /// It ended, or reported that it cannot start.
    Failed(String),
}

/// How an event ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The function answered it.
    Answer(Vec<u8>),
    /// The function says that it failed, as one may that is no route's.
    Error(Vec<u8>),
}

/// The Runtime API of one process.
#[derive(Debug)]
pub struct RuntimeApi {
    server: Server,
    told: Sender<Step>,
    steps: Receiver<Step>,
    events: Sender<String>,
}

impl RuntimeApi {
    /// Waits for a process on a free port; `on_connect` is told of every connection.
    ///
    /// # Errors
    /// The operating system's, when there is no free port.
    pub fn start(on_connect: impl Fn() + Send + 'static) -> io::Result<Self> {
        let (told, steps) = channel();
        let (events, waiting) = channel::<String>();
        let waiting = Mutex::new(waiting);
        let noted = told.clone();
        let server = Server::start(on_connect, move |request| answer(&request, &noted, &waiting))?;
        Ok(Self { server, told, steps, events })
    }

    /// Where the process finds it.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Takes the end of the process's standard error for its own end.
    pub fn watch(&self, mut errors: impl Read + Send + 'static) {
        let told = self.told.clone();
        std::thread::spawn(move || {
            let mut said = Vec::new();
            // What was read until an error is all that there is to tell.
            let _ = errors.read_to_end(&mut said);
            let last_words = format!("it ended; {}", String::from_utf8_lossy(&said).trim_end());
            // Nobody listens any more once everything was measured.
            let _ = told.send(Step::Failed(last_words));
        });
    }

    /// Waits until the process asks for an event.
    ///
    /// # Errors
    /// What the process reported instead, or that it did nothing.
    pub fn asked(&self) -> Result<Instant, String> {
        match self.step()? {
            Step::Asked(at) => Ok(at),
            Step::Ended(..) => Err("it was done with an event that it was not given".to_owned()),
            Step::Failed(report) => Err(report),
        }
    }

    /// Hands an event to the process, which has asked for it, and waits for the answer.
    ///
    /// # Errors
    /// What the process reported instead, also that the event failed, or that it did nothing.
    pub fn invoke(&self, event: &str) -> Result<(Duration, Vec<u8>), String> {
        match self.outcome(event)? {
            (took, Outcome::Answer(body)) => Ok((took, body)),
            (_, Outcome::Error(report)) => {
                Err(format!("the event failed: {}", String::from_utf8_lossy(&report)))
            }
        }
    }

    /// Hands an event to the process, which has asked for it, and waits until it is done with it.
    ///
    /// # Errors
    /// What the process reported instead, or that it did nothing.
    pub fn outcome(&self, event: &str) -> Result<(Duration, Outcome), String> {
        let handed = Instant::now();
        self.events.send(event.to_owned()).map_err(|_| "nobody waits for the event".to_owned())?;
        match self.step()? {
            Step::Ended(at, outcome) => Ok((at.duration_since(handed), outcome)),
            Step::Asked(_) => Err("it asked for another event without answering".to_owned()),
            Step::Failed(report) => Err(report),
        }
    }

    fn step(&self) -> Result<Step, String> {
        self.steps
            .recv_timeout(PATIENCE)
            .map_err(|_| format!("it did nothing for {} seconds", PATIENCE.as_secs()))
    }
}

fn answer(request: &Request, told: &Sender<Step>, waiting: &Mutex<Receiver<String>>) -> Option<Response> {
    let at = Instant::now();
    let path = request.target.strip_prefix("/2018-06-01/runtime/")?;
    if path == "invocation/next" {
        told.send(Step::Asked(at)).ok()?;
        let event = waiting.lock().ok()?.recv().ok()?;
        let mut response = Response::json(200, &event);
        for (name, value) in [
            ("Lambda-Runtime-Aws-Request-Id", "00000000-0000-4000-8000-000000000000"),
            ("Lambda-Runtime-Deadline-Ms", "9999999999999"),
            ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:local:000000000000:function:measured"),
            ("Lambda-Runtime-Trace-Id", "Root=1-00000000-000000000000000000000000;Sampled=0"),
        ] {
            response.headers.push((name.to_owned(), value.to_owned()));
        }
        return Some(response);
    }
    let about_event = path.strip_prefix("invocation/").and_then(|rest| rest.rsplit_once('/'));
    let step = match about_event {
        Some((_, "response")) => Step::Ended(at, Outcome::Answer(request.body.clone())),
        Some((_, "error")) => Step::Ended(at, Outcome::Error(request.body.clone())),
        _ => Step::Failed(format!("it reported at {path}: {}", String::from_utf8_lossy(&request.body))),
    };
    told.send(step).ok()?;
    Some(Response::json(202, r#"{"status":"OK"}"#))
}
