//! Gateways: joining, renewing, what they must be told.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use writ_broker_api::admin::{Gateway, JoinToken, JoinTokenRequest};
use writ_broker_api::gateway::{EnrolReply, EnrolRequest, Kill, RenewReply, RenewRequest, SyncReply, SyncRequest};
use writ_broker_api::sealed::{Base64, SealingKey};
use writ_core::event::{Actor, Event, SessionEnd};
use writ_core::id::{GatewayId, SessionId};
use writ_core::target::Labels;
use writ_core::time::after;
use writ_core::workload::{Issuer, Subject};

use crate::broker::{Broker, GatewayIdentity};
use crate::ca::{CaFault, Issued};
use crate::evidence::EvidenceFault;
use crate::humans::Permitted;
use crate::keys::files::hex;
use crate::refusal::Refusal;
use crate::store::{Change, Condition, EnrolledGateway};

/// How long a join token may be used.
const JOIN_TOKEN_LIFE: Duration = Duration::from_secs(3600);
/// A sync may race with a session that is just being opened: younger ones are left alone, unless the gateway has just
/// started.
const SYNC_GRACE: Duration = Duration::from_secs(30);
/// The most sessions that one sync may name.
const MAX_SYNC: usize = 100_000;

impl Broker {
    /// Makes a join token: shown once, used once.
    ///
    /// # Errors
    /// [`Refusal`] if it cannot be written down.
    pub async fn make_join_token(&self, request: JoinTokenRequest, by: &Permitted) -> Result<JoinToken, Refusal> {
        check_labels(&request.serves)?;
        self.make_join_token_by(by.actor(), request.serves).await
    }

    /// A join token for the gateway in the broker's own process, which needs no human: whoever runs the process has the keys.
    ///
    /// # Errors
    /// [`Refusal`] if it cannot be written down.
    pub async fn join_token_for_this_process(&self) -> Result<JoinToken, Refusal> {
        let by = Actor { issuer: Issuer::new("writ"), subject: Subject::new("this-process") };
        self.make_join_token_by(by, Labels::new()).await
    }

    async fn make_join_token_by(&self, by: Actor, serves: Labels) -> Result<JoinToken, Refusal> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).map_err(|_| Refusal::malformed("no random numbers can be had"))?;
        let join_token = URL_SAFE_NO_PAD.encode(bytes);
        let expires = after(self.clock.now(), JOIN_TOKEN_LIFE.as_secs());
        let digest = hex(digest(&SHA256, join_token.as_bytes()).as_ref());
        let event = Event::JoinTokenMade { by, digest: digest.clone(), serves: serves.clone() };
        self.evidence.write(vec![event], Vec::new(), vec![Change::JoinToken { digest, expires, serves }]).await?;
        Ok(JoinToken { join_token, expires })
    }

    /// A gateway joins: the token is used up, the gateway has a name and a certificate, and pins our keys.
    ///
    /// # Errors
    /// [`Refusal`] if the token is not good, or the request is malformed.
    pub async fn enrol(&self, request: &EnrolRequest) -> Result<EnrolReply, Refusal> {
        let gateway = GatewayId::fresh();
        let now = self.clock.now();
        check_sealing_key(&request.sealing_key)?;
        let issued = self.certificate(gateway, &request.csr_pem)?;
        let digest = hex(digest(&SHA256, request.join_token.as_bytes()).as_ref());
        let serves = self.store.join_token(&digest).await?.ok_or_else(Refusal::unauthenticated)?;
        let enrolled = EnrolledGateway {
            id: gateway,
            serial: issued.serial.clone(),
            sealing_key: request.sealing_key.clone(),
            enrolled: now,
            seen: None,
            revoked: false,
            serves: serves.clone(),
        };
        let event = Event::GatewayEnrolled { gateway, serial: issued.serial, expires: issued.expires, serves };
        let conditions = vec![Condition::JoinToken { digest, now }];
        match self.evidence.write(vec![event], conditions, vec![Change::Gateway(enrolled)]).await {
            Ok(()) => {}
            Err(EvidenceFault::Refused) => return Err(Refusal::unauthenticated()),
            Err(fault) => return Err(fault.into()),
        }
        Ok(EnrolReply {
            gateway,
            certificate_pem: issued.pem,
            ca_pem: self.keys.ca.pem().to_owned(),
            ledger_key: self.ledger_key(),
            bundle_key: Base64(self.keys.bundle.public()),
            checkpoint: self.evidence.published().borrow().note.clone(),
        })
    }

    /// A gateway renews its certificate.
    ///
    /// # Errors
    /// [`Refusal`] if the request is malformed, or the gateway was revoked while it was made.
    pub async fn renew(&self, gateway: &GatewayIdentity, request: &RenewRequest) -> Result<RenewReply, Refusal> {
        check_sealing_key(&request.sealing_key)?;
        let issued = self.certificate(gateway.id, &request.csr_pem)?;
        let renewed = EnrolledGateway {
            id: gateway.id,
            serial: issued.serial.clone(),
            sealing_key: request.sealing_key.clone(),
            enrolled: self.clock.now(),
            seen: None,
            revoked: false,
            serves: gateway.serves.clone(),
        };
        let event = Event::GatewayRenewed { gateway: gateway.id, serial: issued.serial, expires: issued.expires };
        match self
            .evidence
            .write(vec![event], vec![Condition::GatewayGood(gateway.id)], vec![Change::Gateway(renewed)])
            .await
        {
            Ok(()) => {}
            Err(EvidenceFault::Refused) => return Err(Refusal::unauthenticated()),
            Err(fault) => return Err(fault.into()),
        }
        Ok(RenewReply { certificate_pem: issued.pem })
    }

    fn certificate(&self, gateway: GatewayId, csr_pem: &str) -> Result<Issued, Refusal> {
        let life = self.settings.gateway_certificate_life;
        self.keys.ca.issue_gateway(gateway, csr_pem, self.clock.now(), life).map_err(|fault| match fault {
            CaFault::Request | CaFault::KeyKind => Refusal::malformed(fault.to_string()),
            CaFault::Name(_) | CaFault::Signing => Refusal::conflict(fault.to_string()),
        })
    }

    /// The gateway that a verified certificate names, unless it is unknown or revoked.
    ///
    /// # Errors
    /// [`Refusal`] if it is not a gateway of ours.
    pub async fn identify(&self, peer: Option<&(GatewayId, String)>) -> Result<GatewayIdentity, Refusal> {
        // Revocation is of the gateway, with all its certificates. The serial number is not compared: after a renewal the
        // older certificate is good until its end, since connections that show it are still open.
        let (id, _) = peer.ok_or_else(Refusal::unauthenticated)?;
        let gateway = self.store.gateway(*id).await?.filter(|gateway| !gateway.revoked);
        let gateway = gateway.ok_or_else(Refusal::unauthenticated)?;
        Ok(GatewayIdentity { id: gateway.id, sealing_key: gateway.sealing_key, serves: gateway.serves })
    }

    /// All gateways.
    ///
    /// # Errors
    /// [`Refusal`] if the store fails.
    pub async fn gateways(&self) -> Result<Vec<Gateway>, Refusal> {
        Ok(self.store.gateways().await?.into_iter().map(Gateway::from).collect())
    }

    /// Revokes a gateway: its certificate is refused from now on, and its sessions' credentials are taken back.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such gateway.
    pub async fn revoke_gateway(&self, gateway: GatewayId, by: &Permitted) -> Result<(), Refusal> {
        self.store.gateway(gateway).await?.ok_or_else(|| Refusal::not_found("gateway"))?;
        let event = Event::GatewayRevoked { gateway, by: by.actor() };
        self.evidence.write(vec![event], Vec::new(), vec![Change::RevokeGateway(gateway)]).await?;
        let now = self.clock.now();
        for session in self.store.open_sessions(gateway).await? {
            match self.end(&session.writ, SessionEnd::Revoked, now).await {
                Ok(()) | Err(EvidenceFault::Refused) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        self.ordered.notify_waiters();
        Ok(())
    }

    /// A gateway was heard.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn heard(&self, gateway: GatewayId) -> Result<(), EvidenceFault> {
        let seen = Change::GatewaySeen { gateway, at: self.clock.now() };
        self.evidence.write(Vec::new(), Vec::new(), vec![seen]).await
    }

    /// Sessions of a gateway that must end.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn kills(&self, gateway: GatewayId) -> Result<Vec<Kill>, Refusal> {
        let orders = self.store.orders(gateway).await?;
        Ok(orders.into_iter().map(|(session, reason)| Kill { session, reason }).collect())
    }

    /// Which of a gateway's sessions must end; and those that it no longer has are closed.
    ///
    /// # Errors
    /// [`Refusal`] if too many are named, or the store fails.
    pub async fn sync(&self, gateway: &GatewayIdentity, request: &SyncRequest) -> Result<SyncReply, Refusal> {
        if request.sessions.len() > MAX_SYNC {
            return Err(Refusal::malformed("too many sessions are named"));
        }
        self.heard(gateway.id).await?;
        let now = self.clock.now();
        let named: std::collections::BTreeSet<SessionId> = request.sessions.iter().copied().collect();
        let mut open = std::collections::BTreeSet::new();
        for session in self.store.open_sessions(gateway.id).await? {
            open.insert(session.id);
            let settled = request.started || after(session.writ.opened, SYNC_GRACE.as_secs()) < now;
            if settled && !named.contains(&session.id) {
                match self.end(&session.writ, SessionEnd::Crash, now).await {
                    Ok(()) | Err(EvidenceFault::Refused) => {}
                    Err(fault) => return Err(fault.into()),
                }
            }
        }
        let mut kill = self.kills(gateway.id).await?;
        for session in named.difference(&open) {
            kill.push(Kill { session: *session, reason: "the session has ended".to_owned() });
        }
        Ok(SyncReply { kill })
    }
}

/// The most labels that a join token may name, and the longest of them in bytes.
const MAX_LABELS: (usize, usize) = (32, 256);

fn check_labels(labels: &Labels) -> Result<(), Refusal> {
    let (most, longest) = MAX_LABELS;
    let fits = |(name, value): (&String, &String)| (1..=longest).contains(&name.len()) && value.len() <= longest;
    if labels.len() <= most && labels.iter().all(fits) {
        Ok(())
    } else {
        Err(Refusal::malformed(format!("`serves` takes {most} labels at most, of 1 to {longest} bytes each")))
    }
}

fn check_sealing_key(key: &SealingKey) -> Result<(), Refusal> {
    if key.0.0.len() == 32 { Ok(()) } else { Err(Refusal::malformed("the sealing key is 32 bytes of X25519")) }
}
