//! The corpus: sentences and records around values of which it is known what they are. It knows nothing of the detectors: check
//! digits are computed here a second time, by trying.

/// A generator of numbers, `xorshift64*`.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % limit
    }

    pub(crate) fn pick<'t>(&mut self, list: &[&'t str]) -> &'t str {
        list[self.below(list.len())]
    }

    fn from(&mut self, alphabet: &str, count: usize) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        (0..count).map(|_| letters[self.below(letters.len())]).collect()
    }

    pub(crate) fn digits(&mut self, count: usize) -> String {
        self.from("0123456789", count)
    }
}

const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const HEX: &str = "0123456789abcdef";

/// The decimal digit by which the text passes a check.
fn completed(front: &str, check: impl Fn(&str) -> bool) -> Option<String> {
    (0..10).map(|digit| format!("{front}{digit}")).find(|text| check(text))
}

fn luhn(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().rev().map(|digit| digit.to_digit(10).unwrap()).collect();
    let odd: u32 = digits.iter().step_by(2).sum();
    let even: u32 = digits.iter().skip(1).step_by(2).map(|digit| digit * 2 / 10 + digit * 2 % 10).sum();
    (odd + even).is_multiple_of(10)
}

fn weighted(text: &str, weights: &[u32]) -> u32 {
    text.chars().zip(weights).map(|(digit, weight)| digit.to_digit(10).unwrap() * weight).sum::<u32>() * 10 % 11 % 10
}

fn verhoeff(text: &str) -> bool {
    const D: [&str; 10] = [
        "0123456789",
        "1234067895",
        "2340178956",
        "3401289567",
        "4012395678",
        "5987604321",
        "6598710432",
        "7659821043",
        "8765932104",
        "9876543210",
    ];
    const P: [&str; 8] = [
        "0123456789",
        "1576283094",
        "5803796142",
        "8916043527",
        "9453126870",
        "4286573901",
        "2793806415",
        "7046913258",
    ];
    let at = |table: &str, place: usize| usize::from(table.as_bytes()[place] - b'0');
    text.bytes()
        .rev()
        .enumerate()
        .fold(0, |check, (place, digit)| at(D[check], at(P[place % 8], usize::from(digit - b'0'))))
        == 0
}

fn pan(random: &mut Random) -> String {
    let (front, length) = [
        ("4", 16),
        ("51", 16),
        ("55", 16),
        ("2221", 16),
        ("34", 15),
        ("37", 15),
        ("6011", 16),
        ("3528", 16),
        ("36", 14),
        ("62", 19),
        ("50", 16),
    ][random.below(11)];
    let number = format!("{front}{}", random.digits(length - 1 - front.len()));
    let number = completed(&number, luhn).unwrap();
    let separator = ["", "", " ", "-"][random.below(4)];
    number
        .as_bytes()
        .chunks(4)
        .map(|group| String::from_utf8(group.to_vec()).unwrap())
        .collect::<Vec<_>>()
        .join(separator)
}

fn iban(random: &mut Random) -> String {
    let (country, length) =
        [("DE", 22), ("GB", 22), ("FR", 27), ("NL", 18), ("NO", 15), ("ES", 24), ("CH", 21)][random.below(7)];
    let account = random.digits(length - 4);
    let number = |check: u32| {
        let moved = format!("{account}{country}{check:02}");
        moved.chars().fold(0, |rest, letter| match letter.to_digit(36).unwrap() {
            small @ 0..=9 => (rest * 10 + small) % 97,
            large => (rest * 100 + large) % 97,
        })
    };
    let check = (2..99).find(|check| number(*check) == 1).unwrap();
    let plain = format!("{country}{check:02}{account}");
    if random.below(2) == 0 {
        return plain;
    }
    plain.as_bytes().chunks(4).map(|group| String::from_utf8(group.to_vec()).unwrap()).collect::<Vec<_>>().join(" ")
}

fn german(random: &mut Random) -> String {
    loop {
        let mut digits: Vec<char> = "0123456789".chars().collect();
        for place in (1..10).rev() {
            digits.swap(place, random.below(place + 1));
        }
        digits[9] = digits[random.below(9)];
        let front: String = digits.iter().collect();
        let check = |text: &str| {
            let mut product = 10;
            for digit in text.chars().take(10) {
                let sum = (digit.to_digit(10).unwrap() + product) % 10;
                product = if sum == 0 { 10 } else { sum } * 2 % 11;
            }
            (11 - product) % 10 == text.chars().last().unwrap().to_digit(10).unwrap()
        };
        if !front.starts_with('0') {
            return completed(&front, check).unwrap();
        }
    }
}

fn italian(random: &mut Random) -> String {
    const ODD: [u32; 36] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16,
        10, 22, 25, 24, 23,
    ];
    let front = format!(
        "{}{}{}{}{}{}",
        random.from(UPPER, 6),
        random.digits(2),
        random.from("ABCDEHLMPRST", 1),
        random.digits(2),
        random.from(UPPER, 1),
        random.digits(3)
    );
    let sum: u32 = front
        .chars()
        .enumerate()
        .map(|(place, letter)| {
            let rank = letter.to_digit(36).unwrap();
            if place % 2 == 0 {
                ODD[usize::try_from(rank).unwrap()]
            } else if rank < 10 {
                rank
            } else {
                rank - 10
            }
        })
        .sum();
    format!("{front}{}", char::from(b'A' + u8::try_from(sum % 26).unwrap()))
}

/// A value that the detector of this name is to find.
pub(crate) fn value(detector: &str, random: &mut Random) -> String {
    match detector {
        "pan" => pan(random),
        "iban" => iban(random),
        "us-ssn" => format!("{:03}-{:02}-{:04}", 1 + random.below(600), 1 + random.below(99), 1 + random.below(9999)),
        "uk-nino" => {
            let front = random.pick(&["AB", "CE", "JG", "PX", "SW"]);
            let (number, last) = (random.digits(6), random.pick(&["A", "B", "C", "D"]));
            if random.below(2) == 0 {
                format!("{front}{number}{last}")
            } else {
                format!(
                    "{front} {} {} {} {last}",
                    &number.get(..2).unwrap(),
                    &number.get(2..4).unwrap(),
                    &number.get(4..).unwrap()
                )
            }
        }
        "br-cpf" => {
            let mut text = random.digits(9);
            text = format!("{text}{}", weighted(&text, &[10, 9, 8, 7, 6, 5, 4, 3, 2]));
            text = format!("{text}{}", weighted(&text, &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2]));
            if random.below(2) == 0 {
                text
            } else {
                format!(
                    "{}.{}.{}-{}",
                    text.get(..3).unwrap(),
                    text.get(3..6).unwrap(),
                    text.get(6..9).unwrap(),
                    text.get(9..).unwrap()
                )
            }
        }
        "br-cnpj" => {
            let mut text = format!("{}0001", random.digits(8));
            text = format!("{text}{}", weighted(&text, &[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]));
            text = format!("{text}{}", weighted(&text, &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]));
            if random.below(2) == 0 {
                text
            } else {
                format!(
                    "{}.{}.{}/{}-{}",
                    text.get(..2).unwrap(),
                    text.get(2..5).unwrap(),
                    text.get(5..8).unwrap(),
                    text.get(8..12).unwrap(),
                    text.get(12..).unwrap()
                )
            }
        }
        "in-aadhaar" => {
            let text = completed(&format!("{}{}", 2 + random.below(8), random.digits(10)), verhoeff).unwrap();
            if random.below(2) == 0 {
                text
            } else {
                format!("{} {} {}", text.get(..4).unwrap(), text.get(4..8).unwrap(), text.get(8..).unwrap())
            }
        }
        "de-tax-id" => german(random),
        "fr-tax-id" => {
            let front = format!("{}{}", random.below(4), random.digits(9));
            format!("{front}{:03}", front.parse::<u64>().unwrap() % 511)
        }
        "es-tax-id" => {
            let number = random.below(100_000_000);
            format!("{number:08}{}", "TRWAGMYFPDXBNJZSQVHLCKE".chars().nth(number % 23).unwrap())
        }
        "it-tax-id" => italian(random),
        "email" => format!(
            "{}.{}@{}.example",
            random.pick(&["jane", "r", "li-wei", "o'neil"]),
            random.pick(&["doe", "kumar+x", "99"]),
            random.pick(&["mail", "corp.sub", "xn--bcher-kva"])
        ),
        "phone" => match random.below(4) {
            0 => format!("+{}{}", 1 + random.below(98), random.digits(10)),
            1 => format!("({}) {}-{}", 200 + random.below(799), 200 + random.below(799), random.digits(4)),
            2 => format!("020 {} {}", random.digits(4), random.digits(4)),
            _ => format!(
                "0{} {} {} {} {}",
                1 + random.below(9),
                random.digits(2),
                random.digits(2),
                random.digits(2),
                random.digits(2)
            ),
        },
        "ipv4" => format!("{}.{}.{}.{}", random.below(256), random.below(256), random.below(256), random.below(256)),
        "ipv6" => format!("2001:db8:{}::{}", random.from(HEX, 4), random.from(HEX, 3)),
        "jwt" => format!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIi{}.{}", random.from(ALNUM, 30), random.from(ALNUM, 43)),
        "private-key" => {
            format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----", random.from(ALNUM, 64))
        }
        "aws-key" => format!("AKIA{}", random.from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)),
        "gcp-key" => format!("AIza{}", random.from(ALNUM, 35)),
        "azure-key" => format!("AccountKey={}==", random.from(ALNUM, 86)),
        "github-key" => format!("ghp_{}", random.from(ALNUM, 36)),
        "slack-key" => format!("xoxb-{}-{}", random.digits(12), random.from(ALNUM, 24)),
        "stripe-key" => format!("sk_live_{}", random.from(ALNUM, 24)),
        "secret-field" => format!(
            "{{\"{}\": \"{}\"}}",
            random.pick(&["password", "db_password", "clientSecret", "api_key"]),
            random.from(ALNUM, 9)
        ),
        "entropy" => random.from(ALNUM, 32),
        other => panic!("no values for `{other}`"),
    }
}

/// A value in which one digit is another one.
pub(crate) fn spoiled(value: &str, random: &mut Random) -> String {
    let digits: Vec<usize> =
        value.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_digit()).map(|(at, _)| at).collect();
    let (place, by) = (digits[random.below(digits.len())], 1 + random.below(9));
    let other = |digit: u8| b'0' + (digit - b'0' + u8::try_from(by).unwrap()) % 10;
    value.bytes().enumerate().map(|(at, byte)| char::from(if at == place { other(byte) } else { byte })).collect()
}

/// A value that comes near to one and is none.
pub(crate) fn near(random: &mut Random) -> String {
    match random.below(14) {
        0 => format!("order {}", random.digits(10)),
        1 => format!("ORD-2026-{}", random.digits(8)),
        2 => format!(
            "2026-{:02}-{:02} {:02}:{:02}:{:02}.{}+00",
            1 + random.below(12),
            1 + random.below(28),
            random.below(24),
            random.below(60),
            random.below(60),
            random.digits(6)
        ),
        3 => format!("17{}", random.digits(11)),
        4 => format!(
            "{}-{}-4{}-a{}-{}",
            random.from(HEX, 8),
            random.from(HEX, 4),
            random.from(HEX, 3),
            random.from(HEX, 3),
            random.from(HEX, 12)
        ),
        5 => format!("{}.{}.{}", random.below(20), random.below(20), random.below(2000)),
        6 => random.from(HEX, 40),
        7 => format!("tel ext {}", random.digits(5)),
        8 => format!("{}-{}", random.digits(3), random.digits(6)),
        9 => format!("@{}", random.from("abcdefgh", 6)),
        10 => format!("tracking {}", random.digits(12)),
        11 => format!("batch {}", random.digits(16)),
        12 => format!("{}.{:02}", random.digits(7), random.below(100)),
        _ => format!("00:1a:2b:{}:4d:5e", random.from(HEX, 2)),
    }
}

/// Text around a value: what stands before it and behind.
pub(crate) fn around(random: &mut Random) -> (&'static str, &'static str) {
    [("", ""), ("value: ", "."), ("<v>", "</v>"), ("paid by ", ", thanks"), ("[\"", "\"]"), ("a;", ";b"), ("(", ")")]
        [random.below(7)]
}
