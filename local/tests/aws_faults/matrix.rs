//! Every flow, every call of it, every failure of that call: what is answered, what is in the table then, and whether
//! the same works afterwards.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::time::Instant;

use futures::future::join_all;
use local::aws::call_names::NamedCall;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::bench::{Bench, Ended, Process};
use crate::fault::{Often, Trouble};
use crate::flows::{self, Again, Flow, Step};
use crate::picture::{self, Picture, difference};

/// How many flows are tried at once. Most of the time of the slow ones is waiting.
const BENCHES: usize = 16;
/// How many of them compute at once, so that nobody's answer is late for want of a processor.
const AT_WORK: usize = 8;
/// Where a conflict says that another process has dealt with the same delivery, or that the user has signed in anew,
/// which a late word of a revocation does not undo.
const ANOTHERS_WORD: [(&str, &str); 2] =
    [("webhook: revoked", "PutItem DELIVERY"), ("webhook: revoked", "DeleteItem USER/TOKEN#github")];
/// By default one in so many of the failures that the document tells of is tried.
const SAMPLE: usize = 16;
/// And of the slow ones and those that nobody sees.
const SAMPLE_OF_SAME: usize = 151;
/// How many failures of one flow a bench tries before another bench may go on.
const PORTION: usize = 16;
const SLOW_PORTION: usize = 2;

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Extent {
    Sample,
    /// What the document tells of.
    Document,
    All,
}

/// A call of a flow: the how-manieth of its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Call {
    pub(crate) named: NamedCall,
    pub(crate) nth: usize,
}

/// What a flow does when nothing disturbs it.
struct Undisturbed {
    word: String,
    calls: Vec<Call>,
    after: Picture,
    after_again: Picture,
}

#[derive(Clone)]
struct Case {
    flow: usize,
    call: Call,
    trouble: Trouble,
    often: Often,
}

/// What was seen.
#[derive(Default)]
pub(crate) struct Matrix {
    /// By the flow: its undisturbed answer, and each call with what happens to whom it fails for.
    pub(crate) seen: Vec<(Flow, String, Vec<Call>)>,
    pub(crate) cells: BTreeMap<(usize, Call, Trouble, Often), String>,
    pub(crate) problems: Vec<String>,
    seconds: f32,
}

impl Matrix {
    pub(crate) async fn play(extent: Extent, flow: &str) -> Self {
        let started = Instant::now();
        let flows: Vec<Flow> = flows::all().into_iter().filter(|one| one.name.contains(flow)).collect();
        assert!(!flows.is_empty(), "no flow is called so");
        let benches = join_all((0..BENCHES.min(4 * flows.len())).map(|_| Bench::start())).await;
        let at_work = Semaphore::new(AT_WORK);

        let waiting: Mutex<VecDeque<usize>> = Mutex::new((0..flows.len()).collect());
        let undisturbed: Mutex<BTreeMap<usize, Undisturbed>> = Mutex::default();
        join_all(benches.iter().map(async |bench| {
            while let Some(number) = next(&waiting) {
                let _permit = at_work.acquire().await.unwrap();
                let seen = self::undisturbed(bench, &flows[number]).await;
                undisturbed.lock().unwrap().insert(number, seen);
            }
        }))
        .await;
        let undisturbed = undisturbed.into_inner().unwrap();

        let cases = cases(&undisturbed, extent);
        let waiting: Mutex<VecDeque<Vec<Case>>> = Mutex::new(portions(cases));
        let matrix: Mutex<Self> = Mutex::default();
        join_all(benches.iter().map(async |bench| {
            while let Some(portion) = next(&waiting) {
                let (flow, expected) = (&flows[portion[0].flow], &undisturbed[&portion[0].flow]);
                let mut prepared = None;
                for case in portion {
                    let (word, problems) = play(bench, flow, expected, &case, &mut prepared, &at_work).await;
                    let what = format!(
                        "{}: {} {} {:?} {:?}",
                        flow.name, case.call.named.name, case.call.nth, case.trouble, case.often
                    );
                    let problems = problems.into_iter().map(|problem| format!("{what}: {word}: {problem}"));
                    let problems: Vec<String> = problems.collect();
                    for problem in &problems {
                        println!("{problem}");
                    }
                    let mut matrix = matrix.lock().unwrap();
                    matrix.problems.extend(problems);
                    matrix.cells.insert((case.flow, case.call, case.trouble, case.often), word);
                }
            }
        }))
        .await;
        let mut matrix = matrix.into_inner().unwrap();
        matrix.seen =
            undisturbed.into_iter().map(|(number, seen)| (flows[number], seen.word, seen.calls)).collect();
        matrix.problems.sort();
        matrix.seconds = started.elapsed().as_secs_f32();
        for bench in benches {
            bench.running.stack.stop().await;
        }
        matrix
    }

    pub(crate) fn counts(&self) -> String {
        let calls: usize = self.seen.iter().map(|(_, _, calls)| calls.len()).sum();
        format!(
            "{} flows, {calls} calls, {} failures, {:.0} s",
            self.seen.len(),
            self.cells.len(),
            self.seconds
        )
    }
}

fn next<T>(waiting: &Mutex<VecDeque<T>>) -> Option<T> {
    waiting.lock().unwrap().pop_front()
}

/// The failures of every call. What is the same for all (a failure that passes is not seen, throttling and slowness are
/// failures) is only sampled, and stands in no column of the document.
fn cases(undisturbed: &BTreeMap<usize, Undisturbed>, extent: Extent) -> Vec<Case> {
    let (mut cases, mut told, mut same) = (Vec::new(), 0, 0);
    for (flow, seen) in undisturbed {
        for call in &seen.calls {
            for trouble in Trouble::ALL.into_iter().filter(|trouble| trouble.happens_to(&call.named)) {
                for often in Often::ALL {
                    let same_for_all = match trouble {
                        Trouble::Error | Trouble::Unprocessed => often == Often::Once,
                        Trouble::Throttled | Trouble::Slow => true,
                        // What only reads is not done by halves.
                        Trouble::AnswerLost => !is_write(&call.named),
                        Trouble::Conflict => false,
                    };
                    let count = if same_for_all { &mut same } else { &mut told };
                    *count += 1;
                    let wanted = match extent {
                        Extent::All => true,
                        Extent::Document => !same_for_all,
                        Extent::Sample if same_for_all => *count % SAMPLE_OF_SAME == 0,
                        Extent::Sample => *count % SAMPLE == 0,
                    };
                    if wanted {
                        cases.push(Case { flow: *flow, call: call.clone(), trouble, often });
                    }
                }
            }
        }
    }
    cases
}

fn is_write(call: &NamedCall) -> bool {
    !["Get", "Query", "BatchGet"].iter().any(|read| call.name.starts_with(read))
}

/// What one bench tries one after another: of one flow, and what waits long by itself, first.
fn portions(cases: Vec<Case>) -> VecDeque<Vec<Case>> {
    let (slow, others): (Vec<_>, Vec<_>) = cases.into_iter().partition(|case| case.trouble == Trouble::Slow);
    let of_one_flow = |one: &Case, other: &Case| one.flow == other.flow;
    let slow = slow.chunk_by(of_one_flow).flat_map(|of_flow| of_flow.chunks(SLOW_PORTION).map(<[_]>::to_vec));
    let others = others.chunk_by(of_one_flow).flat_map(|of_flow| of_flow.chunks(PORTION).map(<[_]>::to_vec));
    slow.chain(others).collect()
}

async fn undisturbed(bench: &Bench, flow: &Flow) -> Undisturbed {
    bench.begin_anew();
    let step = (flow.prepare)(bench).await;
    let process = bench.process(flow.function).await;
    bench.watch();
    let ended = bench.take(&process, &step).await;
    bench.settle().await;
    let stack = &bench.running.stack;
    let mut named = stack.secrets_manager.hook().watched();
    named.extend(stack.dynamodb.hook().watched());
    bench.let_calls_be();
    assert!(ended.is_good(), "{}: {ended:?}", flow.name);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut calls: Vec<Call> = Vec::new();
    for named in named {
        let count = counts.entry(named.name.clone()).or_default();
        calls.push(Call { named, nth: *count });
        *count += 1;
    }
    // Of many that are alike, as for each of many installations, the first two and the last.
    calls.retain(|call| call.nth < 2 || call.nth + 1 == counts[&call.named.name]);
    // Some are made at the same time, in any order.
    calls.sort();
    let (items, violations) = bench.table().await;
    assert!(violations.is_empty(), "{}: {violations:?}", flow.name);
    let after = picture::of(&items);
    let (again, after_again) = again(bench, flow, &process, &step).await;
    assert!(is_allowed(flow, &again), "{} again: {again:?}", flow.name);
    Undisturbed { word: ended.word(), calls, after, after_again }
}

/// The same once more, or anew.
async fn again(bench: &Bench, flow: &Flow, process: &Process, step: &Step) -> (Ended, Picture) {
    let ended = match flow.again {
        Again::Same(_) | Again::Spent(_) => bench.take(process, step).await,
        Again::Anew => {
            let step = (flow.prepare)(bench).await;
            bench.take(process, &step).await
        }
    };
    bench.settle().await;
    (ended, picture::of(&bench.table().await.0))
}

fn is_anothers_word(flow: &Flow, case: &Case) -> bool {
    let told = (flow.name, &*case.call.named.name);
    case.trouble == Trouble::Conflict && ANOTHERS_WORD.contains(&told)
}

fn is_allowed(flow: &Flow, again: &Ended) -> bool {
    match flow.again {
        Again::Same(words) | Again::Spent(words) => words.contains(&&*again.word()),
        Again::Anew => again.is_good(),
    }
}

/// One failure: what is answered, and everything that is wrong about it.
async fn play(
    bench: &Bench,
    flow: &Flow,
    expected: &Undisturbed,
    case: &Case,
    prepared: &mut Option<(Step, Vec<Value>)>,
    at_work: &Semaphore,
) -> (String, Vec<String>) {
    let mut problems = Vec::new();
    let permit = at_work.acquire().await.unwrap();
    let step = match prepared {
        Some((step, items)) => {
            bench.restore(items);
            step.clone()
        }
        None => {
            bench.begin_anew();
            let step = (flow.prepare)(bench).await;
            // What a host gives once cannot be put back.
            if matches!(flow.again, Again::Same(_)) {
                *prepared = Some((step.clone(), bench.snapshot()));
            }
            step
        }
    };
    let process = bench.process(flow.function).await;
    bench.watch();
    let stack = &bench.running.stack;
    for hook in [stack.dynamodb.hook(), stack.secrets_manager.hook()] {
        hook.fail_named(&case.call.named.name, case.call.nth, case.often.times(), &case.trouble.fault());
    }
    let permit = if case.trouble == Trouble::Slow {
        drop(permit);
        None
    } else {
        Some(permit)
    };
    let ended = bench.take(&process, &step).await;
    bench.settle().await;
    let _permit = match permit {
        Some(permit) => permit,
        None => at_work.acquire().await.unwrap(),
    };
    bench.let_calls_be();

    let (items, violations) = bench.table().await;
    problems.extend(violations.into_iter().map(|violation| format!("then {violation}")));
    problems.extend(ended.problem(flow.family));
    let after = picture::of(&items);
    let mut word = ended.word();
    let passes = case.often == Often::Once && !matches!(case.trouble, Trouble::Conflict);
    if ended.is_good() && word == expected.word {
        match difference(&after, &expected.after) {
            None => {}
            // What is only remembered may be remembered the next time.
            Some(_) if is_anothers_word(flow, case) => {}
            Some(_) if !flow.acknowledges && !passes => word.push_str(", not all is noted"),
            Some(difference) => problems.push(format!("what was acknowledged is not so: {difference}")),
        }
    } else if passes {
        problems.push(format!("a failure that passes is seen: {ended:?}"));
    } else if word.starts_with("500") || (word.starts_with('2') && word != expected.word) {
        problems.push(format!("it is neither done nor to be tried again: {ended:?}"));
    }

    let (again, after_again) = again(bench, flow, &process, &step).await;
    if !is_allowed(flow, &again) {
        problems.push(format!("the same process does not recover: {again:?}"));
    } else if again.is_good()
        && !is_anothers_word(flow, case)
        && let Some(difference) = difference(&after_again, &expected.after_again)
    {
        problems
            .push(format!("tried again ({}), it is not as if nothing had been: {difference}", again.word()));
    }
    if !again.is_good() {
        word.push_str(&format!(", then {}", again.word()));
    }
    let (_, violations) = bench.table().await;
    problems.extend(violations.into_iter().map(|violation| format!("in the end {violation}")));
    (word, problems)
}
