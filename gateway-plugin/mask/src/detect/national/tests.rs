use super::*;

fn found(text: &str) -> Vec<(Detector, &str)> {
    let mut hits = Vec::new();
    digits(text.as_bytes(), 0..text.len(), Set::ALL, &mut hits);
    words(text.as_bytes(), 0..text.len(), Set::ALL, &mut hits);
    hits.iter().map(|hit| (hit.detector, text.get(hit.start..hit.end).unwrap())).collect()
}

#[test]
fn numbers_of_each_state_are_found() {
    for (detector, number) in [
        (Detector::UsSsn, "219-09-9999"),
        (Detector::UsSsn, "219 09 9999"),
        (Detector::BrCpf, "11144477735"),
        (Detector::BrCpf, "111.444.777-35"),
        (Detector::BrCnpj, "11222333000181"),
        (Detector::BrCnpj, "11.222.333/0001-81"),
        (Detector::InAadhaar, "234123412346"),
        (Detector::InAadhaar, "2341 2341 2346"),
        (Detector::DeTaxId, "86095742719"),
        (Detector::DeTaxId, "86 095 742 719"),
        (Detector::FrTaxId, "3023217600053"),
        (Detector::FrTaxId, "30 23 217 600 053"),
        (Detector::EsTaxId, "12345678Z"),
        (Detector::EsTaxId, "12345678-Z"),
        (Detector::EsTaxId, "X1234567L"),
        (Detector::ItTaxId, "RSSMRA85T10A562S"),
        (Detector::UkNino, "AB123456C"),
        (Detector::UkNino, "AB 12 34 56 C"),
    ] {
        assert_eq!(found(number), [(detector, number)]);
        assert_eq!(found(&format!("id: {number}.")), [(detector, number)]);
        assert_eq!(found(&format!("{number}, x")), [(detector, number)]);
        assert_eq!(found(&format!("x{number}")), [], "within a word: {number}");
    }
}

#[test]
fn what_comes_near_is_let_be() {
    for near in [
        "000-12-3456",
        "666-12-3456",
        "900-12-3456",
        "219-00-9999",
        "219-09-0000",
        "219-099-999",
        "219099999",
        "11144477736",
        "11111111111",
        "11.222.333/0001-82",
        "234123412347",
        "134123412346",
        "86095742718",
        "3023217600054",
        "12345678A",
        "X1234567A",
        "RSSMRA85T10A562T",
        "RSSMRA85Z10A562S",
        "GB123456A",
        "QQ123456C",
        "AB123456E",
        "AB12345C",
        "2026-11-23 08:26:23",
        "550e8400-e29b-41d4-a716-446655440000",
        "",
    ] {
        assert_eq!(found(near), [], "{near}");
    }
}
