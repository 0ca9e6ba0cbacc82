//! The part of CEL that is understood here: of attribute mappings, attribute conditions and conditions of access boundaries.
//!
//! Names with members (`assertion.sub`, `assertion['x-y']`, `attribute.repository`, `google.subject`, `resource.name`), texts in single
//! or double quotes without escapes, `true` and `false`, `+` of texts, `==`, `!=`, `in` a list, `.startsWith(...)`, `.endsWith(...)`,
//! `!`, `&&`, `||` and parentheses. Everything else is an error when it is read, and never passed over. A member that is not there is an error when
//! it is asked for, as in CEL, and an error is no yes.

use std::collections::BTreeMap;

use serde_json::Value;

/// What names stand for.
pub type Scope = BTreeMap<String, Value>;

/// An expression that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression(Node);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Text(String),
    Bool(bool),
    Name(Vec<String>),
    List(Vec<Node>),
    Not(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Joined(Box<Node>, Box<Node>),
    Equal(Box<Node>, Box<Node>, bool),
    In(Box<Node>, Box<Node>),
    Starts(Box<Node>, Box<Node>),
    Ends(Box<Node>, Box<Node>),
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is not understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let tokens = tokens(text)?;
        let mut reader = Reader { tokens: &tokens };
        let node = reader.any()?;
        match reader.tokens {
            [] => Ok(Self(node)),
            rest => Err(format!("not understood from {rest:?} on")),
        }
    }

    /// Whether it is true.
    ///
    /// # Errors
    /// A name that stands for nothing, or kinds that do not go together.
    pub fn holds(&self, scope: &Scope) -> Result<bool, String> {
        truth(&value(&self.0, scope)?)
    }

    /// The text that it is.
    ///
    /// # Errors
    /// As [`Self::holds`], or if it is no text.
    pub fn text(&self, scope: &Scope) -> Result<String, String> {
        match value(&self.0, scope)? {
            Value::String(text) => Ok(text),
            other => Err(format!("`{other}` is no text")),
        }
    }
}

fn truth(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| format!("`{value}` is neither true nor false"))
}

fn value(node: &Node, scope: &Scope) -> Result<Value, String> {
    let text = |node: &Node| match value(node, scope)? {
        Value::String(text) => Ok(text),
        other => Err(format!("`{other}` is no text")),
    };
    Ok(match node {
        Node::Text(text) => text.clone().into(),
        Node::Bool(truth) => (*truth).into(),
        Node::Name(path) => {
            let (first, members) = path.split_first().ok_or("no name")?;
            let found = scope.get(first).ok_or_else(|| format!("no such name: {first}"))?;
            let found = members.iter().try_fold(found, |found, member| found.get(member));
            found.cloned().ok_or_else(|| format!("no such key: {}", path.join(".")))?
        }
        Node::List(items) => Value::Array(items.iter().map(|item| value(item, scope)).collect::<Result<_, _>>()?),
        Node::Not(of) => (!truth(&value(of, scope)?)?).into(),
        Node::And(left, right) => (truth(&value(left, scope)?)? && truth(&value(right, scope)?)?).into(),
        Node::Or(left, right) => (truth(&value(left, scope)?)? || truth(&value(right, scope)?)?).into(),
        Node::Joined(left, right) => (text(left)? + &text(right)?).into(),
        Node::Equal(left, right, equal) => ((value(left, scope)? == value(right, scope)?) == *equal).into(),
        Node::In(left, right) => {
            let list = value(right, scope)?;
            let list = list.as_array().ok_or("`in` is of a list")?;
            list.contains(&value(left, scope)?).into()
        }
        Node::Starts(left, right) => text(left)?.starts_with(&text(right)?).into(),
        Node::Ends(left, right) => text(left)?.ends_with(&text(right)?).into(),
    })
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Sign(&'static str),
}

const SIGNS: [&str; 13] = ["&&", "||", "==", "!=", "!", "(", ")", "[", "]", ",", ".", "?", "+"];

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let (mut tokens, mut rest) = (Vec::new(), text.trim_start());
    while let Some(first) = rest.chars().next() {
        if first == '\'' || first == '"' {
            let after = rest.get(1..).unwrap_or_default();
            let (inner, behind) = after.split_once(first).ok_or("a text without its end")?;
            if inner.contains('\\') {
                return Err("texts with escapes are not understood here".to_owned());
            }
            tokens.push(Token::Text(inner.to_owned()));
            rest = behind;
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let (word, behind) = rest.split_at(end);
            tokens.push(Token::Word(word.to_owned()));
            rest = behind;
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            tokens.push(Token::Sign(sign));
            rest = rest.get(sign.len()..).unwrap_or_default();
        } else {
            return Err(format!("`{first}` is not understood here"));
        }
        rest = rest.trim_start();
    }
    Ok(tokens)
}

struct Reader<'a> {
    tokens: &'a [Token],
}

impl Reader<'_> {
    fn takes(&mut self, sign: &str) -> bool {
        match self.tokens {
            [Token::Sign(found), rest @ ..] if *found == sign => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }

    fn needs(&mut self, sign: &str) -> Result<(), String> {
        if self.takes(sign) { Ok(()) } else { Err(format!("`{sign}` is missing")) }
    }

    fn any(&mut self) -> Result<Node, String> {
        let mut left = self.all()?;
        while self.takes("||") {
            left = Node::Or(Box::new(left), Box::new(self.all()?));
        }
        Ok(left)
    }

    fn all(&mut self) -> Result<Node, String> {
        let mut left = self.compared()?;
        while self.takes("&&") {
            left = Node::And(Box::new(left), Box::new(self.compared()?));
        }
        Ok(left)
    }

    fn compared(&mut self) -> Result<Node, String> {
        let left = Box::new(self.joined()?);
        if let [Token::Word(word), rest @ ..] = self.tokens
            && word == "in"
        {
            self.tokens = rest;
            return Ok(Node::In(left, Box::new(self.joined()?)));
        }
        match (self.takes("=="), self.takes("!=")) {
            (false, false) => Ok(*left),
            (equal, _) => Ok(Node::Equal(left, Box::new(self.joined()?), equal)),
        }
    }

    fn joined(&mut self) -> Result<Node, String> {
        let mut left = self.one()?;
        while self.takes("+") {
            left = Node::Joined(Box::new(left), Box::new(self.one()?));
        }
        Ok(left)
    }

    fn one(&mut self) -> Result<Node, String> {
        if self.takes("!") {
            return Ok(Node::Not(Box::new(self.one()?)));
        }
        if self.takes("(") {
            let inner = self.any()?;
            self.needs(")")?;
            return Ok(inner);
        }
        if self.takes("[") {
            let mut items = Vec::new();
            while !self.takes("]") {
                if !items.is_empty() {
                    self.needs(",")?;
                }
                items.push(self.one()?);
            }
            return Ok(Node::List(items));
        }
        match self.tokens {
            [Token::Text(text), rest @ ..] => {
                self.tokens = rest;
                Ok(Node::Text(text.clone()))
            }
            [Token::Word(word), rest @ ..] => {
                self.tokens = rest;
                match word.as_str() {
                    "true" | "false" => Ok(Node::Bool(word == "true")),
                    _ => self.members(vec![word.clone()]),
                }
            }
            other => Err(format!("not understood from {other:?} on")),
        }
    }

    /// What stands behind a name: members, and then perhaps a question to a text.
    fn members(&mut self, mut path: Vec<String>) -> Result<Node, String> {
        loop {
            if self.takes("[") {
                let [Token::Text(name), rest @ ..] = self.tokens else {
                    return Err("members are named by texts".to_owned());
                };
                path.push(name.clone());
                self.tokens = rest;
                self.needs("]")?;
                continue;
            }
            if !self.takes(".") {
                return if path.len() > 1 { Ok(Node::Name(path)) } else { Err(format!("`{}` alone", path.join("."))) };
            }
            let [Token::Word(word), rest @ ..] = self.tokens else { return Err("a dot before no name".to_owned()) };
            self.tokens = rest;
            if !self.takes("(") {
                path.push(word.clone());
                continue;
            }
            let (of, with) = (Box::new(Node::Name(path)), Box::new(self.one()?));
            self.needs(")")?;
            return match word.as_str() {
                "startsWith" => Ok(Node::Starts(of, with)),
                "endsWith" => Ok(Node::Ends(of, with)),
                other => Err(format!("`{other}` is not understood here")),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scope() -> Scope {
        Scope::from([
            ("assertion".to_owned(), json!({ "sub": "target:reports", "a-b": "c", "list": ["x"] })),
            ("attribute".to_owned(), json!({ "repository": "octo-org/octo-repo" })),
        ])
    }

    #[test]
    fn what_is_understood_is_decided() {
        for (text, holds) in [
            ("assertion.sub == 'target:reports'", true),
            ("assertion.sub == \"target:reports2\"", false),
            ("assertion.sub != 'target:reports'", false),
            ("assertion['a-b'] == 'c' && !(assertion.sub == 'x')", true),
            ("assertion.sub in ['a', 'target:reports']", true),
            ("'x' in assertion.list || false", true),
            ("attribute.repository.startsWith('octo-org/')", true),
            ("attribute.repository.endsWith('octo-org/')", false),
            ("assertion.sub == 'x' || assertion.sub.startsWith('target:') && true", true),
            ("assertion.sub + '-' + assertion['a-b'] == 'target:' + 'reports-c'", true),
            ("assertion.sub == 'target:' + 'report'", false),
        ] {
            assert_eq!(Expression::parse(text).unwrap().holds(&scope()), Ok(holds), "{text}");
        }
        assert_eq!(Expression::parse("assertion.sub").unwrap().text(&scope()).unwrap(), "target:reports");
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for text in [
            "",
            "assertion",
            "assertion.sub ==",
            "assertion.sub.matches('.*')",
            "size(assertion.sub) > 1",
            "assertion.sub == 'a' ? true : false",
            "has(assertion.sub)",
            "assertion.sub == 'it\\'s'",
            "assertion.sub == 'a",
            "(assertion.sub == 'a'",
            "assertion.sub == 'a' 'b'",
            "assertion.count == 1",
            "assertion.sub +",
            "+ assertion.sub",
        ] {
            assert!(Expression::parse(text).is_err(), "{text}");
        }
        for text in
            ["assertion.other == 'a'", "assertion.list.startsWith('a')", "assertion.sub", "assertion.list + 'a' == 'a'"]
        {
            assert!(Expression::parse(text).unwrap().holds(&scope()).is_err(), "{text}");
        }
    }
}
