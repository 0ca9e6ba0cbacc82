use std::time::Duration;

use writ_core::target::UpstreamTls;

use super::*;

fn goal() -> Goal {
    let address = Address { host: "localhost".to_owned(), port: 1, tls: UpstreamTls::Disable, ca_pem: None };
    Goal { address, key: BackendKey { pid: 7, key: CancelKey::new(b"target").unwrap() } }
}

fn registry() -> Registry {
    Registry::new(GatewayId::fresh(), 1000)
}

#[test]
fn a_key_names_its_gateway_and_its_session() {
    let gateways: Vec<GatewayId> = (0..50).map(|_| GatewayId::fresh()).collect();
    let registries = gateways.iter().map(|gateway| Registry::new(*gateway, 1));
    for (gateway, registry) in gateways.iter().zip(registries) {
        let entries: Vec<Entry> = (0..50).map(|_| registry.enter(4, None).unwrap()).collect();
        for entry in &entries {
            assert_eq!(gateway_in(entry.key()), number_of(*gateway));
            assert!(!registry.is_elsewhere(entry.key()));
            // libpq has it with a sign, and takes 0 for none.
            assert!((1..1 << 31).contains(&entry.key().pid));
        }
        let mut numbers: Vec<u32> = entries.iter().map(|entry| entry.key().pid).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), entries.len());
    }
    let other = |gateway: GatewayId| (0..).map(|_| GatewayId::fresh()).find(|id| number_of(*id) != number_of(gateway));
    let gateway = GatewayId::fresh();
    let entry = Registry::new(other(gateway).unwrap(), 1).enter(32, None).unwrap();
    assert!(Registry::new(gateway, 1).is_elsewhere(entry.key()));
}

#[test]
fn a_request_needs_the_whole_key_of_a_session_that_is_there() {
    let now = Instant::now();
    for length in [4, 32, 256] {
        let registry = registry();
        let entry = registry.enter(length, Some(goal())).unwrap();
        let right = entry.key().clone();
        assert_eq!(right.key.expose().len(), length);
        assert_eq!(registry.find(&right, now).map(|goal| goal.key.pid), Some(7));
        let key = |bytes: &[u8]| CancelKey::new(bytes).unwrap();
        let mut wrong = right.key.expose().to_vec();
        wrong[length - 1] ^= 1;
        let longer = [right.key.expose(), &[0]].concat();
        let mut others = vec![wrong];
        others.extend((length < 256).then_some(longer));
        others.extend((length > 4).then(|| right.key.expose()[..4].to_vec()));
        for other in others {
            assert!(registry.find(&BackendKey { pid: right.pid, key: key(&other) }, now).is_none());
        }
        assert!(registry.find(&BackendKey { pid: right.pid ^ 1, key: right.key.clone() }, now).is_none());
        drop(entry);
        assert!(registry.find(&right, now).is_none());
    }
}

#[test]
fn requests_are_limited_in_rate_right_or_wrong() {
    let registry = Registry::new(GatewayId::fresh(), 3);
    let entry = registry.enter(4, Some(goal())).unwrap();
    let now = Instant::now();
    let wrong = BackendKey { pid: entry.key().pid, key: CancelKey::new(b"none").unwrap() };
    let nobodys = BackendKey { pid: wrong.pid ^ 1, ..wrong.clone() };
    assert!((0..100).all(|_| registry.find(&nobodys, now).is_none()), "they take nothing from the others");
    assert!(registry.find(&wrong, now).is_none() && registry.find(&wrong, now).is_none());
    assert!(registry.find(entry.key(), now).is_some());
    assert!(registry.find(entry.key(), now).is_none());
    assert!(registry.find(entry.key(), now + Duration::from_millis(400)).is_some());
    // A key shows itself nowhere.
    let bytes = entry.key().key.expose();
    let shown = format!("{registry:?} {entry:?}");
    assert!(!shown.contains(&format!("{bytes:?}")) && shown.contains("CancelKey(4 bytes)"), "{shown}");
}
