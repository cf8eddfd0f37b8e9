//! Synthetic secrets and what looks like them, made from a seed: none was ever in use, and none
//! stands in this repository.

/// Numbers from a seed (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn of(&mut self, alphabet: &str, length: usize) -> String {
        let bytes = alphabet.as_bytes();
        (0..length).map(|_| char::from(bytes[self.below(bytes.len())])).collect()
    }

    fn hex(&mut self, length: usize) -> String {
        self.of("0123456789abcdef", length)
    }

    fn alnum(&mut self, length: usize) -> String {
        self.of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", length)
    }

    fn upper(&mut self, length: usize) -> String {
        self.of("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", length)
    }

    fn word(&mut self, length: usize) -> String {
        self.of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", length)
    }

    fn base64(&mut self, length: usize) -> String {
        self.of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", length)
    }

    fn digits(&mut self, length: usize) -> String {
        self.of("0123456789", length)
    }

    /// What people choose: words, digits, a mark.
    fn password(&mut self) -> String {
        let words = ["correct", "Horse", "battery", "Sommer", "dragon", "Monkey"];
        let marks = ["!", "#", "$", "_", "*", "-", "^"];
        let (word, mark) = (words[self.below(words.len())], marks[self.below(marks.len())]);
        format!("{word}{mark}{}", self.digits(4))
    }

    fn uuid(&mut self) -> String {
        let part = |random: &mut Self, length| random.hex(length);
        format!(
            "{}-{}-4{}-a{}-{}",
            part(self, 8),
            part(self, 4),
            part(self, 3),
            part(self, 3),
            part(self, 12)
        )
    }
}

/// Something in a line: a text, and the part of it that is secret.
pub(crate) struct Sample {
    pub(crate) text: String,
    pub(crate) secret: String,
}

fn sample(before: &str, secret: String, behind: &str) -> Sample {
    Sample { text: format!("{before}{secret}{behind}"), secret }
}

/// Appends the digit that makes Luhn's sum right.
fn with_luhn(mut digits: String) -> String {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(index, digit)| {
            let value = u32::from(digit - b'0') << ((index + 1) % 2);
            if value > 9 { value - 9 } else { value }
        })
        .sum();
    digits.push(char::from(b'0' + (10 - sum % 10) as u8 % 10));
    digits
}

fn iban(random: &mut Random) -> String {
    let account = random.digits(18);
    // DE is 13 and 14; two zeros hold the place of the check digits.
    let number = format!("{account}131400");
    let remainder =
        number.bytes().fold(0u32, |rest, digit| (rest * 10 + u32::from(digit - b'0')) % 97);
    format!("DE{:02}{account}", 98 - remainder)
}

/// Names of the classes of secrets.
pub(crate) const CLASSES: [&str; 16] = [
    "provider key",
    "provider token",
    "cloud key by name",
    "webhook",
    "jwt",
    "authorisation",
    "cookie",
    "url password",
    "url token",
    "connection string",
    "password",
    "named key",
    "private key",
    "e-mail",
    "card, iban",
    "phone, id",
];

/// A secret of the class with this index.
pub(crate) fn secret(class: usize, random: &mut Random) -> Sample {
    let r = random;
    match (class, r.below(12)) {
        (0, 0 | 1) => sample("with ", ["AKIA", &r.upper(16)].concat(), " now"),
        (0, 2) => sample("key=", ["AIza", &r.word(35)].concat(), ""),
        (0, 3) => sample("charge by ", ["sk_live_", &r.alnum(24)].concat(), " failed"),
        (0, 4) => sample("mail by ", ["SG.", &r.word(22), ".", &r.word(43)].concat(), ""),
        (0, 5) => sample("model key ", ["sk-ant-", "api03-", &r.word(80)].concat(), " refused"),
        (0, 6) => sample("model key ", ["sk-proj-", &r.word(60)].concat(), "."),
        (0, 7) => sample(
            "agent ",
            ["NRAK-", &r.of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 27)].concat(),
            "",
        ),
        (0, 8) => sample("account ", ["SK", &r.hex(32)].concat(), " denied"),
        (0, 9) => sample("client ", ["a1b8Q~", &r.word(34)].concat(), " expired"),
        (0, 10) => sample("api:", ["key-", &r.hex(32)].concat(), ""),
        (0, _) => sample("signed by ", ["whsec_", &r.alnum(32)].concat(), ""),
        (1, 0 | 1) => sample("push with ", ["ghp_", &r.alnum(36)].concat(), " refused"),
        (1, 2) => {
            sample("push with ", ["github_pat_", &r.alnum(22), "_", &r.alnum(59)].concat(), "")
        }
        (1, 3) => sample("clone by ", ["glpat-", &r.word(20)].concat(), ", denied"),
        (1, 4) => sample(
            "post with ",
            ["xoxb-", &r.digits(12), "-", &r.digits(12), "-", &r.alnum(24)].concat(),
            "",
        ),
        (1, 5) => sample("publish (", ["npm_", &r.alnum(36)].concat(), ")"),
        (1, 6) => sample("upload ", ["pypi-", "AgEIcHlwaS5vcmc", &r.word(90)].concat(), ""),
        (1, 7) => sample("model ", ["hf_", &r.alnum(34)].concat(), " not found"),
        (1, 8) => sample("unseal ", ["hvs.", &r.word(90)].concat(), ""),
        (1, 9) => sample("droplet ", ["dop_v1_", &r.hex(64)].concat(), ";"),
        (1, 10) => sample("bot", [&r.digits(10), ":AA", &r.word(33)].concat(), "/getMe"),
        (1, _) => sample("shop ", ["shpat_", &r.hex(32)].concat(), ""),
        (2, 0..4) => sample("aws_secret_access_key=", r.base64(40), ""),
        (2, 4..7) => {
            sample("AccountKey=", format!("{}==", r.base64(86)), ";EndpointSuffix=core.windows.net")
        }
        (2, _) => sample("aws_session_token=", r.base64(120), ""),
        (3, 0..6) => {
            let path = format!("T{}/B{}/{}", r.upper(8), r.upper(8), r.alnum(24));
            sample("POST https://hooks.slack.com/services/", path, "")
        }
        (3, _) => {
            let path = format!("{}/{}", r.digits(18), r.word(68));
            sample("POST https://discord.com/api/webhooks/", path, " 404")
        }
        (4, _) => {
            let token =
                ["eyJhbGciOiJIUzI1NiJ9", &format!("eyJ{}", r.word(60)), &r.word(43)].join(".");
            sample("token ", token, " has expired")
        }
        (5, 0..4) => sample("Authorization: Bearer ", r.word(40), ""),
        (5, 4..7) => sample("authorization: Basic ", format!("{}==", r.base64(22)), ""),
        (5, 7..9) => sample(
            "Authorization: Bot ",
            format!("M{}.{}.{}", r.alnum(23), r.word(6), r.word(27)),
            "",
        ),
        (5, _) => sample("Proxy-Authorization: Token ", r.hex(40), ""),
        (6, 0..6) => sample("Cookie: session=", r.word(32), "; theme=dark"),
        (6, _) => sample("Set-Cookie: sid=", r.alnum(40), "; Path=/; HttpOnly"),
        (7, 0..3) => sample("postgres://shop:", r.password().replace('#', "x"), "@db:5432/orders"),
        (7, 3..6) => sample("amqp://guest:", r.alnum(12), "@rabbit:5672/"),
        (7, 6..9) => sample("redis://:", r.alnum(16), "@cache:6379/0"),
        (7, _) => sample("mongodb+srv://app:", r.alnum(14), "@cluster0.example.net/test"),
        (8, 0..4) => sample("GET /files?access_token=", r.word(32), "&page=2"),
        (8, 4..8) => {
            sample("GET /blob?sv=2022-11-02&sig=", format!("{}%3D", r.alnum(43)), "&se=2025")
        }
        (8, _) => sample("https://", format!("{}1", r.hex(31)), "@o12.ingest.example.net/5"),
        (9, 0..4) => {
            sample("Server=db;Database=shop;User Id=sa;Password=", r.password(), ";Encrypt=true")
        }
        (9, 4..8) => {
            sample("jdbc:mysql://db/shop?user=app&password=", r.alnum(12), "&useSSL=false")
        }
        (9, _) => sample("Driver={ODBC};Server=db;UID=app;PWD=", r.alnum(12), ";"),
        (10, 0..2) => sample("password=", r.password(), " user=bob"),
        (10, 2 | 3) => sample("DB_PASSWORD=", r.password(), ""),
        (10, 4 | 5) => sample("mysql --user app --password ", r.alnum(10), " shop"),
        (10, 6 | 7) => sample("spring.datasource.password: ", r.password(), ""),
        (10, 8 | 9) => sample("<password>", r.password(), "</password>"),
        (10, _) => sample("login(user='bob', password='", r.password(), "')"),
        (11, 0..3) => sample("api_key=", r.hex(32), ""),
        (11, 3..5) => sample("client_secret: ", r.word(32), ""),
        (11, 5..7) => sample("X-Api-Key: ", r.alnum(32), ""),
        (11, 7..9) => sample("encryption_key=", format!("{}=", r.base64(43)), ""),
        (11, _) => sample("DD_API_KEY=", r.hex(32), ""),
        (12, _) => {
            let body = r.base64(64);
            let label = ["RSA PRIVATE", "PRIVATE", "OPENSSH PRIVATE", "EC PRIVATE"][r.below(4)];
            let before = format!("-----BEGIN {label} KEY-----\n");
            sample(&before, body, &format!("\n-----END {label} KEY-----"))
        }
        (13, _) => sample(
            "mail to ",
            format!("{}.{}@example.org", r.of("abcdefgh", 5), r.of("abcdefgh", 6)),
            " bounced",
        ),
        (14, 0..3) => sample("card ", with_luhn(format!("4{}", r.digits(14))), " declined"),
        (14, 3..5) => {
            let card = with_luhn(format!("51{}", r.digits(13)));
            sample("card ", [&card[..4], &card[4..8], &card[8..12], &card[12..]].join(" "), "")
        }
        (14, 5..7) => sample("amex=", with_luhn(format!("37{}", r.digits(12))), ""),
        (14, _) => sample("refund to ", iban(r), " sent"),
        (15, 0..4) => sample("sms to ", format!("+1212555{}", r.digits(4)), " failed"),
        (15, 4..7) => sample("call ", format!("(212) 555-{}", r.digits(4)), ""),
        (15, 7..9) => sample("phone=", format!("0151234{}", r.digits(4)), ""),
        (_, _) => sample(
            "ssn ",
            format!("1{}-4{}-1{}", r.digits(2), r.digits(1), r.digits(3)),
            " on file",
        ),
    }
}

/// Kinds of what looks like a secret and is none.
pub(crate) const INNOCENT: usize = 30;

/// What looks like a secret and is none.
pub(crate) fn innocent(kind: usize, random: &mut Random) -> String {
    let r = random;
    match kind {
        0 => format!("commit {}", r.hex(40)),
        1 => format!("request {}", r.uuid()),
        2 => format!("data:image/png;base64,iVBORw0KGgo{}", r.base64(120)),
        3 => format!("trace_id={} span_id={}", r.hex(32), r.hex(16)),
        4 => format!("order {} shipped", r.digits(12)),
        5 => format!("upgraded to v{}.{}.{}-rc1", r.digits(1), r.digits(2), r.digits(1)),
        6 => format!("at 2024-05-{}{} 10:11:12,{}", 1 + r.below(2), 1 + r.below(9), r.digits(3)),
        7 => format!("sha256:{}", r.hex(64)),
        8 => {
            let mut card = with_luhn(format!("4{}", r.digits(14)));
            let last = card.pop().map_or(0, |last| last as u8 - b'0');
            format!("number {card}{}", (last + 1 + r.below(8) as u8) % 10)
        }
        9 => format!("arn:aws:iam::{}:role/deploy-{}", r.digits(12), r.of("abc", 4)),
        10 => format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{} deploy", r.base64(43)),
        11 => format!("-----BEGIN PUBLIC KEY----- MIIB{}", r.base64(60)),
        12 => format!("block blk_{} of size {}", r.digits(19), r.digits(8)),
        13 => format!("epoch 17{} ms", r.digits(11)),
        14 => "Failed password for root from 10.0.0.1 port 22 ssh2".to_owned(),
        15 => format!("used {} tokens, max_tokens=4096", r.digits(3)),
        16 => format!("primary_key=order_{} sort_key=2024-01-{}", r.digits(4), r.digits(2)),
        17 => format!("public_key={}", r.hex(64)),
        18 => "token = get_token(), password = form.password()".to_owned(),
        19 => "password=${DB_PASSWORD} secret=*** token=null".to_owned(),
        20 => format!("git@github.com:acme/shop.git at {}", r.hex(7)),
        21 => format!("GET http://shop:8080/items/{}?page={} 200", r.digits(6), r.digits(2)),
        22 => format!("etag \"{}\" cache_key=user:{}", r.hex(32), r.digits(5)),
        23 => format!("package left-pad@{}.3.0 logo@2x.png", r.digits(1)),
        24 => format!("pod shop-{}-{} started", r.hex(10), r.of("bcdfghjk", 5)),
        25 => format!("PWD=/srv/app/{} HOME=/root", r.of("abc", 5)),
        26 => format!("zone +0200 delta +{} bytes (404)", r.digits(6)),
        27 => format!("0x{} in slot {}", r.hex(16), r.digits(2)),
        28 => "SyntaxError: Unexpected token: punc, cookie policy accepted".to_owned(),
        _ => format!("session opened for uid={} pid={}", r.digits(4), r.digits(5)),
    }
}

/// Names of the shapes of lines.
pub(crate) const SHAPES: [&str; 12] = [
    "plain",
    "headed",
    "syslog",
    "logfmt",
    "pino",
    "zap",
    "logback",
    "json in json",
    "docker",
    "python",
    "java",
    "access",
];

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// A log in the shape with this index that holds `text` once, or twice.
pub(crate) fn log(shape: usize, text: &str) -> String {
    let q = quoted(text);
    match shape {
        0 => text.to_owned(),
        1 => format!("2024-05-01 10:00:00,123 ERROR [main] com.acme.Shop - {text}"),
        2 => format!("<11>May  1 10:00:06 host shop[7]: {text}"),
        3 => format!("time=2024-05-01T10:00:00Z level=error msg={q} code=7"),
        4 => format!(r#"{{"level":50,"time":1714557600000,"pid":7,"hostname":"h","msg":{q}}}"#),
        5 => format!(
            r#"{{"level":"error","ts":1714557600.1,"caller":"a/b.go:7","msg":"failed","error":{q}}}"#
        ),
        6 => format!(
            r#"{{"@timestamp":"2024-05-01T10:00:00Z","level":"ERROR","logger_name":"a.B","message":"m","stack_trace":{}}}"#,
            quoted(&format!("a.b.ShopException: {text}\n\tat a.b.C.d(C.java:7)"))
        ),
        7 => {
            let inner = format!(r#"{{"error":{q},"n":1}}"#);
            format!(r#"{{"time":"2024-05-01T10:00:00Z","level":"error","msg":{}}}"#, quoted(&inner))
        }
        8 => format!(
            r#"{{"log":{},"stream":"stderr","time":"2024-05-01T10:00:00Z"}}"#,
            quoted(&format!("{text}\n"))
        ),
        9 => format!(
            "2024-05-01 10:00:00 ERROR failed\nTraceback (most recent call last):\n  File \"/srv/app/a.py\", line 3, in f\n    g()\nValueError: {text}"
        ),
        10 => format!(
            "2024-05-01 10:00:00 ERROR [main] a.B - {text}\na.b.ShopException: {text}\n\tat a.b.C.d(C.java:7)"
        ),
        _ => format!(
            "10.0.0.1 - - [01/May/2024:10:00:05 +0000] \"GET /x HTTP/1.1\" 500 12 \"-\" {q}"
        ),
    }
}
