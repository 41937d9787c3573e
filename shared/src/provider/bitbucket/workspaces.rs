//! `GET /user/workspaces`: the workspaces that a user belongs to, which are Bitbucket's installations.
//! The older listings of all workspaces and repositories are gone (410, reference: Bitbucket 2.1).

use serde::Deserialize;
use serde_json::value::RawValue;

use super::reading::Item;
use super::{Bitbucket, text};
use crate::provider::CallError;
use crate::provider::field::value;
use crate::provider::token::TokenSource;
use crate::provider::upstream::Budget;

/// A workspace, by what addresses it.
pub(super) struct Workspace(String);

#[derive(Deserialize)]
struct WorkspaceAccess<'a> {
    #[serde(borrow)]
    workspace: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WorkspaceBase<'a> {
    #[serde(borrow)]
    slug: Option<&'a RawValue>,
    uuid: Option<&'a RawValue>,
}

impl Item for Workspace {
    fn read(item: &str, _: Option<&str>) -> Option<Self> {
        let access: WorkspaceAccess<'_> = serde_json::from_str(item).ok()?;
        let workspace: WorkspaceBase<'_> = value(access.workspace)?;
        // The uuid in braces stands wherever a slug may stand.
        text(workspace.slug).or_else(|| text(workspace.uuid)).map(Self)
    }

    fn key(&self) -> &str {
        &self.0
    }
}

impl Bitbucket {
    /// The slugs of the workspaces that the user belongs to, in Bitbucket's order.
    ///
    /// # Errors
    /// [`CallError`] if any page fails: a cut list would look like a whole one.
    pub async fn installations<T: TokenSource>(
        &self,
        source: &T,
        budget: &Budget,
    ) -> Result<Vec<String>, CallError> {
        let url = self.url(&["user", "workspaces"], &[]);
        let (found, failed) = self.all::<Workspace, T>(&url, None, source, budget).await;
        match failed {
            Some(error) => Err(error),
            None => Ok(found.into_iter().map(|workspace| workspace.0).collect()),
        }
    }
}
