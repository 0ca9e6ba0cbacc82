use std::net::{Ipv4Addr, Ipv6Addr};

use writ_core::time::SignedDuration;

use super::*;

const START: Timestamp = Timestamp::UNIX_EPOCH;

fn at(milliseconds: i64) -> Timestamp {
    START.checked_add(SignedDuration::from_millis(milliseconds)).unwrap()
}

fn caller(last: u8) -> Caller {
    Caller::exchanges(Ipv4Addr::new(192, 0, 2, last).into())
}

/// How many of `count` requests at one moment are admitted.
fn admitted(rates: &Rates, caller: Caller, config: &RatesConfig, now: Timestamp, count: u32) -> u32 {
    (0..count).map(|_| u32::from(rates.admit(caller, config, now).is_ok())).sum()
}

#[test]
fn a_burst_is_ten_seconds_worth_and_then_the_rate_holds() {
    let (rates, config) = (Rates::new(), RatesConfig { exchanges: 5, ..RatesConfig::default() });
    assert_eq!(admitted(&rates, caller(1), &config, at(0), 200), 50);
    assert_eq!(admitted(&rates, caller(1), &config, at(199), 10), 0);
    assert_eq!(admitted(&rates, caller(1), &config, at(200), 10), 1, "a fifth of a second is one request");
    assert_eq!(admitted(&rates, caller(1), &config, at(1_200), 10), 5);
    assert_eq!(admitted(&rates, caller(1), &config, at(3_600_000), 200), 50, "no more than the burst gathers");
}

#[test]
fn callers_do_not_pay_for_each_other() {
    let (rates, config) = (Rates::new(), RatesConfig { exchanges: 1, ..RatesConfig::default() });
    assert_eq!(admitted(&rates, caller(1), &config, at(0), 100), 10);
    assert_eq!(admitted(&rates, caller(2), &config, at(0), 100), 10);
    let enrols = Caller::enrols(Ipv4Addr::new(192, 0, 2, 1).into());
    assert_eq!(admitted(&rates, enrols, &config, at(0), 100), 50, "and not for what else they ask");
}

#[test]
fn one_network_of_ipv6_is_one_caller_and_a_mapped_address_is_its_own() {
    let v6 = |segments: [u16; 8]| Caller::exchanges(Ipv6Addr::from(segments).into());
    assert_eq!(v6([0x2001, 0xdb8, 1, 2, 3, 4, 5, 6]), v6([0x2001, 0xdb8, 1, 2, 9, 9, 9, 9]));
    assert_ne!(v6([0x2001, 0xdb8, 1, 2, 0, 0, 0, 1]), v6([0x2001, 0xdb8, 1, 3, 0, 0, 0, 1]));
    assert_eq!(Caller::exchanges(Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped().into()), caller(1));
}

#[test]
fn a_clock_that_is_set_back_fills_no_bucket() {
    let (rates, config) = (Rates::new(), RatesConfig { exchanges: 1, ..RatesConfig::default() });
    assert_eq!(admitted(&rates, caller(1), &config, at(600_000), 10), 10);
    assert_eq!(admitted(&rates, caller(1), &config, at(0), 10), 0);
    assert_eq!(admitted(&rates, caller(1), &config, at(1_000), 10), 1);
}

#[test]
fn the_first_refusal_in_a_minute_is_told_and_the_rest_is_not() {
    let (rates, config) = (Rates::new(), RatesConfig { exchanges: 1, ..RatesConfig::default() });
    let told = |now: Timestamp| {
        (0..100).filter_map(|_| rates.admit(caller(1), &config, now).err()).filter(|over| over.first).count()
    };
    assert_eq!((told(at(0)), told(at(1)), told(at(59_999)), told(at(60_000))), (1, 0, 0, 1));
}

#[test]
fn a_rate_of_nothing_admits_nothing() {
    let (rates, config) = (Rates::new(), RatesConfig { exchanges: 0, ..RatesConfig::default() });
    assert_eq!(admitted(&rates, caller(1), &config, at(0), 10), 0);
    assert_eq!(admitted(&rates, caller(1), &config, at(100_000), 10), 0);
}
