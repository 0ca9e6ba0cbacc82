use super::*;

fn found(text: &str) -> Vec<&str> {
    let mut hits = Vec::new();
    scan(text.as_bytes(), 0..text.len(), &mut hits);
    hits.iter().map(|hit| text.get(hit.start..hit.end).unwrap()).collect()
}

#[test]
fn numbers_of_each_network_are_found() {
    for number in [
        "4111111111111111",
        "4222222222222",
        "5555555555554444",
        "2223003122003222",
        "378282246310005",
        "30569309025904",
        "6011111111111117",
        "3530111333300000",
        "6200000000000005",
        "6304000000000000",
        "2200000000000004",
    ] {
        assert_eq!(found(number), [number]);
        assert_eq!(found(&format!("card={number}, paid")), [number]);
        assert_eq!(found(&format!("card_{number}_x")), [number]);
    }
}

#[test]
fn single_separators_are_read_over() {
    for number in ["4111 1111 1111 1111", "4111-1111-1111-1111", "3782 822463 10005", "4-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1"]
    {
        assert_eq!(found(&format!("pay {number} now")), [number]);
    }
    assert_eq!(found("4111 1111 1111 1111 12/28"), ["4111 1111 1111 1111"]);
    assert_eq!(found("17 4111 1111 1111 1111"), ["4111 1111 1111 1111"]);
    assert_eq!(found("4111  1111 1111 1111"), [""; 0]);
}

#[test]
fn what_comes_near_is_let_be() {
    for near in [
        "4111111111111112",
        "1111111111111117",
        "41111111111111110",
        "a4111111111111111",
        "4111111111111111b",
        "0.4111111111111111",
        "2026-11-23 08:26:23.123456",
        "1732350383000",
        "550e8400-e29b-41d4-a716-446655440000",
        "411111111111111100000000",
        "9111111111111111",
        "",
    ] {
        assert_eq!(found(near), [""; 0], "{near}");
    }
}

#[test]
fn long_runs_cost_no_more_than_their_length() {
    assert_eq!(found(&"1 ".repeat(100_000)), [""; 0]);
    assert_eq!(found(&"1".repeat(1_000_000)), [""; 0]);
}
