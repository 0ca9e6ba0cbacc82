use super::*;

fn header(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [SIGNATURE.as_slice(), &[command, family], &length, body].concat()
}

/// 203.0.113.7:4711 to 192.0.2.1:5432.
const FOUR: [u8; 12] = [203, 0, 113, 7, 192, 0, 2, 1, 18, 103, 21, 56];

fn six(source: &str) -> Vec<u8> {
    let source: Ipv6Addr = source.parse().unwrap();
    let destination: Ipv6Addr = "2001:db8::1".parse().unwrap();
    [source.octets().as_slice(), &destination.octets(), &[18, 103, 21, 56]].concat()
}

#[test]
fn the_clients_address_is_read() {
    let parsed = |header: &[u8]| source(header).unwrap().map(|address| address.to_string());
    assert_eq!(parsed(&header(PROXY, TCP_OVER_IPV4, &FOUR)).as_deref(), Some("203.0.113.7:4711"));
    let over_six = header(PROXY, TCP_OVER_IPV6, &six("2001:db8::7"));
    assert_eq!(parsed(&over_six).as_deref(), Some("[2001:db8::7]:4711"));
    // IPv4 that came in over IPv6 is the same client to policy.
    let mapped = header(PROXY, TCP_OVER_IPV6, &six("::ffff:203.0.113.7"));
    assert_eq!(parsed(&mapped).as_deref(), Some("203.0.113.7:4711"));
    // Additions are passed over: ALPN (1) and padding (4).
    let additions = [FOUR.as_slice(), &[1, 0, 2, b'p', b'g'], &[4, 0, 0]].concat();
    assert_eq!(parsed(&header(PROXY, TCP_OVER_IPV4, &additions)).as_deref(), Some("203.0.113.7:4711"));
}

#[test]
fn a_proxy_may_speak_for_itself() {
    assert_eq!(source(&header(LOCAL, 0, &[])), Ok(None));
    assert_eq!(source(&header(LOCAL, TCP_OVER_IPV4, &FOUR)), Ok(None));
    assert_eq!(source(&header(LOCAL, 0xff, &[9; 5])), Ok(None));
}

#[test]
fn what_is_not_understood_whole_is_refused() {
    let cases: [(Vec<u8>, Malformed); 12] = [
        (b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 5432\r\n".to_vec(), Malformed::Signature),
        (vec![0, 0, 0, 8, 4, 210, 22, 47], Malformed::Signature),
        (header(0x11, TCP_OVER_IPV4, &FOUR), Malformed::Command),
        (header(0x22, TCP_OVER_IPV4, &FOUR), Malformed::Command),
        (header(PROXY, 0, &[]), Malformed::Family),
        (header(PROXY, 0x12, &FOUR), Malformed::Family),
        (header(PROXY, 0x31, &[0; 216]), Malformed::Family),
        (header(PROXY, TCP_OVER_IPV4, &FOUR[..11]), Malformed::Truncated),
        (header(PROXY, TCP_OVER_IPV6, &FOUR), Malformed::Truncated),
        (header(PROXY, TCP_OVER_IPV4, &[FOUR.as_slice(), &[4, 0]].concat()), Malformed::Truncated),
        (header(PROXY, TCP_OVER_IPV4, &[FOUR.as_slice(), &[4, 0, 9, 0]].concat()), Malformed::Truncated),
        (header(PROXY, TCP_OVER_IPV4, &[0; 2049]), Malformed::TooLong),
    ];
    for (header, why) in cases {
        assert_eq!(source(&header), Err(why), "{header:?}");
    }
    let behind = [header(PROXY, TCP_OVER_IPV4, &FOUR), b"Q".to_vec()].concat();
    assert_eq!(source(&behind), Err(Malformed::Truncated));
}

#[test]
fn a_wrong_start_is_refused_at_its_first_wrong_byte() {
    assert_eq!(rest(b""), Ok(None));
    assert_eq!(rest(b"\r\n\r"), Ok(None));
    assert_eq!(rest(&[0]), Err(Malformed::Signature));
    assert_eq!(rest(b"\r\n\r\n\0\rQ"), Err(Malformed::Signature));
    let whole = header(PROXY, TCP_OVER_IPV4, &FOUR);
    for cut in 0..FIXED {
        assert_eq!(rest(&whole[..cut]), Ok(None), "{cut}");
    }
    assert_eq!(rest(&whole[..FIXED]), Ok(Some(12)));
    assert_eq!(rest(&header(PROXY, TCP_OVER_IPV4, &[0; 2049])[..FIXED]), Err(Malformed::TooLong));
}

#[test]
fn no_header_that_was_cut_or_changed_does_harm() {
    for whole in [header(PROXY, TCP_OVER_IPV4, &FOUR), header(PROXY, TCP_OVER_IPV6, &six("2001:db8::7"))] {
        for cut in 0..whole.len() {
            assert!(source(&whole[..cut]).is_err(), "{cut}");
        }
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut changed = whole.clone();
                changed[at] ^= 1 << bit;
                let outcome = source(&changed);
                assert!(outcome.is_err() || at >= SIGNATURE.len(), "{changed:?}: {outcome:?}");
            }
        }
    }
}

#[test]
fn peers_are_addresses_and_networks() {
    let peers = |text: &str| text.parse::<Peers>().unwrap();
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    assert!(peers("10.1.2.3").contains(ip("10.1.2.3")) && !peers("10.1.2.3").contains(ip("10.1.2.4")));
    assert!(peers("10.0.0.0/8").contains(ip("10.255.0.1")) && !peers("10.0.0.0/8").contains(ip("11.0.0.1")));
    assert!(peers("10.0.0.0/8").contains(ip("::ffff:10.0.0.1")));
    assert!(peers("fd00::/8").contains(ip("fd12::1")) && !peers("fd00::/8").contains(ip("fe80::1")));
    assert!(peers("::1").contains(ip("::1")) && !peers("::1").contains(ip("127.0.0.1")));
    assert!(peers("0.0.0.0/0").contains(ip("192.0.2.1")) && !peers("0.0.0.0/0").contains(ip("2001:db8::1")));
    let said = |text: &str| text.parse::<Peers>().unwrap_err().to_string();
    assert!(said("10.1.2.3/8").contains("write `10.1.2.3` or `10.0.0.0/8`"), "{}", said("10.1.2.3/8"));
    assert!(said("::ffff:10.0.0.1").contains("write it as IPv4"));
    for wrong in ["", "proxy.example", "10.0.0.0/33", "10.0.0/8", "10.0.0.1:5432"] {
        assert!(said(wrong).contains("write `10.1.2.3` or `10.0.0.0/8`"), "{wrong}");
    }
}
