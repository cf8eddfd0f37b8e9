//! Behaviour of the masker on whole lines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

static MASKER: LazyLock<Masker> = LazyLock::new(Masker::default);

fn mask(line: &str) -> String {
    MASKER.mask(line, &mut 0).text.into_owned()
}

#[test]
fn masks_what_is_secret() {
    let aws = ["AKIA", "IOSFODNN7EXAMPLE"].concat();
    let github = ["ghp_", "16C7e42F292c6912E7710c838347Ae178B4a"].concat();
    let slack = ["xoxb-", "123456789012-abcdefGHIJKL"].concat();
    let stripe = ["sk_live_", "4eC39HqLyjWDarjtT1zdp7dc"].concat();
    let google = ["AIza", "SyDaGmWKa4JsXZ-HjGw7ISLn_3namBGewQe"].concat();
    let jwt = ["eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxMjM0In0", "dozjgNryP4J3jVmN"].join(".");
    let cases = [
        (format!("key {aws} used"), "key <secret:aws-key> used"),
        (format!("push with {github}"), "push with <secret:github-token>"),
        (format!("slack={slack}"), "slack=<secret:slack-token>"),
        (format!("charge {stripe}"), "charge <secret:stripe-key>"),
        (format!("maps?key={google}"), "maps?key=<secret:google-key>"),
        (format!("got {jwt}."), "got <secret:jwt>."),
        (
            "Authorization: Bearer abcDEF123456.x".into(),
            "Authorization: Bearer <secret:authorization>",
        ),
        ("Authorization: Basic dXNlcjpwYXNz".into(), "Authorization: Basic <secret:authorization>"),
        (
            "connect postgres://bob:hunter2@db:5432/x".into(),
            "connect postgres://bob:<secret:password>@db:5432/x",
        ),
        ("password=hunter2 user=bob".into(), "password=<secret:password> user=bob"),
        ("DB_PASSWORD='hun ter'".into(), "DB_PASSWORD='<secret:password>'"),
        (
            "GET /cb?access_token=abc123&state=1".into(),
            "GET /cb?access_token=<secret:token>&state=1",
        ),
        ("api-key: 0123abcd".into(), "api-key: <secret:key>"),
        ("mail to bob.b@example.org now".into(), "mail to <email> now"),
        ("card 4111 1111 1111 1111 ok".into(), "card <card> ok"),
        ("card=5555555555554444".into(), "card=<card>"),
        ("run --password hunter2 --user bob".into(), "run --password <secret:password> --user bob"),
        ("['--token', 'abc123']".into(), "['--token', '<secret:token>']"),
        (
            "<db><password>hun&amp;ter2</password></db>".into(),
            "<db><password><secret:password></password></db>",
        ),
        (
            r#"{"env":[{"name":"DB_PASSWORD","value":"hunter2"}]}"#.into(),
            r#"{"env":[{"name":"DB_PASSWORD","value":"<secret:password>"}]}"#,
        ),
        (
            r#"Config { password: Some("hunter2"), port: 1 }"#.into(),
            r#"Config { password: Some("<secret:password>"), port: 1 }"#,
        ),
        (
            r#"{"headers":{"Authorization":["Bearer abc","Basic def"],"n":["x"]}}"#.into(),
            r#"{"headers":{"Authorization":["Bearer <secret:authorization>"],"n":["x"]}}"#,
        ),
        (
            r#"Authorization: Digest username="bob", response="6629fae4" end"#.into(),
            "Authorization: Digest <secret:authorization>",
        ),
        (
            r"sent\nAuthorization: Bearer abcDEF123456\nHost: x".into(),
            r"sent\nAuthorization: Bearer <secret:authorization>\nHost: x",
        ),
        (r"a\nbob@example.org\n".into(), r"a\n<email>\n"),
        (
            r#"{"m":"{\"password\":\"a\\\"b\"}"}"#.into(),
            r#"{"m":"{\"password\":\"<secret:password>\"}"}"#,
        ),
        ("Server=x;PWD={a;b};User=y".into(), "Server=x;PWD=<secret:password>;User=y"),
        (
            "https://ab12cd34ef56ab78@o1.ingest.example/2".into(),
            "https://<secret:token>@o1.ingest.example/2",
        ),
        ("postgres://bob:p/w@db/x".into(), "postgres://bob:<secret:password>@db/x"),
        ("call +1 (212) 555-0173 or (212) 555-0173".into(), "call <phone> or <phone>"),
        (
            "iban DE89 3704 0044 0532 0130 00, ssn 123-45-6789".into(),
            "iban <iban>, ssn <national-id>",
        ),
        ("?url=x&sig=a1B2c3D4e5F6g7H8i9%3D&se=1".into(), "?url=x&sig=<secret:secret>&se=1"),
        (
            "check pass; token=abcdef, password=hunter2; passed".into(),
            "check pass; token=<secret:token>, password=<secret:password>; passed",
        ),
    ];
    for (line, expected) in cases {
        assert_eq!(mask(&line), expected);
    }
}

#[test]
fn leaves_ordinary_text_alone() {
    for line in [
        "Failed password for root from 10.0.0.1 port 22 ssh2",
        "Executing with tokens:",
        "token count is 5",
        "SyntaxError: Unexpected token: punc",
        "blk_38865049064139660 4111111111111112",
        "Listener@493 http://host:8080/a/b",
        "max_tokens=100 tokenizer=x secretary: y",
        "password: null",
        "basic authentication is off",
        "secret::vault::open",
        "risk-averse-and-quite-long-word-here",
        "PWD=/root OLDPWD=/srv/app",
        "token = get_token(), password = request.form[key]",
        "primary_key=orders_2024_customer_id public_key=0123456789abcdef0123",
        "password=${DB_PASSWORD} token=<redacted> secret=***",
        "git@github.com:acme/shop.git logo@2x.png",
        "at +0200 and +1718409600000 (404) (2.78 KB)",
        "<secret:token:12ab> <email:12ab> <card>",
    ] {
        assert_eq!(mask(line), line);
    }
}

#[test]
fn json_stays_json() {
    let line =
        r#"{"password":"a\"b","token":12345,"api_key":null,"msg":"{\"secret\":\"x y\"}","n":1}"#;
    let masked = mask(line);
    let value: serde_json::Value = serde_json::from_str(&masked).unwrap();
    assert_eq!(value["password"], "<secret:password>");
    assert_eq!(value["token"], "<secret:token>");
    assert_eq!(value["msg"], r#"{"secret":"<secret:secret>"}"#);
    assert!(value["api_key"].is_null());
}

#[test]
fn a_private_key_is_masked_over_its_lines() {
    let masker = &*MASKER;
    let mut state = 0;
    let begin = ["-----BEGIN RSA ", "PRIVATE KEY-----"].concat();
    let end = ["-----END RSA ", "PRIVATE KEY-----"].concat();
    let lines = [begin.as_str(), "MIIEpAIBAAKCAQEA", "q8s7/+==", end.as_str(), "next"];
    let masked: Vec<String> =
        lines.iter().map(|line| masker.mask(line, &mut state).text.into_owned()).collect();
    assert_eq!(masked, [PRIVATE_KEY, PRIVATE_KEY, PRIVATE_KEY, PRIVATE_KEY, "next"]);
    assert_eq!(mask(&format!("k={begin}\\nMII\\n{end};")), format!("k={PRIVATE_KEY};"));
}

#[test]
fn the_configuration_adds_and_allows() {
    let masker = Masker::new(&ClassifierConfig {
        secret_keys: vec!["badge".to_owned(), "user.pin".to_owned()],
        not_secret_keys: vec!["csrf_token".to_owned()],
        not_secrets: vec!["swordfish".to_owned()],
        secret_rules: vec![
            SecretRule::prefix("acme", "acme_").unwrap(),
            SecretRule::regex("order-code", r"code ([A-Z]{4}-\d{4})\b").unwrap(),
        ],
        ..ClassifierConfig::default()
    });
    for (line, expected) in [
        ("BADGE=DE89 x", "BADGE=<secret:secret> x"),
        ("user.pin=1234 x", "user.pin=<secret:secret> x"),
        ("csrf_token=abcdef x_csrf_token=abcdef", "csrf_token=abcdef x_csrf_token=<secret:token>"),
        ("password=swordfish password=sword", "password=swordfish password=<secret:password>"),
        ("got acme_0123abcd.", "got <secret:acme>"),
        ("code ABCD-1234, code abcd-1234", "code <secret:order-code>, code abcd-1234"),
        ("password=acme_0123abcd;x", "password=<secret:password>;x"),
    ] {
        assert_eq!(masker.mask(line, &mut 0).text, expected);
    }
}

#[test]
fn a_rule_that_cannot_be_used_says_which_and_where() {
    let wrong = |json: &str| serde_json::from_str::<SecretRule>(json).unwrap_err().to_string();
    let message = wrong(r#"{"name":"acme","regex":"a(b"}"#);
    assert!(message.contains("\"acme\"") && message.contains("    a(b\n     ^"), "{message}");
    for (json, part) in [
        (r#"{"name":"Acme","prefix":"acme"}"#, "\"Acme\""),
        (r#"{"name":"acme"}"#, "either a prefix"),
        (r#"{"name":"acme","prefix":"acme","regex":"a"}"#, "either a prefix"),
        (r#"{"name":"acme","prefix":"a"}"#, "at least 3 bytes"),
        (r#"{"name":"acme","regex":"a*"}"#, "empty text"),
        (r#"{"name":"acme","regex":"(a{1000}){1000}"}"#, "size limit"),
        (r#"{"name":"acme","prefix":"acme","suffix":"x"}"#, "unknown field `suffix`"),
    ] {
        let message = wrong(json);
        assert!(message.contains(part), "{json}: {message}");
    }
    let rule = SecretRule::regex("acme", "a+b").unwrap();
    let written = serde_json::to_string(&rule).unwrap();
    assert_eq!(serde_json::from_str::<SecretRule>(&written).unwrap(), rule);
}

#[test]
fn the_same_secret_of_one_source_bears_the_same_tag() {
    let (one, other) = ("a1B2c3D4e5F6g7H8i9J0k1L2", "z1B2c3D4e5F6g7H8i9J0k1L2");
    let line = format!("token={one} token={other} secret={one} token={one} password=hunter2");
    let masked = MASKER.of("a/b/c").mask(&line, &mut 0).text.into_owned();
    let words: Vec<&str> = masked.split(' ').collect();
    assert_eq!(words[0], words[3]);
    assert_ne!(words[0], words[1]);
    assert_eq!(words[4], "password=<secret:password>", "what can be guessed bears none");
    assert_ne!(masked, MASKER.of("a/b/d").mask(&line, &mut 0).text, "sources cannot be joined");
    assert_eq!(masked, MASKER.of("a/b/c").mask(&masked, &mut 0).text, "masked once");
    assert!(!mask(&line).contains("token:"), "no source, no tags");
    let template = without_tags(&masked);
    assert_eq!(
        template,
        "token=<secret:token> token=<secret:token> secret=<secret:secret> token=<secret:token> password=<secret:password>"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn never_panics_and_masks_once(line in "[a-z@:=\"'{}<> .\\\\/0-9-]{0,40}(password|token|://|eyJ)?[a-z@:=\"'{}<> .\\\\/0-9-]{0,40}") {
        let once = mask(&line);
        prop_assert_eq!(mask(&once), once.clone());
    }
}

#[test]
fn values_are_found_where_programs_write_them() {
    for (line, masked) in [
        (
            "user[password]=hunter2Xy9&user[name]=bob",
            "user[password]=<secret:password>&user[name]=bob",
        ),
        ("user%5Bpassword%5D=hunter2Xy9", "user%5Bpassword%5D=<secret:password>"),
        (
            "Array ( [user] => bob [password] => hunter2Xy9 )",
            "Array ( [user] => bob [password] => <secret:password> )",
        ),
        (
            "Authorization: Bearer \"a1B2c3D4e5F6g7H8\"",
            "Authorization: Bearer <secret:authorization>\"",
        ),
        (
            "Authorization: bearer abc%2Ba1B2c3D4e5F6",
            "Authorization: bearer <secret:authorization>",
        ),
        (
            "Authorization: Token token=\"a1B2c3D4e5F6g7H8\", nonce=\"def\"",
            "Authorization: Token <secret:authorization>",
        ),
        ("PASSWORD=xKd(hunter2Xy9 x", "PASSWORD=<secret:password> x"),
        ("password=12345s", "password=<secret:password>"),
        ("cookie=session=a1B2; id=7", "cookie=<secret:cookie>"),
        ("Cookie: a=1; b=2", "Cookie: <secret:cookie>"),
        ("signature=9f86d081884c7d659a2feaa0c55ad015", "signature=<secret:secret>"),
        (
            "dsn root:hunter2Xy9@tcp(db.example.com:3306)/shop",
            "dsn root:<secret:password>@tcp(db.example.com:3306)/shop",
        ),
        (
            "jdbc:oracle:thin:scott/hunter2Xy9@db:1521:orcl",
            "jdbc:oracle:thin:scott/<secret:password>@db:1521:orcl",
        ),
        ("sqlplus scott/hunter2Xy9@orcl", "sqlplus scott/<secret:password>@orcl"),
        (
            "ALTER USER bob WITH PASSWORD 'hunter2Xy9'",
            "ALTER USER bob WITH PASSWORD '<secret:password>'",
        ),
        (
            "CREATE USER 'bob'@'%' IDENTIFIED BY 'hunter2Xy9'",
            "CREATE USER 'bob'@'%' IDENTIFIED BY '<secret:password>'",
        ),
        (
            "CREATE LOGIN bob WITH PASSWORD = N'hunter2Xy9'",
            "CREATE LOGIN bob WITH PASSWORD = N'<secret:password>'",
        ),
        (
            "[('host', 'x'), ('x-api-key', 'a1B2c3D4e5F6g7H8i9J0k1L2'), (b'cookie', b'session=9f86')]",
            "[('host', 'x'), ('x-api-key', '<secret:key>'), (b'cookie', b'<secret:cookie>')]",
        ),
        (
            "jwe eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..k1L2m3N4o5P6.q7R8s9T0.u1V2w3X4 x",
            "jwe <secret:jwt> x",
        ),
    ] {
        assert_eq!(mask(line), masked, "{line}");
    }
}

#[test]
fn what_is_said_about_secrets_stays() {
    for line in [
        "securecookie: the value is not valid",
        "error parsing cookie: dial tcp 10.0.0.1:6379: connection refused",
        "authorization: user alice is not allowed to read orders",
        "authorization=none user=bob status=403",
        "cookie=0x0, duration=12.3s, table=0",
        "Access denied for user 'root' (using password: YES)",
        "pam_unix(passwd:chauthtok): password changed for root",
        "passwd: Authentication token manipulation error",
        "failed to hash password: bcrypt: password length exceeds 72 bytes",
        "ValidationError: password: must contain at least 8 characters",
        "POST /oauth/token => 401",
        "POST /v1/password: 500",
        "hashPassword=120ms",
        "hashPassword=1.2s",
        "private_key=/etc/ssl/private/server.key",
        "token=/var/run/secrets/kubernetes.io/serviceaccount/token",
        "password=get_password()",
        "fields=('password', 'email')",
        "a list, ('token', 'user') of names",
        "root:x@tcpdump reads",
        "systemd[1]: postgresql@14-main.service: Failed",
        "systemd[1]: user@1000.service: Succeeded.",
        "the row is identified by 7",
    ] {
        assert_eq!(mask(line), line);
    }
}
