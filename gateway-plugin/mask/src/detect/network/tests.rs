use super::*;

fn found(scan: fn(&[u8], &mut Vec<Hit>), text: &str) -> Vec<&str> {
    let mut hits = Vec::new();
    scan(text.as_bytes(), &mut hits);
    hits.iter().map(|hit| text.get(hit.start..hit.end).unwrap()).collect()
}

fn all_phones(text: &[u8], hits: &mut Vec<Hit>) {
    phones(text, 0..text.len(), hits);
}

#[test]
fn e_mail_addresses_are_found() {
    for address in ["jane.doe@example.com", "a+b@mail.example.co.uk", "x@xn--bcher-kva.example", "jörg@bücher.example"]
    {
        assert_eq!(found(emails, &format!("to <{address}>, or")), [address]);
        assert_eq!(found(emails, &format!("mail {address}.")), [address]);
    }
    assert_eq!(found(emails, "a@b.example,c@d.example"), ["a@b.example", "c@d.example"]);
}

#[test]
fn what_comes_near_an_e_mail_address_is_let_be() {
    for near in [
        "@handle",
        "a@b",
        "user@localhost",
        "a @ b.example",
        "a@b..example",
        "a@-b.example",
        "a@1.2",
        "a.@b.example",
        "",
    ] {
        assert_eq!(found(emails, near), [""; 0], "{near}");
    }
}

#[test]
fn telephone_numbers_are_found() {
    for number in [
        "+14155552671",
        "+44 20 7946 0958",
        "+49-30-901820",
        "+33 1 23 45 67 89",
        "(415) 555-2671",
        "(415)555-2671",
        "415-555-2671",
        "415.555.2671",
        "020 7946 0958",
        "0161 496 0000",
        "07700 900123",
        "01 23 45 67 89",
        "01.23.45.67.89",
    ] {
        assert_eq!(found(all_phones, &format!("call {number}, soon")), [number]);
        assert_eq!(found(all_phones, number), [number]);
    }
}

#[test]
fn what_comes_near_a_telephone_number_is_let_be() {
    for near in [
        "4155552671",
        "2026-11-23 08:26:23.123456+00",
        "+1",
        "+0123456789",
        "+1234567",
        "1+14155552671",
        "115-555-2671",
        "415-155-2671",
        "415-555-26711",
        "415-555.2671",
        "1.415.555.2671",
        "192.168.100.2001",
        "219-09-9999",
        "",
        "00 11 22 33 44",
        "01 23 45 67 8",
        "0171-4960000",
        "x415-555-2671",
    ] {
        assert_eq!(found(all_phones, near), [""; 0], "{near}");
    }
}

#[test]
fn addresses_of_machines_are_found() {
    for address in ["192.0.2.1", "255.255.255.255"] {
        assert_eq!(found(ipv4, &format!("from {address}:443")), [address]);
        assert_eq!(found(ipv4, &format!("from {address}.")), [address]);
    }
    for address in ["2001:db8::1", "fe80::1", "2001:0db8:0000:0000:0000:ff00:0042:8329", "::ffff:192.0.2.128", "::1"] {
        assert_eq!(found(ipv6, &format!("from [{address}]")), [address]);
        assert_eq!(found(ipv6, address), [address]);
    }
}

#[test]
fn what_comes_near_an_address_of_a_machine_is_let_be() {
    for near in ["1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "v1.2.3.4", "1.2.3.4a", ""] {
        assert_eq!(found(ipv4, near), [""; 0], "{near}");
    }
    for near in ["::", "08:26:23", "00:1a:2b:3c:4d:5e", "std::vec", "a::b::c", "12345::1", ""] {
        assert_eq!(found(ipv6, near), [""; 0], "{near}");
    }
}
