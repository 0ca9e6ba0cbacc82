//! What the documentation says to paste.

use serde_json::Value;
use writ_fakes::entra::Federated;

const AZURE: &str = include_str!("../../../../docs/providers/azure.md");
const DATABASE: &str = include_str!("../../../../docs/providers/azure-database.md");

/// The block number `number` of a kind that stands after a text.
fn block<'a>(guide: &'a str, after: &str, kind: &str, number: usize) -> &'a str {
    let from = guide.find(after).unwrap_or_else(|| panic!("`{after}` is not in the guide")) + after.len();
    let fence = format!("```{kind}\n");
    let mut blocks = guide[from..].split(&fence).skip(1);
    blocks.nth(number).unwrap().split("```").next().unwrap()
}

fn setting(text: &str, provider: &str) -> Value {
    let text: toml::Table = toml::from_str(text).unwrap();
    let text = serde_json::to_value(text).unwrap();
    text["broker"]["target"][0]["provider"][provider].clone()
}

/// The settings of the provider `azure`.
pub(crate) fn azure_settings() -> Value {
    setting(block(AZURE, "# The provider", "toml", 0), "azure")
}

/// The settings of the provider `azure_database`.
pub(crate) fn database_settings() -> Value {
    setting(block(DATABASE, "# The provider", "toml", 0), "azure_database")
}

/// The settings of `aks` in the provider `kubernetes`.
pub(crate) fn aks_settings() -> Value {
    let text: toml::Table = toml::from_str(block(AZURE, "## AKS as a target", "toml", 0)).unwrap();
    serde_json::to_value(text).unwrap()["broker"]["target"]["provider"]["kubernetes"]["aks"].clone()
}

/// The federated credential, as an admin pastes it, for Writ's issuer at `issuer`.
pub(crate) fn credential(issuer: &str, target: &str) -> Federated {
    let text = block(AZURE, "with `credential.json`", "json", 0);
    let written: Value = serde_json::from_str(text).unwrap();
    let documented: toml::Table = toml::from_str(block(AZURE, "## The client trusts Writ", "toml", 0)).unwrap();
    assert_eq!(written["issuer"].as_str(), documented["broker"]["issues"]["url"].as_str());
    let member = |name: &str| written[name].as_str().unwrap().to_owned();
    let subject = member("subject");
    assert_eq!(subject, "target:reports");
    let (name, audience) = (member("name"), written["audiences"][0].as_str().unwrap().to_owned());
    let (issuer, subject) = (issuer.to_owned(), format!("target:{target}"));
    Federated { name, issuer, subject, audience, ca_pem: None, at: None }
}

/// The federated credential of an example, for Writ's issuer at `issuer`, and the target that the example has.
pub(crate) fn example(name: &str, issuer: &str) -> (Federated, String) {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/providers").join(name);
    let read = |file: &str| std::fs::read_to_string(directory.join(file)).unwrap();
    let written: Value = serde_json::from_str(&read("credential.json")).unwrap();
    let configured: toml::Table = toml::from_str(&read("writ.toml")).unwrap();
    assert_eq!(written["issuer"].as_str(), configured["broker"]["issues"]["url"].as_str());
    let target = configured["broker"]["target"][0]["name"].as_str().unwrap().to_owned();
    let member = |name: &str| written[name].as_str().unwrap().to_owned();
    let (audience, issuer) = (written["audiences"][0].as_str().unwrap().to_owned(), issuer.to_owned());
    (Federated { name: member("name"), issuer, subject: member("subject"), audience, ca_pem: None, at: None }, target)
}

/// The first column of a table, the second and the third, after a text.
pub(crate) fn rows(after: &str) -> Vec<[String; 3]> {
    let from = AZURE.find(after).unwrap();
    let lines = AZURE[from..].lines().skip_while(|line| !line.starts_with('|'));
    let rows = lines.take_while(|line| line.starts_with('|')).skip(2);
    let cell = |cell: &str| cell.trim().to_owned();
    rows.map(|row| {
        let cells: Vec<String> = row.trim_matches('|').split('|').map(cell).collect();
        [cells[0].clone(), cells[1].clone(), cells[2].clone()]
    })
    .collect()
}
