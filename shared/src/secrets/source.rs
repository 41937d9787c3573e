//! Where secrets come from: one call of Secrets Manager, through the AWS SDK.
//! What went wrong is told without the SDK's own texts, which may hold what must not be logged.

use std::fmt;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::ProvideErrorMetadata;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use futures::future::BoxFuture;
use secrecy::SecretString;

use super::SecretsError;
use crate::aws::Deferred;

/// Where secrets come from; Secrets Manager outside tests.
pub trait SecretSource: fmt::Debug + Send + Sync {
    /// The current value of one secret.
    fn read<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<SecretString, SecretsError>>;
}

impl SecretSource for Deferred<Client> {
    fn read<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<SecretString, SecretsError>> {
        Box::pin(async move {
            let answer = self.get_secret_value().secret_id(id).send().await.map_err(|error| {
                match error.as_service_error() {
                    Some(GetSecretValueError::ResourceNotFoundException(_)) => {
                        SecretsError::NotFound(id.to_owned())
                    }
                    service => SecretsError::Unavailable {
                        secret: id.to_owned(),
                        reason: service
                            .and_then(ProvideErrorMetadata::code)
                            .unwrap_or("no answer")
                            .to_owned(),
                    },
                }
            })?;
            let text = answer.secret_string.or_else(|| {
                answer.secret_binary.and_then(|bytes| String::from_utf8(bytes.into_inner()).ok())
            });
            text.map(SecretString::from).ok_or_else(|| SecretsError::Malformed {
                secret: id.to_owned(),
                what: "it is empty or not text".to_owned(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_credential_types::Credentials;
    use aws_sdk_secretsmanager::Config;
    use aws_sdk_secretsmanager::config::retry::RetryConfig;
    use aws_sdk_secretsmanager::config::{BehaviorVersion, Region};
    use aws_smithy_runtime_api::client::http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
    };
    use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
    use aws_smithy_runtime_api::client::result::ConnectorError;
    use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
    use aws_smithy_types::body::SdkBody;
    use secrecy::ExposeSecret;

    use super::*;

    /// A Secrets Manager that gives one answer and keeps what it was asked; `None` hangs up.
    #[derive(Clone, Debug)]
    struct Fake {
        answer: Option<(u16, &'static str)>,
        asked: Arc<Mutex<Vec<String>>>,
    }

    impl HttpConnector for Fake {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let body = request.body().bytes().unwrap_or_default();
            self.asked.lock().unwrap().push(String::from_utf8_lossy(body).into_owned());
            let answer = self.answer.ok_or_else(|| ConnectorError::io("connection reset by peer".into()));
            HttpConnectorFuture::ready(
                answer
                    .map(|(status, body)| HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))),
            )
        }
    }

    impl HttpClient for Fake {
        fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
            SharedHttpConnector::new(self.clone())
        }
    }

    async fn read(answer: Option<(u16, &'static str)>) -> (Result<String, SecretsError>, Vec<String>) {
        let fake = Fake { answer, asked: Arc::default() };
        let config = Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("AKIDEXAMPLE", "secret", None, None, "test"))
            .retry_config(RetryConfig::disabled())
            .http_client(fake.clone())
            .build();
        let secret = Deferred::from(Client::from_conf(config)).read("app").await;
        let asked = fake.asked.lock().unwrap().clone();
        (secret.map(|text| text.expose_secret().to_owned()), asked)
    }

    fn unavailable(reason: &str) -> Result<String, SecretsError> {
        Err(SecretsError::Unavailable { secret: "app".to_owned(), reason: reason.to_owned() })
    }

    #[tokio::test]
    async fn a_secret_is_asked_for_by_its_id_and_comes_as_text_or_bytes() {
        let (secret, asked) = read(Some((200, r#"{"Name":"app","SecretString":"hunter2"}"#))).await;
        assert_eq!(secret.unwrap(), "hunter2");
        assert_eq!(asked, [r#"{"SecretId":"app"}"#]);
        let (secret, _) = read(Some((200, r#"{"Name":"app","SecretBinary":"aHVudGVyMg=="}"#))).await;
        assert_eq!(secret.unwrap(), "hunter2");
    }

    #[tokio::test]
    async fn a_secret_without_text_is_malformed() {
        for body in [r#"{"Name":"app"}"#, r#"{"Name":"app","SecretBinary":"/w=="}"#] {
            let (secret, _) = read(Some((200, body))).await;
            let what = "it is empty or not text".to_owned();
            assert_eq!(secret, Err(SecretsError::Malformed { secret: "app".to_owned(), what }));
        }
    }

    #[tokio::test]
    async fn errors_are_told_by_their_code_and_not_by_their_text() {
        let (secret, _) = read(Some((400, r#"{"__type":"ResourceNotFoundException"}"#))).await;
        assert_eq!(secret, Err(SecretsError::NotFound("app".to_owned())));
        let denied = r#"{"__type":"AccessDeniedException","Message":"hunter2"}"#;
        assert_eq!(read(Some((400, denied))).await.0, unavailable("AccessDeniedException"));
        let broken = r#"{"__type":"InternalServiceError"}"#;
        assert_eq!(read(Some((500, broken))).await.0, unavailable("InternalServiceError"));
        assert_eq!(read(None).await.0, unavailable("no answer"));
    }
}
