//! How many certificates are minted in a second on two cores: a key pair, a signature and its check for each. Prints
//! `name value unit`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use writ_broker::keys::{self, FileSigner, Signer as _};
use writ_core::provider::{Pending, Provider as _, ProviderFault};
use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
use writ_provider_kit::{intended, writ};
use writ_provider_ssh::{Authority, CaKey, SshConfig, SshProvider};

const THREADS: usize = 2;
const ROUNDS: usize = 20_000;

type Failure = Box<dyn core::error::Error + Send + Sync>;

#[derive(Debug)]
struct Kept(FileSigner);

impl CaKey for Kept {
    fn public(&self) -> &[u8] {
        self.0.public()
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> Pending<'a, Result<Vec<u8>, ProviderFault>> {
        let unsigned = |fault: keys::SignFault| ProviderFault::Unreachable(fault.to_string());
        Box::pin(async move { self.0.sign(message).await.map_err(unsigned) })
    }
}

async fn mint(provider: Arc<SshProvider>, target: Arc<Target>) -> Result<(), ProviderFault> {
    for _ in 0..ROUNDS {
        let asked = intended(&writ(None, Duration::from_secs(300)));
        drop(provider.mint(&target, asked, Duration::from_secs(5)).await?);
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
fn main() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let name = TargetName::new("web")?;
    let key = keys::ssh_authority(directory.path(), &name, &mut Vec::new())?;
    let authority = Arc::new(Authority::new(Arc::new(Kept(key)), &[])?);
    let config: SshConfig =
        serde_json::from_value(serde_json::json!({ "user": "deploy", "source_addresses": ["192.0.2.0/24"] }))?;
    let provider = Arc::new(SshProvider::new(&config, authority)?);
    let address = Address { host: "web.test".to_owned(), port: 22, tls: UpstreamTls::VerifyFull, ca_pem: None };
    let (labels, protocol) = (Default::default(), Protocol::Ssh);
    let target = Arc::new(Target { name, labels, protocol, address, provider: "ssh".to_owned() });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
    let begun = Instant::now();
    runtime.block_on(async {
        let running: Vec<_> =
            (0..THREADS).map(|_| tokio::spawn(mint(Arc::clone(&provider), Arc::clone(&target)))).collect();
        for minting in running {
            minting.await?.map_err(|fault| format!("{fault:?}"))?;
        }
        Ok::<(), Failure>(())
    })?;
    let each = (THREADS * ROUNDS) as f64 / begun.elapsed().as_secs_f64();
    println!("ssh_certificates_per_second {each:.0} per_second");
    Ok(())
}
