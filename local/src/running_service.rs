//! The service that another run of this program has started, used from this process: same settings, same
//! table, same hosts. Where a run writes its settings is `data_folder`'s to say.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use shared::clock::Clock;
use shared::config::{Config, ConfigError};
use shared::failure::Failure;
use shared::provider::upstream::ClientError;
use shared::service::Service;

use crate::data_folder::{self, DataFolderError, FunctionSettings};

/// Why a running service cannot be used, in one line.
#[derive(Debug, thiserror::Error)]
pub enum RunningServiceError {
    /// No service runs with this data folder.
    #[error("no service is running with the data folder {}; start it with `cargo run` first", .0.display())]
    NotRunning(PathBuf),
    /// The data folder cannot be read.
    #[error(transparent)]
    DataFolder(#[from] DataFolderError),
    /// A setting.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The HTTP client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// What was to be done with the service failed.
    #[error(transparent)]
    Failure(#[from] Failure),
}

/// The settings of the service that runs with a data folder.
///
/// # Errors
/// [`RunningServiceError::NotRunning`] where none does, or why the folder cannot be read.
pub fn settings(folder: &Path) -> Result<FunctionSettings, RunningServiceError> {
    data_folder::functions_of_run(folder)?.ok_or_else(|| RunningServiceError::NotRunning(folder.to_owned()))
}

/// Does one thing with the service that runs with a data folder, as one of its functions would.
///
/// # Errors
/// [`RunningServiceError`]: there is no such service, or what was to be done failed.
pub async fn with_service<F, D, T>(folder: &Path, work: D) -> Result<T, RunningServiceError>
where
    D: FnOnce(Arc<Service>) -> F,
    F: Future<Output = Result<T, Failure>>,
{
    let settings = settings(folder)?;
    let config = Config::from_lookup(|name| settings.get(name).cloned())?;
    Ok(work(Service::new(config, Clock::system())?).await?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use shared::provider::upstream::Budget;
    use tokio::time::Instant;

    use super::*;
    use crate::data_folder::{DataFolder, Ready};
    use crate::sandbox_github::demo_world;
    use crate::stack::{Options, Stack};

    fn ready(url: &str) -> Ready {
        Ready { url: url.to_owned(), demo_user: None, endpoints: BTreeMap::new() }
    }

    fn not_running(path: &Path) -> String {
        format!(
            "no service is running with the data folder {}; start it with `cargo run` first",
            path.display()
        )
    }

    #[test]
    fn without_a_run_that_is_ready_one_is_told_to_start_it() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        let told = || settings(&path).unwrap_err().to_string();
        assert_eq!(told(), not_running(&path), "no folder");
        assert!(!path.exists(), "looking makes nothing");

        let folder = DataFolder::open(&path, false).unwrap();
        assert_eq!(told(), not_running(&path), "not ready");
        let written = BTreeMap::from([("TABLE_NAME".to_owned(), "t".to_owned())]);
        folder.write_functions(&written).unwrap();
        assert_eq!(told(), not_running(&path), "still not ready");
        folder.announce(&ready("http://localhost:3000")).unwrap();
        assert_eq!(settings(&path).unwrap(), written);
        drop(folder);
        assert_eq!(told(), not_running(&path), "ended");
    }

    #[test]
    fn what_a_killed_run_left_is_no_running_service() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        drop(DataFolder::open(&path, false).unwrap());
        std::fs::write(path.join("ready.json"), "{}").unwrap();
        std::fs::write(path.join("functions.json"), r#"{"Parameters": {}}"#).unwrap();
        assert_eq!(settings(&path).unwrap_err().to_string(), not_running(&path));
    }

    #[test]
    fn settings_that_are_not_ours_are_named_with_their_file() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        let folder = DataFolder::open(&path, false).unwrap();
        folder.announce(&ready("http://localhost:3000")).unwrap();
        for text in ["", "[]", r#"{"Parameters": 5}"#] {
            std::fs::write(folder.functions_json(), text).unwrap();
            let error = settings(&path).unwrap_err().to_string();
            assert!(error.starts_with(&folder.functions_json().display().to_string()), "{error}");
        }
    }

    #[tokio::test]
    async fn another_process_works_with_the_same_table_and_hosts() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        let folder = DataFolder::open(&path, false).unwrap();
        let clock = Clock::system();
        let token_keys = folder.token_key_ring().unwrap();
        let stack =
            Stack::start(Options { token_keys, ..Options::in_memory(demo_world(), clock) }).await.unwrap();
        folder.write_functions(&stack.settings).unwrap();
        folder.announce(&ready(&stack.url)).unwrap();
        let counted = with_service(&path, async |service| {
            service.table.connect().await?;
            let budget = Budget::new(Instant::now() + Duration::from_secs(10), 1);
            let app = service.github_app.app(&service.github, &budget).await?;
            Ok(app.installations_count)
        });
        let installations = stack.github.as_ref().unwrap().world(|world| world.installations.len());
        assert_eq!(counted.await.unwrap(), Some(installations as u64));

        let failed = with_service(&path, async |_| Err::<(), _>(Failure::NotFound("the cursor"))).await;
        assert_eq!(failed.unwrap_err().to_string(), "the cursor not found");
        stack.stop().await;
    }
}
