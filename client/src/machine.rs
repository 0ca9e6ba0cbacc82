//! Which cloud's machine this is, for workloads that nothing else tells: by what the firmware says, then by asking.
//!
//! Off a cloud this sends nothing where the firmware says so, and waits for a second at the longest where it says nothing.

use std::time::Duration;

use crate::environment::Environment;
use crate::http::Http;
use crate::source::Source;
use crate::sources::{aws, azure, gcp, kubernetes};

/// How long a metadata server may take to show that it is there.
const PROBE: Duration = Duration::from_millis(1500);
/// What Azure's machines have in their chassis's asset tag.
const AZURE_TAG: &str = "7783-7084-3265-9085-8269-3286-77";

/// The cloud, and how it showed.
pub(crate) async fn detect(environment: &Environment) -> Result<(Source, String), String> {
    if kubernetes::in_a_pod(environment) {
        return Err("it is a node of Kubernetes: its identity is the node's, not the pod's".to_owned());
    }
    let firmware = Firmware::read(environment);
    let asked: Vec<Source> = match firmware.cloud() {
        Some(cloud) => vec![cloud],
        None if firmware.is_silent() => vec![Source::Aws, Source::Gcp, Source::Azure],
        None => return Err(format!("it is none of a cloud that is known here (`{}`)", firmware.shown())),
    };
    let http = Http::new().map_err(|fault| fault.to_string())?;
    let here = |source: Source, answers: bool| answers.then_some(source);
    let is_asked = |source: Source| asked.contains(&source);
    let (ec2, google, azure) = tokio::join!(
        bounded(is_asked(Source::Aws), aws::answers(environment, &http)),
        bounded(is_asked(Source::Gcp), gcp::answers(environment, &http)),
        bounded(is_asked(Source::Azure), azure::answers(environment, &http)),
    );
    here(Source::Aws, ec2)
        .or_else(|| here(Source::Gcp, google))
        .or_else(|| here(Source::Azure, azure))
        .map(|source| (source, "its metadata server answers".to_owned()))
        .ok_or_else(|| {
            let names: Vec<&str> = asked.iter().map(|source| source.name()).collect();
            format!("no metadata server answers (asked for: {})", names.join(", "))
        })
}

async fn bounded(wanted: bool, answers: impl Future<Output = bool>) -> bool {
    wanted && tokio::time::timeout(PROBE, answers).await.unwrap_or(false)
}

/// What the firmware says of the machine (SMBIOS, as Linux shows it).
struct Firmware {
    vendor: String,
    product: String,
    tag: String,
    hypervisor: String,
}

impl Firmware {
    fn read(environment: &Environment) -> Self {
        let line = |path: &str| {
            let text = std::fs::read_to_string(environment.file(path)).unwrap_or_default();
            let plain = |character: &char| !character.is_control();
            text.trim().chars().filter(plain).take(80).collect::<String>()
        };
        Self {
            vendor: line("/sys/class/dmi/id/sys_vendor"),
            product: line("/sys/class/dmi/id/product_name"),
            tag: line("/sys/class/dmi/id/chassis_asset_tag"),
            hypervisor: line("/sys/hypervisor/uuid"),
        }
    }

    fn cloud(&self) -> Option<Source> {
        if self.vendor == "Amazon EC2" || self.hypervisor.to_ascii_lowercase().starts_with("ec2") {
            Some(Source::Aws)
        } else if self.product == "Google Compute Engine" || self.vendor == "Google" {
            Some(Source::Gcp)
        } else if self.tag == AZURE_TAG {
            Some(Source::Azure)
        } else {
            None
        }
    }

    const fn is_silent(&self) -> bool {
        self.vendor.is_empty() && self.product.is_empty()
    }

    fn shown(&self) -> String {
        format!("{} {}", self.vendor, self.product).trim().to_owned()
    }
}
