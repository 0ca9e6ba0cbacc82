use proptest::prelude::*;

use super::*;

const PIECES: &[&str] = &[
    "4111111111111111",
    "4111 1111 1111 1111",
    "GB82 WEST 1234 5698 7654 32",
    "219-09-9999",
    "AB 12 34 56 C",
    "AB123456C",
    "111.444.777-35",
    "11144477735",
    "11.222.333/0001-81",
    "2341 2341 2346",
    "86 095 742 719",
    "30 23 217 600 053",
    "12345678-Z",
    "X1234567L",
    "RSSMRA85T10A562S",
    "jane@example.com",
    "+14155552671",
    "(415) 555-2671",
    "(415)555-2671",
    "020 7946 0958",
    "0161 496 0000",
    "07700 900123",
    "01.23.45.67.89",
    "1.2.3.4",
    "192.168.100.200",
    "::1",
    "2001:db8:1:2:3:4:5:6",
    "1:2:3:4:5:6:1.2.3.4",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc",
    "AKIAQQQQQQQQQQQQQQQQ",
    "{\"password\":\"x\"}",
    "{\"token\" : 12}",
    "kJ8fQ2/xW9zLrT5vB1nM+7pYcD3gHs6aEu0iXoRq",
    "\u{FF14}111111111111111",
    "41111111\u{200B}11111111",
    " ",
    ",",
    "-",
    ".",
    ":",
    "0",
    "a",
    "\n",
    "12",
    "x1",
    "\0\0\0\x10",
];

fn exhaustive(scanner: &mut Scanner, text: &[u8]) -> Vec<Hit> {
    let mut hits = Vec::new();
    scanner.look_at(text, Sight::Anywhere(Shapes::ALL.without(Shapes::FOLD)), &mut hits);
    hits
}

proptest! {
    #[test]
    fn the_prefilter_misses_nothing(pieces in prop::collection::vec(0..PIECES.len(), 0..24)) {
        let text: String = pieces.iter().map(|piece| PIECES[*piece]).collect();
        let mut scanner = Scanner::new(Set::ALL, &[]);
        let (mut quick, all) = (Vec::new(), exhaustive(&mut scanner, text.as_bytes()));
        scanner.find(text.as_bytes(), &mut quick);
        for hit in all {
            prop_assert!(quick.contains(&hit), "{hit:?} in {text:?}");
        }
    }

    #[test]
    fn a_value_among_others_is_seen_as_by_itself(
        values in prop::collection::vec(prop::collection::vec(0..PIECES.len(), 0..6), 1..40),
    ) {
        let values: Vec<String> =
            values.iter().map(|pieces| pieces.iter().map(|piece| PIECES[*piece]).collect()).collect();
        let all = values.concat();
        let mut scanner = Scanner::new(Set::ALL, &[]);
        let (mut regions, mut base) = (Vec::new(), 0);
        scanner.regions(all.as_bytes(), &mut regions);
        for value in values {
            let (mut hits, expected) = (Vec::new(), exhaustive(&mut scanner, value.as_bytes()));
            let sight = Sight::Near { regions: &regions, base, shapes: Shapes::ALL };
            scanner.look(value.as_bytes(), sight, &mut hits);
            for hit in expected {
                prop_assert!(hits.contains(&hit), "{hit:?} in {value:?}");
            }
            base += value.len();
        }
    }

    #[test]
    fn no_bytes_break_a_detector(text in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut scanner = Scanner::new(Set::ALL, &[]);
        let (mut quick, all) = (Vec::new(), exhaustive(&mut scanner, &text));
        scanner.find(&text, &mut quick);
        for hit in &all {
            prop_assert!(quick.contains(hit));
        }
        for hit in quick {
            prop_assert!(hit.start < hit.end && hit.end <= text.len());
        }
    }
}

#[test]
fn every_detector_has_a_name_and_a_bit_of_its_own() {
    let mut set = Set::NONE;
    for detector in Detector::ALL {
        assert!(!set.has(*detector));
        set = set.with(*detector);
        assert_eq!(Detector::by_name(detector.name().unwrap()), Some(*detector));
    }
    assert_eq!(set, Set::ALL);
}

#[test]
fn hidden_digits_are_found_where_they_stand() {
    let text = "pay 4\u{200B}111\u{FF11}11111111111 now";
    let (mut scanner, mut hits) = (Scanner::new(Set::NONE.with(Detector::Pan), &[]), Vec::new());
    scanner.find(text.as_bytes(), &mut hits);
    assert_eq!(hits.len(), 1);
    assert_eq!(text.get(hits[0].start..hits[0].end).unwrap(), "4\u{200B}111\u{FF11}11111111111");
}

#[test]
fn literals_of_every_key_are_searched_for() {
    let scanner = Scanner::new(Set::ALL, &[]);
    for (literal, ..) in secret::BODIES {
        let mut regions = Vec::new();
        scanner.literals.regions(&[&[b' '; 40], *literal, &[b' '; 40]].concat(), &mut regions);
        assert!(regions.iter().any(|region| region.offset == 40), "{}", String::from_utf8_lossy(literal));
    }
}
