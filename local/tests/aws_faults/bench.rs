//! A stack on which flows are tried one after another, each from an empty table and an unchanged GitHub, each in a new
//! process of the function that it is about.

use std::time::Duration;

use local::check;
use local::gateway::Gateway;
use local::handlers;
use local::sandbox_github::World;
use local::stack::{TABLE, service_of};
use local::template::Template;
use serde_json::Value;
use shared::store::StoredItem;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::flows::{Family, Request, Step};
use crate::harness::{Answer, Running, Setup};

/// As long as nothing is called, nothing goes on.
const QUIET: Duration = Duration::from_millis(15);

pub(crate) struct Bench {
    pub(crate) running: Running,
    template: Template,
    world: World,
}

/// A process of one function, which has read nothing yet.
pub(crate) struct Process {
    url: String,
    _stop: oneshot::Sender<()>,
}

/// What became of a step.
#[derive(Clone, Debug)]
pub(crate) enum Ended {
    Answered(Answer),
}

impl Bench {
    pub(crate) async fn start() -> Self {
        let running = Setup { other_hosts: true, ..Setup::default() }.start().await;
        let world = running.github().world(|world| world.clone());
        Self { running, template: Template::embedded().unwrap(), world }
    }

    /// Nothing has happened yet.
    pub(crate) fn begin_anew(&self) {
        self.let_calls_be();
        let stack = &self.running.stack;
        stack.dynamodb.empty_table(TABLE, &self.template.table).unwrap();
        self.running.github().world(|world| *world = self.world.clone());
        drop(self.running.github().take_undelivered());
        self.running.github().clear_faults();
        self.running.github().reset_rate_limits();
        // What a revocation or the time has ended there, the broker would go on giving.
        let hosts = self.running.stack.other_hosts.as_ref().unwrap();
        for host in ["github", "gitlab", "bitbucket"] {
            hosts.openid.forget_all_brokered(host);
        }
    }

    /// Everything that the table holds.
    pub(crate) fn snapshot(&self) -> Vec<Value> {
        self.running.stack.dynamodb.items(TABLE).unwrap()
    }

    /// The table as it was then. GitHub is as it is: nothing that is tried after such a step changes it.
    pub(crate) fn restore(&self, items: &[Value]) {
        self.let_calls_be();
        self.running.stack.dynamodb.restore(TABLE, &self.template.table, items).unwrap();
    }

    /// A process in which the function has just started, and the others are as warm as ever.
    pub(crate) async fn process(&self, function: &str) -> Process {
        let stack = &self.running.stack;
        let service = service_of(function, &stack.settings, &self.running.clock).unwrap();
        let of = |name: &str| match stack.functions.get(name) {
            Some(warm) if name != function => warm.clone(),
            _ => service.clone(),
        };
        let gateway = Gateway::new(&self.template.routes, handlers::each_over(of))
            .unwrap()
            .with_functions(&self.template.functions);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(gateway.run(listener, async { drop(stopped.await) }));
        Process { url, _stop: stop }
    }

    pub(crate) async fn take(&self, process: &Process, step: &Step) -> Ended {
        let Step::Request(request) = step;
        Ended::Answered(self.send(process, request).await)
    }

    async fn send(&self, process: &Process, request: &Request) -> Answer {
        let url = format!("{}{}", process.url, request.path);
        let mut sent = self.running.request_at(request.method.clone(), &url);
        for (name, value) in &request.headers {
            sent = sent.header(name, value);
        }
        sent.body(request.body.clone()).send().await
    }

    /// From here on the calls to AWS are looked at.
    pub(crate) fn watch(&self) {
        let stack = &self.running.stack;
        for hook in [stack.dynamodb.hook(), stack.secrets_manager.hook()] {
            hook.reset();
            hook.watch();
        }
    }

    /// All calls work again.
    pub(crate) fn let_calls_be(&self) {
        let stack = &self.running.stack;
        stack.dynamodb.hook().reset();
        stack.secrets_manager.hook().reset();
    }

    /// What goes on after an answer has come to its end.
    pub(crate) async fn settle(&self) {
        let hook = self.running.stack.dynamodb.hook();
        let calls = || hook.all_calls().values().sum::<usize>();
        let mut before = calls();
        loop {
            tokio::time::sleep(QUIET).await;
            let now = calls();
            if now == before && hook.under_way() == 0 {
                return;
            }
            before = now;
        }
    }

    /// Everything in the table, and whatever does not hold there.
    pub(crate) async fn table(&self) -> (Vec<StoredItem>, Vec<String>) {
        let items = self.running.stack.service.table.everything().await.unwrap();
        let report = check::items(&items, self.running.clock.unix());
        (items, report.violations.iter().map(ToString::to_string).collect())
    }
}

impl Ended {
    /// In a word for the document.
    pub(crate) fn word(&self) -> String {
        let Self::Answered(answer) = self;
        let page = answer.header("x-error-code").map(|code| format!(" {code}"));
        format!("{}{}", answer.status.as_u16(), page.unwrap_or_default())
    }

    pub(crate) fn is_good(&self) -> bool {
        let Self::Answered(answer) = self;
        answer.status.is_success() || answer.status.is_redirection()
    }

    /// What is wrong with the answer to a request that cannot be answered now.
    pub(crate) fn problem(&self, family: Family) -> Option<String> {
        let Self::Answered(answer) = self;
        let inner = ["DynamoDB", "Secrets", "GetItem", "Exception", "localhost", "127.0.0.1"];
        if self.is_good() {
            return None;
        }
        let tells = inner.iter().find(|inner| answer.body.contains(**inner));
        if let Some(tells) = tells {
            return Some(format!("it tells of {tells}"));
        }
        if answer.status.as_u16() != 503 {
            return None;
        }
        if answer.header("retry-after") != Some("5") {
            return Some("it does not say when to ask again".to_owned());
        }
        let well_formed = match family {
            Family::OpenHands => answer.json()["code"] == "unavailable",
            Family::Github => answer.json()["status"] == "503" && answer.json()["message"].is_string(),
            Family::Neptun => answer.json()["statusCode"] == 503,
            Family::Webhook => answer.json()["error"] == "unavailable",
            Family::Auth => answer.header("x-error-code") == Some("unavailable"),
        };
        (!well_formed).then(|| format!("it is not in its family's form: {answer:?}"))
    }
}
