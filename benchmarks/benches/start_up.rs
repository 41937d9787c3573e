//! `cargo bench -p benchmarks --bench start_up -- [BINARY...] [RUNS]`: how fast release functions start, beside a
//! program that does nothing. Without a binary it measures every function built with `cargo build --release`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use benchmarks::aws::Secrets;
use benchmarks::cpu_share::CpuShare;
use benchmarks::process::Measurement;
use benchmarks::{events, process, report};

const RUNS: usize = 40;
/// What every start is compared with.
const FLOOR: &str = env!("CARGO_BIN_EXE_bare-runtime");
/// The memories whose share of the CPU is tried, in MB.
const MEMORIES: [u64; 2] = [128, 512];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let mut binaries = Vec::new();
    let mut runs = RUNS;
    // Cargo adds --bench.
    for argument in env::args().skip(1).filter(|argument| argument != "--bench") {
        match argument.parse() {
            Ok(number) => runs = std::cmp::max(1, number),
            Err(_) => binaries.push(root.join(argument)),
        }
    }
    if binaries.is_empty() {
        binaries = built(root);
    }
    if binaries.is_empty() {
        return Err("no function has been built; try: cargo build --release -p user-installations".to_owned());
    }
    let key = root.join("local/fixtures/sandbox-app.private-key.pem");
    let key = fs::read_to_string(&key).map_err(|error| format!("{}: {error}", key.display()))?;
    let secrets = Secrets::new(&key);
    let mut subjects =
        vec![Subject { name: "bare-runtime".to_owned(), binary: FLOOR.into(), event: "{}".to_owned() }];
    for binary in binaries {
        subjects.push(Subject::of(root, binary)?);
    }
    println!(
        "Medians of {runs} starts each, in turn; endpoints on this machine, without TLS.\n\n{}",
        report::HEAD
    );
    let measured = in_turn(&subjects, runs, &secrets)?;
    let floor = measured.first().map_or(&[][..], Vec::as_slice);
    for (subject, measured) in subjects.iter().zip(&measured) {
        println!("{}", report::line(&subject.name, subject.bytes()?, measured, floor));
    }
    println!("\nEvents under the CPU share that Lambda gives at that memory; starting has all of one CPU.\n");
    println!("{}", report::SHARES_HEAD);
    for subject in &subjects {
        for megabytes in MEMORIES {
            match CpuShare::of_memory(megabytes) {
                Ok(share) => {
                    let measured = (0..runs)
                        .map(|_| subject.measure(&secrets, Some(&share)))
                        .collect::<Result<Vec<_>, _>>()?;
                    println!("{}", report::share_line(&subject.name, megabytes, &measured));
                }
                Err(problem) => {
                    println!("\n{problem}");
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// A binary and the event that it gets.
struct Subject {
    name: String,
    binary: PathBuf,
    event: String,
}

impl Subject {
    /// A function; of a copy whose name has something behind a dot, as `web.before`, the rest is the function's name.
    fn of(root: &Path, binary: PathBuf) -> Result<Self, String> {
        let name = binary.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let function = name.split('.').next().unwrap_or_default();
        let event = events::of(root, function)?.swap_remove(0);
        Ok(Self { name, binary, event })
    }

    fn bytes(&self) -> Result<u64, String> {
        let found = fs::metadata(&self.binary);
        found.map(|found| found.len()).map_err(|error| format!("{}: {error}", self.binary.display()))
    }

    fn measure(&self, secrets: &Secrets, share: Option<&CpuShare>) -> Result<Measurement, String> {
        process::measure_with(&self.binary, &self.event, secrets, share)
    }
}

/// All subjects once, then all once more, and so on: what else the machine does meets them alike.
fn in_turn(subjects: &[Subject], runs: usize, secrets: &Secrets) -> Result<Vec<Vec<Measurement>>, String> {
    let mut measured: Vec<Vec<Measurement>> = vec![Vec::with_capacity(runs); subjects.len()];
    for run in 0..=runs {
        for (subject, measured) in subjects.iter().zip(&mut measured) {
            let measurement = subject.measure(secrets, None)?;
            // The first start reads the binary from the disk; the others are what is measured.
            if run > 0 {
                measured.push(measurement);
            }
        }
    }
    Ok(measured)
}

/// The release binaries of the functions, as far as there are any.
fn built(root: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(root.join("functions")).into_iter().flatten().flatten();
    let mut binaries: Vec<_> = folders
        .map(|folder| root.join("target/release").join(folder.file_name()))
        .filter(|binary| binary.is_file())
        .collect();
    binaries.sort();
    binaries
}
