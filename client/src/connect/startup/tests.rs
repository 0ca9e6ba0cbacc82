use super::*;

fn packet(code: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 8).unwrap();
    [&length.to_be_bytes(), &code.to_be_bytes(), body].concat()
}

fn startup(body: &[u8]) -> Startup {
    match first(&packet(196_608, body)).unwrap().unwrap().0 {
        First::Startup(startup) => startup,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_session_is_asked_for_the_target_whoever_the_client_thought_it_was() {
    let asked =
        startup(b"user\0root\0database\0root\0application_name\0psql\0\0").for_target("payments/app", "payments", None);
    let wanted = packet(
        196_608,
        b"user\0payments/app\0database\0payments\0application_name\0psql\0options\0-c writ.auth=password\0\0",
    );
    assert_eq!(asked, wanted);
    let named = startup(b"user\0root\0database\0other\0options\0-c geqo=off\\\0\0");
    let named = named.for_target("payments", "payments", Some("job 42"));
    let wanted = b"user\0payments\0database\0other\0options\0-c geqo=off\\\0writ.reason\0job 42\0options\0-c writ.auth=password\0\0";
    let wanted = packet(196_608, wanted);
    assert_eq!(named, wanted);
}

#[test]
fn every_packet_is_waited_for_whole() {
    for whole in [packet(SSL, b""), packet(CANCEL, &[7; 8]), packet(196_610, b"user\0u\0\0")] {
        for cut in 0..whole.len() {
            assert_eq!(first(&whole[..cut]), Ok(None));
        }
        assert_eq!(first(&whole).unwrap().unwrap().1, whole.len());
    }
    assert_eq!(first(&packet(CANCEL, &[7; 8])), Ok(Some((First::Cancel(packet(CANCEL, &[7; 8])), 16))));
}

#[test]
fn what_begins_no_connection_is_refused() {
    let long = [&10_001_u32.to_be_bytes()[..], &196_608_u32.to_be_bytes()].concat();
    for wrong in [
        vec![0, 0, 0, 7],
        long,
        packet(131_072, b"\0"),
        packet(SSL, b"x"),
        packet(CANCEL, b"short"),
        packet(196_608, b""),
        packet(196_608, b"user\0u\0"),
        packet(196_608, b"user\0\0"),
        packet(196_608, b"user"),
        packet(196_608, b"\0u\0\0"),
    ] {
        assert!(first(&wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn only_a_request_for_the_token_gets_it() {
    assert_eq!(said(b"R\0\0\0\x08\0\0\0\x03"), Ok(Some((Said::Password, 9))));
    assert_eq!(said(b"R\0\0\0\x08\0\0\0"), Ok(None));
    assert_eq!(said(b"E\0\0\0\x05\0"), Ok(Some((Said::Refused, 6))));
    assert_eq!(said(b"v\0\0\0\x04"), Ok(Some((Said::Told, 5))));
    for wrong in [
        b"R\0\0\0\x08\0\0\0\0".as_slice(),
        b"R\0\0\0\x0c\0\0\0\x05salt",
        b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0",
        b"R\0\0\0\x0c\0\0\0\x03more",
        b"Z\0\0\0\x05I",
        b"E\0\0\0\x03",
        b"E\0\x01\0\0",
    ] {
        assert!(said(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_refusal_is_one_message_and_steers_no_terminal() {
    let message = refusal("08001", "no\u{1b}[2J way\0", Some("do this"));
    assert_eq!(message, b"E\0\0\0\x2eSFATAL\0VFATAL\0C08001\0Mno[2J way\0Hdo this\0\0".to_vec());
    assert_eq!(said(&message).unwrap().unwrap(), (Said::Refused, message.len()));
}
