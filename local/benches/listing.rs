//! What a listing of repositories takes: the release function `user-repositories` under a small Lambda, against the
//! embedded AWS and a sandbox GitHub that is 80 ms away; in round trips, rate-limit points and memory.
//!
//! `cargo build --release -p user-repositories -p mapped-installations && cargo bench -p local --bench listing`
//! does all; `-- listings`, `-- memory` and `-- warm` behind it do a part.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that cannot go on says where")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use benchmarks::runtime_api::RuntimeApi;
use local::data_folder::DemoUser;
use local::demo_user;
use local::sandbox_github::{Role, Selection, Target, World};
use local::stack::{Options, Stack};
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::provider::ProviderType;
use shared::provider::upstream::http_client;

const LATENCY: Duration = Duration::from_millis(80);
const TIMES: usize = 25;
const USER: &str = "somebody";

/// Installations, repositories in each, and the targets in round trips: the first time and repeated.
const CASES: [(usize, usize, f64, f64); 3] =
    [(10, 100, 2.3, 1.25), (40, 30, 3.5, 2.3), (1, 1_500, 3.3, 1.25)];

#[tokio::main]
async fn main() {
    // Cargo adds --bench.
    let parts: Vec<String> = std::env::args().skip(1).filter(|part| part != "--bench").collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    if wanted("listings") {
        listings().await;
    }
    if wanted("memory") {
        ten_thousand().await;
    }
    if wanted("warm") {
        without_a_host().await;
    }
}

async fn listings() {
    println!("GitHub {} ms away; medians of {TIMES}.\n", LATENCY.as_millis());
    println!(
        "| listing | a round trip, ms | first, ms | in round trips | target | repeated, ms | in round trips | target | points, repeated |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for case in CASES {
        listing(case).await;
    }
}

async fn start(installations: usize, repositories: usize) -> (Stack, DemoUser) {
    let mut world = World::new();
    let user = world.add_user(USER, "Is a member of all of them");
    for number in 0..installations {
        let organization = world.add_organization(&format!("organization-{number}"));
        world.add_member(organization, user, Role::Admin);
        for name in 0..repositories {
            world.add_repository(organization, &format!("repository-{name}"));
        }
        world.install(Target::Account(organization), Selection::All);
    }
    let options = Options { latency: LATENCY, ..Options::in_memory(world, Clock::system()) };
    let stack = Stack::start(options).await.expect("the stack starts");
    let user = demo_user::sign_in(&stack, USER).await.expect("the user is signed in");
    (stack, user)
}

/// A function's release binary that works.
struct Function {
    api: RuntimeApi,
    process: Child,
}

impl Drop for Function {
    fn drop(&mut self) {
        // Both fail only for a process that has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Function {
    fn start(name: &str, stack: &Stack) -> Self {
        let api = RuntimeApi::start(|| {}).expect("a free port");
        let binary: PathBuf =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/release").join(name);
        let mut command = Command::new(&binary);
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        command.envs(&stack.settings).envs([
            ("AWS_LAMBDA_RUNTIME_API", api.address().to_string().as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", name),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_ACCESS_KEY_ID", name),
            ("LOG_LEVEL", "warn"),
        ]);
        let process = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
        let function = Self { api, process };
        tokio::task::block_in_place(|| function.api.asked()).expect("it starts");
        function
    }

    fn ask(&self, event: &Value) -> (Duration, Value) {
        tokio::task::block_in_place(|| {
            let (took, answer) = self.api.invoke(&event.to_string()).expect("an answer");
            self.api.asked().expect("it goes on");
            let answer: Value = serde_json::from_slice(&answer).expect("JSON");
            assert_eq!(answer["statusCode"], 200, "{answer}");
            (took, answer)
        })
    }

    /// A line of `/proc/<id>/status`, in MiB.
    fn memory(&self, line: &str) -> f64 {
        status_of(self.process.id(), line) / 1024.0
    }

    /// CPU time used so far, in milliseconds.
    fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/schedstat", self.process.id())).expect("Linux");
        // Nanoseconds on a CPU; the function has one thread that works.
        stat.split(' ').next().and_then(|text| text.parse::<f64>().ok()).expect("a number") / 1e6
    }
}

fn status_of(id: u32, line: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("Linux");
    let rest = status.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(':')).expect("a line");
    rest.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn event(path: &str, parameters: &Value, user: &DemoUser) -> Value {
    let (route, query) = path.split_once('?').unwrap_or((path, ""));
    json!({
        "version": "2.0", "routeKey": format!("GET {route}"), "rawPath": route, "rawQueryString": query,
        "headers": {"x-session-api-key": user.api_key, "accept-encoding": "gzip"},
        "pathParameters": parameters,
        "requestContext": {"accountId": "1", "apiId": "a", "domainName": "localhost", "domainPrefix": "l",
            "http": {"method": "GET", "path": route, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "b"},
            "requestId": "r", "routeKey": format!("GET {route}"), "stage": "$default",
            "time": "21/Nov/2026:00:00:00 +0000", "timeEpoch": 1_795_219_200_000_u64},
        "isBase64Encoded": false
    })
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// What one call costs through the same client to the same sandbox, over a connection that is there already.
async fn round_trip(stack: &Stack) -> f64 {
    let github = stack.github.as_ref().unwrap();
    let token = github.mint_user_token(USER).access_token;
    let client = http_client(&[]).unwrap();
    let mut times = Vec::new();
    for _ in 0..=TIMES {
        let begun = Instant::now();
        let call = client.get(format!("{}/user", github.api_url())).bearer_auth(&token);
        let answer = call.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.bytes().await.unwrap();
        times.push(millis(begun.elapsed()));
    }
    // The first has connected.
    median(times.split_off(1))
}

async fn points(stack: &Stack) -> u64 {
    let github = stack.github.as_ref().unwrap();
    let token = github.mint_user_token(USER).access_token;
    let call = http_client(&[]).unwrap().get(format!("{}/user", github.api_url())).bearer_auth(&token);
    let answer = call.send().await.unwrap();
    answer.headers()["x-ratelimit-used"].to_str().unwrap().parse().unwrap()
}

async fn forget(stack: &Stack, user: &DemoUser) {
    let id = serde_json::from_value(json!(user.user_id)).unwrap();
    stack.service.table.forget_pages(&id, ProviderType::Github).await.unwrap();
}

async fn listing((installations, repositories, first_target, repeated_target): (usize, usize, f64, f64)) {
    let (stack, user) = start(installations, repositories).await;
    let function = Function::start("user-repositories", &stack);
    let event = event("/api/user/repositories?selected_provider=github", &json!({}), &user);
    let total = (installations * repositories).to_string();
    let ask = || {
        let (took, answer) = function.ask(&event);
        assert_eq!(answer["headers"]["x-total-count"], *total);
        millis(took)
    };
    ask();
    let (mut first, mut repeated) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        forget(&stack, &user).await;
        first.push(ask());
        repeated.push(ask());
    }
    let before = points(&stack).await;
    ask();
    // The second question for the points is one.
    let spent = points(&stack).await - before - 1;
    let (one, first, repeated) = (round_trip(&stack).await, median(first), median(repeated));
    println!(
        "| {installations} x {repositories} | {one:.1} | {first:.0} | {:.2} | {first_target} | {repeated:.0} | {:.2} | {repeated_target} | {spent} |",
        first / one,
        repeated / one
    );
    drop(function);
    stack.stop().await;
}

async fn ten_thousand() {
    let (stack, user) = start(20, 500).await;
    let event = event("/api/user/repositories", &json!({}), &user);
    println!("\n10,000 repositories (20 x 500): the most that was ever resident (target 64 MiB)\n");
    println!("| | ms | MiB | answer, kB |\n|---|---|---|---|");
    let function = Function::start("user-repositories", &stack);
    println!("| at rest | | {:.1} | |", function.memory("VmHWM"));
    for time in ["first", "repeated", "repeated again"] {
        let (took, answer) = function.ask(&event);
        assert_eq!(answer["headers"]["x-total-count"], "10000");
        let size = answer["body"].as_str().map_or(0, str::len) / 1000;
        println!("| {time} | {:.0} | {:.1} | {size} |", millis(took), function.memory("VmHWM"));
    }
    let function = Function::start("user-repositories", &stack);
    let (took, _) = function.ask(&event);
    println!("| repeated, in another process | {:.0} | {:.1} | |", millis(took), function.memory("VmHWM"));
    drop(function);
    stack.stop().await;
}

async fn without_a_host() {
    let (stack, user) = start(10, 1).await;
    let function = Function::start("mapped-installations", &stack);
    let path = format!("/api/users/{}/installations", user.user_id);
    let mut event = event(&path, &json!({"user_id": user.user_id}), &user);
    let route = "GET /api/users/{user_id}/installations";
    event["routeKey"] = route.into();
    event["requestContext"]["routeKey"] = route.into();
    function.ask(&event);
    stack.dynamodb.hook().reset();
    function.ask(&event);
    let calls = stack.dynamodb.hook().all_calls();
    let (mut times, mut cpu) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        let before = function.cpu();
        times.push(millis(function.ask(&event).0));
        cpu.push(function.cpu() - before);
    }
    println!(
        "\n/api/users/{{id}}/installations, warm: {:.2} ms of CPU (target 1), {:.2} ms in all, {calls:?} (target 2)",
        median(cpu),
        median(times)
    );
    drop(function);
    stack.stop().await;
}
