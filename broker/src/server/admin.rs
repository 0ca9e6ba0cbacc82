//! What humans may call. Each handler names the one action that it needs, as its first argument after the state:
//! who may not do it is refused before anything else of the request is read.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use writ_broker_api::admin::{
    FreezeRequest, Gateway, HostCertificateReply, HostCertificateRequest, JoinToken, JoinTokenRequest, ListQuery, Me,
    OlderRevoked, Order, Page, RecordingKey, RotationFacts, Session, SessionsQuery, SshFacts, TargetFacts,
    UnfreezeQuery,
};
use writ_broker_api::sealed::Base64;
use writ_core::freeze::Freeze;
use writ_core::id::{FreezeId, GatewayId, SessionId, WritId};
use writ_core::writ::Writ;

use super::App;
use super::caller::{Bearer, May, ToAdmin, ToAudit, ToView};
use super::public::tile_file;
use super::respond::Checked;
use crate::refusal::Refusal;

type Answer<T> = Result<Json<T>, Refusal>;

pub(super) async fn metrics(State(app): State<App>, _: May<ToView>) -> Result<String, Refusal> {
    Ok(app.metrics.map(|metrics| metrics.render()).unwrap_or_default())
}

/// A tile of the ledger's entries. Each says who did what, and why something was refused: what a refused caller is not told.
pub(super) async fn entries(State(app): State<App>, _: May<ToView>, Path(path): Path<String>) -> Response {
    tile_file(&app, "tile/entries", &path).await
}

pub(super) async fn me(State(app): State<App>, Bearer(token): Bearer) -> Answer<Me> {
    app.broker.me(&token).await.map(Json)
}

pub(super) async fn writs(
    State(app): State<App>,
    _: May<ToView>,
    Checked(Query(query)): Checked<Query<ListQuery>>,
) -> Answer<Page<Writ>> {
    app.broker.writs(&query).await.map(Json)
}

pub(super) async fn writ(
    State(app): State<App>,
    _: May<ToView>,
    Checked(Path(writ)): Checked<Path<WritId>>,
) -> Answer<Writ> {
    app.broker.writ(writ).await.map(Json)
}

pub(super) async fn revoke_writ(
    State(app): State<App>,
    May { by, .. }: May<ToAdmin>,
    Checked(Path(writ)): Checked<Path<WritId>>,
    Checked(Json(order)): Checked<Json<Order>>,
) -> Answer<Writ> {
    app.broker.revoke_writ(writ, &order.reason, by.actor()).await.map(Json)
}

pub(super) async fn sessions(
    State(app): State<App>,
    _: May<ToView>,
    Checked(Query(query)): Checked<Query<SessionsQuery>>,
) -> Answer<Page<Session>> {
    app.broker.sessions(query).await.map(Json)
}

pub(super) async fn session(
    State(app): State<App>,
    _: May<ToView>,
    Checked(Path(session)): Checked<Path<SessionId>>,
) -> Answer<Session> {
    app.broker.session(session).await.map(Json)
}

pub(super) async fn kill_session(
    State(app): State<App>,
    May { by, .. }: May<ToAdmin>,
    Checked(Path(session)): Checked<Path<SessionId>>,
    Checked(Json(order)): Checked<Json<Order>>,
) -> Answer<Session> {
    app.broker.kill_session(session, &order.reason, by.actor()).await.map(Json)
}

pub(super) async fn targets(State(app): State<App>, _: May<ToView>) -> Answer<Vec<TargetFacts>> {
    app.broker.targets().await.map(Json)
}

pub(super) async fn probe_target(
    State(app): State<App>,
    _: May<ToAdmin>,
    Path(target): Path<String>,
) -> Result<StatusCode, Refusal> {
    app.broker.probe_target(&target).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn revoke_older(
    State(app): State<App>,
    May { by, .. }: May<ToAdmin>,
    Path(target): Path<String>,
    Checked(Json(order)): Checked<Json<Order>>,
) -> Answer<OlderRevoked> {
    app.broker.revoke_older(&target, &order.reason, by.actor()).await.map(Json)
}

pub(super) async fn rotate_target(
    State(app): State<App>,
    May { by, .. }: May<ToAdmin>,
    Path(target): Path<String>,
    Checked(Json(order)): Checked<Json<Order>>,
) -> Answer<RotationFacts> {
    app.broker.rotate_target(&target, &order.reason, by.actor()).await.map(Json)
}

pub(super) async fn ssh(State(app): State<App>, _: May<ToView>, Path(target): Path<String>) -> Answer<SshFacts> {
    app.broker.ssh(&target).map(Json)
}

pub(super) async fn certify_ssh_host(
    State(app): State<App>,
    May { by, .. }: May<ToAdmin>,
    Path(target): Path<String>,
    Checked(Json(request)): Checked<Json<HostCertificateRequest>>,
) -> Answer<HostCertificateReply> {
    app.broker.certify_ssh_host(&target, request, by.actor()).await.map(Json)
}

pub(super) async fn freezes(State(app): State<App>, _: May<ToView>) -> Answer<Vec<Freeze>> {
    app.broker.freezes().await.map(Json)
}

pub(super) async fn freeze(
    State(app): State<App>,
    May { by, .. }: May<ToAdmin>,
    Checked(Json(request)): Checked<Json<FreezeRequest>>,
) -> Answer<Freeze> {
    app.broker.freeze(request, by.actor()).await.map(Json)
}

pub(super) async fn unfreeze(
    State(app): State<App>,
    May { by, .. }: May<ToAdmin>,
    Checked(Path(freeze)): Checked<Path<FreezeId>>,
    Checked(Query(query)): Checked<Query<UnfreezeQuery>>,
) -> Answer<Freeze> {
    app.broker.unfreeze(freeze, &query.reason, by.actor()).await.map(Json)
}

/// A sealed segment, as stored: ciphertext. It needs the auditor's action all the same.
pub(super) async fn segment(
    State(app): State<App>,
    _: May<ToAudit>,
    Checked(Path((session, stream, sequence))): Checked<Path<(SessionId, String, u64)>>,
) -> Result<Vec<u8>, Refusal> {
    app.broker.segment(session, &stream, sequence).await
}

/// The key to a recording, for the wrapped key that its segments carry. The reading is an event before the key is given.
pub(super) async fn recording_key(
    State(app): State<App>,
    May { by, .. }: May<ToAudit>,
    Checked(Path(session)): Checked<Path<SessionId>>,
    Checked(Json(wrapped)): Checked<Json<Base64>>,
) -> Answer<RecordingKey> {
    app.broker.recording_key(session, &wrapped.0, &by).await.map(Json)
}

pub(super) async fn make_join_token(
    State(app): State<App>,
    May { by, .. }: May<ToAdmin>,
    Checked(Json(request)): Checked<Json<JoinTokenRequest>>,
) -> Answer<JoinToken> {
    app.broker.make_join_token(request, &by).await.map(Json)
}

pub(super) async fn gateways(State(app): State<App>, _: May<ToView>) -> Answer<Vec<Gateway>> {
    app.broker.gateways().await.map(Json)
}

pub(super) async fn revoke_gateway(
    State(app): State<App>,
    May { by, .. }: May<ToAdmin>,
    Checked(Path(gateway)): Checked<Path<GatewayId>>,
) -> Result<StatusCode, Refusal> {
    app.broker.revoke_gateway(gateway, &by).await?;
    Ok(StatusCode::NO_CONTENT)
}
