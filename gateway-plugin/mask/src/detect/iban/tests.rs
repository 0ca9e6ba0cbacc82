use super::*;

fn found(text: &str) -> Vec<&str> {
    let mut hits = Vec::new();
    scan(text.as_bytes(), 0..text.len(), &mut hits);
    hits.iter().map(|hit| text.get(hit.start..hit.end).unwrap()).collect()
}

#[test]
fn the_registry_is_sorted() {
    assert!(COUNTRIES.is_sorted());
}

#[test]
fn numbers_are_found() {
    for number in [
        "GB82WEST12345698765432",
        "GB82 WEST 1234 5698 7654 32",
        "DE89370400440532013000",
        "de89370400440532013000",
        "FR1420041010050500013M02606",
        "NO9386011117947",
        "MT84MALT011000012345MTLCAST001S",
    ] {
        assert_eq!(found(&format!("to {number}, please")), [number]);
    }
}

#[test]
fn what_comes_near_is_let_be() {
    for near in
        ["GB82WEST12345698765433", "DE8937040044053201300", "ZZ89370400440532013000", "xDE89370400440532013000", ""]
    {
        assert_eq!(found(near), [""; 0], "{near}");
    }
}
