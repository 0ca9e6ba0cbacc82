//! Questions to humans: gateways ask, humans answer.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use writ_broker_api::approval::{
    ApprovalReply, ApprovalRequest, ApprovalsQuery, BreakGlassRequest, ReviewRequest, VoteRequest,
};
use writ_core::approval::Approval;
use writ_core::id::ApprovalId;

use super::App;
use super::caller::{Known, May, ToApprove, ToBreakGlass};
use super::respond::Checked;
use crate::refusal::Refusal;

type Answer<T> = Result<Json<T>, Refusal>;

pub(super) async fn ask(
    State(app): State<App>,
    Known(gateway): Known,
    Checked(Json(request)): Checked<Json<ApprovalRequest>>,
) -> Answer<ApprovalReply> {
    app.broker.ask_approval(&gateway, request).await.map(Json)
}

pub(super) async fn stands(
    State(app): State<App>,
    Known(gateway): Known,
    Checked(Path(approval)): Checked<Path<ApprovalId>>,
) -> Answer<ApprovalReply> {
    app.broker.gateways_approval(&gateway, approval).await.map(Json)
}

pub(super) async fn withdraw(
    State(app): State<App>,
    Known(gateway): Known,
    Checked(Path(approval)): Checked<Path<ApprovalId>>,
) -> Result<StatusCode, Refusal> {
    app.broker.withdraw_approval(&gateway, approval).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn take(
    State(app): State<App>,
    Known(gateway): Known,
    Checked(Path(approval)): Checked<Path<ApprovalId>>,
) -> Answer<ApprovalReply> {
    app.broker.use_approval(&gateway, approval).await.map(Json)
}

pub(super) async fn list(
    State(app): State<App>,
    _: May<ToApprove>,
    Checked(Query(query)): Checked<Query<ApprovalsQuery>>,
) -> Answer<Vec<Approval>> {
    app.broker.approvals(&query).await.map(Json)
}

pub(super) async fn show(
    State(app): State<App>,
    _: May<ToApprove>,
    Checked(Path(approval)): Checked<Path<ApprovalId>>,
) -> Answer<Approval> {
    app.broker.approval(approval).await.map(Json)
}

pub(super) async fn vote(
    State(app): State<App>,
    May { by, .. }: May<ToApprove>,
    Checked(Path(approval)): Checked<Path<ApprovalId>>,
    Checked(Json(request)): Checked<Json<VoteRequest>>,
) -> Answer<Approval> {
    app.broker.vote(approval, &by, &request).await.map(Json)
}

pub(super) async fn break_glass(
    State(app): State<App>,
    May { by, .. }: May<ToBreakGlass>,
    Checked(Path(approval)): Checked<Path<ApprovalId>>,
    Checked(Json(request)): Checked<Json<BreakGlassRequest>>,
) -> Answer<Approval> {
    app.broker.break_glass(approval, &by, &request).await.map(Json)
}

pub(super) async fn review(
    State(app): State<App>,
    May { by, .. }: May<ToApprove>,
    Checked(Path(approval)): Checked<Path<ApprovalId>>,
    Checked(Json(request)): Checked<Json<ReviewRequest>>,
) -> Answer<Approval> {
    app.broker.review_glass(approval, &by, &request).await.map(Json)
}

/// What people said in Slack, Teams or PagerDuty. Teams shows what the reply says, whatever it is; the others go by its status.
pub(super) async fn channel(
    State(app): State<App>,
    Checked(Path(webhook)): Checked<Path<String>>,
    headers: HeaderMap,
    Checked(body): Checked<Bytes>,
) -> Result<Json<Value>, Refusal> {
    let words = match app.broker.answer(&webhook, &headers, &body).await {
        Ok(words) => words,
        Err((refusal, true)) => refusal.fault.public.into_owned(),
        Err((refusal, false)) => return Err(refusal),
    };
    Ok(Json(json!({ "type": "message", "text": words })))
}
