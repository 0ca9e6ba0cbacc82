use super::*;

fn document(text: &str, kind: Kind) -> Document {
    Document::parse(text, kind).unwrap()
}

fn identity(statement: &str) -> Result<Document, String> {
    Document::parse(&format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#), Kind::Identity)
}

#[test]
fn a_denial_wins_and_silence_is_neither() {
    let both = document(
        r#"{"Version":"2012-10-17","Statement":[
            {"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::reports/*"},
            {"Effect":"Deny","Action":"s3:DeleteObject","Resource":"*"}]}"#,
        Kind::Identity,
    );
    let decide = |action, resource| both.decide(action, resource, &Context::default());
    assert_eq!(decide("s3:GetObject", "arn:aws:s3:::reports/a"), Decision::Allow);
    assert_eq!(decide("S3:getobject", "arn:aws:s3:::reports/a"), Decision::Allow);
    assert_eq!(decide("s3:DeleteObject", "arn:aws:s3:::reports/a"), Decision::Deny);
    assert_eq!(decide("s3:GetObject", "arn:aws:s3:::other/a"), Decision::Nothing);
}

#[test]
fn what_aws_would_not_take_is_refused() {
    for broken in [
        "{}",
        "[]",
        r#"{"Version":"2012-10-17","Statement":[]}"#,
        r#"{"Version":"2008-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#,
        r#"{"Version":"2012-10-17","Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#,
    ] {
        Document::parse(broken, Kind::Identity).unwrap_err();
    }
    for broken in [
        r#"{"Effect":"allow","Action":"*","Resource":"*"}"#,
        r#"{"Effect":"Allow","Action":"GetObject","Resource":"*"}"#,
        r#"{"Effect":"Allow","Action":"s3:*"}"#,
        r#"{"Effect":"Allow","Action":[],"Resource":"*"}"#,
        r#"{"Effect":"Allow","Action":"s3:*","Resource":"reports/*"}"#,
        r#"{"Effect":"Allow","Action":"s3:*","NotAction":"s3:*","Resource":"*"}"#,
        r#"{"Effect":"Allow","Action":"s3:*","Resource":"*","Principal":"*"}"#,
        r#"{"Effect":"Allow","Action":"s3:*","Resource":"*","Resources":"*"}"#,
        r#"{"Sid":"a b","Effect":"Allow","Action":"s3:*","Resource":"*"}"#,
        r#"{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringIs":{"a":"b"}}}"#,
        r#"{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"DateLessThan":{"a":"now"}}}"#,
    ] {
        identity(broken).unwrap_err();
    }
}

fn holds(condition: &str, context: &Context) -> bool {
    let statement = format!(r#"{{"Effect":"Allow","Action":"*","Resource":"*","Condition":{{{condition}}}}}"#);
    identity(&statement).unwrap().decide("s3:GetObject", "*", context) == Decision::Allow
}

#[test]
fn conditions_hold_as_aws_has_them() {
    let mut context = Context::default();
    context.set("aws:RequestTag/Writ", "w1");
    context.set("aws:TokenIssueTime", "2026-01-02T03:04:05Z");
    context.set_all("aws:TagKeys", vec!["Writ".to_owned(), "Other".to_owned()]);
    for (condition, expected) in [
        (r#""StringEquals":{"aws:requesttag/writ":"w1"}"#, true),
        (r#""StringEquals":{"aws:RequestTag/Writ":["w0","w1"]}"#, true),
        (r#""StringEquals":{"aws:RequestTag/Absent":"w1"}"#, false),
        (r#""StringEqualsIfExists":{"aws:RequestTag/Absent":"w1"}"#, true),
        (r#""StringNotEquals":{"aws:RequestTag/Absent":"w1"}"#, true),
        (r#""StringLike":{"aws:RequestTag/Writ":"w?"}"#, true),
        (r#""StringNotLike":{"aws:RequestTag/Writ":"w*"}"#, false),
        (r#""Null":{"aws:RequestTag/Absent":"true"}"#, true),
        (r#""Null":{"aws:RequestTag/Writ":true}"#, false),
        (r#""DateLessThan":{"aws:TokenIssueTime":"2026-01-02T03:04:06Z"}"#, true),
        (r#""DateLessThan":{"aws:TokenIssueTime":"2026-01-02T03:04:05Z"}"#, false),
        (r#""DateGreaterThan":{"aws:TokenIssueTime":"2026-01-01"}"#, true),
        (r#""ForAllValues:StringEquals":{"aws:TagKeys":["Writ","Other","Third"]}"#, true),
        (r#""ForAllValues:StringEquals":{"aws:TagKeys":["Writ"]}"#, false),
        (r#""ForAnyValue:StringEquals":{"aws:TagKeys":["Writ"]}"#, true),
        // Several values and an operator for one.
        (r#""StringEquals":{"aws:TagKeys":["Writ","Other"]}"#, false),
    ] {
        assert_eq!(holds(condition, &context), expected, "{condition}");
    }
}

#[test]
fn variables_take_the_requests_values_or_match_nothing() {
    let policy = identity(
        r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/${aws:PrincipalTag/Team}/*"}"#,
    );
    let policy = policy.unwrap();
    let mut context = Context::default();
    assert_eq!(policy.decide("s3:GetObject", "arn:aws:s3:::b/x/1", &context), Decision::Nothing);
    context.set("aws:PrincipalTag/Team", "x");
    assert_eq!(policy.decide("s3:GetObject", "arn:aws:s3:::b/x/1", &context), Decision::Allow);
    assert_eq!(policy.decide("s3:GetObject", "arn:aws:s3:::b/y/1", &context), Decision::Nothing);
}

#[test]
fn a_star_among_federated_principals_trusts_nobody() {
    let text = |federated: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":{{"Federated":"{federated}"}},
            "Action":"sts:AssumeRoleWithWebIdentity"}}}}"#
        )
    };
    let provider = "arn:aws:iam::123456789012:oidc-provider/issuer.test";
    let asker = Asker::Federated(provider);
    let trusts = |policy: &str| {
        document(policy, Kind::Trust).trusts(&asker, "sts:AssumeRoleWithWebIdentity", &Context::default())
    };
    assert_eq!(trusts(&text(provider)), Decision::Allow);
    assert_eq!(trusts(&text("*")), Decision::Nothing);
    assert_eq!(trusts(&text("arn:aws:iam::123456789012:oidc-provider/issuer.test/other")), Decision::Nothing);
}

#[test]
fn stars_and_question_marks() {
    for (pattern, value, expected) in [
        ("*", "", true),
        ("a*", "abc", true),
        ("a*c", "abcabc", true),
        ("a*d", "abc", false),
        ("?", "", false),
        ("?b", "ab", true),
        ("a", "ab", false),
        ("*a*b*", "xxaxxbxx", true),
    ] {
        assert_eq!(like(pattern, value), expected, "{pattern} {value}");
    }
}
