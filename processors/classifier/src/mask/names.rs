//! Which names hold secrets, and what must be true of their values.

use super::personal;

/// Texts one of which stands in the name of every field that is masked.
pub(super) const NEEDLES: [&str; 42] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "_pass",
    "secret",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "accesskey",
    "access_key",
    "access-key",
    "authorization",
    "x-auth-",
    "_auth",
    "cookie",
    "credential",
    "_key",
    "-key",
    "accountkey",
    "privatekey",
    "encryptionkey",
    "signingkey",
    "sharedkey",
    "masterkey",
    "licensekey",
    "?sig",
    "&sig",
    "\\u0026sig",
    "signature",
    "accesssignature",
    "jsessionid",
    "phpsessid",
    "cvv",
    "msisdn",
    "phone",
    "ssn",
    "bsn",
    "cpf",
    "dni",
];

/// What must be true of the value behind a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Demand {
    /// The name is enough.
    Nothing,
    /// It looks random: names such as `…_key` hold other things too.
    Random,
    /// It is a telephone number.
    Phone,
    /// It is a national id that the name tells.
    NationalId,
    /// Three or four digits: the code on the back of a card.
    CardCode,
}

/// What a name holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) kind: &'static str,
    pub(super) demand: Demand,
}

pub(super) const AUTHORIZATION: &str = "secret:authorization";
pub(super) const COOKIE: &str = "secret:cookie";
const PASSWORD: &str = "secret:password";
const SECRET: &str = "secret:secret";
const TOKEN: &str = "secret:token";
const KEY: &str = "secret:key";

/// Endings of names, and what those hold. The first that fits counts.
const ENDINGS: [(&str, &str, Demand); 65] = [
    ("password", PASSWORD, Demand::Nothing),
    ("passwd", PASSWORD, Demand::Nothing),
    ("passphrase", PASSWORD, Demand::Nothing),
    ("passcode", PASSWORD, Demand::Nothing),
    ("password_confirmation", PASSWORD, Demand::Nothing),
    ("passwordconfirmation", PASSWORD, Demand::Nothing),
    ("pwd", PASSWORD, Demand::Nothing),
    ("_pass", PASSWORD, Demand::Nothing),
    ("secret", SECRET, Demand::Nothing),
    ("secret_key", KEY, Demand::Nothing),
    ("secretkey", KEY, Demand::Nothing),
    ("secret-key", KEY, Demand::Nothing),
    ("secret_key_base", KEY, Demand::Nothing),
    ("secret_access_key", KEY, Demand::Nothing),
    ("secretaccesskey", KEY, Demand::Nothing),
    ("public_token", TOKEN, Demand::Random),
    ("page_token", TOKEN, Demand::Random),
    ("pagetoken", TOKEN, Demand::Random),
    ("token", TOKEN, Demand::Nothing),
    ("apikey", KEY, Demand::Nothing),
    ("api_key", KEY, Demand::Nothing),
    ("api-key", KEY, Demand::Nothing),
    ("accesskey", KEY, Demand::Nothing),
    ("access_key", KEY, Demand::Nothing),
    ("access-key", KEY, Demand::Nothing),
    ("authorization", AUTHORIZATION, Demand::Nothing),
    ("x-auth-key", KEY, Demand::Nothing),
    ("_auth", SECRET, Demand::Random),
    ("set-cookie", COOKIE, Demand::Nothing),
    ("cookie", COOKIE, Demand::Nothing),
    ("credential", SECRET, Demand::Random),
    ("credentials", SECRET, Demand::Random),
    ("private_key", KEY, Demand::Nothing),
    ("private-key", KEY, Demand::Nothing),
    ("privatekey", KEY, Demand::Nothing),
    ("account_key", KEY, Demand::Random),
    ("accountkey", KEY, Demand::Random),
    ("encryption_key", KEY, Demand::Random),
    ("encryption-key", KEY, Demand::Random),
    ("encryptionkey", KEY, Demand::Random),
    ("signing_key", KEY, Demand::Random),
    ("signing-key", KEY, Demand::Random),
    ("signingkey", KEY, Demand::Random),
    ("shared_key", KEY, Demand::Random),
    ("sharedkey", KEY, Demand::Random),
    ("master_key", KEY, Demand::Random),
    ("masterkey", KEY, Demand::Random),
    ("license_key", KEY, Demand::Random),
    ("licensekey", KEY, Demand::Random),
    ("auth_key", KEY, Demand::Random),
    ("app_key", KEY, Demand::Random),
    ("application_key", KEY, Demand::Random),
    ("service_key", KEY, Demand::Random),
    ("service_role_key", KEY, Demand::Random),
    ("sig", SECRET, Demand::Random),
    ("signature", SECRET, Demand::Random),
    ("jsessionid", COOKIE, Demand::Random),
    ("phpsessid", COOKIE, Demand::Random),
    ("cvv", "secret:card-code", Demand::CardCode),
    ("phone", "phone", Demand::Phone),
    ("phone_number", "phone", Demand::Phone),
    ("phonenumber", "phone", Demand::Phone),
    ("msisdn", "phone", Demand::Phone),
    ("ssn", "national-id", Demand::NationalId),
    ("bsn", "national-id", Demand::NationalId),
];

/// Names of national ids that stand for themselves: as endings they would stand in other words.
const WHOLE: [(&str, &str, Demand); 2] =
    [("cpf", "national-id", Demand::NationalId), ("dni", "national-id", Demand::NationalId)];

/// Whether values of this kind are those of a header, and go on over spaces.
pub(super) fn is_header(kind: &str) -> bool {
    matches!(kind, AUTHORIZATION | COOKIE)
}

/// What a name holds; names of `extra` hold secrets too.
pub(super) fn entry(name: &str, extra: &[String]) -> Option<Entry> {
    let name = name.trim_end_matches(|last: char| last.is_ascii_digit());
    let ends = |ending: &str| {
        let from = name.len().checked_sub(ending.len());
        from.and_then(|from| name.get(from..)).is_some_and(|tail| tail.eq_ignore_ascii_case(ending))
    };
    if extra.iter().any(|key| ends(key)) {
        return Some(Entry { kind: SECRET, demand: Demand::Nothing });
    }
    let found = ENDINGS.iter().find(|(ending, ..)| ends(ending));
    let found = found.or_else(|| WHOLE.iter().find(|(whole, ..)| name.eq_ignore_ascii_case(whole)));
    match found {
        Some((_, kind, demand)) => Some(Entry { kind, demand: *demand }),
        None => is_key(name).then_some(Entry { kind: KEY, demand: Demand::Random }),
    }
}

/// What keys that are no secrets are keys of, or to.
const PLAIN_KEYS: [&str; 24] = [
    "binding",
    "bucket",
    "cache",
    "dedup",
    "foreign",
    "group",
    "hash",
    "idempotency",
    "index",
    "job",
    "lock",
    "map",
    "message",
    "object",
    "partition",
    "primary",
    "public",
    "range",
    "record",
    "routing",
    "row",
    "s3",
    "sort",
    "unique",
];

/// Whether a name is that of a key which may be secret: `jwt_key`, `Ocp-Apim-Subscription-Key`.
fn is_key(name: &str) -> bool {
    let Some((before, last)) = name.rsplit_once(['_', '-']) else { return false };
    let of = before.rsplit(['_', '-']).next().unwrap_or("");
    last.eq_ignore_ascii_case("key")
        && !PLAIN_KEYS.iter().any(|plain| of.eq_ignore_ascii_case(plain))
}

/// Fewest bytes of a value that is called random.
const MIN_RANDOM: usize = 16;
/// Fewest letters and digits in a row in it; parts of a UUID are shorter.
const MIN_ROW: usize = 13;
/// Fewest different bytes in it.
const MIN_DIFFERENT: usize = 8;

impl Demand {
    /// Whether the value of a field with this name (any case) meets it.
    pub(super) fn is_met(self, name: &str, value: &str) -> bool {
        match self {
            Self::Nothing => true,
            Self::Random => looks_random(value),
            Self::Phone => personal::is_phone(value),
            Self::NationalId => {
                let name = name.to_ascii_lowercase();
                let kind = ["cpf", "bsn", "dni"].into_iter().find(|kind| name.ends_with(kind));
                personal::is_national_id(kind.unwrap_or("ssn"), value)
            }
            Self::CardCode => {
                (3..=4).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit())
            }
        }
    }
}

/// Whether a value has the look of a key: long, of base64's letters and digits, with few repetitions.
fn looks_random(value: &str) -> bool {
    let bytes = value.as_bytes();
    let is_part = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-' | b'%' | b'.' | b'!' | b'~')
    };
    if bytes.len() < MIN_RANDOM || !bytes.iter().all(is_part) {
        return false;
    }
    let mut seen = [false; 256];
    let mut different = 0;
    let mut row = 0;
    let mut longest = 0;
    for byte in bytes {
        row = if byte.is_ascii_alphanumeric() { row + 1 } else { 0 };
        longest = longest.max(row);
        if let Some(seen) = seen.get_mut(usize::from(*byte)) {
            different += usize::from(!std::mem::replace(seen, true));
        }
    }
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    let letters = bytes.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    let is_mixed = digits >= 2 && letters >= 2;
    // A key may begin with a slash too; the parts of a path are shorter.
    let is_path = bytes.first() == Some(&b'/') && longest < MIN_ROW && !value.ends_with('=');
    if is_path {
        return false;
    }
    // Half of base64's shorter keys have no row so long.
    is_mixed
        && different >= MIN_DIFFERENT
        && (longest >= MIN_ROW || value.ends_with('=') || value.contains(['+', '%']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::Masker;

    #[test]
    fn keys_that_look_random_are_masked_but_for_those_of_stores() {
        let masker = Masker::default();
        let value = "9f86d081884c7d659a2feaa0c55ad015";
        for (name, masked) in [
            ("hmac_key", true),
            ("JWT_KEY", true),
            ("x-functions-key", true),
            ("Ocp-Apim-Subscription-Key", true),
            ("cache_key", false),
            ("user-public-key", false),
            ("key", false),
            ("monkey", false),
        ] {
            let line = format!("{name}={value}");
            assert_eq!(!masker.mask(&line, &mut 0).text.contains(value), masked, "{line}");
        }
        assert_eq!(masker.mask("jwt_key=from-the-vault", &mut 0).count, 0);
    }

    #[test]
    fn what_each_name_holds_is_masked() {
        let masker = Masker::default();
        for (ending, kind, demand) in ENDINGS {
            let value = match demand {
                Demand::Nothing | Demand::Random => "Zx9kQ2vB7nM4pL8sT1wR5yU3",
                Demand::Phone => "+4915112345678",
                Demand::NationalId if ending == "bsn" => "111222333",
                Demand::NationalId => "536228726",
                Demand::CardCode => "123",
            };
            for name in [ending.to_owned(), format!("my_{ending}"), ending.to_ascii_uppercase()] {
                for before in ["", "x ", "?", "&", "ask ", "with \"", "key_", "http://h/p?"] {
                    let line = format!("{before}{name}={value}");
                    let masked = masker.mask(&line, &mut 0).text;
                    // One is too short to be looked for but where a query holds it.
                    let is_sought = ending != "sig"
                        || name.eq_ignore_ascii_case(ending)
                            && (before.ends_with('?') || before.ends_with('&'));
                    assert_eq!(masked.contains(value), !is_sought, "{line}: {masked}");
                    let is_said = masked.contains(&format!("=<{kind}"));
                    assert!(is_said || !is_sought, "{line}: {masked}");
                }
            }
        }
    }
}
