//! The share of a CPU that Lambda gives to a function of some memory, by a cgroup of Linux, version 1 or 2.
//! Making one needs root; whoever may not is told so and measures the rest.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Memory at which a function has a whole CPU, in MB (Lambda's documentation, "Configure Lambda function memory").
const WHOLE: u64 = 1769;
/// The period of the quota.
const PERIOD: Duration = Duration::from_millis(20);

/// A cgroup whose processes get that share together; it ends with this.
#[derive(Debug)]
pub struct CpuShare {
    folder: PathBuf,
}

impl CpuShare {
    /// The share of a function with so many MB.
    ///
    /// # Errors
    /// Why there is none here, in words.
    pub fn of_memory(megabytes: u64) -> Result<Self, String> {
        let name = format!("git-installations-{}-{megabytes}", std::process::id());
        let quota = PERIOD.as_micros() as u64 * megabytes / WHOLE;
        let root = Path::new("/sys/fs/cgroup");
        let made = if root.join("cgroup.controllers").exists() {
            Self::make(&root.join(name), &[("cpu.max", format!("{quota} {}", PERIOD.as_micros()))])
        } else {
            let files = [
                ("cpu.cfs_period_us", PERIOD.as_micros().to_string()),
                ("cpu.cfs_quota_us", quota.to_string()),
            ];
            Self::make(&root.join("cpu").join(name), &files)
        };
        made.map_err(|error| format!("no cgroup with a share of the CPU can be made: {error}"))
    }

    fn make(folder: &Path, files: &[(&str, String)]) -> io::Result<Self> {
        fs::create_dir(folder)?;
        // From here on it is removed again, whatever follows.
        let share = Self { folder: folder.to_owned() };
        for (file, text) in files {
            fs::write(share.folder.join(file), text)?;
        }
        Ok(share)
    }

    /// From now on the process gets no more than its share.
    ///
    /// # Errors
    /// The operating system's.
    pub fn limit(&self, process: u32) -> io::Result<()> {
        fs::write(self.folder.join("cgroup.procs"), process.to_string())
    }
}

impl Drop for CpuShare {
    fn drop(&mut self) {
        // A process that has only just ended may hold it for a moment; an empty cgroup that is left costs nothing.
        for _ in 0..20 {
            if fs::remove_dir(&self.folder).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
