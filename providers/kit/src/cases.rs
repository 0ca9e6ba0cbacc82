//! The cases. Each says in its name what holds, and gives back what it saw instead.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use writ_core::credential::Credential;
use writ_core::proof::Minted;
use writ_core::provider::{Pending, ProviderFault, Revoked};
use writ_core::target::Target;
use writ_core::time::Timestamp;
use writ_core::writ::Writ;

use crate::harness::{Harness, Trouble, intended, target, writ};

type Outcome = Result<(), String>;
type Case = for<'a> fn(&'a dyn Harness) -> Pending<'a, Outcome>;

/// Every case, in the order in which they run.
pub(crate) const ALL: [(&str, Case); 14] = [
    ("a probe of a sound target succeeds", |h| Box::pin(probe_succeeds(h))),
    ("what is minted works at the target", |h| Box::pin(minted_works(h))),
    ("the writ's id labels what is minted", |h| Box::pin(label_found(h))),
    ("the end is as granted and as reported", |h| Box::pin(end_as_granted(h))),
    ("one writ, one credential", |h| Box::pin(one_writ_one_credential(h))),
    ("a revoked credential is gone, and its sessions", |h| Box::pin(revoked_is_gone(h))),
    ("revoking twice, or nothing, succeeds", |h| Box::pin(revoke_is_idempotent(h))),
    ("a refusal is called a refusal and leaves nothing", |h| Box::pin(refusal(h))),
    ("a target that is down is unreachable within the deadline", |h| Box::pin(down(h))),
    ("a target that never answers is unreachable within the deadline", |h| Box::pin(silent(h))),
    ("trouble at the target has its name, and leaves nothing", |h| Box::pin(trouble(h))),
    ("what is minted and dropped is reported", |h| Box::pin(dropped_is_reported(h))),
    ("a sweep keeps the live and the unexpired", |h| Box::pin(sweep_keeps(h))),
    ("nothing shows a secret", |h| Box::pin(nothing_shows(h))),
];

/// Long, so that a machine with much else to do is no finding: what must be quick has a limit of its own.
const DEADLINE: Duration = Duration::from_secs(30);
const LIFE: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_millis(100);

fn kit_target() -> &'static Target {
    static TARGET: OnceLock<Target> = OnceLock::new();
    TARGET.get_or_init(target)
}

fn ensure(holds: bool, otherwise: impl Into<String>) -> Outcome {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}

fn said(doing: &'static str) -> impl Fn(ProviderFault) -> String {
    move |fault| format!("{doing}: {fault:?}")
}

async fn mint(h: &dyn Harness, writ: &Writ) -> Result<Minted, String> {
    h.provider().mint(kit_target(), intended(writ), DEADLINE).await.map_err(said("mint"))
}

async fn revoke(h: &dyn Harness, writ: &Writ) -> Outcome {
    h.provider().revoke(kit_target(), writ, DEADLINE).await.map(drop).map_err(said("revoke"))
}

/// Takes back what was minted, which only a provider that can says to be gone.
async fn revoke_minted(h: &dyn Harness, writ: &Writ) -> Outcome {
    let revoked = h.provider().revoke(kit_target(), writ, DEADLINE).await.map_err(said("revoke"))?;
    let expected = if h.provider().describe().revocable { Revoked::Gone } else { Revoked::Left };
    ensure(revoked == expected, format!("what was minted is said to be {revoked:?}"))
}

fn credential(minted: &Minted) -> Result<&Credential, String> {
    minted.credential().ok_or_else(|| "no credential".to_owned())
}

async fn probe_succeeds(h: &dyn Harness) -> Outcome {
    h.provider().probe(kit_target(), DEADLINE).await.map_err(said("probe"))
}

async fn minted_works(h: &dyn Harness) -> Outcome {
    let writ = writ(h.role(), LIFE);
    let minted = mint(h, &writ).await?;
    let credential = credential(&minted)?;
    let session = h.login(&credential.principal, credential.secret.expose()).await;
    ensure(session.is_some(), "the target refused what was minted for it")?;
    revoke(h, &writ).await
}

async fn label_found(h: &dyn Harness) -> Outcome {
    let writ = writ(h.role(), LIFE);
    let minted = mint(h, &writ).await?;
    let credential = credential(&minted)?;
    ensure(h.knows(&h.mark(&writ, credential)).await, "the target does not know the credential")?;
    if !h.provider().describe().long_lived {
        let (principal, audit, id) = (&credential.principal, &credential.audit, writ.id.to_string());
        let labelled = principal.contains(&id) || audit.contains(&id) || h.knows(&id).await;
        ensure(labelled, format!("neither `{principal}` nor `{audit}` leads to the writ"))?;
    }
    revoke(h, &writ).await
}

async fn end_as_granted(h: &dyn Harness) -> Outcome {
    let writ = writ(h.role(), LIFE);
    let minted = mint(h, &writ).await?;
    let credential = credential(&minted)?;
    if h.provider().describe().long_lived {
        return ensure(credential.expires.is_none(), "a long-lived credential claims an end");
    }
    let expires = credential.expires.ok_or("a short-lived credential names no end")?;
    let least = Timestamp::now().as_second() + h.shortest_life().as_secs().cast_signed();
    let latest = writ.expires.as_second().max(least + 1);
    ensure(expires.as_second() <= latest, "the credential outlives its writ")?;
    ensure(writ.expires.as_second() - expires.as_second() <= 1, "the credential ends long before its writ")?;
    let actual = h.end_of_this(credential).await;
    ensure(actual == Some(expires), format!("reported {expires}, the target has {actual:?}"))?;
    revoke(h, &writ).await
}

/// A target that keeps nothing of what it gave cannot tell a second time from the first; there the broker's intent, which is
/// spent by the first mint, is what holds.
async fn one_writ_one_credential(h: &dyn Harness) -> Outcome {
    if !h.keeps() {
        return Ok(());
    }
    let writ = writ(h.role(), LIFE);
    let first = mint(h, &writ).await?;
    let second = h.provider().mint(kit_target(), intended(&writ), DEADLINE).await;
    ensure(matches!(second, Err(ProviderFault::Refused(_))), format!("a second mint: {second:?}"))?;
    let credential = credential(&first)?;
    let session = h.login(&credential.principal, credential.secret.expose()).await;
    ensure(session.is_some(), "the second mint broke the first credential")?;
    revoke(h, &writ).await
}

async fn revoked_is_gone(h: &dyn Harness) -> Outcome {
    let writ = writ(h.role(), LIFE);
    let minted = mint(h, &writ).await?;
    let credential = credential(&minted)?;
    let (principal, secret) = (&credential.principal, credential.secret.expose());
    let session = h.login(principal, secret).await.ok_or("the target refused the credential")?;
    revoke_minted(h, &writ).await?;
    if !h.provider().describe().revocable {
        return ensure(session.answers().await, "a provider that says it cannot revoke ended a session");
    }
    let until = Instant::now() + h.forgets_within();
    while session.answers().await {
        ensure(Instant::now() < until, "a session outlived the revocation")?;
        tokio::time::sleep(PAUSE).await;
    }
    while h.login(principal, secret).await.is_some() {
        ensure(Instant::now() < until, "a revoked credential still works")?;
        tokio::time::sleep(PAUSE).await;
    }
    ensure(!h.knows(&h.mark(&writ, credential)).await, "the target still knows a revoked credential")
}

async fn revoke_is_idempotent(h: &dyn Harness) -> Outcome {
    let writ_of_nothing = writ(h.role(), LIFE);
    revoke(h, &writ_of_nothing).await?;
    let writ = writ(h.role(), LIFE);
    drop(mint(h, &writ).await?);
    revoke_minted(h, &writ).await?;
    revoke_minted(h, &writ).await?;
    let again = tokio::join!(revoke(h, &writ), revoke(h, &writ));
    again.0.and(again.1)
}

async fn refusal(h: &dyn Harness) -> Outcome {
    let Some(role) = h.refused_role() else { return Ok(()) };
    let writ = writ(Some(role), LIFE);
    let result = h.provider().mint(kit_target(), intended(&writ), DEADLINE).await;
    ensure(matches!(result, Err(ProviderFault::Refused(_))), format!("{result:?}"))?;
    ensure(!h.knows(&writ.id.to_string()).await, "a refused mint left a principal")?;
    revoke(h, &writ).await
}

async fn down(h: &dyn Harness) -> Outcome {
    match h.down() {
        Some(provider) => all_unreachable(h, provider).await,
        None => Ok(()),
    }
}

async fn silent(h: &dyn Harness) -> Outcome {
    match h.silent() {
        Some(provider) => all_unreachable(h, provider).await,
        None => Ok(()),
    }
}

async fn all_unreachable(h: &dyn Harness, provider: &dyn writ_core::provider::Provider) -> Outcome {
    const SHORT: Duration = Duration::from_millis(150);
    const SLACK: Duration = Duration::from_millis(850);
    let writ = writ(h.role(), LIFE);
    let began = Instant::now();
    let mut faults = vec![
        provider.mint(kit_target(), intended(&writ), SHORT).await.err(),
        provider.probe(kit_target(), SHORT).await.err(),
    ];
    // Who knows by itself what there is has nothing to ask.
    if h.looks_there() {
        faults.push(provider.revoke(kit_target(), &writ, SHORT).await.err());
        faults.push(provider.sweep(kit_target(), &[], SHORT).await.err());
    }
    ensure(began.elapsed() < SHORT * 4 + SLACK, format!("four calls took {:?}", began.elapsed()))?;
    let unreachable = faults.iter().all(|fault| matches!(fault, Some(ProviderFault::Unreachable(_))));
    ensure(unreachable, format!("{faults:?}"))
}

async fn trouble(h: &dyn Harness) -> Outcome {
    for trouble in Trouble::ALL {
        let Some(provider) = h.troubled(trouble) else { continue };
        let writ = writ(h.role(), LIFE);
        let minted = provider.mint(kit_target(), intended(&writ), DEADLINE).await;
        ensure(is_answer_to(trouble, &minted, &writ, h.shortest_life()), format!("{trouble:?}: {minted:?}"))?;
        // What such a target gave and nobody got lives there to its own end, of no use to anybody.
        let lost = !h.keeps() && may_have_given(trouble);
        if minted.is_err() && !lost {
            ensure(!h.knows(&writ.id.to_string()).await, format!("{trouble:?} left a principal"))?;
        }
        revoke(h, &writ).await.map_err(|finding| format!("{trouble:?}: {finding}"))?;
    }
    Ok(())
}

/// Whether a target in this trouble may have done what it was asked.
const fn may_have_given(trouble: Trouble) -> bool {
    match trouble {
        Trouble::WrongAudience | Trouble::ExpiredAssertion | Trouble::Untrusted | Trouble::Throttled => false,
        Trouble::ServerError | Trouble::CutShort | Trouble::FarExpiry | Trouble::ClockAhead | Trouble::ClockBehind => {
            true
        }
    }
}

fn is_answer_to(trouble: Trouble, minted: &Result<Minted, ProviderFault>, writ: &Writ, shortest: Duration) -> bool {
    let refused = matches!(minted, Err(ProviderFault::Refused(_)));
    let ours = matches!(minted, Err(ProviderFault::Misconfigured(_)));
    match trouble {
        Trouble::WrongAudience | Trouble::ExpiredAssertion | Trouble::Untrusted => refused || ours,
        Trouble::Throttled | Trouble::ServerError | Trouble::CutShort => {
            matches!(minted, Err(ProviderFault::Unreachable(_)))
        }
        Trouble::FarExpiry => minted.is_err(),
        // Whoever cannot work with such a clock says so; whoever can is held to what was granted.
        Trouble::ClockAhead | Trouble::ClockBehind => match minted {
            Err(fault) => refused && fault.detail().contains("clock"),
            Ok(minted) => {
                let latest = writ.expires.as_second().max(writ.opened.as_second() + shortest.as_secs().cast_signed());
                let expires = minted.credential().and_then(|credential| credential.expires);
                expires.is_some_and(|expires| expires.as_second() <= latest + 600)
            }
        },
    }
}

async fn dropped_is_reported(h: &dyn Harness) -> Outcome {
    let writ = writ(h.role(), LIFE);
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&calls);
    let id = writ.id;
    let minted = mint(h, &writ).await?.on_abandon(move |writ| {
        if writ.id == id {
            seen.fetch_add(1, Ordering::SeqCst);
        }
    });
    drop(minted);
    ensure(calls.load(Ordering::SeqCst) == 1, "a dropped credential was not reported once")?;
    revoke(h, &writ).await
}

async fn sweep_keeps(h: &dyn Harness) -> Outcome {
    if !h.keeps() {
        let unexpired = writ(h.role(), LIFE);
        drop(mint(h, &unexpired).await?);
        let swept = h.provider().sweep(kit_target(), &[], DEADLINE).await.map_err(said("sweep"))?;
        return ensure(swept.removed == 0, "a provider whose target keeps nothing swept something");
    }
    let (unexpired, live, forgotten) = (writ(h.role(), LIFE), past(h.role()), past(h.role()));
    for writ in [&unexpired, &live, &forgotten] {
        drop(mint(h, writ).await?);
    }
    let swept = h.provider().sweep(kit_target(), &[live.id], DEADLINE).await.map_err(said("sweep"))?;
    ensure(swept.removed >= 1 && swept.left == 0, format!("{swept:?}"))?;
    ensure(h.knows(&unexpired.id.to_string()).await, "an unexpired credential was swept")?;
    ensure(h.knows(&live.id.to_string()).await, "a live writ's credential was swept")?;
    ensure(!h.knows(&forgotten.id.to_string()).await, "an expired leftover was kept")?;
    revoke(h, &unexpired).await?;
    revoke(h, &live).await
}

/// A writ whose end has passed.
fn past(role: Option<String>) -> Writ {
    let mut writ = writ(role, LIFE);
    writ.expires = Timestamp::from_second(Timestamp::now().as_second() - 60).unwrap_or(writ.opened);
    writ
}

async fn nothing_shows(h: &dyn Harness) -> Outcome {
    let sound = writ(h.role(), LIFE);
    let minted = mint(h, &sound).await?;
    let mut secrets = h.canaries();
    secrets.push(String::from_utf8_lossy(credential(&minted)?.secret.expose()).into_owned());
    let mut shown = format!("{minted:?} {:?} {:?}", credential(&minted)?, h.provider());
    if let Some(role) = h.refused_role() {
        let writ = writ(Some(role), LIFE);
        if let Err(fault) = h.provider().mint(kit_target(), intended(&writ), DEADLINE).await {
            shown.push_str(&format!("{fault:?} {fault} {}", fault.detail()));
        }
    }
    if let Some(down) = h.down()
        && let Err(fault) = down.probe(kit_target(), DEADLINE).await
    {
        shown.push_str(&format!("{fault:?} {fault} {} {down:?}", fault.detail()));
    }
    revoke(h, &sound).await?;
    ensure(secrets.iter().all(|secret| !secret.is_empty() && !shown.contains(secret.as_str())), "a secret shows")
}
