//! `cargo bench -p benchmarks --bench start_up -- [BINARY...] [RUNS]`: how fast release functions start.
//! Without a binary it measures every function that has been built with `cargo build --release`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use benchmarks::aws::Secrets;
use benchmarks::cpu_share::CpuShare;
use benchmarks::{events, process, report};

const RUNS: usize = 40;
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
    println!("Medians of {runs} starts each; endpoints on this machine, without TLS.\n\n{}", report::HEAD);
    for binary in &binaries {
        println!("{}", measure(root, binary, runs, &secrets)?);
    }
    println!("\nEvents under the CPU share that Lambda gives at that memory; starting has all of one CPU.\n");
    println!("{}", report::SHARES_HEAD);
    for binary in &binaries {
        for megabytes in MEMORIES {
            match CpuShare::of_memory(megabytes) {
                Ok(share) => println!("{}", under(&share, megabytes, root, binary, runs, &secrets)?),
                Err(problem) => {
                    println!("\n{problem}");
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

fn under(
    share: &CpuShare,
    megabytes: u64,
    root: &Path,
    binary: &Path,
    runs: usize,
    secrets: &Secrets,
) -> Result<String, String> {
    let name = binary.file_name().unwrap_or_default().to_string_lossy();
    let event = events::of(root, &name)?.swap_remove(0);
    let measured: Vec<_> = (0..runs)
        .map(|_| process::measure_with(binary, &event, secrets, Some(share)))
        .collect::<Result<_, _>>()?;
    Ok(report::share_line(&name, megabytes, &measured))
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

fn measure(root: &Path, binary: &Path, runs: usize, secrets: &Secrets) -> Result<String, String> {
    let name = binary.file_name().unwrap_or_default().to_string_lossy();
    let event = events::of(root, &name)?.swap_remove(0);
    // The first start reads the binary from the disk; the others are what is measured.
    process::measure(binary, &event, secrets)?;
    let measured: Vec<_> =
        (0..runs).map(|_| process::measure(binary, &event, secrets)).collect::<Result<_, _>>()?;
    let size = fs::metadata(binary).map_err(|error| format!("{}: {error}", binary.display()))?.len();
    Ok(report::line(&name, size, &measured))
}
