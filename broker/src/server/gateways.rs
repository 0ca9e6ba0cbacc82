//! What gateways call, over mTLS; enrolment alone needs no certificate.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use writ_broker_api::gateway::{
    CloseRequest, EnrolReply, EnrolRequest, OpenRequest, RenewReply, RenewRequest, SegmentFacts, SyncReply, SyncRequest,
};
use writ_core::id::SessionId;

use super::App;
use super::caller::{Known, Peer};
use super::respond::Checked;
use crate::issue::Opening;
use crate::rates::Caller;
use crate::refusal::Refusal;

type Answer<T> = Result<Json<T>, Refusal>;

pub(super) async fn enrol(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    Checked(Json(request)): Checked<Json<EnrolRequest>>,
) -> Answer<EnrolReply> {
    app.broker.admit(Caller::enrols(peer.address.ip())).await?;
    app.broker.enrol(&request).await.map(Json)
}

pub(super) async fn renew(
    State(app): State<App>,
    Known(gateway): Known,
    Checked(Json(request)): Checked<Json<RenewRequest>>,
) -> Answer<RenewReply> {
    app.broker.renew(&gateway, &request).await.map(Json)
}

pub(super) async fn sync(
    State(app): State<App>,
    Known(gateway): Known,
    Checked(Json(request)): Checked<Json<SyncRequest>>,
) -> Answer<SyncReply> {
    app.broker.sync(&gateway, &request).await.map(Json)
}

/// The one endpoint whose answer holds a credential: sealed to the gateway that asked. A workload has no certificate.
pub(super) async fn open(
    State(app): State<App>,
    Known(gateway): Known,
    Checked(Json(request)): Checked<Json<OpenRequest>>,
) -> Result<Response, Refusal> {
    // Whatever becomes of the connection, an issuance that began is finished and settled.
    let broker = app.broker.clone();
    let issuing = tokio::spawn(async move { broker.open(&gateway, &request).await });
    match issuing.await {
        Ok(outcome) => outcome.map(|opening| match opening {
            Opening::Open(reply) => Json(reply).into_response(),
            Opening::Held(reply) => (StatusCode::ACCEPTED, Json(reply)).into_response(),
        }),
        Err(_) => Err(Refusal::conflict("the issuance was interrupted")),
    }
}

pub(super) async fn close(
    State(app): State<App>,
    Known(gateway): Known,
    Checked(Path(session)): Checked<Path<SessionId>>,
    Checked(Json(request)): Checked<Json<CloseRequest>>,
) -> Result<StatusCode, Refusal> {
    app.broker.close(&gateway, session, &request).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn put_segment(
    State(app): State<App>,
    Known(gateway): Known,
    Checked(Path((session, stream, sequence))): Checked<Path<(SessionId, String, u64)>>,
    Checked(Query(facts)): Checked<Query<SegmentFacts>>,
    Checked(bytes): Checked<Bytes>,
) -> Result<StatusCode, Refusal> {
    app.broker.put_segment(&gateway, session, &stream, sequence, &facts, bytes.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}
