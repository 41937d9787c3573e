//! Which token is sent how, and what an ended, wrong or narrow one means.
//! How tokens are obtained is tested in `signing_in`.

use std::time::Duration;

use local::sandbox_bitbucket::{AuthorizationKind, Scope};
use shared::provider::token::FixedToken;
use shared::provider::{CallError, ForbiddenReason, OwnerType, ProviderError, Sort};

use super::lab::{Lab, Renewable, budget, host_error, names, token};

const FORBIDDEN: ProviderError = ProviderError::Forbidden(ForbiddenReason::Plain);

#[tokio::test]
async fn oauth_tokens_go_as_bearer_and_api_tokens_as_basic() {
    let lab = Lab::new().await;
    for (source, kind) in [
        (lab.oauth("bitbucket-cat"), AuthorizationKind::Bearer),
        (token(&lab.api_token("bitbucket-cat")), AuthorizationKind::Basic),
    ] {
        lab.sandbox.clear_calls();
        let user = lab.client.user(&source, &budget()).await.unwrap();
        assert_eq!(user.login, "bitbucket-cat");
        assert!(user.id.starts_with('{') && user.id.ends_with('}') && user.avatar_url.is_some());
        let found = lab.client.repositories(&source, &budget()).await.unwrap();
        assert_eq!(found.repositories.len(), 7);
        assert!(lab.sandbox.calls().iter().all(|call| call.authorization == kind));
    }
}

#[tokio::test]
async fn a_nickname_is_the_login_of_who_has_no_username() {
    let lab = Lab::new().await;
    let user = lab.client.user(&lab.oauth("many-workspaces"), &budget()).await.unwrap();
    assert_eq!(user.login, "many-workspaces");
}

#[tokio::test]
async fn an_api_token_needs_the_address_beside_it_and_is_no_bearer_token() {
    let lab = Lab::new().await;
    let good = lab.api_token("bitbucket-cat");
    let secret = good.split_once(':').unwrap().1;
    for wrong in [
        format!("bitbucket-cat:{secret}"),
        format!("x-bitbucket-api-token-auth:{secret}"),
        format!("many-workspaces@example.com:{secret}"),
        "bitbucket-cat@example.com:wrong".to_owned(),
        secret.to_owned(),
        "nonsense".to_owned(),
        // Where git would take it.
        format!("x-token-auth:{}", lab.sandbox.mint_user_token("bitbucket-cat").access_token),
    ] {
        let refused = lab.client.user(&token(&wrong), &budget()).await;
        assert_eq!(host_error(refused), ProviderError::Unauthorized);
        let refused = lab.client.repositories(&token(&wrong), &budget()).await;
        assert_eq!(host_error(refused), ProviderError::Unauthorized);
    }
}

#[tokio::test]
async fn an_ended_and_a_revoked_token_end_the_whole_listing() {
    let lab = Lab::new().await;
    let ended = lab.oauth("bitbucket-cat");
    lab.clock.advance(Duration::from_secs(7_201));
    let revoked = lab.oauth("bitbucket-cat");
    lab.sandbox.revoke_grant("bitbucket-cat");
    for source in [ended, revoked] {
        assert_eq!(host_error(lab.client.user(&source, &budget()).await), ProviderError::Unauthorized);
        assert_eq!(
            host_error(lab.client.installations(&source, &budget()).await),
            ProviderError::Unauthorized
        );
        assert_eq!(
            host_error(lab.client.repositories(&source, &budget()).await),
            ProviderError::Unauthorized
        );
        let page = lab.client.installation_page("acme-corp", Sort::Pushed, 1, 10, &source, &budget()).await;
        assert_eq!(host_error(page), ProviderError::Unauthorized);
    }
}

#[tokio::test]
async fn a_token_that_ends_is_renewed_and_the_listing_goes_on() {
    let lab = Lab::new().await;
    let new = lab.sandbox.mint_user_token("bitbucket-cat").access_token;
    let source = Renewable::new(&["ended", &new]);
    assert_eq!(lab.client.repositories(&source, &budget()).await.unwrap().repositories.len(), 7);
    let source = Renewable::new(&["ended", "ended too"]);
    assert_eq!(host_error(lab.client.repositories(&source, &budget()).await), ProviderError::Unauthorized);
}

#[tokio::test]
async fn a_workspaces_own_token_reads_its_page_without_a_user_and_lists_nothing() {
    let lab = Lab::new().await;
    let source = token(&lab.sandbox.try_mint_workspace_token("acme-corp").unwrap());
    let page = lab.client.installation_page("acme-corp", Sort::FullName, 1, 100, &source, &budget()).await;
    let (page, more) = page.unwrap();
    assert_eq!(names(&page), ["acme-corp/api", "acme-corp/homeless", "acme-corp/tools"]);
    assert!(!more);
    // Nobody can be asked, so the owner's type tells.
    assert!(page.iter().all(|repository| repository.owner_type == Some(OwnerType::Organization)));
    let source = token(&lab.sandbox.try_mint_workspace_token("bitbucket-cat").unwrap());
    let page = lab.client.installation_page("bitbucket-cat", Sort::Pushed, 1, 100, &source, &budget()).await;
    assert!(page.unwrap().0.iter().all(|repository| repository.owner_type == Some(OwnerType::User)));
    assert_eq!(host_error(lab.client.user(&source, &budget()).await), ProviderError::Unauthorized);
    assert_eq!(host_error(lab.client.repositories(&source, &budget()).await), ProviderError::Unauthorized);
}

#[tokio::test]
async fn a_missing_scope_is_a_refusal_except_where_only_the_user_is_missing() {
    let lab = Lab::new().await;
    let with = |scopes: &[Scope]| -> FixedToken {
        token(&lab.sandbox.try_mint_api_token("bitbucket-cat", scopes).unwrap())
    };
    let no_user = with(&[Scope::Workspace, Scope::Repository]);
    assert_eq!(host_error(lab.client.user(&no_user, &budget()).await), FORBIDDEN);
    let found = lab.client.repositories(&no_user, &budget()).await.unwrap();
    assert_eq!((found.repositories.len(), found.missing.len()), (7, 0));

    let no_workspaces = with(&[Scope::User, Scope::Repository]);
    assert_eq!(host_error(lab.client.installations(&no_workspaces, &budget()).await), FORBIDDEN);
    assert_eq!(host_error(lab.client.repositories(&no_workspaces, &budget()).await), FORBIDDEN);

    let no_repositories = with(&[Scope::User, Scope::Workspace]);
    assert_eq!(lab.client.installations(&no_repositories, &budget()).await.unwrap().len(), 3);
    assert_eq!(host_error(lab.client.repositories(&no_repositories, &budget()).await), FORBIDDEN);
}

#[tokio::test]
async fn a_token_that_no_header_can_carry_is_not_accepted() {
    let lab = Lab::new().await;
    let result = lab.client.user(&token("line\nbreak"), &budget()).await;
    assert!(matches!(result, Err(CallError::Host(ProviderError::Unauthorized))));
    assert!(lab.sandbox.calls().is_empty());
}
