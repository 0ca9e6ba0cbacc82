use proptest::prelude::*;

use super::*;

fn cut(text: &str) -> Result<Vec<(Class, &str)>, Uncut> {
    Lexer::new(text).map(|token| token.map(|token| (token.class, std::str::from_utf8(token.text).unwrap()))).collect()
}

fn texts(text: &str) -> Vec<&str> {
    cut(text).unwrap().into_iter().map(|(_, text)| text).collect()
}

fn one(text: &str, class: Class) {
    assert_eq!(cut(text), Ok(vec![(class, text)]));
}

#[test]
fn strings_end_where_the_server_ends_them() {
    for text in [
        "''",
        "'it''s'",
        "'a\\'",
        "'a' \n 'b'",
        "'a'--x\n'b'",
        "'a' -- x\r -- y\n\t'b''c'",
        "E'a\\'b'",
        "e'\\\\'",
        "E'a'\n'\\''",
        "E'\\u00e9\\U0001F600'",
        "U&'d\\0061t''a'",
        "$$ ' $ $x$ $$",
        "$a_1é$ $$ $a$ $a_1é$",
        "$q$ $q$",
    ] {
        one(text, Class::String);
    }
    assert_eq!(texts("'a' 'b'"), ["'a'", "'b'"]);
    assert_eq!(texts("'a' /* \n */ 'b'"), ["'a'", "'b'"]);
    assert_eq!(texts("N'a'"), ["N", "'a'"]);
    assert_eq!(texts("$a$x$a$$b$y$b$"), ["$a$x$a$", "$b$y$b$"]);
}

#[test]
fn bits_and_names_end_where_the_server_ends_them() {
    one("b'01'", Class::Bits);
    one("X'1F'\n'00'", Class::Bits);
    assert_eq!(texts("b'1''0'"), ["b'1'", "'0'"]);
    one("\"a\"\"b;--\"", Class::Quoted);
    one("U&\"d\\0061ta\"", Class::UnicodeQuoted);
    one("a$b$c", Class::Word);
    one("été_1", Class::Word);
    assert_eq!(texts("u & 'x'"), ["u", "&", "'x'"]);
    assert_eq!(texts("u&x"), ["u", "&", "x"]);
    assert_eq!(texts("xx'1'"), ["xx", "'1'"]);
}

#[test]
fn comments_nest_and_are_no_tokens() {
    assert_eq!(texts("a /* /* ' */ \" */ b -- ' \n c"), ["a", "b", "c"]);
    assert_eq!(texts("a/*/**/*/b/****/c"), ["a", "b", "c"]);
    assert_eq!(texts("1 --"), ["1"]);
    assert_eq!(cut("a /* /* */"), Err(Uncut::Open));
}

#[test]
fn numbers_are_those_of_version_16_and_later() {
    for text in ["0", "1_000", "0x_1F", "0XAB_cd", "0o17", "0b1_0", "007"] {
        one(text, Class::Integer);
    }
    for text in ["1.", "1.5", ".5", "1e5", "1.e-5", ".5E+1_0", "1_0.0_1"] {
        one(text, Class::Float);
    }
    assert_eq!(texts("1..2"), ["1", "..", "2"]);
    assert_eq!(texts("1...2"), ["1", "..", ".2"]);
    assert_eq!(texts("1.5.3"), ["1.5", ".3"]);
    assert_eq!(texts("a.1"), ["a", ".1"]);
    assert_eq!(texts("0x1.5"), ["0x1", ".5"]);
    for text in [
        "1a", "1_", "1__0", "1._5", "0x", "0xG", "0x1G", "0b2", "0b12", "0o8", "1e", "1e+", "1.5e_", "1x", "1é", "0b_",
        "0b1$2",
    ] {
        assert_eq!(cut(text), Err(Uncut::Number), "{text}");
    }
    one("$12", Class::Parameter);
    assert_eq!(texts("1$1"), ["1", "$1"]);
    assert_eq!(cut("$1a"), Err(Uncut::Number));
}

#[test]
fn operators_end_before_comments_and_dangling_signs() {
    assert_eq!(texts("a+-b"), ["a", "+", "-", "b"]);
    assert_eq!(texts("a=-1"), ["a", "=", "-", "1"]);
    assert_eq!(texts("a@-1"), ["a", "@-", "1"]);
    assert_eq!(texts("a<->b"), ["a", "<->", "b"]);
    assert_eq!(texts("a*/* x */b"), ["a", "*", "b"]);
    assert_eq!(texts("a+--x\nb"), ["a", "+", "b"]);
    assert_eq!(texts("a::b[1:2]:=c=>d"), ["a", "::", "b", "[", "1", ":", "2", "]", ":=", "c", "=>", "d"]);
    assert_eq!(texts("?|&&!~~*"), ["?|&&!~~*"]);
    one(&"+|".repeat(31), Class::Symbol);
    assert_eq!(cut(&"|".repeat(64)), Err(Uncut::Stray));
}

#[test]
fn what_cannot_be_cut_is_an_error_and_the_end() {
    for (text, uncut) in [
        ("'a", Uncut::Open),
        ("'a' '", Uncut::Open),
        ("E'a\\", Uncut::Open),
        ("E'\\u12'", Uncut::Escape),
        ("\"a", Uncut::Open),
        ("\"\"", Uncut::Empty),
        ("$a$ $b$", Uncut::Open),
        ("$a", Uncut::Stray),
        ("$ 1", Uncut::Stray),
        ("a \\ b", Uncut::Stray),
        ("{", Uncut::Stray),
        ("a\0b", Uncut::Nul),
        ("'\0'", Uncut::Nul),
        ("-- \0\n", Uncut::Nul),
        ("/*\0*/", Uncut::Nul),
        ("\"\0\"", Uncut::Nul),
        ("$$\0$$", Uncut::Nul),
        ("\u{1}", Uncut::Stray),
    ] {
        let mut lexer = Lexer::new(text);
        assert_eq!(lexer.find_map(Result::err), Some(uncut), "{text:?}");
        assert_eq!(lexer.next(), None, "{text:?}");
    }
}

proptest! {
    #[test]
    fn tokens_stand_in_order_and_leave_only_space_and_comments(text in "[ a-zA-Z0-9'\"$\\\\&/*\n.;:=+<>|_-]{0,60}") {
        let mut end = 0;
        for token in Lexer::new(&text) {
            let Ok(token) = token else { break };
            prop_assert!(token.start >= end && !token.text.is_empty());
            let gap = text.get(end..token.start).unwrap();
            prop_assert!(Lexer::new(gap).next().is_none(), "{gap:?}");
            end = token.start + token.text.len();
        }
    }
}
