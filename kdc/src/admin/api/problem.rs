//! Why a request was not answered (RFC 9457), with the field at fault, the rule and the way out.
//! Nothing that the caller sent is repeated. Not here: why operations are refused.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::no_store;
use crate::admin::operation::{Reason, Refusal};

/// The media type.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What the types of problems begin with; the rule follows.
const TYPE: &str = "urn:kdc:problem:";

/// A problem (RFC 9457 3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `urn:kdc:problem:` and the rule.
    #[serde(rename = "type")]
    pub kind: String,
    /// The rule in words.
    pub title: String,
    /// The status of the response.
    pub status: u16,
    /// What is wrong, in the words of MIT's kadmin where it has some.
    pub detail: String,
    /// What of the request is at fault, such as `settings.max_life` or `operations[3].principal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The rule that was broken. These names stay.
    pub rule: String,
    /// The way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Rules of operations, with the status, the title, and the hint where the refusal has none.
const RULES: &[(Reason, StatusCode, &str, Option<&str>)] = &[
    (Reason::Exists, StatusCode::CONFLICT, "The name is taken", Some("choose another, or change what has it")),
    (
        Reason::Missing,
        StatusCode::NOT_FOUND,
        "There is nothing of this name",
        Some("GET the collection to see what there is"),
    ),
    (
        Reason::LockedDown,
        StatusCode::FORBIDDEN,
        "The keys are locked down",
        Some("kadmin as root on the KDC can take lockdown_keys away"),
    ),
    (Reason::Invalid, StatusCode::UNPROCESSABLE_ENTITY, "This makes no sense", None),
    (Reason::Password, StatusCode::UNPROCESSABLE_ENTITY, "The password breaks a rule", None),
    (
        Reason::Denied,
        StatusCode::FORBIDDEN,
        "The caller may not do this",
        Some("a row of [[admin.acl]] in kdc.toml gives this right"),
    ),
    (Reason::Changed, StatusCode::PRECONDITION_FAILED, "It was changed meanwhile", Some("GET it again for its ETag")),
    (Reason::Failed, StatusCode::INTERNAL_SERVER_ERROR, "The KDC failed", Some("see the log of the KDC")),
];

/// Rules of HTTP, by status.
const STATUSES: &[(StatusCode, &str)] = &[
    (StatusCode::BAD_REQUEST, "malformed"),
    (StatusCode::UNAUTHORIZED, "unauthenticated"),
    (StatusCode::FORBIDDEN, "denied"),
    (StatusCode::NOT_FOUND, "no_such_resource"),
    (StatusCode::METHOD_NOT_ALLOWED, "no_such_method"),
    (StatusCode::REQUEST_TIMEOUT, "too_slow"),
    (StatusCode::PRECONDITION_FAILED, "malformed"),
    (StatusCode::PAYLOAD_TOO_LARGE, "too_long"),
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json"),
    (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
    (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
];

impl Problem {
    /// A problem with a request.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let rule = STATUSES.iter().find(|(known, _)| *known == status).map_or("failed", |(_, rule)| rule);
        let title = status.canonical_reason().unwrap_or_default().to_owned();
        let kind = format!("{TYPE}{rule}");
        let rule = rule.to_owned();
        Problem { kind, title, status: status.as_u16(), detail: detail.into(), field: None, rule, hint: None }
    }

    /// The same, naming what of the request is at fault.
    #[must_use]
    pub fn at(self, field: impl Into<String>) -> Self {
        Problem { field: Some(field.into()), ..self }
    }

    /// The refusal that it tells of, for who asked.
    pub fn refusal(self) -> Refusal {
        let row = RULES.iter().find(|(reason, ..)| reason.name() == self.rule);
        let reason = row.map(|(reason, ..)| *reason).unwrap_or(match self.status {
            400..=499 => Reason::Invalid,
            _ => Reason::Failed,
        });
        // What every refusal of this kind gets as a hint says nothing about this one.
        let advice = self.hint.filter(|hint| row.is_none_or(|(.., usual)| Some(&**hint) != *usual));
        Refusal { reason, text: self.detail, advice, field: self.field }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let rule = refusal.reason.name();
        let row = RULES.iter().find(|(reason, ..)| *reason == refusal.reason);
        let (status, title, hint) = row
            .map_or((StatusCode::INTERNAL_SERVER_ERROR, "The KDC failed", None), |(_, status, title, hint)| {
                (*status, *title, *hint)
            });
        Problem {
            kind: format!("{TYPE}{rule}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: refusal.text,
            field: refusal.field,
            rule: rule.to_owned(),
            hint: refusal.advice.or_else(|| hint.map(ToOwned::to_owned)),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // Texts alone: this can't fail.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let kind = HeaderValue::from_static(MEDIA_TYPE);
        no_store((status, [(header::CONTENT_TYPE, kind)], body).into_response())
    }
}
